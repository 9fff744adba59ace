"""The command line as cyclopts reads it: which commands there are."""

from cyclopts import App, Group

from keras_dream.cli.commands import (
    doctor,
    dream,
    explain,
    looking,
    replay,
    sheets,
    weights,
)

_USAGE = """Usage: dream PHOTO [OPTIONS]
       dream COMMAND [OPTIONS]"""

_EXAMPLES = """Examples:
  dream sky.jpg
  dream sky.jpg -o out.png --octaves 5 --steps 30
  dream sky.jpg --preset book1 --steps 10
  dream sky.jpg --network inception_v3 --objective "0.2*mixed2 + 3*mixed3"
  dream other.jpg --recipe sky-dream.png
  dream replay sky-dream.png
  dream explain sky.jpg --layers "mixed*"
  dream atlas motif -o atlas.html
  dream grid sky.jpg --x "objective=mixed2|mixed4" --y "octaves=2|4"

A photo that is called like a command is written ./networks."""

_COMMANDS = {
    "networks": weights.networks,
    "layers": looking.layers,
    "explain": explain.explain,
    "atlas": sheets.atlas,
    "grid": sheets.grid,
    "presets": looking.presets,
    "show": replay.show,
    "replay": replay.replay,
    "doctor": doctor.doctor,
}

COMMANDS = (*_COMMANDS, "weights")
"""The names of the commands."""


def _version() -> str:
    import keras_dream

    return str(keras_dream.__version__)


def _app() -> App:
    app = App(
        name="dream",
        usage=_USAGE,
        help="DeepDream: dream a photo, or ask with a command.",
        help_epilogue=_EXAMPLES,
        help_format="plaintext",
        version=_version,
        default_command=dream.dream,
        group_commands=Group("Commands", sort_key=9),
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,  # `main` tells of it
        result_action="return_value",
    )
    for name, command in _COMMANDS.items():
        app.command(command, name=name, usage=None, help_epilogue="")
    app.command(weights.app())
    return app


app = _app()
"""Reads a command line and runs it."""
