"""Recipes and run settings: everything that decides a dream, and how it is computed.

Each setting is declared once, here: its type, default, bounds and help. The command
line's flags, the JSON schema and the metadata in saved pictures are read from these
two models.
"""

import functools
import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Any, Literal, Union, cast

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from keras_dream.errors import SettingError, short_repr
from keras_dream.parts.canvases import CANVASES, Canvas, Pixels
from keras_dream.parts.colors import COLORS, Color
from keras_dream.parts.filters import FILTERS, Filter
from keras_dream.parts.losses import LOSSES, L2Mean, Loss
from keras_dream.parts.optimizers import OPTIMIZERS, Optimizer, Sgd
from keras_dream.parts.part import Part, chain_text, read_chain, read_part
from keras_dream.parts.starts import STARTS, Photo, Start
from keras_dream.parts.stops import STOPS, Stop
from keras_dream.parts.transforms import TRANSFORMS, AnyTransform, Crop, Flip, Pad
from keras_dream.recipe.byte_sizes import MOST_BYTES, bytes_of
from keras_dream.recipe.camera import CameraSettings
from keras_dream.recipe.files import FileRef, check_untrusted, files_of
from keras_dream.recipe.keyframes import (
    FIXED,
    KEYFRAME_TIME,
    MOST_CURVES,
    Curve,
    Keyframes,
    Level,
    check_all,
    curve_of,
    is_curve,
    read_curve,
)
from keras_dream.recipe.masks import Mask, Region, as_regions
from keras_dream.recipe.nested import NestedSettings
from keras_dream.recipe.objectives import NetworkObjective, Objective, Preprocessing
from keras_dream.recipe.per_octave import (
    MOST_OVERRIDES,
    Override,
    read as read_override,
)
from keras_dream.recipe.scheme_plans import AUTO, read_gradient
from keras_dream.recipe.settings import (
    MOST_STEPS,
    FiniteFloat,
    Settings,
    canonical_json,
    is_nested,
)
from keras_dream.recipe.video import VideoSettings

# Bounds that keep a forged recipe from asking for the impossible; none of the
# published algorithms comes near them. What is possible but long is the budget's
# affair (`keras_dream.engine.cost`).
MOST_OCTAVES = 64
MOST_OCTAVES_ABOVE = 8
FINISHING = (
    "octave_strengths", "keep_detail", "colors", "keep_colors", "blend", "blend_mask",
)  # fmt: skip
"""The settings that a dream is finished by, after its last step."""

MOST_SIDE = 100_000  # pixels of `size`
MOST_STRENGTH = 10  # of an octave
MOST_HALO = 99_999  # pixels, as `schemes` has them


def _text_of(part: Part) -> str:
    return part.text


def _part_field(kinds: Sequence[type[Part]], setting: str) -> tuple[Any, ...]:
    """Returns the annotations of a union of parts, read and written as text."""
    return (
        Field(discriminator="name"),
        BeforeValidator(
            lambda value: read_part(value, kinds, setting),
            json_schema_input_type=Union[str, *kinds],
        ),
        PlainSerializer(_text_of, return_type=str),
    )


def _chain_field(kinds: Sequence[type[Part]], setting: str) -> tuple[Any, ...]:
    """Returns the annotations of a tuple of parts, read and written as one text.

    The field is declared as `Annotated[tuple[Kind, ...], *_chain_field(KINDS, "name")]`
    with the default `()`.
    """
    return (
        BeforeValidator(
            lambda value: read_chain(value, kinds, setting), json_schema_input_type=str
        ),
        PlainSerializer(chain_text, return_type=str),
    )


def _read_overrides(value: Any) -> tuple[Override, ...]:
    """Returns overrides, their values read by the recipe's own fields."""
    texts: Sequence[object] = (value,)
    if value is None or value == "none":
        texts = ()
    elif isinstance(value, list | tuple):
        texts = tuple(cast("Sequence[object]", value))
    if len(texts) > MOST_OVERRIDES:
        raise SettingError(
            f"`per_octave` must have at most {MOST_OVERRIDES} entries",
            received=str(len(texts)),
            hint="leave some of them out",
        )
    return tuple(t if isinstance(t, Override) else _override(t) for t in texts)


def _override(text: object) -> Override:
    override = read_override(text)
    setting = override.setting
    return replace(
        override, value=getattr(Recipe.of({setting: override.value}), setting)
    )


def _texts_of(values: Sequence[Override] | Sequence[Curve]) -> list[str]:
    return [value.text for value in values]


