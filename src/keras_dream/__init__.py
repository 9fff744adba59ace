"""keras-dream: DeepDream on Keras 3.

    import keras_dream as kd
    kd.dream("sky.jpg").save("out.png")

Everything is imported when it is first used: `import keras_dream` loads neither numpy
nor Keras nor an array library.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_dream.batches.call import batch
    from keras_dream.batches.run import BatchRun
    from keras_dream.citations.cite import Citations, cite
    from keras_dream.dreamer.dreamer import Dreamer, dream
    from keras_dream.engine.checkpoint import Checkpoint
    from keras_dream.engine.loop import Run
    from keras_dream.engine.result import Dream, Record, Step
    from keras_dream.errors import DreamError
    from keras_dream.explanations.explain import Explanation, explain
    from keras_dream.mixing import Mixer, mix
    from keras_dream.pictures.limits import Limits
    from keras_dream.pictures.picture import Picture, read_picture
    from keras_dream.recipe.crossfade import crossfade
    from keras_dream.recipe.objectives import Objective, parse
    from keras_dream.recipe.presets import presets
    from keras_dream.recipe.recipe import Recipe, RunSettings
    from keras_dream.recipe.terms import (
        blur,
        caricature,
        channel,
        class_,
        direction,
        guide,
        l1,
        l2,
        layer,
        neuron,
        objective,
        tv,
    )
    from keras_dream.sheets.atlas import atlas
    from keras_dream.sheets.grid import grid
    from keras_dream.sheets.sheet import Sheet
    from keras_dream.video.call import dream_video
    from keras_dream.video.film import FilmRun
    from keras_dream.video.flicker import Flicker, flicker
    from keras_dream.video.picture_calls import dream_film, dream_zoom
    from keras_dream.video.run import VideoRun
    from keras_dream.video.sink import Encoding
    from keras_dream.video.zoom import ZoomRun
    from keras_dream.zoo.network import Network

__all__ = [
    "BatchRun",
    "Checkpoint",
    "Citations",
    "Dream",
    "DreamError",
    "Dreamer",
    "Encoding",
    "Explanation",
    "FilmRun",
    "Flicker",
    "Limits",
    "Mixer",
    "Network",
    "Objective",
    "Picture",
    "Recipe",
    "Record",
    "Run",
    "RunSettings",
    "Sheet",
    "Step",
    "VideoRun",
    "ZoomRun",
    "atlas",
    "batch",
    "blur",
    "caricature",
    "channel",
    "cite",
    "class_",
    "crossfade",
    "direction",
    "dream",
    "dream_film",
    "dream_video",
    "dream_zoom",
    "explain",
    "flicker",
    "grid",
    "guide",
    "l1",
    "l2",
    "layer",
    "mix",
    "neuron",
    "objective",
    "parse",
    "presets",
    "read_picture",
    "tv",
]

_HOMES = {
    "BatchRun": "batches.run",
    "Checkpoint": "engine.checkpoint",
    "Citations": "citations.cite",
    "Dream": "engine.result",
    "DreamError": "errors",
    "Dreamer": "dreamer.dreamer",
    "Encoding": "video.sink",
    "Explanation": "explanations.explain",
    "Flicker": "video.flicker",
    "Limits": "pictures.limits",
    "Mixer": "mixing",
    "Network": "zoo.network",
    "Objective": "recipe.objectives",
    "Picture": "pictures.picture",
    "Recipe": "recipe.recipe",
    "Record": "engine.result",
    "RunSettings": "recipe.recipe",
    "Sheet": "sheets.sheet",
    "Run": "engine.loop",
    "Step": "engine.result",
    "VideoRun": "video.run",
    "FilmRun": "video.film",
    "ZoomRun": "video.zoom",
    "atlas": "sheets.atlas",
    "batch": "batches.call",
    "cite": "citations.cite",
    "crossfade": "recipe.crossfade",
    "dream": "dreamer.dreamer",
    "dream_video": "video.call",
    "dream_film": "video.picture_calls",
    "dream_zoom": "video.picture_calls",
    "explain": "explanations.explain",
    "flicker": "video.flicker",
    "grid": "sheets.grid",
    "parse": "recipe.objectives",
    "presets": "recipe.presets",
    "read_picture": "pictures.picture",
    "blur": "recipe.terms",
    "caricature": "recipe.terms",
    "channel": "recipe.terms",
    "class_": "recipe.terms",
    "direction": "recipe.terms",
    "guide": "recipe.terms",
    "l1": "recipe.terms",
    "l2": "recipe.terms",
    "layer": "recipe.terms",
    "mix": "mixing",
    "neuron": "recipe.terms",
    "objective": "recipe.terms",
    "tv": "recipe.terms",
}


# Quiet unless the program that imports it wants to hear.
logging.getLogger(__name__).addHandler(logging.NullHandler())


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
