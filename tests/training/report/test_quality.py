"""Only what is whole is drawn."""

import math

import pytest

from training.report import confusion, losses, quality


def test_points_that_are_none_are_left_out():
    value = [[0, 0], [0.5, None], [0.5], "ab", [math.nan, 1], [2.0, 0.5], [1, 1]]
    assert quality.pairs(value, 100, 0.0, 1.0) == [(0.0, 0.0), (1.0, 1.0)]
    assert quality.pairs(value, 100) == [(0.0, 0.0), (2.0, 0.5), (1.0, 1.0)]
    assert quality.pairs(None, 100) == []
    assert quality.pairs([[1, 1]] * 9, 5) == [(1.0, 1.0)] * 5


def test_a_histogram_is_edges_and_counts_that_fit():
    assert quality.histogram({"edges": [0, 1, 2], "counts": [3, 4]}) == ([0.0, 1.0, 2.0], [3.0, 4.0])


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"edges": [0, 1], "counts": [3, 4]},
        {"edges": [0, 1, 1], "counts": [3, 4]},
        {"edges": [0, None, 2], "counts": [3, 4]},
        {"edges": [0, 1, 2], "counts": [3, -4]},
        {"edges": list(range(202)), "counts": [1] * 201},
    ],
)
def test_a_histogram_that_does_not_fit_is_not_drawn(value):
    assert quality.histogram(value) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"labels": [], "counts": []},
        {"labels": ["a", "b"], "counts": [[1, 2]]},
        {"labels": ["a", "b"], "counts": [[1, 2], [3]]},
        {"labels": ["a", "b"], "counts": [[1, 2], [3, None]]},
        {"labels": ["a"] * 21, "counts": [[1] * 21] * 21},
    ],
)
def test_a_confusion_table_that_is_not_square_is_not_shown(value):
    assert confusion.read(value) is None


def test_a_slice_without_an_error_never_loses():
    """One block is one stroke of luck, however large the loss."""
    one = {
        "feature": "f",
        "value": "v",
        "rows": 300,
        "loss": 0.9,
        "standard_error": None,
        "effective_blocks": 1.0,
    }
    (found,) = losses.read({"slices": [one]}, 0.95, 0.05)
    assert (found.lost, found.reach, found.words) == (False, None, "no clear difference")


def test_all_slices_share_what_is_left_to_chance():
    one = {"feature": "f", "value": "v", "loss": 0.1, "standard_error": 0.04, "effective_blocks": 500.0}
    (alone,) = losses.read({"slices": [one]}, 0.95, 0.05)
    among = losses.read({"slices": [one] * 20}, 0.95, 0.05)
    assert alone.lost
    assert not any(other.lost for other in among)
    assert among[0].reach > alone.reach


def test_the_gate_that_decided_sets_the_limits():
    assert losses.limits({"gate": {"confidence": 0.9, "max_slice_loss": 0.2}}, 0.95, 0.05) == (0.9, 0.2)
    assert losses.limits({"gate": {"confidence": 1.0}}, 0.95, 0.05) == (0.95, 0.05)
    assert losses.limits({}, 0.95, 0.05) == (0.95, 0.05)