def _read_curves(value: Any) -> tuple[Curve, ...]:
    """Returns curves, their values read by the recipe's own fields."""
    texts: Sequence[object] = (value,)
    if value is None or value == "none":
        texts = ()
    elif isinstance(value, list | tuple):
        texts = tuple(cast("Sequence[object]", value))
    elif isinstance(value, Mapping):  # of settings to their keyframes
        several = cast("Mapping[Any, Any]", value)
        texts = [curve_of(str(name), of, _value_of) for name, of in several.items()]
    # Too many are refused unread.
    curves = [read_curve(text, _value_of) for text in texts[: MOST_CURVES + 1]]
    check_all(curves)
    return tuple(sorted(curves, key=lambda curve: curve.setting))


def _value_of(setting: str, value: Any) -> Any:
    """Returns a setting's value for what a recipe may hold of it."""
    name, _, part = setting.partition(".")
    if part and name not in nested_settings():
        # The sentence about a setting that does not exist.
        return Recipe.of({setting: value})
    read = getattr(Recipe.of({name: {part: value} if part else value}), name)
    return getattr(read, part) if part else read


def _take_curves(values: dict[str, Any], within: str = "") -> list[Curve]:
    """Removes the settings whose values are curves, and returns these."""
    curves: list[Curve] = []
    for name, value in tuple(values.items()):
        if isinstance(value, str | Mapping) and is_curve(value):
            curves.append(curve_of(within + name, values.pop(name), _value_of))
        elif not within and name in nested_settings():
            own = _nested_values(value)
            if isinstance(value, dict) or any(map(is_curve, own.values())):
                values[name] = own
                curves += _take_curves(own, f"{name}.")
    return curves


def _nested_values(value: Any) -> dict[str, Any]:
    """Returns the values that were set of settings in the recipe's own."""
    if isinstance(value, NestedSettings):
        own = {name: getattr(value, name) for name in value.model_fields_set}
        return {**own, **value.curves}
    return dict(cast("dict[str, Any]", value)) if isinstance(value, dict) else {}


@functools.cache
def nested_settings() -> frozenset[str]:
    """Returns the settings of a recipe that are models of settings themselves."""
    fields = Recipe.model_fields.items()
    return frozenset(name for name, field in fields if is_nested(field))


def _put_first(values: dict[str, Any], curve: Curve) -> None:
    """Gives a setting the first value of its curve, which it may have already.

    Raises:
        SettingError: If it has another one.
    """
    name, _, part = curve.setting.partition(".")
    settings, key = values, name
    if part:
        values[name] = settings = _nested_values(values.get(name))
        key = part
    if key in settings and _value_of(curve.setting, settings[key]) != curve.first:
        raise SettingError(
            "A setting must be given either as one value or by keyframes",
            received=f"both for {curve.setting}",
            hint="leave one of them out",
        )
    settings[key] = curve.first


def _numbers(value: Any) -> tuple[float, ...]:
    """Returns numbers for a list or for text such as "1, 0.5, 2"; raises ValueError."""
    values: Any = value
    if isinstance(value, list | tuple) and len(cast("Sequence[Any]", value)) == 1:
        values = cast("Sequence[Any]", value)[0]  # as a flag gives text
    if isinstance(values, str):
        text = values.strip()
        values = [] if text in ("", "none") else text.split(",")
    elif isinstance(values, int | float):
        values = [values]
    numbers = tuple(float(part) + 0.0 for part in values or ())
    if len(numbers) > MOST_OCTAVES + MOST_OCTAVES_ABOVE:
        raise ValueError
    return numbers


def _read_strengths(value: Any) -> tuple[float, ...]:
    """Returns the strengths of octaves for text or a list."""
    try:
        numbers = _numbers(value)
    except (TypeError, ValueError, OverflowError):
        numbers = (math.nan,)
    if not all(abs(number) <= MOST_STRENGTH for number in numbers):
        raise SettingError(
            f"`octave_strengths` must be a number from -{MOST_STRENGTH} to "
            f"{MOST_STRENGTH} for each octave, with commas between",
            received=short_repr(cast("object", value)),
            hint="try '1, 0.5, 0'",
        )
    return numbers


