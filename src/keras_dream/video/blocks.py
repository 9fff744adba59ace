"""The parts of a film that are dreamed by themselves: scenes, or blocks of them.

A block within a scene begins some frames early. These are dreamed twice, by it and by
the block before it, and are mixed: so each block fades into the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_dream.recipe.video import VideoSettings
from keras_dream.video.folder import Place


@dataclass(frozen=True)
class Block:
    """Frames that are dreamed one after the other.

    Attributes:
        part: The block's number, from 0.
        first: The number of its first frame.
        last: That of the one after its last.
        early: How many of its first frames are those of the block before it, too.
    """

    part: int
    first: int
    last: int
    early: int = 0

    @property
    def places(self) -> tuple[Place, ...]:
        """Where its frames belong, in the order of work."""
        return tuple(Place(self.part, n) for n in range(self.first, self.last))


def blocks_of(
    cuts: Sequence[int], frames: int, settings: VideoSettings
) -> tuple[Block, ...]:
    """Returns the blocks of a film, in order.

    Args:
        cuts: The numbers of the frames that begin a scene, the first of them 0.
        frames: How many frames the film has.
        settings: `block` and `overlap` are used. A block begins no earlier than the one
            before it, so that no more than two are mixed.
    """
    blocks: list[Block] = []
    for first, last in zip(cuts, (*cuts[1:], frames), strict=True):
        length = settings.block or last - first
        for begin in range(first, last, length):
            early = 0 if begin == first else min(settings.overlap, length)
            end = min(begin + length, last)
            blocks.append(Block(len(blocks), begin - early, end, early))
    return tuple(blocks)


def shares_of(
    blocks: Sequence[Block], frames: int
) -> tuple[tuple[tuple[Place, float], ...], ...]:
    """Returns of which dreams each frame of a film is mixed, and their shares.

    Args:
        blocks: Of the film.
        frames: How many frames it has.
    """
    shares: list[tuple[tuple[Place, float], ...]] = [() for _ in range(frames)]
    for block in blocks:
        for place in block.places:
            own = (place.number - block.first + 1) / (block.early + 1)
            if own >= 1:
                shares[place.number] = ((place, 1.0),)
            else:
                ((other, _),) = shares[place.number]
                shares[place.number] = ((other, 1 - own), (place, own))
    return tuple(shares)


def mixed(pictures: Sequence[tuple[np.ndarray, float]]) -> np.ndarray:
    """Returns the mean of pictures, each with its share, as their type has it.

    Args:
        pictures: uint8 or uint16 of one shape, and shares that add up to 1.
    """
    if len(pictures) == 1:
        return pictures[0][0]
    kind = pictures[0][0].dtype
    total = sum(np.float32(share) * picture for picture, share in pictures)
    return np.rint(total).clip(0, np.iinfo(kind).max).astype(kind)
