"""Tile grids: which cells of every feature map belong to which tile."""

import itertools
from collections.abc import Iterator, Mapping

from keras_dream.geometry import Size
from keras_dream.graph.ops import Span
from keras_dream.graph.regions import Region


def parts_of(cells: int, count: int) -> list[Span]:
    """Returns the spans into which cells are parted, each cell in exactly one.

    Args:
        cells: How many there are.
        count: How many parts; part i of r begins at cell i · cells // r.
    """
    ends = [i * cells // count for i in range(count + 1)]
    return list(itertools.pairwise(ends))


def grid_of(
    sizes: Mapping[str, Size], rows: int, columns: int
) -> Iterator[dict[str, Region]]:
    """Yields the cells of each tile, row by row, from left to right.

    Every cell of every map is in exactly one tile, and every tile has cells of every
    map: where a map has fewer rows or columns than tiles are asked for, there are fewer
    tiles.

    Args:
        sizes: The (height, width) of feature maps in cells, by node.
        rows: Tiles from top to bottom.
        columns: Tiles from left to right.
    """
    counts = (
        min(count, *(size[axis] for size in sizes.values()))
        for axis, count in enumerate((rows, columns))
    )
    down, across = (
        {node: parts_of(size[axis], count) for node, size in sizes.items()}
        for axis, count in enumerate(counts)
    )
    for i in range(len(next(iter(down.values())))):
        for j in range(len(next(iter(across.values())))):
            yield {node: (down[node][i], across[node][j]) for node in sizes}
