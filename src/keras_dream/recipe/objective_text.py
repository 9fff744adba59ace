"""The words of objective text: how names, numbers and files are written and read.

Whatever reads text reads it once, from left to right: each pattern is matched where the
last one ended, and none can match one text in two ways.
"""

import itertools
import math
import re
from collections.abc import Collection, Iterable, Iterator

from keras_dream.errors import ObjectiveError, short_repr
from keras_dream.recipe.files import FileRef

PENALTIES = ("tv", "l1", "l2", "blur")
"""Words that stand for penalties; a layer of such a name is quoted."""

MAX_STRONGEST = 99_999

NUMBER = re.compile(r"(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
WEIGHT = re.compile(rf"{NUMBER.pattern}(?=\s*\*)", re.ASCII)
NAME = re.compile(r"[^\W\d][\w./]*")
NETWORK = re.compile(r"[\w./][\w./-]*")
# The names of classes are words: a space or a hyphen between them belongs to the name
# if a letter follows. A number is a class's number.
CLASS = re.compile(r"\d+(?![\w./])|[\w./]+(?:(?:-|\s+)(?=[^\W\d])[\w./]+)*")
FILE = re.compile(r"[^\s,()'#;|][^,()'#;|]*")
HASH = re.compile(r"#[0-9a-fA-F]{64}")
SIGN, MINUS, STAR, PERCENT = map(re.compile, ("[-+]", "-", r"\*", "%"))
COLON, SEMICOLON, COMMA, AT = map(re.compile, ":;,@")
OPEN, CLOSE = re.compile(r"\("), re.compile(r"\)")
MODE = re.compile(r"\[\s*([\w-]+)\s*\]")
DEFAULT = re.compile(r"default\b(?=\s*(;|$))")
DIGITS = re.compile(r"\d{1,6}", re.ASCII)
_QUOTED = re.compile(r"'(?:[^']|'')+'")
_STRONGEST_WORD = re.compile(r"strongest\b")
_COUNT = re.compile(r"0*[1-9]\d{0,4}(?=\s*[,)])", re.ASCII)
_OF = re.compile(r"of\s*=")
# A minus sign before a number is a range; one before a name is the next term's.
_TO = re.compile(r"-(?=\s*\d{1,6}\s*(,|\+|-|;|$))", re.ASCII)
_SPACES = re.compile(r"\s*")
_PLAIN_CLASS = re.compile(r"\d+|[\w./]+(?:-(?=[^\W\d])[\w./]+)*")


class Numbers(Collection[int]):
    """Whole numbers, ascending, kept as ranges: 0-99999 takes no more room than 0.

    Args:
        numbers: Single ones.
        ranges: First and last numbers.
    """

    __slots__ = ("_ranges",)

    def __init__(
        self, numbers: Iterable[int], *, ranges: Iterable[tuple[int, int]] = ()
    ):
        merged: list[tuple[int, int]] = []
        for first, last in sorted([*((n, n) for n in numbers), *ranges]):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        self._ranges = tuple(merged)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self._ranges)

    def __iter__(self) -> Iterator[int]:
        return (n for first, last in self._ranges for n in range(first, last + 1))

    def __contains__(self, number: object) -> bool:
        return any(number in range(first, last + 1) for first, last in self._ranges)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Numbers) and self._ranges == other._ranges

    def __hash__(self) -> int:
        return hash(self._ranges)

    def __repr__(self) -> str:
        return f"Numbers({self})"

    def __str__(self) -> str:
        """The numbers as they are written: 11,40-47."""
        return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in self._ranges)

    @property
    def last(self) -> int:
        """The largest number; -1 where there is none."""
        return self._ranges[-1][1] if self._ranges else -1

    def below(self, count: int) -> tuple[int, ...]:
        """Returns the numbers below a number, such as that of a layer's channels."""
        return tuple(itertools.takewhile(lambda number: number < count, self))


