"""Transforms: what the network sees of an image in a step.

A view is drawn for every step on the host. It is applied to the image inside of the
function that the backend differentiates, so that the gradient comes back through it.
"""

import bisect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, get_args

from pydantic import Field, model_validator

from keras_dream.errors import SettingError
from keras_dream.parts.canvases import Size
from keras_dream.parts.part import Array, Part
from keras_dream.recipe.settings import FiniteFloat

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from keras_dream.backend.protocol import Backend


class Lookup(NamedTuple):
    """A view whose pixels are pixels of the image: no backend is needed to see them.

    Attributes:
        rows: The image's row for every row of the view, whole numbers.
        columns: The same for columns.
    """

    rows: "NDArray[np.int64]"
    columns: "NDArray[np.int64]"

    def fold(
        self, gradient: "NDArray[np.float32]", into: "NDArray[np.float32]", first: int
    ) -> None:
        """Adds the gradient by the view onto that by the image, or by rows of it.

        What a pixel gets is added in the same order whatever rows are asked for.

        Args:
            gradient: float32 (height, width, 3), of the view.
            into: float32, some rows of the image's.
            first: The number of the first of these rows.
        """
        for place, row, count, step in _runs(self.rows):
            # Of the run, those within the rows that are asked for.
            low = row if step > 0 else row - count + 1
            begin, end = max(low, first), min(low + count, first + len(into))
            if begin >= end:
                continue
            start = place + (begin - low if step > 0 else low + count - end)
            down = slice(start, start + end - begin)
            target = into[begin - first : end - first][::step]
            for across, column, width, sign in _runs(self.columns):
                left = column if sign > 0 else column - width + 1
                target[:, left : left + width][:, ::sign] += gradient[
                    down, across : across + width
                ]


