"""Settings that change in time: by keyframes, or with a sound.

    curve     = setting ":" ( keyframes | follow )
    keyframes = keyframe { "," keyframe }
    keyframe  = time ( "=" | ":" ) value [ easing ]
    time      = number "s" | [ hours ":" ] minutes ":" seconds | number "%" | number "f"
    easing    = "linear" | "step" | "hold" | "ease-in" | "ease-out" | "ease-in-out"
    follow    = "follow(" signal "," value "," value { "," option } ")"
    signal    = "loudness" | "band(" hertz "," hertz ")"
    option    = "attack=" seconds | "release=" seconds | "file=" file

such as `step_size: 0s=0.002, 10s=0.01 ease-in-out` or
`strength: follow(loudness, 0.5, 1.5)`. Times are those of the film, from its first
frame: seconds, percent of its length, or numbers of frames; one setting's are all of
one kind, each later than the one before it. The easing behind a value is that of the
way to it. Before the first keyframe its value holds, and the last one's after the last.
"""

import bisect
import functools
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, cast

from keras_dream.errors import ObjectiveError, SettingError, short_repr
from keras_dream.parts.part import Part, chain_text
from keras_dream.recipe.files import FileRef
from keras_dream.recipe.interpolation import between, check_mix
from keras_dream.recipe.objective_text import Reader, file_text

MOST_CURVES = 64
MOST_KEYFRAMES = 1000  # of all settings together
MOST_TEXT = 60_000  # characters of one; a picture's metadata have room for as many
MOST_SECONDS = 10**6  # eleven days
NANOSECONDS = 10**9  # times are rounded to them

FIXED = frozenset(
    {
        *("schema_number", "network", "preprocessing", "keyframes"),
        *("size", "full_size", "transparency"),
        *("video", "video.cuts", "video.block", "video.overlap", "video.smooth"),
        *("camera", "camera.seconds", "camera.fps", "camera.loop", "camera.seam"),
    }
)
"""Settings that hold for a whole film."""

SWITCHED = frozenset(("seed",))
"""Settings with nothing between two values: every seed is another one."""

Read = Callable[[str, Any], Any]
"""Returns the value of a setting for what a recipe may hold of it."""

Easing = Callable[[float], float]

EASINGS: Mapping[str, Easing] = {
    "linear": lambda x: x,
    "step": lambda x: float(x >= 1),
    "ease-in": lambda x: x * x,
    "ease-out": lambda x: x * (2 - x),
    "ease-in-out": lambda x: x * x * (3 - 2 * x),
}
"""How far a value has come at a share x of the time. `step` holds the last value until
the time has come. ease-in and ease-out are Penner's quadratic ones ("Programming
Macromedia Flash MX", 2002, chapter 7), ease-in-out is GLSL's `smoothstep`."""

_WORDS = {"hold": "step"}  # other words for easings
_DECIMAL = r"\d{1,9}(?:\.\d{1,9})?"
_TIME = (
    rf"(?:{_DECIMAL}\s?s|{_DECIMAL}\s?%|\d{{1,9}}\s?f"
    r"|(?:\d{1,4}:)?\d{1,6}:\d\d(?:\.\d{1,9})?)"
)
_BARE = re.compile(rf",\s*({_DECIMAL})\s*[:=]", re.ASCII)
"""A time without its unit, in the value of the keyframe before it."""
_MOMENT = re.compile(_TIME, re.ASCII)
KEYFRAME_TIME = f"^{_TIME}$"
"""The regular expression of a keyframe's time."""
_FIRST = re.compile(rf"\s*({_TIME})\s*[:=]", re.ASCII)
_TOKEN = re.compile(
    rf"'(?:[^']|'')*'|(?P<bracket>[()])|(?P<next>,\s*(?P<time>{_TIME})\s*[:=])"
    r"|(?P<comma>,)",
    re.ASCII,
)
_EASED = re.compile(
    rf"(.*\S)\s+({'|'.join((*EASINGS, *_WORDS))})\s*", re.ASCII | re.DOTALL
)
_CURVE = re.compile(r"\s*([\w.-]+)\s*:(.*)", re.ASCII | re.DOTALL)
_FOLLOW = re.compile(r"\s*follow\s*\((.*)\)\s*", re.DOTALL)
_BAND = re.compile(rf"band\s*\(\s*({_DECIMAL})\s*,\s*({_DECIMAL})\s*\)", re.ASCII)
_OPTION = re.compile(r"(attack|release|file)\s*=\s*(.*)", re.DOTALL)
_NUMBER = re.compile(_DECIMAL, re.ASCII)


