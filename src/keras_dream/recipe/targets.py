"""What a term of an objective is about: one frozen value for each kind of target.

A new kind is a class with `text`, `word` and `read`, and a line in `TARGETS`, by which
the parser finds it; `keras_dream.engine.gradients` says how it is computed.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from keras_dream.errors import ObjectiveError, short_repr
from keras_dream.recipe.files import FileRef
from keras_dream.recipe.objective_text import (
    CLASS,
    CLOSE,
    COLON,
    COMMA,
    DIGITS,
    HASH,
    NAME,
    OPEN,
    PENALTIES,
    Numbers,
    Reader,
    class_text,
    file_text,
    quoted,
)


@dataclass(frozen=True)
class Layer:
    """All channels of a layer, or some of them.

    Attributes:
        name: Its name, or the class of a layer that Keras only numbered.
        ordinal: Its place among the layers of that class, or None.
        channels: Their numbers; empty for all of them.
        strongest: How many channels, those that respond most to the source picture,
            instead of numbers; None for the channels as they stand.
        of: They are drawn by the recipe's seed among so many, those that respond most;
            None for those that respond most themselves.

    Raises:
        ObjectiveError: If the name is none, or `of` is less than `strongest`.
    """

    name: str
    ordinal: int | None = None
    channels: Numbers = field(default=Numbers(()))
    strongest: int | None = None
    of: int | None = None

    def __post_init__(self) -> None:
        check_name("A layer", self.name)
        if self.of is not None and not 1 <= (self.strongest or 0) <= self.of:
            raise ObjectiveError(
                "Strongest channels must be drawn among at least as many",
                received=f"{self.strongest} of {self.of}",
                hint="write it like mixed4:strongest(8, of=24)",
            )

    @classmethod
    def named(
        cls,
        layer: str,
        *,
        channels: Iterable[int] = (),
        strongest: int | None = None,
        of: int | None = None,
    ) -> "Layer":
        """Returns the target for a layer as a network's graph knows it.

        Args:
            layer: Such as "mixed4" or "conv2d@7".
            channels: As in the class.
            strongest: As in the class.
            of: As in the class.
        """
        numbers = Numbers(channels)
        if re.fullmatch(r"'.*@\d+'", layer):
            return cls(layer[1:-1], None, numbers, strongest, of)
        name, _, ordinal = layer.rpartition("@")
        if name and re.fullmatch(r"\d{1,6}", ordinal, re.ASCII):
            return cls(name, int(ordinal), numbers, strongest, of)
        return cls(layer, None, numbers, strongest, of)

    @property
    def layer(self) -> str:
        """The layer as a network's graph knows it, without its channels."""
        if self.ordinal is None and re.fullmatch(r".*@\d+", self.name):
            return f"'{self.name}'"  # a name that looks like an ordinal
        return self.name + ("" if self.ordinal is None else f"@{self.ordinal}")

    @property
    def text(self) -> str:
        """The target as it is written in an objective."""
        ordinal = "" if self.ordinal is None else f"@{self.ordinal}"
        channels = str(self.channels)
        if self.strongest is not None:
            among = "" if self.of is None else f", of={self.of}"
            channels = f"strongest({self.strongest}{among})"
        return quoted(self.name) + ordinal + (f":{channels}" if channels else "")


@dataclass(frozen=True)
class Class:
    """One class score, averaged over all positions.

    Attributes:
        name: Its name or its number.
    """

    name: str

    def __post_init__(self) -> None:
        check_name("A class", self.name)

    @property
    def text(self) -> str:
        """The target as it is written in an objective."""
        return f"class:{class_text(self.name)}"


class OfLayer:
    """What targets of one whole layer have in common.

    Attributes:
        layer: As a network's graph knows it: "mixed4" or "conv2d@7".
    """

    layer: str

    def __post_init__(self) -> None:
        check_name("A layer", self.layer)
        object.__setattr__(self, "layer", Layer.named(self.layer).layer)

    @property
    def layer_text(self) -> str:
        """The layer as it is written in an objective."""
        return Layer.named(self.layer).text