def _runs(indices: "NDArray[np.int64]") -> "Iterator[tuple[int, int, int, int]]":
    """Yields neighbours that are neighbours of the image, too.

    As (place, the image's number there, count, 1 or -1 for the image's direction).
    """
    import numpy as np

    steps = np.diff(indices)
    # The ends of equal steps: all but a few of an image's are 1 or -1.
    ends = [*(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(steps)]
    first = 0
    while first < len(indices):
        step, end = 1, first
        if first < len(steps) and abs(steps[first]) == 1:
            step, end = int(steps[first]), ends[bisect.bisect_right(ends, first)]
        yield first, int(indices[first]), end - first + 1, step
        first = end + 1


class Move(Protocol):
    """One operation of a view; equal moves compute the same from their constants."""

    @property
    def count(self) -> int:
        """How many constants it takes."""
        ...

    def apply(self, backend: "Backend", x: Array, constants: Sequence[Any]) -> Array:
        """Returns the map that the move makes of one of 3 channels."""
        ...

    def lookup(self, seen: "Lookup", constants: Sequence[Any]) -> "Lookup | None":
        """Returns which pixels the result has, given those of the map before it.

        None if it computes new ones.
        """
        ...


@dataclass(frozen=True)
class Roll:
    """A cyclic shift by pixels down and to the right: the jitter."""

    count = 2

    def apply(self, backend: "Backend", x: Array, constants: Sequence[Any]) -> Array:
        """Returns the shifted map."""
        down, right = constants
        return backend.roll(x, down, right)

    def lookup(self, seen: "Lookup", constants: Sequence[Any]) -> "Lookup":
        """Returns the pixels shifted."""
        import numpy as np

        down, right = constants
        return Lookup(np.roll(seen.rows, down), np.roll(seen.columns, right))


@dataclass(frozen=True)
class Mirror:
    """Left for right."""

    count = 0

    def apply(self, backend: "Backend", x: Array, constants: Sequence[Any]) -> Array:
        """Returns the mirrored map."""
        return backend.flip(x)

    def lookup(self, seen: "Lookup", constants: Sequence[Any]) -> "Lookup":
        """Returns the pixels mirrored."""
        return Lookup(seen.rows, seen.columns[::-1])


@dataclass(frozen=True)
class Reflect:
    """Cells beyond each side, mirrored at the cells of the edge."""

    size: int
    count = 0

    def apply(self, backend: "Backend", x: Array, constants: Sequence[Any]) -> Array:
        """Returns the map with its margin."""
        n = self.size
        return backend.pad(x, (n, n, n, n), mode="reflect")

    def lookup(self, seen: "Lookup", constants: Sequence[Any]) -> "Lookup":
        """Returns the pixels with their margin."""
        import numpy as np

        rows, columns = (np.pad(axis, self.size, mode="reflect") for axis in seen)
        return Lookup(rows, columns)


@dataclass(frozen=True)
class Cut:
    """A window, from a place down and to the right of the corner on.

    Attributes:
        bottom: Rows of the map less those of the window.
        right: The same of columns.
    """

    bottom: int
    right: int
    count = 2

    def apply(self, backend: "Backend", x: Array, constants: Sequence[Any]) -> Array:
        """Returns the window."""
        top, left = constants
        # One compiled function serves every place: it rolls the window to the corner.
        x = backend.roll(x, -top, -left)
        return backend.crop(x, (0, self.bottom, 0, self.right))

    def lookup(self, seen: "Lookup", constants: Sequence[Any]) -> "Lookup":
        """Returns the pixels of the window."""
        top, left = constants
        rows, columns = seen
        height, width = len(rows) - self.bottom, len(columns) - self.right
        return Lookup(rows[top : top + height], columns[left : left + width])


@dataclass(frozen=True)
class Warp:
    """An affine map of places, bilinear between the cells, reflected at the edges."""

    count = 1

    def apply(self, backend: "Backend", x: Array, constants: Sequence[Any]) -> Array:
        """Returns the warped map."""
        return backend.warp(x, constants[0])

    def lookup(self, seen: "Lookup", constants: Sequence[Any]) -> None:
        """Returns None: its pixels are between those of the map."""


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

    def lookup(self, size: Size, constants: Sequence[Any]) -> "Lookup | None":
        """Returns which pixels of an image the network sees.

        Args:
            size: The image's (height, width) in pixels.
            constants: The view's numbers, `count` of them.

        Returns:
            Their numbers; None where it sees pixels that are computed anew.
        """
        import numpy as np

        seen: Lookup | None = Lookup(*map(np.arange, size))
        first = 0
        for move in self.moves:
            if seen is not None:
                seen = move.lookup(seen, constants[first : first + move.count])
            first += move.count
        return seen


@dataclass(frozen=True)
class View:
    """What the network sees of an image in one step.

    Attributes:
        size: (height, width) in pixels of what it sees.
        chain: The moves that make it of the image; without any it is the image.
        constants: The numbers drawn for them: whole numbers, and arrays of the backend.
        share: How much of the image it shows, above 0 and at most 1.
    """

    size: Size
    chain: Chain = field(default_factory=Chain)
    constants: tuple[Any, ...] = ()
    share: float = 1.0


_Drawn = tuple[Move, tuple[Any, ...]]  # a move and its numbers, arrays of the host


class Transform(Part):
    """A random change of what the network sees."""

    def seen(self, size: Size) -> Size:
        """Returns the (height, width) that it makes of a size."""
        return size

    def draw(self, size: Size, numbers: Sequence[float]) -> _Drawn | None:
        """Returns the move of a step with its numbers; None for none.

        Args:
            size: (height, width) of what it is applied to.
            numbers: Four random numbers from 0 to below 1.
        """
        raise NotImplementedError


class Flip(Transform):
    """Left for right, in a share of the steps."""

    name: Literal["flip"] = "flip"
    probability: FiniteFloat = Field(
        default=0.5, ge=0, le=1, description="share of the steps that are mirrored"
    )

    def draw(self, size: Size, numbers: Sequence[float]) -> _Drawn | None:
        """Returns the mirror, or None."""
        return (Mirror(), ()) if numbers[0] < self.probability else None


class Scale(Transform):
    """A zoom about a random place, at the same size; edges are reflected.

    The factor is uniform in its logarithm. The defaults are lucid's standard
    (optvis/transform.py: 0.9 to 1.1).
    """

    name: Literal["scale"] = "scale"
    low: FiniteFloat = Field(default=0.9, ge=0.25, le=4, description="least factor")
    high: FiniteFloat = Field(default=1.1, ge=0.25, le=4, description="largest factor")

    @model_validator(mode="after")
    def _check_order(self) -> "Scale":
        if self.low > self.high:
            raise SettingError(
                "The least factor of `scale` must not be above the largest",
                received=f"{self.low:g} and {self.high:g}",
                hint="exchange them",
            )
        return self

    def draw(self, size: Size, numbers: Sequence[float]) -> _Drawn | None:
        """Returns the zoom."""
        factor = self.low * (self.high / self.low) ** numbers[0]
        center = tuple(
            number * (side - 1) for side, number in zip(size, numbers[1:3], strict=True)
        )
        return Warp(), (_about(center, ((1 / factor, 0.0), (0.0, 1 / factor))),)


class Rotate(Transform):
    """A rotation about the centre, at the same size; edges are reflected."""

    name: Literal["rotate"] = "rotate"
    degrees: FiniteFloat = Field(
        default=10, ge=0, le=180, description="largest angle to either side"
    )

    def draw(self, size: Size, numbers: Sequence[float]) -> _Drawn | None:
        """Returns the rotation."""
        angle = math.radians(self.degrees) * (2 * numbers[0] - 1)
        cos, sin = math.cos(angle), math.sin(angle)
        center = tuple((side - 1) / 2 for side in size)
        return Warp(), (_about(center, ((cos, sin), (-sin, cos))),)


class Pad(Transform):
    """A margin that reflects the picture, so that its edge is an inside to the network.

    Layers pad with zeros, and what lies within their reach of an edge dreams weakly.
    """

    name: Literal["pad"] = "pad"
    size: int = Field(default=32, ge=1, le=1024, description="pixels beyond each side")

    def _most(self, size: Size) -> int:
        return min(self.size, *(side - 1 for side in size))

    def seen(self, size: Size) -> Size:
        """Returns the size with its margin."""
        return size[0] + 2 * self._most(size), size[1] + 2 * self._most(size)

    def draw(self, size: Size, numbers: Sequence[float]) -> _Drawn | None:
        """Returns the padding, the same in every step."""
        return (Reflect(self._most(size)), ()) if self._most(size) > 0 else None


class Crop(Transform):
    """Random windows of one size: memory does not grow with the picture.

    A step is of the mean gradient of its windows; the normalizer's means are over the
    share that they show. Source: T. Fel et al., "Unlocking Feature Visualization for
    Deeper Networks with MAgnitude Constrained Optimization", arXiv:2306.06805, whose
    crops also differ in size, as `scale` makes them.
    """

    name: Literal["crop"] = "crop"
    size: int = Field(
        default=224, ge=8, le=16_384, description="sides of a window in pixels"
    )
    count: int = Field(default=1, ge=1, le=64, description="windows in each step")

    def seen(self, size: Size) -> Size:
        """Returns the window's size, in smaller pictures theirs."""
        return min(size[0], self.size), min(size[1], self.size)

    def draw(self, size: Size, numbers: Sequence[float]) -> _Drawn | None:
        """Returns the window at its place."""
        window = self.seen(size)
        spare = tuple(a - b for a, b in zip(size, window, strict=True))
        # Places half a window beyond an edge are taken back to it: else the cells near
        # edges would be seen much less often than those inside.
        top, left = (
            min(max(int(n * (s + side)) - side // 2, 0), s)
            for n, s, side in zip(numbers[:2], spare, window, strict=True)
        )
        return (Cut(*spare), (top, left)) if any(spare) else None


def _about(center: Sequence[float], matrix: Sequence[Sequence[float]]) -> "np.ndarray":
    """Returns the affine map, float64 (3, 3), of places by a matrix about a centre."""
    import numpy as np

    affine, middle = np.eye(3), np.array(center)
    affine[:2, :2] = matrix
    affine[:2, 2] = middle - affine[:2, :2] @ middle
    return affine


_ROLL = None  # where the jitter stands in a chain of transforms


def _in_order(transforms: Sequence[Transform]) -> list[Transform | None]:
    """Returns the transforms with the jitter: last, but before a window is cut out.

    A roll of the window itself would put a seam into it.
    """
    windows = [n for n, t in enumerate(transforms) if isinstance(t, Crop)]
    place = windows[0] if windows else len(transforms)
    return [*transforms[:place], _ROLL, *transforms[place:]]


def view_size(transforms: Sequence[Transform], size: Size) -> Size:
    """Returns the (height, width) of what the network sees of an image of `size`."""
    for transform in transforms:
        size = transform.seen(size)
    return size


def views_in_step(transforms: Sequence[Transform]) -> int:
    """Returns how many views of the image a step has."""
    return math.prod(t.count for t in transforms if isinstance(t, Crop))


def draw(
    size: Size,
    transforms: Sequence[Transform],
    *,
    seed: int,
    octave: int,
    steps: int,
    jitter: int,
    backend: "Backend",
) -> Iterator[tuple[View, ...]]:
    """Yields the views of an octave's steps, the same on every backend.

    Args:
        size: The octave's (height, width) in pixels.
        transforms: The recipe's transforms.
        seed: The recipe's seed.
        octave: The octave's number, from 0.
        steps: How many steps the octave may take.
        jitter: The largest cyclic shift in pixels.
        backend: Where the numbers that are arrays are put.
    """
    from keras_dream.geometry import jitter_offsets, uniforms

    count = views_in_step(transforms)
    order = _in_order(transforms)
    # A stream for every transform; the jitter's own is as it is without transforms.
    streams = [
        uniforms(seed, octave, place, steps * count) for place in range(len(order))
    ]
    for step, offset in enumerate(jitter_offsets(seed, octave, steps, jitter).tolist()):
        yield tuple(
            _view(
                size,
                order,
                [stream[step * count + number].tolist() for stream in streams],
                offset if jitter else None,
                backend,
            )
            for number in range(count)
        )


def _view(
    size: Size,
    order: Sequence[Transform | None],
    numbers: Sequence[Sequence[float]],
    offset: Sequence[int] | None,
    backend: "Backend",
) -> View:
    drawn: list[_Drawn] = []
    share = 1.0
    for transform, row in zip(order, numbers, strict=True):
        if transform is None:
            if offset is not None:
                drawn.append((Roll(), tuple(offset)))
            continue
        one = transform.draw(size, row)
        before, size = size, transform.seen(size)
        if isinstance(one, tuple) and isinstance(one[0], Cut):
            share *= math.prod(size) / math.prod(before)
        if one is not None:
            _append(drawn, one)
    constants = (c for _, numbers in drawn for c in numbers)
    return View(
        size,
        Chain(tuple(move for move, _ in drawn)),
        tuple(
            c if isinstance(c, int) else backend.array(c[:2].ravel()) for c in constants
        ),
        share,
    )


def _append(drawn: list[_Drawn], one: _Drawn) -> None:
    """Adds a move; neighbouring affine maps become one, interpolated once."""
    if drawn and isinstance(one[0], Warp) and isinstance(drawn[-1][0], Warp):
        one = (Warp(), (drawn.pop()[1][0] @ one[1][0],))
    drawn.append(one)


AnyTransform = Flip | Scale | Rotate | Pad | Crop
"""Every transform; adding one is its class and its name here."""
TRANSFORMS: tuple[type[Transform], ...] = get_args(AnyTransform)