def _read_sides(value: Any) -> tuple[int, ...]:
    """Returns the longer sides of octaves for text or a list."""
    try:
        numbers = _numbers(value)
    except (TypeError, ValueError, OverflowError):
        numbers = (math.nan,)
    ascending = all(a < b for a, b in itertools.pairwise((0.0, *numbers)))
    whole = all(number % 1 == 0 and number <= MOST_SIDE for number in numbers)
    if not (ascending and whole):
        raise SettingError(
            f"`octave_sides` must be whole numbers from 1 to {MOST_SIDE}, each larger "
            "than the one before, with commas between",
            received=short_repr(cast("object", value)),
            hint="try '250, 400, 640'",
        )
    return tuple(map(int, numbers))


def _read_depth(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _read_memory(value: Any) -> int | None:
    return None if value is None else bytes_of(value, "memory")


class Recipe(Settings):
    """Everything that decides a dream. Lengths are pixels, images are in [0, 1].

    The defaults are a plain dream; the preset `default`, our own best-looking one, has
    more of them set.
    """

    def __init__(self, /, **values: Any):  # objectives and parts also as text
        super().__init__(**values)

    schema_number: Literal[1] = Field(
        default=1, description="version of the recipe's form"
    )
    network: str = Field(default="motif", description="the network to dream with")
    objective: Objective | None = Field(
        default=None,
        description="what is maximised, such as '0.2*mixed2 + 3*mixed3', 'class:eye' "
        "or 'guide(photo2.jpg, mixed4) - 5*tv'; further networks behind a semicolon, "
        "each with its weight: 'mixed4; 0.5*squeezenet: fire6'; none for the network's "
        "own objective",
    )
    preprocessing: Preprocessing | None = Field(
        default=None,
        description="what a model of your own expects of its pictures; none where the "
        "model begins with a Rescaling or Normalization",
    )
    canvas: Annotated[Canvas, *_part_field(CANVASES, "canvas")] = Field(
        default=Pixels(),
        description="what the steps change: pixels; decorrelated: pixels in "
        "independent colours, without rainbow fringes; laplacian(levels=5, decay=0.5): "
        "a pyramid, for large and small shapes; fourier(decay=0.5): waves, for softer "
        "and larger shapes; maco(magnitude=photo, decay=0.5): only the phases of "
        "waves, as strong as in the photo, or as in natural ones",
    )
    transparency: bool = Field(
        default=False,
        description="make the result transparent where the steps changed nothing: the "
        "sum of their gradients' sizes becomes its alpha channel, opaque for the "
        "strongest fifth",
    )
    start: Annotated[Start, *_part_field(STARTS, "start")] = Field(
        default=Photo(),
        description="what the steps begin from: the photo, or in its place and size "
        "noise(steepness=1.5, contrast=0.5), perlin(scale=0.25, contrast=0.6) or "
        "flat(#446688); mask, blend and penalties still refer to the photo",
    )
    loss: Annotated[Loss, *_part_field(LOSSES, "loss")] = Field(
        default=L2Mean(),
        description="how a layer's activations become its loss: l2 (squares inside the "
        "border over the full size), l2_mean (mean of squares), mean, half_sum (half "
        "the sum of squares), softmax_mean(temperature=1), where the strongest cells "
        "count most, or even(power=0.5), where the weakest do, so that plain sky is "
        "dreamt on, too; class scores are averaged instead",
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
    optimizer: Annotated[Optimizer, *_part_field(OPTIMIZERS, "optimizer")] = Field(
        default=Sgd(),
        description="how a gradient becomes a step: sgd, a step along it, "
        "momentum(momentum=0.9), adam(beta1=0.9, beta2=0.999), or lbfgs(memory=10)",
    )
    step_size: FiniteFloat = Field(
        default=0.0025,
        gt=0,
        le=1e6,
        description="how far a step goes, in units of [0, 1]",
    )
    octaves: Annotated[int, Field(ge=1, le=MOST_OCTAVES)] | Literal["auto"] = Field(
        default="auto",
        description="sizes up to the picture's own, the last; auto for as many as "
        "bring the first to about 250 pixels on its longer side, recorded as a number",
    )
    octaves_above: int = Field(
        default=0,
        ge=0,
        le=MOST_OCTAVES_ABOVE,
        description="sizes beyond the picture's own; the result is resized back",
    )
    octave_scale: FiniteFloat = Field(
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
    octave_sides: Annotated[
        tuple[int, ...],
        BeforeValidator(_read_sides, json_schema_input_type=str | list[int]),
    ] = Field(
        default=(),
        description="the longer side of each octave in pixels, small to large, such as "
        "'250, 400, 640', in the place of octaves, octaves_above and octave_scale; the "
        "result has the picture's own size",
    )
    small_octaves: Literal["skip", "run"] = Field(
        default="skip",
        description="what to do with an octave so small that a layer has no cells "
        "inside the border: skip it, or run it without effect, as published",
    )
    normalizer: Literal["mean_abs", "std", "rms", "l2", "none"] = Field(
        default="mean_abs", description="what the gradient is divided by"
    )
    epsilon: FiniteFloat | None = Field(
        default=None,
        ge=0,
        le=1e6,
        description="the least divisor (mean_abs), least sum of squares (l2) or what "
        "is added (std, rms); none for the normalizer's own",
    )
    filters: Annotated[tuple[Filter, ...], *_chain_field(FILTERS, "filters")] = Field(
        default=(),
        description="what is done to the image's gradient, one after the other: "
        "smooth(sigma=1, end=0.5), laplacian(levels=4), clip(limit=3), "
        "decorrelate(amount=1), chroma(sigma=8, share=0.5): colours in broad patches",
    )
    transforms: Annotated[
        tuple[AnyTransform, ...], *_chain_field(TRANSFORMS, "transforms")
    ] = Field(
        default=(),
        description="how each step's view of the image is changed, at random: "
        "flip(probability=0.5), scale(low=0.9, high=1.1), rotate(degrees=10), "
        "pad(size=32) by reflection, crop(size=224, count=1): windows, so that memory "
        "does not grow with the picture",
    )
    stop: Annotated[tuple[Stop, ...], *_chain_field(STOPS, "stop")] = Field(
        default=(),
        description="what ends an octave before its last step: plateau(steps=5, "
        "tolerance=0.01) of the loss, distance(limit=0.1) from the photo",
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
    max_loss: FiniteFloat | None = Field(
        default=None, ge=-1e30, le=1e30, description="a loss above this ends the octave"
    )
    max_loss_rule: Literal["before", "after"] = Field(
        default="before",
        description="whether the last step of such an octave is left out or made",
    )
    detail: Literal["after", "before", "none"] = Field(
        default="before",
        description="when the detail lost in shrinking is put back: after an octave's "
        "steps, before them, or not at all",
    )
    resampling: Literal["lanczos3", "linear", "linear_corners"] = Field(
        default="lanczos3", description="how pictures are resized"
    )
    strength: FiniteFloat = Field(
        default=1.0,
        gt=0,
        le=1000,
        description="how strong the dream is: what every step's size is multiplied by",
    )
    size: int | None = Field(
        default=None,
        ge=1,
        le=MOST_SIDE,
        description="longest side at which the photo is dreamed, in pixels, and of the "
        "result; none for the photo's own",
    )
    full_size: bool = Field(
        default=False,
        description="put what was dreamed at `size` back on the photo at its own size",
    )
    octave_strengths: Annotated[
        tuple[float, ...],
        BeforeValidator(_read_strengths, json_schema_input_type=str | list[float]),
    ] = Field(
        default=(),
        description="how much of what each octave added is left, the smallest octave "
        "first, such as '1, 0.5, 0'; 1 for those that are not named",
    )
    keep_detail: FiniteFloat = Field(
        default=0.0,
        ge=0,
        le=1,
        description="how much of the photo's finest detail takes the place of the "
        "dream's, from 0 to 1",
    )
    colors: Annotated[tuple[Color, ...], *_chain_field(COLORS, "colors")] = Field(
        default=(),
        description="what is done to the dream's colours, one after the other, such as "
        "'soft_clip + chroma(gain=1.5)': chroma, chroma_limit(limit=0.12), "
        "defringe(radius=2), contrast_lock(radius=0), histogram (the photo's), "
        "palette(guide.jpg, amount=1), "
        "decorrelate(amount=0.5), soft_clip(hardness=3)",
    )
    keep_colors: bool = Field(
        default=False,
        description="keep the photo's colours (Cb and Cr); only light and shade dream",
    )
    blend: FiniteFloat = Field(
        default=1.0,
        ge=0,
        le=1,
        description="share of the dream in a mix with the photo, in linear light",
    )
    blend_mask: Mask | None = Field(
        default=None,
        description="a share at each place, times `blend`: written as `mask` is, but "
        "only mixed by, so that `dream mix` can change it",
    )
    per_octave: Annotated[
        tuple[Override, ...],
        BeforeValidator(_read_overrides, json_schema_input_type=list[str]),
        PlainSerializer(_texts_of, return_type=list[str]),
    ] = Field(
        default=(),
        description="what single octaves have of their own, each as OCTAVES: "
        "SETTING=VALUE, such as '1-2: objective=class:eye' or '3-: steps=10'; octaves "
        "are counted from 1, small to large; objective, steps, step_size, jitter",
    )
    mask: Mask | None = Field(
        default=None,
        description="where the dream is: a picture's grey values or its transparency, "
        "such as 'sky.png(feather=20, invert)', 'box(10%, 20%, 60%, 80%)' (left, top, "
        "right, bottom; percent or pixels), or alpha, the photo's own transparency; "
        "where it is black, the original's pixels stay",
    )
    regions: Annotated[tuple[Region, ...], BeforeValidator(as_regions)] = Field(
        default=(),
        description="parts of the picture with objectives of their own, each written "
        "as MASK: OBJECTIVE, such as 'sky.png: mixed3' or "
        "'box(0%, 0%, 50%, 100%): mixed4:11'; elsewhere the objective holds",
    )
    wrap: Literal["none", "horizontal", "both"] = Field(
        default="none",
        description="which edges belong together: both for a texture that tiles, "
        "horizontal for a panorama of 360 degrees, whose steps are smaller towards "
        "its poles",
    )
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="seed of the random shifts"
    )
    video: VideoSettings | None = Field(
        default=None, description="what a film of it is dreamed by beside all this"
    )
    camera: CameraSettings | None = Field(
        default=None, description="how the camera of a zoom moves"
    )
    keyframes: Annotated[
        tuple[Curve, ...],
        BeforeValidator(
            _read_curves, json_schema_input_type=list[str] | dict[str, Any]
        ),
        PlainSerializer(_texts_of, return_type=list[str]),
    ] = Field(
        default=(),
        description="settings that change during a film, each as SETTING: TIME=VALUE, "
        "TIME=VALUE, such as 'step_size: 0s=0.002, 10s=0.01 ease-in-out', with a sound "
        "as 'strength: follow(loudness, 0.5, 1.5)', and those of a film as "
        "'video.carry: 0%=1, 100%=0.5'; a setting's own value may be written so, too",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_layers(cls, values: Any) -> Any:
        """Reads `layers={name: weight}` as another way to write an objective."""
        if not isinstance(values, dict):
            return values
        fields = dict(cast("dict[str, Any]", values))
        objective = fields.get("objective")
        text = objective.text if isinstance(objective, Objective) else objective
        if isinstance(text, str) and text.strip() == "default":
            fields["objective"] = None
        if "layers" not in fields:
            return fields
        layers = fields.pop("layers")
        if fields.get("objective") is not None or not isinstance(layers, Mapping):
            raise SettingError(
                "`layers` must be a dictionary of layer names and finite numbers, and "
                "the only objective",
                received=short_repr(layers),
                hint="try layers={'mixed3': 3.0}",
            )
        weights = cast("Mapping[Any, Any]", layers)
        return {**fields, "objective": Objective.of_layers(weights)}

    @model_validator(mode="before")
    @classmethod
    def _read_keyframes(cls, values: Any) -> Any:
        """Reads curves in the place of a setting's value, which is its first then."""
        if not isinstance(values, dict):
            return values
        fields = dict(cast("dict[str, Any]", values))
        curves = _take_curves(fields)
        if not curves and not fields.get("keyframes"):
            return fields
        own = _read_curves(fields.get("keyframes"))
        fields["keyframes"] = _read_curves((*own, *curves))
        for curve in fields["keyframes"]:
            _put_first(fields, curve)
        return fields

    @model_validator(mode="after")
    def _check_keyframes(self) -> "Recipe":
        """Makes sure that settings fit each other at all times."""
        if {curve.setting for curve in self.keyframes} & _CHECKED_TOGETHER:
            for moment in self._moments():
                for check in ("max_loss", "overrides", "wrap", "places"):
                    getattr(moment, f"_check_{check}")()
        return self

    def _moments(self) -> Iterator["Recipe"]:
        """Yields the recipes at all keyframes, and between them.

        Where times are of several kinds, they are known for a film only; see
        `in_seconds`.
        """
        curves = [c for c in self.keyframes if isinstance(c, Keyframes)]
        units = {curve.unit for curve in curves}
        if len(units) > 1:
            return
        unit = units.pop() if units else "s"
        times = sorted({Fraction(0), *(time for c in curves for time in c.times)})
        halves = [(a + b) / 2 for a, b in itertools.pairwise(times)]
        for time in (*times, *halves):
            for level in (0.0, 1.0):
                yield self._at(time, unit, level=lambda _, level=level: level)

    @model_validator(mode="after")
    def _check_max_loss(self) -> "Recipe":
        count = len(self.still.every_network) - len(self.networks_of_octaves)
        if count > 1 and self.max_loss is not None:
            what = "regions" if self.regions else "networks"
            raise SettingError(
                "A maximum loss must have a single network and no regions, for losses "
                "of several cannot be compared",
                received=f"{self.max_loss:g} with {count} {what}",
                hint=f"set max_loss to none, or leave the {what} out",
            )
        return self

    @model_validator(mode="after")
    def _check_overrides(self) -> "Recipe":
        names = {network.network for network in self.networks[1:]}
        for override in self.per_octave:
            value = override.value
            others = value.networks[1:] if isinstance(value, Objective) else ()
            for other in others:
                if other.network not in names:
                    raise SettingError(
                        "A network of an octave's objective must be one of the "
                        "recipe's objective",
                        received=short_repr(other.network),
                        hint="add it to the objective, behind a semicolon",
                    )
        return self

    @model_validator(mode="after")
    def _check_wrap(self) -> "Recipe":
        if self.wrap != "none" and self.border:
            raise SettingError(
                "A dream whose edges belong together must have no border",
                received=f"wrap={self.wrap} with border={self.border}",
                hint="set border to 0",
            )
        # A margin is left out there by `Dreamer.complete`: the edges have neighbours.
        cut = [t.text for t in self.transforms if not isinstance(t, Flip | Pad)]
        if self.wrap != "none" and cut:
            raise SettingError(
                "A dream whose edges belong together must have no transforms but flip",
                received=f"wrap={self.wrap} with {', '.join(cut)}",
                hint="leave them out",
            )
        return self

    @model_validator(mode="after")
    def _check_places(self) -> "Recipe":
        windows = [t.text for t in self.transforms if isinstance(t, Crop)]
        if windows and (self.mask or self.regions):
            # A window at a mask's corner would step as hard as the whole mask.
            raise SettingError(
                "A dream with a mask or regions must be seen whole in every step",
                received=", ".join(windows),
                hint="leave crop out of the transforms, or use blend_mask for the mask",
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Adds to the schema that a setting may be written by its keyframes."""
        schema = handler(core_schema)
        whole = handler.resolve_ref_schema(schema)
        if handler.mode == "validation":
            for name, own in whole["properties"].items():
                if name not in FIXED and name not in _LISTS:
                    kinds = [{k: own.pop(k) for k in tuple(own) if k in _KIND_WORDS}]
                    own["anyOf"] = kinds + _CURVE_SCHEMAS
        return schema

    @classmethod
    def read(cls, text: str) -> "Recipe":
        """Builds a recipe from JSON text, which is untrusted.

        Raises:
            SettingError: As for `Settings.read`, or if a file in it is not a plain name
                with its sha256.
        """
        recipe = super().read(text)
        check_untrusted(recipe.files)
        return recipe

    @property
    def files(self) -> tuple[FileRef, ...]:
        """Every file that its settings name, each once."""
        return tuple(dict.fromkeys(files_of(self)))

    def but(self, **changes: Any) -> "Recipe":
        """Returns a copy with some settings changed, validated.

        Args:
            **changes: Settings, or `layers` in the place of `objective`.

        Raises:
            SettingError: If a setting is unknown or impossible.
        """
        if "layers" in changes and "objective" not in changes:
            changes = {"objective": None, **changes}
        fields = self._set_fields()
        if "keyframes" in changes:
            changes["keyframes"] = curves = _read_curves(changes["keyframes"])
            for curve in curves:
                fields = _without(fields, curve.setting)
        elif self.keyframes:
            kept = (c for c in self.keyframes if not _is_set(c, changes))
            changes["keyframes"] = tuple(kept)
        return self.of({**fields, **changes})

    def _changes_of(self, below: Any) -> dict[str, Any]:
        changes = self._set_fields()
        if self.keyframes:
            own = {curve.setting for curve in self.keyframes}
            kept = (
                curve
                for curve in below.keyframes
                if curve.setting not in own and not _is_set(curve, changes)
            )
            changes["keyframes"] = (*kept, *self.keyframes)
        return changes

    @property
    def still(self) -> "Recipe":
        """The recipe of the film's first moment, without keyframes."""
        return self.model_copy(update={"keyframes": ()}) if self.keyframes else self

    def at_time(
        self, seconds: Fraction | float, *, level: Level = lambda _: 0.0
    ) -> "Recipe":
        """Returns the recipe of a moment of a film, without keyframes.

        Args:
            seconds: Since the film's first frame.
            level: Returns the level, from 0 to 1, of a sound that a setting follows.

        Raises:
            SettingError: If times are in percent or frames; see `in_seconds`.
        """
        for curve in self.keyframes:
            if isinstance(curve, Keyframes) and curve.unit != "s":
                raise SettingError(
                    "Keyframes must be in seconds where the film is not known",
                    received=curve.text,
                    hint="write seconds, or dream a video with it",
                )
        return self._at(seconds, "s", level=level)

    def _at(self, time: Fraction | float, unit: str, *, level: Level) -> "Recipe":
        changes: dict[str, Any] = {"keyframes": ()}
        if not self.keyframes:
            return self
        for curve in self.keyframes:
            if isinstance(curve, Keyframes) and curve.unit != unit:
                continue
            value = curve.at(time, level)
            name, _, part = curve.setting.partition(".")
            if part:
                nested = changes.get(name, getattr(self, name))
                value = nested.model_copy(update={part: value})
            changes[name] = value
        return self.model_copy(update=changes)

    def with_values_of(self, *settings: str) -> Iterator["Recipe"]:
        """Yields the recipe with each value of the keyframes of some settings.

        All others have those of the film's first moment.

        Args:
            *settings: The settings.
        """
        for curve in self.keyframes:
            if curve.setting in settings:
                for value in dict.fromkeys(curve.values):
                    yield self.still.model_copy(update={curve.setting: value})

    def in_seconds(
        self, length: Fraction, *, frames: Sequence[Fraction] | None = None
    ) -> "Recipe":
        """Returns the recipe for a film, with its keyframes in seconds.

        Args:
            length: The film's length in seconds.
            frames: When each of its frames begins, in seconds; None leaves times in
                frames as they are.

        Raises:
            SettingError: If settings do not fit each other at some time.
        """
        curves = [
            curve.in_seconds(length, frames) if isinstance(curve, Keyframes) else curve
            for curve in self.keyframes
        ]
        return self.but(keyframes=curves) if curves else self

    def octaves_for(self, size: tuple[int, int]) -> int:
        """Returns how many octaves a picture of `size`, (height, width), is given."""
        from keras_dream.geometry import fitted, octave_count

        if self.octave_sides:
            return len(self.octave_sides)
        if self.octaves == "auto":
            size = fitted(size, self.size)
            return octave_count(size, self.octave_scale, most=MOST_OCTAVES)
        return self.octaves

    def for_size(self, size: tuple[int, int]) -> "Recipe":
        """Returns the recipe with its octaves as a number, as a dream records it."""
        return self.but(octaves=self.octaves_for(size))

    def at(self, octave: int) -> "Recipe":
        """Returns the recipe of one octave, with what `per_octave` says of it.

        Args:
            octave: The octave's number, from 1, small to large.
        """
        if not self.per_octave:
            return self
        changes = {o.setting: o.value for o in self.per_octave if o.covers(octave)}
        return self.but(per_octave=(), **changes)

    @property
    def networks_of_octaves(self) -> tuple[NetworkObjective, ...]:
        """What each network maximises in octaves with objectives of their own."""
        objectives = (o.value for o in self.per_octave if o.setting == "objective")
        return tuple(n for value in objectives for n in self.networks_of(value))

    @property
    def networks(self) -> tuple[NetworkObjective, ...]:
        """What each network of the dream maximises, the recipe's own first."""
        return self.networks_of(self.objective)

    def networks_of(self, objective: Objective | None) -> tuple[NetworkObjective, ...]:
        """Returns what each network maximises for an objective, its own network named.

        Args:
            objective: None stands for the network's own.
        """
        own = () if objective is None else objective.terms
        others = () if objective is None else objective.networks[1:]
        first = NetworkObjective(self.network, own, preprocessing=self.preprocessing)
        return (first, *others)

    @property
    def every_network(self) -> tuple[NetworkObjective, ...]:
        """What each maximises anywhere: `networks`, those of regions and of octaves.

        Behind them are those of keyframes, if there are any.
        """
        regions = (self.networks_of(region.objective) for region in self.regions)
        placed = (network for one in regions for network in one)
        values = self.with_values_of(*_WITH_OBJECTIVES)
        later = (network for own in values for network in own.every_network)
        return (*self.networks, *placed, *self.networks_of_octaves, *later)

    @property
    def sha256(self) -> str:
        """The sha256 of the canonical JSON of the settings that differ from defaults.

        Equal recipes have equal hashes, and a new setting changes none.
        """
        data = self.model_dump(mode="json", exclude_defaults=True)
        return hashlib.sha256(canonical_json(data).encode()).hexdigest()


_LISTS = ("regions", "per_octave")  # whose keyframes are written in `keyframes`

_KIND_WORDS = frozenset(
    {
        *("type", "anyOf", "oneOf", "enum", "const", "$ref", "discriminator"),
        *("items", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("maxLength", "minItems", "maxItems", "prefixItems"),
    }
)
"""What of a setting's schema says which values it has."""

_CURVE_SCHEMAS: list[Any] = [
    {
        "type": "object",
        "description": "keyframes: values by their times, such as '1.5s', '1:12', "
        "'50%' or '48f'",
        "minProperties": 1,
        "patternProperties": {KEYFRAME_TIME: {}},
        "additionalProperties": False,
    },
    {
        "type": "string",
        "description": "keyframes as text, '0s: 1, 10s: 2', or follow(loudness, 1, 2)",
    },
]

_WITH_OBJECTIVES = ("objective", "regions", "per_octave")

_CHECKED_TOGETHER = frozenset(
    {
        *_WITH_OBJECTIVES,
        *("max_loss", "border", "wrap", "transforms", "mask"),
    }
)
"""Settings that must fit each other."""


def _is_set(curve: Curve, changes: Mapping[str, Any]) -> bool:
    """Tells whether changes give another value to a setting that has keyframes."""
    name, _, part = curve.setting.partition(".")
    if not part:
        return name in changes
    if name not in changes:
        return False
    value = changes[name]
    if isinstance(value, NestedSettings):
        return part in value.curves or getattr(value, part) != curve.first
    return _nested_values(value).get(part) != curve.first


def _without(fields: Mapping[str, Any], setting: str) -> dict[str, Any]:
    """Returns settings without one of them."""
    name, _, part = setting.partition(".")
    if part and name in fields:
        own = _nested_values(fields[name])
        own.pop(part, None)
        return {**fields, name: own}
    return {key: value for key, value in fields.items() if part or key != name}


class RunSettings(Settings):
    """How a dream is computed; never part of the recipe, kept in the record."""

    backend: Literal["torch", "jax", "tensorflow"] | None = Field(
        default=None,
        description="array library; none for KERAS_BACKEND, the imported Keras' or "
        "torch",
    )
    device: str | None = Field(
        default=None, description="such as cpu or cuda; none for the fastest there is"
    )
    precision: Literal["auto", "float32", "tf32", "bfloat16"] = Field(
        default="auto",
        description="how the network computes; images are float32 always. auto takes "
        "bfloat16 where the device computes it itself and the network is known to "
        "dream alike in it, and float32 elsewhere",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="threads of an operation; none for the library's own choice",
    )
    gradient: Annotated[
        str, BeforeValidator(read_gradient, json_schema_input_type=str)
    ] = Field(
        default=AUTO,
        description="how the gradient is computed: auto for what takes the least time "
        "in the memory that there is; whole; 'cells 2x3', so many rows and columns of "
        "tiles; 'stem mixed1 2x2', only the layers up to one in tiles; or, as a record "
        "has it, by octave: '5: cells 2x2; 6: cells 3x3'",
    )
    halo: Annotated[int, Field(ge=0, le=MOST_HALO)] | Literal["exact", "fast"] = Field(
        default="exact",
        description="how many pixels a tile sees around its own, at most: exact for "
        "all that its gradient depends on, fast for a part of them",
    )
    memory: Annotated[
        int | None, BeforeValidator(_read_memory, json_schema_input_type=str | int)
    ] = Field(
        default=None,
        ge=1,
        le=MOST_BYTES,
        description="the most memory that the process may take, such as 2GB, 1500MB or "
        "2GiB; none for what is free",
    )
    depth: Annotated[
        Literal["auto", "8", "16", "float"], BeforeValidator(_read_depth)
    ] = Field(
        default="auto",
        description="bits of a channel in the result's file: 8; 16 for .png, .tif and "
        ".exr; float, of 32, for .tif and .exr; auto for as many as the photo has, "
        "where the format can hold them",
    )
    offline: bool = Field(default=False, description="never download anything")