class Reader:
    """Walks through objective text once, from left to right, skipping spaces.

    Args:
        text: The text.

    Attributes:
        text: As above.
        place: Of the next character to be read.
        form: What is being read, as it should look, for messages; "" for an objective.
    """

    def __init__(self, text: str):
        self.text = text
        self.place = self._after_spaces(0)
        self.form = ""

    def take(self, pattern: re.Pattern[str]) -> str:
        """Returns and passes what matches here, or returns "" and stays."""
        match = pattern.match(self.text, self.place)
        if match is None:
            return ""
        self.place = self._after_spaces(match.end())
        return match.group()

    def name(self, pattern: re.Pattern[str]) -> tuple[str, bool]:
        """Returns a name, and whether it was quoted; ("", False) where none is."""
        if quoted := self.take(_QUOTED):
            return quoted[1:-1].replace("''", "'"), True
        return self.take(pattern), False

    def required(self, pattern: re.Pattern[str], what: str) -> str:
        """Returns and passes what must match here."""
        text = self.take(pattern)
        if not text:
            raise self.error(what)
        return text

    def at_end(self) -> bool:
        """Tells whether all of the text has been read."""
        return self.place == len(self.text)

    def error(self, must: str) -> ObjectiveError:
        """Returns the error for what must be here and is not."""
        rest = (
            "its end"
            if self.at_end()
            else short_repr(self.text[self.place :], limit=30)
        )
        return ObjectiveError(
            f"An objective must have {must} at character {self.place + 1}",
            received=f"{rest} in {short_repr(self.text)}",
            hint=f"write it like '{self.form}'"
            if self.form
            else "write it like '0.2*mixed2 + 3*mixed3:11,40-47', 'class:eye' or "
            "'mixed4; 0.5*squeezenet: fire6'",
        )

    def comma(self) -> None:
        """Passes the comma that must be between two arguments."""
        self.required(COMMA, "a comma between two arguments")

    def layer(self) -> tuple[str, int | None]:
        """Returns a layer's name and its ordinal, or None."""
        name, _ = self.name(NAME)
        if not name:
            raise self.error("a layer's name (in quotes if it is odd)")
        return name, self.ordinal()

    def ordinal(self) -> int | None:
        """Returns a layer's ordinal, or None where there is none."""
        if not self.take(AT):
            return None
        return int(self.required(DIGITS, "a layer's ordinal"))

    def channels(self) -> Numbers:
        """Returns the channels of ranges such as 11,40-47."""
        ranges: list[tuple[int, int]] = []
        while True:
            first = last = int(self.required(DIGITS, "a channel's number"))
            if self.take(_TO):
                last = int(self.required(DIGITS, "a channel's number"))
            if first > last:
                raise self.error("a range of channels from low to high before it ends")
            ranges.append((first, last))
            if not self.take(COMMA):
                return Numbers((), ranges=ranges)

    def strongest(self) -> tuple[int, int | None] | None:
        """Returns the numbers in `strongest(8, of=24)`, or None where there are none.

        The second is None where only the first is stated.
        """
        if not self.take(_STRONGEST_WORD):
            return None
        must = f"a number of channels from 1 to {MAX_STRONGEST} in brackets"
        self.required(OPEN, must)
        number, among = int(self.required(_COUNT, must)), None
        if self.take(COMMA):
            more = f"of= and a number from {number} to {MAX_STRONGEST}"
            self.required(_OF, more)
            among = int(self.required(_COUNT, more))
            if among < number:
                raise self.error(f"{more} before this place, not")
        self.required(CLOSE, must)
        return number, among

    def fraction(self) -> float:
        """Returns a part of a whole, from 0 to 1 or from 0% to 100%."""
        must = "a number from 0 to 1, or from 0% to 100%,"
        number = float(self.required(NUMBER, must))
        if self.take(PERCENT):
            number /= 100
        if not 0 <= number <= 1:
            raise self.error(f"{must} before this place, not")
        return number

    def file(self) -> FileRef:
        """Returns a file, with its hash if that is stated."""
        name, is_quoted = self.name(FILE)
        if not name:
            raise self.error("a file's name (in quotes if it is odd)")
        sha256 = self.take(HASH)[1:].lower()
        return FileRef(name if is_quoted else name.rstrip(), sha256)

    def _after_spaces(self, place: int) -> int:
        match = _SPACES.match(self.text, place)
        return place if match is None else match.end()


def quoted(name: str, *, plain: re.Pattern[str] = NAME) -> str:
    """Returns a name as it is written: in quotes if it is odd, or is a word of ours."""
    is_word = name in PENALTIES or name == "default" or name.lower() == "class"
    if plain.fullmatch(name) and not is_word:
        return name
    return "'" + name.replace("'", "''") + "'"


def class_text(name: str) -> str:
    """Returns a class's name or number as it is written behind `class:`."""
    return quoted(name, plain=_PLAIN_CLASS)


def file_text(file: FileRef) -> str:
    """Returns a file as it is written in an objective."""
    is_plain = FILE.fullmatch(file.name) and file.name == file.name.rstrip()
    name = file.name if is_plain else "'" + file.name.replace("'", "''") + "'"
    return name + (f"#{file.sha256}" if file.sha256 else "")


def is_weight(value: float, *, limit: float = math.inf) -> bool:
    """Tells whether a number can be a weight: finite and not zero."""
    return 0 < abs(value) < math.inf and abs(value) <= limit
