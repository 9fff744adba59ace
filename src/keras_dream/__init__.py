"""keras-dream: DeepDream on Keras 3.

    import keras_dream as kd
    kd.dream("sky.jpg").save("out.png")

Everything is imported when it is first used: `import keras_dream` loads neither numpy
nor Keras nor an array library.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_dream.dreamer import Dreamer
    from keras_dream.dreams import Dream, Record
    from keras_dream.engine import Step
    from keras_dream.errors import DreamError
    from keras_dream.explaining import explain
    from keras_dream.explanation import Explanation
    from keras_dream.objectives import Objective, parse
    from keras_dream.once import dream
    from keras_dream.preset import presets
    from keras_dream.recipe import Recipe, RunSettings
    from keras_dream.sheets.atlas import atlas
    from keras_dream.sheets.grid import grid
    from keras_dream.sheets.work import Sheet

__all__ = [
    "Dream",
    "DreamError",
    "Dreamer",
    "Explanation",
    "Objective",
    "Recipe",
    "Record",
    "RunSettings",
    "Sheet",
    "Step",
    "atlas",
    "dream",
    "explain",
    "grid",
    "parse",
    "presets",
]

_HOMES = {
    "Dream": "dreams",
    "DreamError": "errors",
    "Dreamer": "dreamer",
    "Explanation": "explanation",
    "Objective": "objectives",
    "Recipe": "recipe",
    "Record": "dreams",
    "RunSettings": "recipe",
    "Sheet": "sheets.work",
    "Step": "engine",
    "atlas": "sheets.atlas",
    "dream": "once",
    "explain": "explaining",
    "grid": "sheets.grid",
    "parse": "objectives",
    "presets": "preset",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        try:
            return metadata.version("keras-dream")
        except metadata.PackageNotFoundError:
            return "unknown"  # a checkout that is not installed
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # A module may have a public name for its own: the name wins, once it is asked for.
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
