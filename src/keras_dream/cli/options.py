"""The options that several commands have."""

import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter
from pydantic import create_model
from pydantic.fields import FieldInfo

from keras_dream import logs
from keras_dream.errors import SettingError
from keras_dream.pictures.limits import Limits
from keras_dream.recipe.camera import CameraSettings
from keras_dream.recipe.recipe import FINISHING, Recipe, RunSettings
from keras_dream.recipe.settings import Settings, is_nested
from keras_dream.recipe.video import ZOOM_SETTINGS, VideoSettings

FILES = Group("Photo and result", sort_key=1)
OUTPUT = Group("Output", sort_key=2)
RECIPE = Group("Recipe: what decides the dream", sort_key=3)
VIDEO = Group("Film: what joins its frames", sort_key=3)
CAMERA = Group("Camera: how it moves from frame to frame", sort_key=3)
RUN = Group("Run settings: how it is computed", sort_key=9)
PICTURES = Group("Pictures: what their files may have and take", sort_key=10)
LOG = Group("Log", sort_key=11)

_GROUPS = {
    Group("What: the objective", sort_key=4): "objective loss border",
    Group("Where and from what: mask, start, canvas", sort_key=5): "mask regions wrap "
    "start canvas transparency",
    Group("Steps", sort_key=6): "steps step_size optimizer normalizer epsilon filters "
    "transforms jitter clamp stop max_loss max_loss_rule",
    Group("Octaves: the sizes", sort_key=7): "octaves octave_scale octaves_above "
    "octave_sides per_octave detail octave_sizes small_octaves resampling",
    Group(
        "Strength and colour", sort_key=8
    ): "strength blend blend_mask keep_colors colors size "
    "full_size keep_detail octave_strengths",
}
GROUPS = {name: group for group, names in _GROUPS.items() for name in names.split()}
"""Under which title of the help page a setting stands; all others under `RECIPE`."""

_SWITCH = Parameter(negative=(), show_default=False)
_SEVERAL = Parameter(negative=(), show_default=False)

