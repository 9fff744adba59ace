"""Recipes and run settings: everything that decides a dream, and how it is computed.

Each setting is declared once, here: its type, default, bounds and help. The command
line's flags, the JSON schema and the metadata in saved pictures are read from these
two models.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from numbers import Real
from typing import Annotated, Any, Literal, cast

from pydantic import Field, model_validator

from keras_dream.errors import SettingError
from keras_dream.recipe.settings import Settings, canonical_json, settings
from keras_dream.recipe.terms import NetworkTerm, Preprocessing, read_terms

__all__ = [
    "FLOORS",
    "Recipe",
    "RunSettings",
    "canonical_json",
    "layers_text",
    "settings",
]

# Bounds that keep a forged recipe from asking for the impossible; none of the
# published algorithms comes near them. What is possible but long is the budget's
# affair (`keras_dream.engine.loop.work`).
MOST_STEPS = 100_000
MOST_OCTAVES = 64
MOST_OCTAVES_ABOVE = 8

# Each normalizer's own floor, for images in [0, 1] (the published
# floors, rescaled from [-1, 1]): a maximum over the mean of |g| (book1), added to the
# standard deviation (tftut), a maximum under the root (book2).
FLOORS: Mapping[str, float] = {"mean_abs": 2e-7, "std": 2e-8, "l2": 4e-12, "none": 0.0}

# What needs no quotes in an objective; see `keras_dream.recipe.objectives`.
_CHANNELS = r"(:([-\d,\s]+|strongest\([\d\s]+\)))?"
_TARGET = re.compile(rf"('|class:).*|[^\W\d][\w./]*(@\d+)?{_CHANNELS}")
_Real = Annotated[float, Field(allow_inf_nan=False)]


class Recipe(Settings):
    """Everything that decides a dream. Lengths are pixels, images are in [0, 1].

    The defaults are those of the preset `default`, our own best-looking dream.
    """

    schema_number: Literal[1] = Field(
        default=1, description="version of the recipe's form"
    )
    network: str = Field(default="motif", description="the network to dream with")
    objective: str | None = Field(
        default=None,
        description="what is maximised, such as '0.2*mixed2 + 3*mixed3' or "
        "'class:eye'; none takes the network's own",
    )
    also: tuple[NetworkTerm, ...] | None = Field(
        default=None,
        # What came after the first recipes is left out where it is absent, so that
        # they keep their sha256.
        exclude_if=lambda value: value is None,
        description="more networks in the same dream, such as "
        "'0.5*squeezenet: fire6 + fire8': each with a weight beside the first one's 1 "
        "and an objective; every gradient is normalised, and so is their weighted sum",
    )
    preprocessing: Preprocessing = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="what a model of your own expects of its pictures; none where the "
        "model begins with a Rescaling or Normalization",
    )
    loss: Literal["l2", "l2_mean", "mean", "half_sum"] = Field(
        default="l2_mean",
        description="how a layer's activations become its loss: squares inside the "
        "border over the full size, mean of squares, mean, or half the sum of squares",
    )
    border: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="cells cut off each side of a layer before its loss",
    )
    steps: int = Field(
        default=20, ge=0, le=MOST_STEPS, description="steps in each octave"
    )
    step_size: _Real = Field(
        default=0.0025,
        gt=0,
        le=1e6,
        description="how far a step goes, in units of [0, 1]",
    )
    octaves: int = Field(
        default=4,
        ge=1,
        le=MOST_OCTAVES,
        description="sizes up to the picture's own, the last",
    )
    octaves_above: int = Field(
        default=0,
        ge=0,
        le=MOST_OCTAVES_ABOVE,
        description="sizes beyond the picture's own; the result is resized back",
    )
    octave_scale: _Real = Field(
        default=1.4,
        gt=1,
        le=16,
        description="factor from one octave's size to the next",
    )
    octave_sizes: Literal["direct", "chained"] = Field(
        default="direct",
        description="sizes truncated from the picture's own, or each rounded from the "
        "next",
    )
    small_octaves: Literal["skip", "run"] = Field(
        default="skip",
        description="an octave where a layer's loss has no cells: skip it, or run it "
        "as published",
    )
    normalizer: Literal["mean_abs", "std", "l2", "none"] = Field(
        default="mean_abs", description="what the gradient is divided by"
    )
    floor: _Real | None = Field(
        default=None,
        ge=0,
        le=1e6,
        description="the least divisor (mean_abs), least sum of squares (l2) or what "
        "is added (std); none takes the normalizer's own",
    )
    jitter: int = Field(
        default=16,
        ge=0,
        le=100_000,
        description="largest random shift in each step, in pixels",
    )
    clamp: bool = Field(
        default=True, description="keep the image within [0, 1] after each step"
    )
    max_loss: _Real | None = Field(
        default=None, ge=-1e30, le=1e30, description="a loss above this ends the octave"
    )
    max_loss_rule: Literal["before", "after"] = Field(
        default="before",
        description="whether the last step of such an octave is left out or made",
    )
    detail: Literal["after", "before", "none"] = Field(
        default="before",
        description="when the detail lost in shrinking is put back: after an octave's "
        "ascent, before it, or not at all",
    )
    resampling: Literal["lanczos3", "linear", "linear_corners"] = Field(
        default="lanczos3", description="how pictures are resized"
    )
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="seed of the random shifts"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_layers(cls, values: Any) -> Any:
        """Takes `layers={name: weight}` as another way to write an objective."""
        if not isinstance(values, dict) or "layers" not in values:
            return cast("Any", values)
        given = cast("dict[str, Any]", values)
        layers = given["layers"]
        if given.get("objective") is not None or not isinstance(layers, Mapping):
            raise ValueError("layers")
        weights = cast("Mapping[Any, Any]", layers)
        rest = {name: value for name, value in given.items() if name != "layers"}
        return {**rest, "objective": layers_text(weights)}

    @model_validator(mode="before")
    @classmethod
    def _read_also(cls, values: Any) -> Any:
        """Takes a network as text, as a dictionary, and one instead of a list."""
        if not isinstance(values, dict) or "also" not in values:
            return cast("Any", values)
        given = cast("dict[str, Any]", values)
        return {**given, "also": read_terms(given["also"])}

    @model_validator(mode="after")
    def _check_max_loss(self) -> "Recipe":
        if self.also and self.max_loss is not None:
            raise SettingError(
                "A maximum loss must have a single network, for losses of several "
                "cannot be compared",
                received=f"{self.max_loss:g} with {len(self.also) + 1} networks",
                hint="set max_loss to none, or leave also out",
            )
        return self

    @property
    def terms(self) -> tuple[NetworkTerm, ...]:
        """Every network of the dream, the first with its weight of 1."""
        first = NetworkTerm(
            network=self.network,
            objective=self.objective,
            preprocessing=self.preprocessing,
        )
        return (first, *(self.also or ()))

    @property
    def sha256(self) -> str:
        """The sha256 of the canonical JSON: equal recipes have equal hashes."""
        return hashlib.sha256(self.json_text().encode()).hexdigest()


class RunSettings(Settings):
    """How a dream is computed; never part of the recipe, kept in the record."""

    backend: Literal["torch", "jax", "tensorflow"] | None = Field(
        default=None,
        description="array library; none takes KERAS_BACKEND, the imported Keras' or "
        "torch",
    )
    device: str | None = Field(
        default=None, description="such as cpu or cuda; none takes the fastest there is"
    )
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        default="float32",
        description="how the network computes; images are float32 always",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="threads of an operation; none leaves it open",
    )
    offline: bool = Field(default=False, description="never download anything")


def layers_text(layers: Mapping[Any, Any]) -> str:
    """Returns objective text for a dictionary of layer weights.

    Args:
        layers: Layer names, odd ones too, or targets such as "mixed4:11", to numbers.
    """
    if not layers:
        raise ValueError("layers")
    text = ""
    for name, weight in layers.items():
        if not isinstance(weight, str | Real) or not math.isfinite(float(weight)):
            raise ValueError("layers")
        sign = "-" if float(weight) < 0 else "+" if text else ""
        gap = " " if text else ""
        target = name if _TARGET.fullmatch(str(name)) else f"'{name}'"
        text += f"{gap}{sign}{gap}{abs(float(weight))!r}*{target}"
    return text
