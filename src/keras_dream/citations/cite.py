"""Citing a dream: which works stand behind what its recipe used.

`SOURCES` has one entry for each part that a recipe can name. A new part is a line
there: the keys of its works, or `OURS`.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from keras_dream.citations.works import WORKS, Work
from keras_dream.engine.result import Dream
from keras_dream.parts.part import Part, name_of
from keras_dream.recipe.presets import presets
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.targets import Class, Guide, Layer, Penalty
from keras_dream.replay import is_dream, read_recipe, read_saved
from keras_dream.zoo.catalogue import ZOO

OURS: tuple[str, ...] = ()

SOURCES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "preset": {
        "book1": ("chollet2017",),
        "kerasio": ("kerasio2016",),
        "book2": ("chollet2021",),
        "tftut": ("tensorflow2019",),
        "google2015": ("deepdream2015",),
    },
    "objective": {
        "layer": ("mordvintsev2015",),
        "strongest": ("neuraldream2020",),
        "class": ("simonyan2013",),
        "neuron": ("olah2017",),
        "direction": ("olah2017", "lucid2018"),
        "caricature": ("lucid2018", "olah2018"),
        "guide": ("deepdream2015",),
        "gram": ("gatys2015",),
        "custom": OURS,
        "tv": ("rudin1992",),
        "l1": ("lucid2018",),
        "l2": ("lucid2018",),
        "blur": ("nguyen2014", "lucid2018"),
    },
    "canvas": {
        "pixels": ("deepdream2015",),
        "decorrelated": ("olah2017",),
        "laplacian": ("burt1983", "lucid2018"),
        "fourier": ("olah2017", "mordvintsev2018"),
        "maco": ("fel2023", "field1987"),
    },
    "loss": {
        "l2": ("chollet2017",),
        "l2_mean": ("chollet2021",),
        "mean": ("tensorflow2019",),
        "half_sum": ("deepdream2015",),
        "softmax_mean": OURS,
        "even": OURS,
    },
    "optimizer": {
        "sgd": ("deepdream2015",),
        "adam": ("kingma2014",),
        "momentum": ("polyak1964",),
        "lbfgs": ("liu1989",),
    },
    "normalizer": {
        "mean_abs": ("deepdream2015",),
        "std": ("tensorflow2019",),
        "l2": ("chollet2021",),
        "rms": OURS,
        "none": OURS,
    },
    "transforms": {
        "pad": ("olah2017",),
        "scale": ("olah2017",),
        "rotate": ("olah2017",),
        "flip": ("neuraldream2020",),
        "crop": ("fel2023",),
    },
    "filters": {
        "smooth": ("gordic2021",),
        "laplacian": ("mordvintsev2016",),
        "decorrelate": ("olah2017",),
        "clip": OURS,
        "chroma": OURS,
    },
    "stop": {"plateau": OURS, "distance": OURS},
    "resampling": {
        "lanczos3": ("duchon1979",),
        "linear": OURS,
        "linear_corners": OURS,
    },
    "detail": {
        "before": ("deepdream2015",),
        "after": ("chollet2017",),
        "none": OURS,
    },
    "start": {
        "photo": OURS,
        "noise": OURS,
        "perlin": ("perlin1985",),
        "flat": OURS,
    },
    "colors": {
        "chroma": ("ottosson2020",),
        "chroma_limit": ("ottosson2020",),
        "defringe": OURS,
        "contrast_lock": OURS,
        "histogram": ("gonzalez2018",),
        "palette": ("reinhard2001", "pitie2007"),
        "decorrelate": ("gillespie1986",),
        "soft_clip": OURS,
    },
    "wrap": {"none": OURS, "horizontal": OURS, "both": OURS},
    "video": {
        "optical flow": ("kroeger2016",),
        "hidden parts": ("ruder2016",),
        "measured flicker": ("lai2018",),
    },
    "backend": {
        "torch": ("pytorch2019",),
        "jax": ("jax2018",),
        "tensorflow": ("abadi2016",),
    },
}
"""The works behind each part, by its setting and its name."""

_PART_SETTINGS = set(SOURCES) - {"preset", "objective", "video", "backend"}

# Of the settings with a few values, those that no work stands behind.
NOT_WORKS = ("preprocessing", "octave_sizes", "small_octaves", "max_loss_rule")


@dataclass(frozen=True)
class Citations:
    """The works behind a dream.

    Attributes:
        works: Each work with what it was used for, the most general first.
        ours: What has no other source than keras-dream.
    """

    works: tuple[tuple[Work, tuple[str, ...]], ...]
    ours: tuple[str, ...]

    @property
    def text(self) -> str:
        """The works as a bibliography, each with what it was used for."""
        parts = [f"{work.text}\n  for {', '.join(uses)}" for work, uses in self.works]
        if self.ours:
            parts.append(f"keras-dream's own: {', '.join(self.ours)}")
        return "\n\n".join(parts)

    @property
    def bibtex(self) -> str:
        """The works as entries in BibTeX."""
        return "\n\n".join(work.bibtex for work, _ in self.works)

    def __str__(self) -> str:
        return self.text


def cite(dream: Dream | Recipe | str | os.PathLike[str]) -> Citations:
    """Returns the papers and repositories behind what a dream used.

    Args:
        dream: A dream, its recipe, or the file of either: a picture or a film that
            keras-dream saved, or a recipe in JSON. What the recipe leaves to the
            network, such as its objective, is known only where it was dreamed.

    Returns:
        The works; `print(cite(...))` shows them, and `.bibtex` is for LaTeX.

    Raises:
        PictureError: If a picture cannot be read or holds no recipe.
        SettingError: If a recipe is invalid.
    """
    backend = ""
    if isinstance(dream, Dream):
        recipe, backend = dream.recipe, str(dream.record.run.get("backend"))
    elif isinstance(dream, Recipe):
        recipe = dream
    elif is_dream(dream):
        saved = read_saved(dream)
        recipe, backend = saved.recipe, str(saved.record.run.get("backend"))
    else:
        recipe = read_recipe(dream)
    uses: dict[str, list[str]] = {"mordvintsev2015": ["the method"]}
    ours: list[str] = []
    for use, keys in _uses(recipe, backend):
        if not keys:
            ours.append(use)
        for key in keys:
            uses.setdefault(key, []).append(use)
    uses["kerasdream"] = ["the program"]
    works = tuple(
        (WORKS[key], tuple(dict.fromkeys(names))) for key, names in uses.items()
    )
    return Citations(works, tuple(dict.fromkeys(ours)))


def network_works(name: str) -> tuple[str, ...]:
    """Returns the keys of the works behind a network; none for our own and a user's.

    Args:
        name: The network's name.
    """
    entry = ZOO.get(name)
    match = re.search(r"arXiv:(\S+)", entry.paper or "") if entry else None
    if entry is None or match is None:
        return OURS
    own = [key for key, work in WORKS.items() if work.arxiv == match[1]]
    data = [] if "places365" in name else ["russakovsky2014"]
    # GoogLeNet's architecture is another paper than the scenes that it was trained on.
    architecture = ["szegedy2014"] if name == "googlenet_places365" else []
    return (*architecture, *own, *data)


def names_of(setting: str, value: Any) -> tuple[str, ...]:
    """Returns the names by which `SOURCES` knows a setting's value.

    Args:
        setting: A setting of the recipe.
        value: Its value.
    """
    if isinstance(value, Part):
        return (name_of(type(value)),)
    if isinstance(value, tuple):
        return tuple(name_of(type(part)) for part in value if isinstance(part, Part))
    known = setting in SOURCES and isinstance(value, str)
    return (value.partition("(")[0],) if known else ()


def _uses(recipe: Recipe, backend: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields what a recipe uses and the keys of the works behind it."""
    for name, keys in SOURCES["preset"].items():
        if _follows(recipe, presets[name]):
            yield f"the preset {name}", keys
    for network in recipe.every_network:
        yield f"the network {network.network}", network_works(str(network.network))
        for kind in (kind for term in network.terms for kind in _kinds(term.target)):
            yield f"the objective {kind}", SOURCES["objective"][kind]
    yield from _settings(recipe)
    if recipe.video is not None:
        for part, keys in SOURCES["video"].items():
            yield f"the film's {part}", keys
    if any(network.network != "motif" for network in recipe.every_network):
        yield "the networks' definitions", ("keras2015",)
    if backend in SOURCES["backend"]:
        yield f"the backend {backend}", SOURCES["backend"][backend]


def _settings(recipe: Recipe) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields the parts that a recipe's settings name, as `_uses`."""
    for setting in (name for name in Recipe.model_fields if name in _PART_SETTINGS):
        for name in names_of(setting, getattr(recipe, setting)):
            if name != "none":
                yield f"{setting} {name}", SOURCES[setting][name]
    if recipe.octaves != 1 or recipe.octaves_above:
        yield "octaves", ("deepdream2015",)
    if recipe.jitter:
        yield "jitter", ("deepdream2015",)


def _kinds(target: Any) -> tuple[str, ...]:
    """Returns the kinds of a target, as `SOURCES["objective"]` calls them."""
    if isinstance(target, Layer):
        return ("layer",) if target.strongest is None else ("layer", "strongest")
    if isinstance(target, Class):
        return ("class",)
    if isinstance(target, Penalty):
        return (target.text,)
    if isinstance(target, Guide) and target.statistics == "gram":
        return ("guide", "gram")
    return (target.word,)


def _follows(recipe: Recipe, published: Recipe) -> bool:
    """Tells whether a recipe has all settings of a published one."""
    return all(
        getattr(recipe, name) == getattr(published, name)
        for name in published.model_fields_set - {"seed"}
    )
