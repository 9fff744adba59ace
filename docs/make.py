"""Writes the parts of the documentation that are read from the code.

python docs/make.py

A test compares what it would write with what is there.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
HEAD = """# Settings

Written by `docs/make.py` from the declarations in `keras_dream.recipe` and
`keras_dream.pictures.limits`. As a flag a setting is written with dashes
(`--step-size 0.01`), in Python and in JSON as it stands. `none` is accepted where a
setting may be absent. A preset replaces some of these defaults, `default` too: `dream
presets NAME` prints it.
"""
LIMITS = """
Every command has these flags; in Python they are `kd.Limits(untrusted=True)`, for
`kd.dream(photo, limits=…)`, `kd.Dreamer` and `kd.read_picture`. Where none are given,
those of the environment hold: `KERAS_DREAM_LIMITS='{"untrusted": true}'`.
"""


def settings_page() -> str:
    """Returns the page of all settings."""
    from keras_dream.pictures.limits import Limits
    from keras_dream.recipe.camera import CameraSettings
    from keras_dream.recipe.recipe import Recipe, RunSettings
    from keras_dream.recipe.settings import settings
    from keras_dream.recipe.video import VideoSettings

    parts = [HEAD]
    models = {
        "Recipe": Recipe,
        "Films: `video` of a recipe": VideoSettings,
        "Zooms: `camera` of a recipe": CameraSettings,
        "Run settings": RunSettings,
        "Limits of pictures": Limits,
    }
    for title, model in models.items():
        parts.append(f"\n## {title}\n{LIMITS if model is Limits else ''}\n")
        parts.append("| setting | values | default | what it is |\n")
        parts.append("|---|---|---|---|\n")
        for name, what, default, text in settings(model):
            cells = (f"`{name}`", what.replace(" | ", ", "), default, text)
            parts.append("| " + " | ".join(cells) + " |\n")
    return "".join(parts)


PAGES = {"settings.md": settings_page}

if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent / "src"))
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