@dataclass(frozen=True)
class Moment:
    """A time of a film.

    Attributes:
        number: How many of its unit.
        unit: "s" for seconds, "%" for percent of the film, "f" for a frame's number.
    """

    number: Fraction
    unit: Literal["s", "%", "f"] = "s"

    @classmethod
    def of(cls, value: Any) -> "Moment":
        """Returns the moment for its text, or for seconds as a number.

        Raises:
            SettingError: If it is none.
        """
        if isinstance(value, Moment):
            return value
        moment = _read_moment(str(value))
        if isinstance(value, str) and moment is not None:
            return moment
        if isinstance(value, int | float | Fraction) and 0 <= value <= MOST_SECONDS:
            return cls(Fraction(round(Fraction(value) * NANOSECONDS), NANOSECONDS))
        raise _no_time(value)

    @property
    def text(self) -> str:
        """The moment as text: 1.5s, 50%, 48f."""
        whole, rest = divmod(round(self.number * NANOSECONDS), NANOSECONDS)
        decimals = f".{rest:09d}".rstrip("0").rstrip(".")
        return f"{whole}{decimals}{self.unit}"


@dataclass(frozen=True)
class Keyframe:
    """A value at a moment.

    Attributes:
        moment: When.
        value: As the recipe's own field has it.
        easing: How it is reached from the one before it: one of `EASINGS`.
    """

    moment: Moment
    value: Any
    easing: str = "linear"

    @property
    def text(self) -> str:
        """The keyframe as it is written in a curve."""
        value = value_text(self.value)
        plain = self.easing == "linear" and not _EASED.fullmatch(value)
        return f"{self.moment.text}={value}{'' if plain else f' {self.easing}'}"


@dataclass(frozen=True)
class Sound:
    """What is followed of a sound, from 0 for the quietest to 1 for the loudest.

    Attributes:
        band: The lowest and the highest frequency in hertz; None for all: loudness.
        attack: Seconds in which a rise is followed to 63 %.
        release: The same of a fall.
        file: An audio file; None for the film's own track.
    """

    band: tuple[float, float] | None = None
    attack: float = 0.0
    release: float = 0.2
    file: FileRef | None = None

    @property
    def text(self) -> tuple[str, str]:
        """The signal and the options as they are written in `follow`."""
        signal = "loudness"
        if self.band is not None:
            signal = "band({}, {})".format(*map(_decimal, self.band))
        options = ""
        for name in ("attack", "release"):
            if getattr(self, name) != getattr(Sound, name):
                options += f", {name}={_decimal(getattr(self, name))}"
        if self.file is not None:
            options += f", file={file_text(self.file)}"
        return signal, options


Level = Callable[[Sound], float]
"""Returns a sound's level, from 0 to 1, at some moment."""


