"""Transforms: what the network sees of an image in a step.

A view is drawn for every step on the host. It is applied to the image inside of the
function that the backend differentiates, so that the gradient comes back through it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from keras_dream.geometry import Size, jitter_offsets
from keras_dream.parts.part import Array

if TYPE_CHECKING:
    from keras_dream.backend.protocol import Backend


class Move(Protocol):
    """One operation of a view; equal moves compute the same from their constants."""

    @property
    def count(self) -> int:
        """How many constants it takes."""
        ...

    def apply(self, backend: "Backend", x: Array, constants: Sequence[Any]) -> Array:
        """Returns the map that the move makes of one of 3 channels."""
        ...


@dataclass(frozen=True)
class Roll:
    """A cyclic shift by pixels down and to the right: the jitter."""

    count = 2

    def apply(self, backend: "Backend", x: Array, constants: Sequence[Any]) -> Array:
        """Returns the shifted map."""
        down, right = constants
        return backend.roll(x, down, right)


@dataclass(frozen=True)
class Chain:
    """The moves of a view in their order, without the numbers drawn for them.

    One compiled function serves all views of equal chains.
    """

    moves: tuple[Move, ...] = ()

    @property
    def count(self) -> int:
        """How many constants its moves take."""
        return sum(move.count for move in self.moves)

    def apply(self, backend: "Backend", x: Array, constants: Sequence[Any]) -> Array:
        """Returns what the network sees of an image.

        Args:
            backend: Where it is computed.
            x: A map in the image's size.
            constants: The view's numbers, `count` of them.
        """
        first = 0
        for move in self.moves:
            x = move.apply(backend, x, constants[first : first + move.count])
            first += move.count
        return x


@dataclass(frozen=True)
class View:
    """What the network sees of an image in one step.

    Attributes:
        size: (height, width) in pixels of what it sees.
        chain: The moves that make it of the image; without any it is the image.
        constants: The numbers drawn for them: whole numbers, and arrays of the backend.
    """

    size: Size
    chain: Chain = Chain()
    constants: tuple[Any, ...] = ()


def draw(
    size: Size, *, seed: int, octave: int, steps: int, jitter: int
) -> Iterator[View]:
    """Yields the views of an octave's steps, the same on every backend.

    Args:
        size: The octave's (height, width) in pixels.
        seed: The recipe's seed.
        octave: The octave's number, from 0.
        steps: How many steps the octave may take.
        jitter: The largest cyclic shift in pixels.
    """
    chain = Chain((Roll(),) if jitter else ())
    for down, right in jitter_offsets(seed, octave, steps, jitter).tolist():
        yield View(size, chain, (down, right) if jitter else ())