@dataclass(frozen=True)
class Neuron(OfLayer):
    """One cell of one channel of a layer.

    Attributes:
        layer: As for `OfLayer`.
        channel: The channel's number.
        x: The cell's place across the feature map, from 0 (left) to 1 (right).
        y: The same from 0 (top) to 1 (bottom).

    Raises:
        ObjectiveError: If the channel or the place is impossible.
    """

    layer: str
    channel: int
    x: float = 0.5
    y: float = 0.5

    word: ClassVar[str] = "neuron"
    form: ClassVar[str] = "neuron(mixed4, 11, center)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.channel < 1_000_000:
            raise ObjectiveError(
                "The channel of a neuron must be a number from 0",
                received=short_repr(self.channel),
                hint=f"write it like {self.form}",
            )
        for axis in ("x", "y"):
            place = float(getattr(self, axis)) + 0.0  # never -0.0
            if not 0 <= place <= 1:
                raise ObjectiveError(
                    f"The {axis} of a neuron must be from 0 to 1",
                    received=f"{place:g}",
                    hint="leave it out for the middle",
                )
            object.__setattr__(self, axis, place)

    @property
    def text(self) -> str:
        """The target as it is written in an objective."""
        place = f"{self.x!r}, {self.y!r}"
        place = "center" if place == "0.5, 0.5" else place
        return f"neuron({self.layer_text}, {self.channel}, {place})"

    @classmethod
    def read(cls, reader: Reader) -> "Neuron":
        """Reads the arguments: `mixed4, 11`, then `center` or `25%, 0.75`."""
        layer = Layer(*reader.layer()).layer
        reader.comma()
        channel = int(reader.required(DIGITS, "a channel's number"))
        if not reader.take(COMMA) or reader.take(_CENTER):
            return cls(layer, channel)
        x = reader.fraction()
        reader.comma()
        return cls(layer, channel, x, reader.fraction())


@dataclass(frozen=True)
class Direction(OfLayer):
    """A direction in the space of a layer's channels.

    Attributes:
        layer: As for `OfLayer`.
        file: A `.npy` file of one number for each channel.
    """

    layer: str
    file: FileRef

    word: ClassVar[str] = "direction"
    form: ClassVar[str] = "direction(mixed4, file.npy)"

    @property
    def text(self) -> str:
        """The target as it is written in an objective."""
        return f"direction({self.layer_text}, {file_text(self.file)})"

    @classmethod
    def read(cls, reader: Reader) -> "Direction":
        """Reads the arguments: `mixed4, file.npy`."""
        layer = Layer(*reader.layer()).layer
        reader.comma()
        return cls(layer, reader.file())


@dataclass(frozen=True)
class Caricature(OfLayer):
    """More of what a layer already responds to in the original.

    Attributes:
        layer: As for `OfLayer`.
    """

    layer: str

    word: ClassVar[str] = "caricature"
    form: ClassVar[str] = "caricature(mixed4)"

    @property
    def text(self) -> str:
        """The target as it is written in an objective."""
        return f"caricature({self.layer_text})"

    @classmethod
    def read(cls, reader: Reader) -> "Caricature":
        """Reads the argument: `mixed4`."""
        return cls(Layer(*reader.layer()).layer)


@dataclass(frozen=True)
class Guide(OfLayer):
    """What a layer responds to in another picture.

    Attributes:
        file: The other picture, of any size.
        layer: As for `OfLayer`.
        statistics: "dot" for the cells of the guide that answer most, by their dot
            product (google/deepdream, 2015), or "gram" for the Gram matrix.
    """

    file: FileRef
    layer: str
    statistics: Literal["dot", "gram"] = "dot"

    word: ClassVar[str] = "guide"
    form: ClassVar[str] = "guide(photo2.jpg, mixed4)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.statistics not in ("dot", "gram"):
            raise ObjectiveError(
                "The statistics of a guide must be dot or gram",
                received=short_repr(self.statistics),
                hint=f"write it like {self.form}",
            )

    @property
    def text(self) -> str:
        """The target as it is written in an objective."""
        more = "" if self.statistics == "dot" else f", {self.statistics}"
        return f"guide({file_text(self.file)}, {self.layer_text}{more})"

    @classmethod
    def read(cls, reader: Reader) -> "Guide":
        """Reads the arguments: `photo2.jpg, mixed4`, and `gram` where it is meant."""
        file = reader.file()
        reader.comma()
        layer = Layer(*reader.layer()).layer
        if not reader.take(COMMA):
            return cls(file, layer)
        word = reader.required(_STATISTICS, "the word gram or dot")
        return cls(file, layer, "gram" if word == "gram" else "dot")


