"""Recipes by name: our own default, looks of `motif`, the published algorithms.

Sources of the published ones: F. Chollet, Deep Learning with Python, 1st edition 2017,
listing 8.8 ff. (`book1`); keras.io, "Deep Dream" (`kerasio`); the same book's 2nd
edition, 2021 (`book2`); tensorflow.org, "DeepDream", the simple octave version
(`tftut`); A. Mordvintsev, C. Olah, M. Tyka, google/deepdream, 2015 (`google2015`).
Their images are in [-1, 1] or in grey levels; step sizes and epsilons stand here in
units of [0, 1].
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from keras_dream.errors import SettingError, nearest, short_repr
from keras_dream.recipe.recipe import Recipe

_KERAS = Recipe(
    network="inception_v3",
    loss="l2",
    border=2,
    steps=20,
    step_size=0.005,  # 0.01 of [-1, 1]
    octaves=3,
    octave_scale=1.4,
    small_octaves="run",
    normalizer="mean_abs",
    jitter=0,
    clamp=False,
    detail="after",
)

_BOOK1 = _KERAS.but(
    layers={"mixed2": 0.2, "mixed3": 3.0, "mixed4": 2.0, "mixed5": 1.5},
    epsilon=2e-7,
    max_loss=10.0,
    max_loss_rule="before",
    resampling="linear_corners",
)

_KERASIO = _KERAS.but(
    layers={"mixed4": 1.0, "mixed5": 1.5, "mixed6": 2.0, "mixed7": 2.5},
    epsilon=2e-6,
    max_loss=15.0,
    max_loss_rule="after",
    resampling="linear",
)

_BOOK2 = _KERASIO.but(
    loss="l2_mean", steps=30, step_size=10.0, normalizer="l2", epsilon=4e-12
)

_TFTUT = _KERAS.but(
    objective="mixed3 + mixed5",
    loss="mean",
    border=0,
    steps=50,
    octaves_above=2,
    octave_scale=1.3,
    normalizer="std",
    epsilon=2e-8,
    clamp=True,
    detail="none",
    resampling="linear",
)

_GOOGLE2015 = _KERAS.but(
    network="googlenet",
    # inception_4c/output; Keras takes no slash in a layer's name.
    objective="inception_4c_output",
    loss="half_sum",
    border=0,
    steps=10,
    step_size=1.5 / 255,
    octaves=4,
    octave_sizes="chained",
    epsilon=0.0,
    jitter=32,
    clamp=True,
    detail="before",
    resampling="linear_corners",
)


class UnknownPresetError(SettingError, KeyError):
    """There is no preset of that name; a `KeyError`, since presets are a mapping."""

    __str__ = Exception.__str__  # KeyError's own would put it in quotes


class _Presets(dict[str, Recipe]):
    def __missing__(self, name: str) -> Recipe:
        raise UnknownPresetError(
            "A preset must be one that exists",
            received=short_repr(name),
            hint=nearest(str(name), self, see="`dream presets`"),
        )


def _look(objective: str | None, **settings: Any) -> Recipe:
    """A look of ours; its settings were chosen by eye on photographs of 480 pixels.

    Colours of its own without rainbow fringes (`chroma`), no undreamed frame (`pad`),
    and steps that leave the photograph recognisable.

    Args:
        objective: What is maximised; None for the network's own.
        **settings: What else differs from a plain dream.
    """
    common = {"filters": "chroma", "transforms": "pad(size=24)", "steps": 16}
    return Recipe(objective=objective, **{**common, "step_size": 0.003, **settings})


# One motif each, as the score of its class, is drawn more clearly than several at once.
_LOOKS = {
    "keep": _look(
        "mixed4 + 0.3*motifs:0-27", loss="even", step_size=0.002, keep_colors=True
    ),
    "eyes": _look("class:eye + class:owl"),
    # Large ones first; the small octaves only add to them.
    "birds": _look("class:bird", octaves=4, per_octave=["3-: step_size=0.0015"]),
    "peacock": _look("class:peacock", filters="chroma(share=0.7)"),
    "reef": _look("class:coral + class:octopus", colors="chroma(gain=1.3) + soft_clip"),
    "scales": _look("class:scales", colors="chroma_limit(limit=0.15)"),
    "snakes": _look("class:snake"),
    "arches": _look("class:arches", colors="histogram"),
    "beads": _look("class:mandala", colors="contrast_lock"),
    # The seed chooses, among what the photograph has, what the flowers are made of.
    "bloom": _look("mixed4:strongest(12, of=24) + 0.3*class:flower", octaves=5),
    "psychedelic": _look(
        "class:peacock + class:eye",
        octaves=4,
        step_size=0.004,
        filters="chroma(sigma=12, share=1)",
        colors="decorrelate + chroma(gain=1.4) + soft_clip",
    ),
}

presets: Mapping[str, Recipe] = MappingProxyType(
    _Presets(
        {
            "default": _look(None),
            **_LOOKS,
            "book1": _BOOK1,
            "kerasio": _KERASIO,
            "book2": _BOOK2,
            "tftut": _TFTUT,
            "google2015": _GOOGLE2015,
        }
    )
)


def preset(name: str) -> Recipe:
    """Returns a preset by its name.

    Raises:
        SettingError: If there is none of that name.
    """
    return presets[name]


def looks_of(network: str) -> tuple[str, ...]:
    """Returns the names of the presets that are recipes for a network.

    Args:
        network: The network's name.
    """
    return tuple(name for name, recipe in presets.items() if recipe.network == network)
