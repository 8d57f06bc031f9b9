"""Scores that are probabilities have no error, others have theirs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evidence.calibration import measure


def test_probabilities_are_near_the_shares():
    random = np.random.default_rng(0)
    scores = random.random(50_000)
    found = measure((random.random(50_000) < scores).astype(float), scores)
    assert found["error"] < 0.01
    assert [one["rows"] for one in found["bins"]] == [5000] * 10


def test_overconfident_scores_err_by_the_distance():
    labels = np.tile([0.0, 1.0], 500)
    found = measure(labels, np.full(1000, 0.9))
    assert found["bins"] == [{"score": pytest.approx(0.9), "share": 0.5, "rows": 1000}]
    assert found["error"] == pytest.approx(0.4)


def test_few_rows_make_few_bins():
    random = np.random.default_rng(1)
    assert len(measure(np.zeros(120), random.random(120))["bins"]) == 2
    assert len(measure(np.zeros(3), random.random(3))["bins"]) == 1


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.integers(0, 5)), min_size=1, max_size=400))
def test_every_row_is_in_one_bin_and_equal_scores_in_the_same(rows):
    labels, scores = (np.array(values, dtype=float) for values in zip(*rows, strict=True))
    found = measure(labels, scores / 5)
    assert sum(one["rows"] for one in found["bins"]) == len(rows)
    assert 0 <= found["error"] <= 1
    total = sum(one["share"] * one["rows"] for one in found["bins"])
    assert total == pytest.approx(labels.sum())
    edges = [one["score"] for one in found["bins"]]
    assert edges == sorted(edges)
