"""Properties of sizes, shifts and taps."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from keras_dream.geometry import jitter_offsets, octave_count, octave_sizes, taps

METHODS = ("lanczos3", "linear", "linear_corners")
SIDES = st.integers(1, 300)


@given(st.integers(300, 20_000), st.floats(0.7, 1), st.floats(1.1, 2))
def test_the_first_octave_is_about_250_pixels_long(longer, ratio, scale):
    size = (longer, round(longer * ratio))
    count = octave_count(size, scale, most=1000)
    first = longer / scale ** (count - 1)
    assert 250 / scale**0.501 < first < 250 * scale**0.501


def test_a_strip_gets_fewer_octaves():
    sizes = octave_sizes(
        (400, 4000),
        octaves=octave_count((400, 4000), 1.4, most=64),
        octaves_above=0,
        octave_scale=1.4,
        rule="direct",
    )
    assert sizes[0][0] >= 64
    assert octave_count((30, 4000), 1.4, most=64) == 1
    assert octave_count((4000, 4000), 1.0001, most=64) == 64


@pytest.mark.parametrize("method", METHODS)
@given(SIDES, SIDES)
def test_taps_average_cells_that_exist(method, n_in, n_out):
    cells, weights = taps(n_in, n_out, method)
    assert cells.shape == weights.shape
    assert len(cells) == n_out
    assert cells.dtype == np.int64
    assert weights.dtype == np.float32
    assert cells.min() >= 0
    assert cells.max() < n_in
    assert np.abs(weights.sum(1) - 1).max() < 1e-6


@pytest.mark.parametrize("method", METHODS)
@given(SIDES)
def test_taps_of_the_same_size_change_nothing(method, n):
    cells, weights = taps(n, n, method)
    whole = np.zeros((n, n))
    np.add.at(whole, (np.arange(n)[:, None], cells), weights)
    assert np.abs(whole - np.eye(n)).max() < 1e-6


@pytest.mark.parametrize("method", METHODS)
@given(SIDES, SIDES)
def test_taps_are_symmetric(method, n_in, n_out):
    """A mirrored picture becomes the mirrored result."""
    if method == "linear_corners" and n_out == 1:
        return  # of two corners it can keep only the first, as scipy does
    cells, weights = taps(n_in, n_out, method)
    values = np.random.default_rng(0).uniform(size=n_in)
    ahead = (values[cells] * weights).sum(1)
    back = (values[::-1][cells] * weights).sum(1)[::-1]
    assert np.abs(ahead - back).max() < 1e-5


@given(st.integers(2, 300), st.integers(2, 300))
def test_corners_stay(n_in, n_out):
    cells, weights = taps(n_in, n_out, "linear_corners")
    values = np.arange(n_in)
    found = (values[cells] * weights).sum(1)
    assert found[0] == 0
    assert found[-1] == pytest.approx(n_in - 1, rel=1e-6)
    assert (np.diff(found) > 0).all()


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.integers(1, 64),
    st.integers(0, 8),
    st.floats(1.01, 16),
    st.sampled_from(["direct", "chained"]),
)
def test_octaves_grow(size, octaves, above, scale, rule):
    found = octave_sizes(
        size, octaves=octaves, octaves_above=above, octave_scale=scale, rule=rule
    )
    assert len(found) == octaves + above
    assert found[octaves - 1] == size
    for axis in (0, 1):
        sides = [each[axis] for each in found]
        assert sides == sorted(sides)
        assert min(sides) >= 0


@given(st.integers(1, 3000), st.integers(1, 6), st.floats(1.05, 3))
def test_direct_octaves_truncate_one_division(side, octaves, scale):
    found = octave_sizes(
        (side, side),
        octaves=octaves,
        octaves_above=0,
        octave_scale=scale,
        rule="direct",
    )
    expected = [int(side / scale**i) for i in range(octaves)][::-1]
    assert [h for h, _ in found] == expected


def test_powers_beyond_the_floats_make_nothing():
    sizes = octave_sizes(
        (9, 9), octaves=2000, octaves_above=0, octave_scale=16.0, rule="direct"
    )
    assert sizes[0] == (0, 0)


@settings(max_examples=50)
@given(
    st.integers(0, 2**63 - 1),
    st.integers(0, 63),
    st.integers(0, 40),
    st.integers(0, 99),
)
def test_jitter_is_bounded_and_repeats(seed, octave, steps, jitter):
    found = jitter_offsets(seed, octave, steps, jitter)
    assert found.shape == (steps, 2)
    assert np.abs(found).max(initial=0) <= jitter
    assert (found == jitter_offsets(seed, octave, steps, jitter)).all()


def test_jitter_reaches_both_ends_evenly():
    found = jitter_offsets(7, 0, 20_000, 2)
    counts = np.unique(found, return_counts=True)
    assert counts[0].tolist() == [-2, -1, 0, 1, 2]
    # Five standard deviations of a binomial count.
    spread = 5 * math.sqrt(40_000 * 0.2 * 0.8)
    assert np.abs(counts[1] - 8000).max() < spread


def test_jitter_is_the_same_for_ever():
    """Recipes of old give the same dream: PCG64's stream is fixed by numpy."""
    assert jitter_offsets(0, 0, 3, 16).tolist() == JITTER_0
    assert (jitter_offsets(0, 1, 3, 16) != jitter_offsets(0, 0, 3, 16)).any()
    # A longer octave begins like a shorter one.
    assert (jitter_offsets(5, 2, 9, 16)[:4] == jitter_offsets(5, 2, 4, 16)).all()


JITTER_0 = [[12, 5], [0, -8], [-6, -15]]


@pytest.mark.parametrize("method", METHODS)
@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 40))
def test_wrapped_taps_do_not_know_where_the_edge_is(method, n_in, scale, shift):
    """Shifted cells become shifted cells, as far as whole cells of both go."""
    values = np.random.default_rng(0).uniform(size=n_in)
    cells, weights = taps(n_in, n_in * scale, method, wrap=True)
    assert cells.min() >= 0
    assert cells.max() < n_in
    larger = (values[cells] * weights).sum(1)
    shifted = (np.roll(values, shift)[cells] * weights).sum(1)
    assert np.abs(np.roll(larger, shift * scale) - shifted).max() < 1e-5
    cells, weights = taps(n_in * scale, n_in, method, wrap=True)
    back = (larger[cells] * weights).sum(1)
    shifted = (np.roll(larger, shift * scale)[cells] * weights).sum(1)
    assert np.abs(np.roll(back, shift) - shifted).max() < 1e-5
