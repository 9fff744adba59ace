"""The command line as cyclopts reads it: which commands there are."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import App, Group, Parameter

from keras_dream.cli.commands.atlas import atlas
from keras_dream.cli.commands.batch import batch
from keras_dream.cli.commands.cite import cite
from keras_dream.cli.commands.doctor import doctor
from keras_dream.cli.commands.dream import dream
from keras_dream.cli.commands.explain import explain
from keras_dream.cli.commands.film import film
from keras_dream.cli.commands.flicker import flicker
from keras_dream.cli.commands.grid import grid
from keras_dream.cli.commands.huge import huge
from keras_dream.cli.commands.jobs import jobs
from keras_dream.cli.commands.layers import layers
from keras_dream.cli.commands.looks import looks
from keras_dream.cli.commands.mix import mix
from keras_dream.cli.commands.networks import networks
from keras_dream.cli.commands.presets import presets
from keras_dream.cli.commands.replay import replay
from keras_dream.cli.commands.show import show
from keras_dream.cli.commands.video import video
from keras_dream.cli.commands.weights import weights
from keras_dream.cli.commands.zoom import zoom
from keras_dream.cli.options import LimitFlags, LogFile, LogLevel
from keras_dream.logs import Level
from keras_dream.pictures.limits import Limits

_USAGE = """Usage: dream PHOTO [OPTIONS]
       dream COMMAND [OPTIONS]"""

_EXAMPLES = """Examples:
  dream sky.jpg
  dream sky.jpg -o out.png --octaves 5 --steps 30
  dream looks sky.jpg
  dream sky.jpg --preset reef --variations 4
  dream photos/ -o dreams
  dream batch archive/ -o dreams --preset reef
  dream sky.jpg --mask "box(0%, 0%, 100%, 50%)" --strength 0.6 --keep-colors
  dream cat.jpg --objective "guide(feathers.jpg, mixed3)" --size 1600
  dream noise:512x512 --wrap both --preset scales -o tile.png
  dream --resume
  dream --from sky-dream.png
  dream sky.jpg --preset book1 --steps 10
  dream sky.jpg --network inception_v3 --objective "0.2*mixed2 + 3*mixed3"
  dream other.jpg --recipe sky-dream.png
  dream replay sky-dream.png
  dream mix sky-dream.png --blend 0.6 --octave-strengths 1,1,0.5,0
  dream explain sky.jpg --layers "mixed*"
  dream cite sky-dream.png
  dream atlas motif -o atlas.html
  dream jobs resume dreams
  dream huge mural.tif -o mural-dream.tif --memory 4GB
  dream video clip.mp4 --preview
  dream zoom sky.jpg --seconds 20 --centre 0.4,0.6 --loop
  dream film sky.jpg
  dream grid sky.jpg --x "objective=mixed2|mixed4" --y "octaves=2|4"

If a photo has the name of a command, write its folder, too: ./networks."""


def _version() -> str:
    import keras_dream

    return str(keras_dream.__version__)


app = App(
    name="dream",
    usage=_USAGE,
    help="DeepDream: amplify what a neural network sees in a photo.",
    help_epilogue=_EXAMPLES,
    help_format="plaintext",
    version=_version,
    default_command=dream,
    group_commands=Group("Commands", sort_key=12),
    print_error=False,
    exit_on_error=False,
    suppress_keyboard_interrupt=False,  # `main` handles it
    result_action="return_value",
)
"""Reads a command line and runs it."""

for _command in (
    batch,
    looks,
    networks,
    layers,
    explain,
    atlas,
    grid,
    presets,
    show,
    cite,
    replay,
    mix,
    huge,
    video,
    zoom,
    film,
    flicker,
    doctor,
):
    app.command(_command, usage=None, help_epilogue="")
app.command(jobs)
app.command(weights)

COMMANDS = tuple(name for name in app if not name.startswith("-"))
"""The names of the commands."""


@dataclass(frozen=True)
class CommandLine:
    """A command line without the options that every command has.

    Attributes:
        tokens: The rest.
        log_level: Which messages are shown; None for none.
        log_file: Where they go; None for standard error.
        limits: What pictures may have and take; None for the defaults.
    """

    tokens: tuple[str, ...]
    log_level: Level | None
    log_file: str | None
    limits: Limits | None


@app.meta.default
def _split(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    log_level: LogLevel = None,
    log_file: LogFile = None,
    limits: LimitFlags = None,
) -> CommandLine:
    return CommandLine(tokens, log_level, log_file, limits)


def read(tokens: list[str]) -> CommandLine | None:
    """Reads the options that every command has; None if a page of help was printed.

    Raises:
        CycloptsError: If one of them is wrong.
    """
    return app.meta(tokens)