Photo = Annotated[str, Parameter(group=FILES)]
Switch = Annotated[bool, _SWITCH]
Yes = Annotated[bool, _SWITCH, Parameter(group=FILES)]
Trust = Annotated[bool, _SWITCH, Parameter(group=FILES)]
Strip = Annotated[bool, _SWITCH, Parameter(group=FILES)]
Quiet = Annotated[bool, _SWITCH, Parameter(group=OUTPUT)]
Preview = Annotated[
    bool,
    _SWITCH,
    Parameter(
        group=OUTPUT,
        help="dream only the first second, at a quarter of the size, into OUT-preview, "
        "and say how long the whole takes",
    ),
]
Json = Annotated[bool, _SWITCH, Parameter(group=OUTPUT)]
Out = Annotated[str | None, Parameter(alias="-o", group=FILES, metavar="FILE")]
File = Annotated[str | None, Parameter(group=FILES, metavar="FILE")]
Weights = Annotated[tuple[str, ...], _SEVERAL, Parameter(group=FILES, metavar="FILE")]
Models = Annotated[tuple[str, ...], _SEVERAL, Parameter(group=FILES, metavar="FILE")]
Named = Annotated[tuple[str, ...], _SEVERAL, Parameter(group=FILES, metavar="PATH")]
Patterns = Annotated[tuple[str, ...], _SEVERAL, Parameter(metavar="PATTERN")]
Preset = Annotated[str, Parameter(group=RECIPE, metavar="NAME")]
RecipeFile = Annotated[str | None, Parameter(group=RECIPE, metavar="FILE")]
LimitFlags = Annotated[Limits | None, Parameter(name="*", group=PICTURES)]
LogLevel = Annotated[
    logs.Level | None,
    Parameter(
        group=LOG,
        help="show what is done, in more or less detail, on standard error [default: "
        f"nothing, or the environment's {logs.LEVEL_VARIABLE}]",
    ),
]
LogFile = Annotated[
    str | None,
    Parameter(
        group=LOG,
        metavar="FILE",
        help="add it to a file instead, as lines of JSON [default: the environment's "
        f"{logs.FILE_VARIABLE}]",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FilmFlags:
    """How a film is written."""

    codec: Annotated[
        str | None,
        Parameter(
            group=FILES,
            help="of the film: h264, hevc, av1, vp9 or prores [default: the first "
            "that its format has]",
        ),
    ] = None
    crf: Annotated[
        float | None,
        Parameter(
            alias="--quality",
            group=FILES,
            help="what the encoder may lose, as its constant rate factor: 0 nothing, "
            "18 hardly anything seen, 28 a small file; of a WebP from 0 to 100, "
            "the best [default: that of the codec]",
        ),
    ] = None
    bits: Annotated[
        int | None,
        Parameter(group=FILES, help="of a channel [default: as few as the codec has]"),
    ] = None
    chroma: Annotated[
        Literal["420", "444"] | None,
        Parameter(
            group=FILES,
            help="whether two by two pixels share their colour, as players expect, or "
            "each has its own [default: that of the codec]",
        ),
    ] = None
    loop: Annotated[
        int,
        Parameter(
            name="--repeat",
            group=FILES,
            help="how often a GIF or WebP is shown; 0 for without end",
        ),
    ] = 0

    def encoding(self, *, sound: bool = True) -> "Encoding":
        """Returns how the film is saved.

        Args:
            sound: Whether it has the source's sound.
        """
        from keras_dream.video.sink import Encoding

        return Encoding(
            codec=self.codec,
            quality=self.crf,
            sound=sound,
            loop=self.loop,
            bits=self.bits,
            chroma=self.chroma,
        )


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FilmFileFlags:
    """What a command that makes a film reads, keeps and shows."""

    fresh: Annotated[
        Switch,
        Parameter(group=FILES, help="dream again what an earlier run has dreamed"),
    ] = False
    weights: Annotated[Weights, Parameter(help="a weights file for the network")] = ()
    file: Annotated[
        Named,
        Parameter(
            help="a file that the recipe names, such as a guide, if it is not beside it"
        ),
    ] = ()
    trust_model: Annotated[
        Trust,
        Parameter(help="open a .keras file; only for files from authors you trust"),
    ] = False
    notes: Annotated[
        bool,
        Parameter(
            group=FILES, help="save the recipe and the record in the film's metadata"
        ),
    ] = True
    yes: Annotated[
        Yes,
        Parameter(
            help="replace the result; allow films of hours, and downloads that only "
            "--recipe needs"
        ),
    ] = False
    quiet: Annotated[Quiet, Parameter(help="print only the path of the result")] = False
    json: Annotated[
        Json, Parameter(help="print JSON on standard output, one event a line")
    ] = False

    @property
    def options(self) -> dict[str, Any]:
        """Those that a request has under the same names, and its files."""
        names = ("fresh", "weights", "trust_model", "notes", "yes")
        return {**{name: getattr(self, name) for name in names}, "files": self.file}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FadeFlags:
    """Another recipe into which a film fades."""

    fade_to: Annotated[
        str | None,
        Parameter(
            group=VIDEO,
            metavar="RECIPE",
            help="fade into another recipe: a preset's name, or a .json file or a "
            "dreamed picture or film as for --recipe; the flags hold for both",
        ),
    ] = None
    fade: Annotated[
        str | None,
        Parameter(
            group=VIDEO,
            metavar="TIME-TIME",
            help="when it fades: 5s-8s, 1:12-1:20 or 40%-60% of the film [default: "
            "0%-100%]",
        ),
    ] = None

    @property
    def path(self) -> str:
        """The recipe's file; "" for none."""
        from keras_dream.recipe.presets import presets

        return "" if self.fade_to in (None, *presets) else str(self.fade_to)

    def put_on(self, recipe: Recipe, flags: Recipe, base: Recipe) -> Recipe:
        """Returns a film's recipe with the fade in it.

        Args:
            recipe: That of the film's beginning.
            flags: The recipe's settings as flags, which hold for both.
            base: The preset whose settings a recipe's file replaces.

        Raises:
            DreamError: If there is no such recipe, or it cannot be faded into.
        """
        from keras_dream.recipe.crossfade import crossfade
        from keras_dream.recipe.presets import preset
        from keras_dream.replay import read_recipe

        if self.fade_to is None:
            if self.fade is None:
                return recipe
            raise SettingError(
                "--fade must stand beside --fade-to",
                received=f"--fade {self.fade} alone",
                hint="name the recipe into which the film fades with --fade-to",
            )
        # A name without a suffix that is no file's is a preset's, misspelt.
        path = Path(self.path or self.fade_to)
        is_file = bool(self.path) and (path.suffix != "" or path.exists())
        last = read_recipe(path).over(base) if is_file else preset(self.fade_to)
        nested = {name: getattr(recipe, name) for name in ("video", "camera")}
        start, dash, end = (self.fade or "0%-100%").partition("-")
        return crossfade(
            recipe, flags.over(last).but(**nested), start=start, end=end if dash else ""
        )


def _as_text(_: Any, tokens: Any) -> str:
    return tokens[0].value


def _as_texts(_: Any, tokens: Any) -> tuple[str, ...]:
    return tuple(token.value for token in tokens)


# The recipe reads these from text itself: an objective, and parts with parameters.
_TEXT = Parameter(
    converter=_as_text,
    accepts_keys=False,
    n_tokens=1,
    negative=(),
    metavar="TEXT",
    show_choices=False,
)
_TEXTS = Parameter(negative=(), show_default=False, metavar="TEXT")
# Values of their own, read by the recipe.
_REPEATED = ("regions", "per_octave", "keyframes")

_ALIASES = {
    "regions": "--region",
    "keyframes": "--keyframe",
    "center": "--centre",
}
_PLAIN = (int, float, str, bool, type(None))


def _is_plain(kind: Any) -> bool:
    """Tells whether cyclopts reads a type by itself: numbers, words, choices."""
    if typing.get_origin(kind) in (typing.Annotated, typing.Literal):
        kind = typing.get_args(kind)[0]
        return isinstance(kind, str | int) or _is_plain(kind)
    parts = [part for part in typing.get_args(kind) if part is not type(None)]
    if len(parts) > 1:  # a number or a word: the recipe refuses in one sentence
        return False
    return all(map(_is_plain, parts)) if parts else kind in _PLAIN


def _is_number(kind: Any) -> bool:
    """Tells whether a type is a number, which may be given by its keyframes, too."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    kinds = {part for part in typing.get_args(kind) if part is not type(None)}
    return (kinds or {kind}) <= {int, float}


def _number(kind: Any) -> Parameter:
    """Returns how a number is read: by the recipe itself, which also has its bounds."""
    whole = int in (kind, *typing.get_args(kind))
    return Parameter(
        converter=_as_text,
        accepts_keys=False,
        n_tokens=1,
        negative=(),
        metavar="INT" if whole else "FLOAT",
    )


def _flag(name: str, field: FieldInfo, *, group: Group = RECIPE) -> Any:
    """Returns the annotation of a setting as a flag."""
    # An empty tuple says nothing to a reader.
    group, show = GROUPS.get(name, group), field.default not in ((), None)
    parameters = [Parameter(group=group, show_default=show)]
    kind: Any = field.annotation
    if is_nested(field):
        return Annotated[kind, Parameter(parse=False)]
    if name == "schema_number":
        parameters.append(Parameter(show=False))
    elif kind == tuple[str, ...]:
        parameters.append(_TEXTS)
    elif name in _REPEATED:
        parameters += [
            _TEXTS,
            Parameter(converter=_as_texts, accepts_keys=False, n_tokens=1),
        ]
    elif not _is_plain(kind):
        parameters.append(_TEXT)
    elif _is_number(kind):
        parameters.append(_number(kind))
    if name in _ALIASES:
        parameters.append(Parameter(alias=_ALIASES[name]))
    return Annotated[kind, *parameters]


def _mix_flags() -> Any:
    fields = {name: Recipe.model_fields[name] for name in FINISHING}
    flags: Any = {name: (_flag(name, field), field) for name, field in fields.items()}
    kind, field = flags["blend_mask"]  # the only mask that a mix can have
    flags["blend_mask"] = (Annotated[kind, Parameter(alias="--mask")], field)
    return create_model("_MixFlags", __base__=Settings, **flags)


def _recipe_flags(*without: str) -> Any:
    flags: Any = {
        name: (_flag(name, field), field) for name, field in Recipe.model_fields.items()
    }
    for name in without:
        kind = Recipe.model_fields[name].annotation
        flags[name] = (Annotated[kind, Parameter(parse=False)], flags[name][1])
    return create_model("_Flags", __base__=Recipe, **flags)


def _video_flags() -> Any:
    fields = VideoSettings.model_fields.items()
    flags: Any = {name: (_flag(name, f, group=VIDEO), f) for name, f in fields}
    return create_model("_VideoFlags", __base__=VideoSettings, **flags)


def _zoom_flags() -> Any:
    fields = VideoSettings.model_fields
    flags: Any = {
        name: (_flag(name, field, group=VIDEO), field)
        if name in ZOOM_SETTINGS
        else (Annotated[field.annotation, Parameter(parse=False)], field)
        for name, field in fields.items()
    }
    return create_model("_ZoomFlags", __base__=VideoSettings, **flags)


def _camera_flags() -> Any:
    fields = CameraSettings.model_fields.items()
    flags: Any = {name: (_flag(name, f, group=CAMERA), f) for name, f in fields}
    return create_model("_CameraFlags", __base__=CameraSettings, **flags)


def _run_flags() -> Any:
    texts = {name: RunSettings.model_fields[name] for name in ("halo", "memory")}
    flags: Any = {n: (Annotated[f.annotation, _TEXT], f) for n, f in texts.items()}
    return create_model("_RunFlags", __base__=RunSettings, **flags)


if TYPE_CHECKING:
    from keras_dream.video.sink import Encoding

    _Flags = _CellFlags = Recipe
    _RunFlags = RunSettings
else:
    _Flags, _CellFlags = _recipe_flags(), _recipe_flags("size", "full_size")
    _RunFlags = _run_flags()

MixFlags = Annotated[_mix_flags() | None, Parameter(name="*", group=RECIPE)]
"""The settings of a mix as flags."""

RunFlags = Annotated[_RunFlags | None, Parameter(name="*", group=RUN)]
"""The run settings as flags."""

RecipeFlags = Annotated[_Flags | None, Parameter(name="*", group=RECIPE)]
"""The recipe as flags."""

VideoFlags = Annotated[_video_flags() | None, Parameter(name="*", group=VIDEO)]
"""The settings of a film as flags."""

ZoomFlags = Annotated[_zoom_flags() | None, Parameter(name="*", group=VIDEO)]
"""Those of a film that a zoom has, too, as flags."""

CameraFlags = Annotated[_camera_flags() | None, Parameter(name="*", group=CAMERA)]
"""How the camera of a zoom moves, as flags."""

CellFlags = Annotated[_CellFlags | None, Parameter(name="*", group=RECIPE)]
"""The same for sheets, whose `--size` is that of a cell."""


def split(patterns: Sequence[str]) -> list[str]:
    """Returns patterns one by one; an option may hold several with commas between."""
    every = [part.strip() for pattern in patterns for part in pattern.split(",")]
    return [part for part in every if part]