@dataclass(frozen=True)
class Penalty:
    """A number that grows with what is not wanted: subtract it from an objective.

    Attributes:
        name: "tv" (total variation), "l1" or "l2" (the distance to the original), or
            "blur" (the distance to the blurred picture).

    Raises:
        ObjectiveError: If there is no such penalty.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in PENALTIES:
            raise ObjectiveError(
                f"A penalty must be one of {', '.join(PENALTIES)}",
                received=short_repr(self.name),
                hint="try tv",
            )

    @property
    def text(self) -> str:
        """The target as it is written in an objective."""
        return self.name


@dataclass(frozen=True)
class Custom:
    """A function of one's own, made with `@keras_dream.objective`.

    Text has its name and the hash of its source only: the function is never read from
    a file.

    Attributes:
        name: The function's name.
        sha256: Of its source, or of its bytecode where Python does not know the source;
            empty for what is not written in Python.
        layers: The layers whose feature maps it takes, as a network's graph knows them.
        function: Takes a feature map for each layer, `(1, height, width, channels)`
            of Keras' backend, and returns a scalar; None in an objective that was read
            from text.
    """

    name: str
    sha256: str = ""
    layers: tuple[str, ...] = ()
    function: Callable[..., Any] | None = field(default=None, repr=False)

    word: ClassVar[str] = "custom"
    form: ClassVar[str] = "custom(name)"

    def __post_init__(self) -> None:
        check_name("An objective of your own", self.name)
        if self.sha256 and not HASH.fullmatch(f"#{self.sha256}"):
            raise ObjectiveError(
                "The sha256 of an objective's source must be 64 hexadecimal digits",
                received=short_repr(self.sha256),
                hint="leave it out",
            )

    @property
    def text(self) -> str:
        """The target as it is written in an objective."""
        sha256 = f"#{self.sha256}" if self.sha256 else ""
        return f"custom({quoted(self.name)}{sha256})"

    @classmethod
    def read(cls, reader: Reader) -> "Custom":
        """Reads the argument: a name, and the hash of the source behind it."""
        name, _ = reader.name(NAME)
        if not name:
            raise reader.error("the name of an objective of your own")
        return cls(name, reader.take(HASH)[1:].lower())


Target = Layer | Class | Neuron | Direction | Caricature | Guide | Penalty | Custom

TARGETS = {kind.word: kind for kind in (Neuron, Direction, Caricature, Guide, Custom)}
"""Every kind of target with arguments, by the word before its brackets."""

_CENTER = re.compile(r"center\b")
_STATISTICS = re.compile(r"(gram|dot)\b")
_COLON_OR_AT = re.compile(r"[:@]")


def read_target(reader: Reader) -> Target:
    """Reads a target, of whatever kind.

    Raises:
        ObjectiveError: If there is none here.
    """
    place = reader.place
    name, is_quoted = reader.name(NAME)
    if not name:
        raise reader.error("a layer's name (in quotes if it is odd)")
    if not is_quoted and reader.take(OPEN):
        return _with_arguments(reader, name, place)
    is_layer = is_quoted or _COLON_OR_AT.match(reader.text, reader.place)
    if name in PENALTIES and not is_layer:
        return Penalty(name)
    if name.lower() == "class" and not is_quoted and reader.take(COLON):
        class_name, is_exact = reader.name(CLASS)
        if not class_name:
            raise reader.error("a class's name or number")
        return Class(class_name if is_exact else " ".join(class_name.split()))
    ordinal = reader.ordinal()
    if not reader.take(COLON):
        return Layer(name, ordinal)
    strongest = reader.strongest()
    if strongest is not None:
        count, among = strongest
        return Layer(name, ordinal, strongest=count, of=among)
    return Layer(name, ordinal, reader.channels())


def _with_arguments(reader: Reader, name: str, place: int) -> Target:
    if name not in TARGETS:
        reader.place = place
        forms = ", ".join(kind.form for kind in TARGETS.values())
        raise reader.error(f"a layer, or one of {forms},")
    reader.form = TARGETS[name].form
    target = TARGETS[name].read(reader)
    reader.required(CLOSE, "a closing bracket")
    reader.form = ""
    return target


def check_name(what: str, name: Any) -> None:
    """Makes sure that a name is text and not empty.

    Args:
        what: What is named, with its article, as the start of a sentence.
        name: Its name.

    Raises:
        ObjectiveError: If it is not.
    """
    if not isinstance(name, str) or not name:
        raise ObjectiveError(
            f"{what} must have a name",
            received=short_repr(name),
            hint="see `dream layers NETWORK`",
        )