@dataclass(frozen=True)
class Keyframes:
    """A setting's values at moments, and so at all times.

    Attributes:
        setting: The recipe's setting, such as "step_size" or "video.carry".
        keys: The keyframes, in the order of time.
    """

    setting: str
    keys: tuple[Keyframe, ...]

    @property
    def text(self) -> str:
        """The curve as text that `read` reads back."""
        return f"{self.setting}: {', '.join(key.text for key in self.keys)}"

    @property
    def first(self) -> Any:
        """The value at the film's beginning."""
        return self.keys[0].value

    @property
    def values(self) -> tuple[Any, ...]:
        """All values that are named."""
        return tuple(key.value for key in self.keys)

    @functools.cached_property
    def times(self) -> list[Fraction]:
        """When the keyframes are, in their unit."""
        return [key.moment.number for key in self.keys]

    @property
    def unit(self) -> str:
        """The unit of its times."""
        return self.keys[0].moment.unit

    def at(self, time: Fraction | float, level: Level) -> Any:
        """Returns the value at a time, which is in its own unit."""
        after = bisect.bisect_right(self.times, time)
        if after in (0, len(self.keys)):
            return self.keys[max(after - 1, 0)].value
        before, last = self.keys[after - 1], self.keys[after]
        start, end = before.moment.number, last.moment.number
        share = float((Fraction(time) - start) / (end - start))
        easing = "step" if self.setting in SWITCHED else last.easing
        return between(before.value, last.value, EASINGS[easing](share))

    def with_values(self, change: Callable[[Any], Any]) -> "Keyframes":
        """Returns the curve with other values in the place of its own."""
        keys = (replace(key, value=change(key.value)) for key in self.keys)
        return Keyframes(self.setting, tuple(keys))

    def in_seconds(
        self, length: Fraction, frames: Sequence[Fraction] | None
    ) -> "Keyframes":
        """Returns the curve with times in seconds.

        Args:
            length: Of the film, in seconds.
            frames: When each of its frames begins, in seconds; None leaves times in
                frames as they are.
        """

        def seconds(moment: Moment) -> Moment:
            if moment.unit == "%":
                return Moment(length * moment.number / 100)
            if moment.unit == "s" or frames is None:
                return moment
            number, count = int(moment.number), len(frames)
            if number < count:
                return Moment(frames[number])
            return Moment(length * number / count)  # as long as the others on average

        keys = (replace(key, moment=seconds(key.moment)) for key in self.keys)
        return Keyframes(self.setting, tuple(keys))


@dataclass(frozen=True)
class Follow:
    """A setting that follows a sound.

    Attributes:
        setting: The recipe's setting.
        sound: What is followed.
        low: The value where it is quietest.
        high: The value where it is loudest.
    """

    setting: str
    sound: Sound
    low: Any
    high: Any

    @property
    def text(self) -> str:
        """The curve as text that `read` reads back."""
        signal, options = self.sound.text
        values = f"{value_text(self.low)}, {value_text(self.high)}"
        return f"{self.setting}: follow({signal}, {values}{options})"

    @property
    def first(self) -> Any:
        """The value in silence."""
        return self.low

    @property
    def values(self) -> tuple[Any, ...]:
        """All values that are named."""
        return (self.low, self.high)

    def with_values(self, change: Callable[[Any], Any]) -> "Follow":
        """Returns the curve with other values in the place of its own."""
        return replace(self, low=change(self.low), high=change(self.high))

    def at(self, time: Fraction | float, level: Level) -> Any:
        """Returns the value at a level; the time is in the level."""
        return between(self.low, self.high, level(self.sound))


Curve = Keyframes | Follow


# -- reading ---------------------------------------------------------------------------
def is_curve(value: Any) -> bool:
    """Tells whether a setting's value is its curve: a dictionary by times, or text."""
    if isinstance(value, str):
        return bool(_FIRST.match(value) or _FOLLOW.fullmatch(value))
    if not isinstance(value, Mapping) or not value:
        return False
    keys = cast("Mapping[Any, Any]", value)
    return all(
        _MOMENT.fullmatch(key.strip())
        if isinstance(key, str)
        else isinstance(key, int | float)
        for key in keys
    )


def read_curve(value: Any, read: Read) -> Curve:
    """Returns a curve for itself, or its text.

    Args:
        value: A curve, or text such as "step_size: 0s=0.002, 10s=0.01".
        read: Reads a setting's values.

    Raises:
        SettingError: If it is none, or a value is none of its setting.
    """
    if isinstance(value, Keyframes | Follow):
        return value
    match = _CURVE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _no_curve(value)
    return curve_of(match[1].replace("-", "_"), match[2], read)


