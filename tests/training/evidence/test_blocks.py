"""Rows fall into spans of time, and draws put whole spans back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evidence.blocks import Blocks, draws, number

TIMES = np.array(
    ["2024-01-01T23:10", "2024-01-01T23:50", "2024-01-02T00:00", "2024-01-03T23:59", "2024-01-04T00:00"],
    dtype="datetime64[us]",
)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("row", [0, 1, 2, 3, 4]),
        ("hour", [0, 0, 1, 2, 3]),
        ("day", [0, 0, 1, 2, 3]),
        ("week", [0, 0, 0, 0, 1]),
    ],
)
def test_rows_of_one_span_are_one_block(block, expected):
    """Weeks begin on Thursdays, as the calendar of numpy does: 4 January 2024 was one."""
    found = number(TIMES, block)
    assert (found.of_rows.tolist(), found.count) == (expected, max(expected) + 1)


def test_some_rows_have_their_own_blocks():
    part = Blocks(np.array([0, 0, 3, 3, 5]), 6).part(np.array([2, 3, 4]))
    assert (part.of_rows.tolist(), part.count) == ([0, 0, 1], 2)


@pytest.mark.parametrize(
    ("sizes", "expected"), [([4, 4, 4], 3.0), ([98, 1, 1], 1.0410), ([7], 1.0), ([], 0.0)]
)
def test_blocks_of_different_size_tell_less(sizes, expected):
    rows = np.repeat(np.arange(len(sizes)), sizes)
    assert Blocks(rows, len(sizes)).effective() == pytest.approx(expected, abs=1e-4)


@given(st.integers(1, 50), st.integers(1, 60), st.integers(1, 200_000), st.integers(0, 99))
def test_every_draw_has_as_many_blocks_as_there_are(blocks, resamples, rows, seed):
    turns = list(draws(blocks, resamples, rows, seed))
    drawn = np.concatenate(turns)
    assert drawn.shape == (resamples, blocks)
    assert (drawn.sum(axis=1) == blocks).all()
    again = np.concatenate(list(draws(blocks, resamples, rows, seed)))
    assert np.array_equal(drawn, again)


def test_each_block_is_drawn_as_often_as_any_other():
    drawn = np.concatenate(list(draws(10, 4000, 10, 0)))
    assert drawn.mean(axis=0) == pytest.approx(np.ones(10), abs=0.06)
    assert drawn.var(axis=0) == pytest.approx(np.full(10, 0.9), abs=0.1)
