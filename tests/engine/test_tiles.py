"""Tiles of a gradient: their grids, and that all together are the whole."""

from collections import Counter

from hypothesis import given, strategies as st

from keras_dream.engine.tiles import grid_of

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(st.lists(SIZES, min_size=1, max_size=3), st.integers(1, 12), st.integers(1, 12))
def test_every_cell_is_in_one_tile(sizes, rows, columns):
    maps = {f"node {number}": size for number, size in enumerate(sizes)}
    tiles = list(grid_of(maps, rows, columns))
    for node, (height, width) in maps.items():
        cells = Counter(
            (i, j)
            for tile in tiles
            for i in range(*tile[node][0])
            for j in range(*tile[node][1])
        )
        assert cells == {(i, j): 1 for i in range(height) for j in range(width)}
        assert all(first < end for tile in tiles for first, end in tile[node])
    smallest = [min(side) for side in zip(*sizes, strict=True)]
    assert len(tiles) == min(rows, smallest[0]) * min(columns, smallest[1])