def curve_of(setting: str, value: Any, read: Read) -> Curve:
    """Returns the curve of a setting.

    Args:
        setting: The setting.
        value: Values by their times, or text.
        read: Reads its values.

    Raises:
        SettingError: As for `read_curve`.
    """
    if setting in FIXED:
        raise SettingError(
            "A setting must be one that can change during a film",
            received=f"keyframes of {short_repr(setting)}",
            hint="give it one value",
        )
    if isinstance(value, str) and (match := _FOLLOW.fullmatch(value)):
        curve = _follow(setting, match[1], read)
    else:
        curve = _keyframes(setting, value, read)
    return checked(curve)


def checked(curve: Curve) -> Curve:
    """Returns a curve that has values at all times, and can be written.

    Raises:
        SettingError: If it cannot be written.
        ObjectiveError: If objectives have no sum.
    """
    for one, other in itertools.pairwise(curve.values):
        check_mix(one, other)
    written = _CURVE.fullmatch(curve.text)
    body = "" if written is None else written[2]
    match = _FOLLOW.fullmatch(body)
    count = len(_arguments(match[1])) if match else len(_parts(body))
    same = count == len(curve.values) if isinstance(curve, Keyframes) else count >= 3
    if not same:
        raise SettingError(
            "A value of a keyframe must be one that can be written between others",
            received=short_repr(curve.text),
            hint="rename the file or the layer, or write its name in quotes",
        )
    return curve


def check_all(curves: Iterable[Curve]) -> None:
    """Makes sure that curves are not too many, and each setting has one.

    Raises:
        SettingError: If not.
    """
    curves = tuple(curves)
    settings = [curve.setting for curve in curves]
    count = sum(len(curve.values) for curve in curves)
    if len(curves) > MOST_CURVES or count > MOST_KEYFRAMES:
        raise SettingError(
            f"`keyframes` must be of at most {MOST_CURVES} settings, and at most "
            f"{MOST_KEYFRAMES} in all",
            received=f"{count} of {len(curves)} settings",
            hint="leave some of them out",
        )
    if len(set(settings)) < len(settings):
        twice = next(s for s in settings if settings.count(s) > 1)
        raise SettingError(
            "A setting must have its keyframes in one place",
            received=f"those of {twice} more than once",
            hint="put them together",
        )


def _keyframes(setting: str, value: Any, read: Read) -> Keyframes:
    if isinstance(value, Mapping):
        parts = list(cast("Mapping[Any, Any]", value).items())
    else:
        parts = _parts(value)
    keys: list[Keyframe] = []
    for time, written in parts:
        raw, easing = written, "linear"
        if isinstance(raw, str) and (match := _EASED.fullmatch(raw)):
            raw, easing = match[1], _WORDS.get(match[2], match[2])
        if isinstance(raw, str):
            raw = _unlisted(raw.strip())
        try:
            keys.append(Keyframe(Moment.of(time), read(setting, raw), easing))
        except SettingError:
            bare = _BARE.search(raw) if isinstance(raw, str) else None
            if bare is None:
                raise
            raise _no_time(bare[1]) from None
    for one, other in itertools.pairwise(key.moment for key in keys):
        if one.unit != other.unit or one.number >= other.number:
            raise SettingError(
                f"The keyframes of `{setting}` must have times of one kind, each later "
                "than the one before it",
                received=f"{one.text} before {other.text}",
                hint="sort them; for a jump write 'step' behind the second value",
            )
    if not keys:
        raise _no_curve(value)
    return Keyframes(setting, tuple(keys))


def _parts(text: Any) -> list[tuple[str, str]]:
    """Takes text apart into times and values."""
    match = _FIRST.match(text) if isinstance(text, str) else None
    if match is None or len(text) > MOST_TEXT:
        raise _no_curve(text)
    parts: list[tuple[str, str]] = []
    time, start = match[1], match.end()
    for token in _TOKEN.finditer(text, start):
        if token["next"]:
            parts.append((time, text[start : token.start()]))
            time, start = token["time"], token.end()
    return [*parts, (time, text[start:])]


def _follow(setting: str, text: str, read: Read) -> Follow:
    signal, *values = _arguments(text)
    options: dict[str, Any] = {}
    while values and (match := _OPTION.fullmatch(values[-1])):
        options.setdefault(match[1], match[2].strip())
        values.pop()
    if len(values) != 2 or not all(values):
        raise _no_follow(text)
    sound = Sound(band=_band(signal, text))
    if "file" in options:
        sound = replace(sound, file=_file(options.pop("file"), text))
    for name, number in options.items():
        if not _NUMBER.fullmatch(number) or float(number) > 60:
            raise _no_follow(text)
        sound = replace(sound, **{name: float(number)})
    low, high = (read(setting, _unlisted(value)) for value in values)
    return Follow(setting, sound, low, high)


def _arguments(text: str) -> list[str]:
    """Returns what stands between commas that are in no brackets or quotes."""
    parts, start, depth = list[str](), 0, 0
    for token in _TOKEN.finditer(text[:MOST_TEXT]):
        if token["bracket"]:
            depth += 1 if token["bracket"] == "(" else -1
        elif (token["comma"] or token["next"]) and depth == 0:
            parts.append(text[start : token.start()].strip())
            start = token.start() + 1
    return [*parts, text[start:].strip()]


def _band(signal: str, text: str) -> tuple[float, float] | None:
    if signal == "loudness":
        return None
    match = _BAND.fullmatch(signal)
    if match is None or not float(match[1]) < float(match[2]) <= 100_000:
        raise _no_follow(text)
    return float(match[1]), float(match[2])


def _file(text: str, whole: str) -> FileRef:
    reader = Reader(text)
    try:
        file = reader.file()
    except ObjectiveError:
        raise _no_follow(whole) from None
    if not reader.at_end():
        raise _no_follow(whole)
    return file


def _unlisted(text: str) -> Any:
    """Returns the list that text in square brackets is; any other text itself."""
    if not text.startswith("["):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # a recipe is untrusted
        return text


def _read_moment(text: str) -> Moment | None:
    text = text.strip()
    if not _MOMENT.fullmatch(text):
        return None
    if ":" in text:
        *minutes, seconds = text.split(":")
        whole = functools.reduce(lambda total, part: 60 * total + int(part), minutes, 0)
        number, unit = 60 * whole + Fraction(seconds), "s"
        if Fraction(seconds) >= 60 or (len(minutes) > 1 and int(minutes[1]) >= 60):
            return None
    else:
        number, unit = Fraction(text[:-1].strip()), text[-1]
    most = 100 if unit == "%" else MOST_SECONDS
    return Moment(number, cast("Any", unit)) if number <= most else None


# -- text and sentences ----------------------------------------------------------------
def value_text(value: Any) -> str:
    """Returns a setting's value as it is written in a curve."""
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, tuple):
        return str(value)
    values = cast("tuple[Any, ...]", value)
    if isinstance(values[0], int | float):
        return ", ".join(map(str, values))
    if isinstance(values[0], Part):
        return chain_text(values)
    return json.dumps([each.text for each in values], ensure_ascii=False)


def _decimal(number: float) -> str:
    return f"{number:.9f}".rstrip("0").rstrip(".")


def _no_time(value: Any) -> SettingError:
    return SettingError(
        "A keyframe's time must be in seconds, minutes, percent of the film or frames",
        received=short_repr(value),
        hint="try 1.5s, 1:12, 0:01:12.5, 50% or 48f",
    )


def _no_curve(value: Any) -> SettingError:
    return SettingError(
        "Keyframes must be written as SETTING: TIME=VALUE, TIME=VALUE, each with an "
        f"easing behind it if it is not linear ({', '.join(EASINGS)}), or as SETTING: "
        "follow(loudness, LOW, HIGH)",
        received=short_repr(value),
        hint="try 'step_size: 0s=0.002, 10s=0.01 ease-in-out'",
    )


def _no_follow(text: str) -> SettingError:
    return SettingError(
        "What follows a sound must be written as follow(loudness, LOW, HIGH) or "
        "follow(band(LOWEST, HIGHEST), LOW, HIGH), with attack=SECONDS and "
        "release=SECONDS of at most 60, or file=NAME behind that",
        received=short_repr(text),
        hint="try 'strength: follow(band(60, 250), 0.5, 1.5, release=0.3)'",
    )
