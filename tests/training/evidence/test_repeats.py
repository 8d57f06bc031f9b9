"""Rows that were pushed again with other times are found, and rows that are merely alike are not."""

import numpy as np
import pandas as pd
import pytest

from models.spec import parse
from training.evidence import fingerprints, repeats

ROWS, START = 10_000, 8_000


def _spec(*names):
    return parse(
        {
            "name": "toy",
            "task": "binary",
            "target": "late",
            "time_column": "at",
            "features": {name: {"type": "number"} for name in names},
        }
    )


def _find(frame, labels, spec, rows_fitted=START, fitted=None):
    marks = fingerprints.of(frame, labels, spec.features)
    known = fingerprints.sample(marks[:START]) if fitted is None else fitted
    return repeats.find(marks, START, known, rows_fitted)


def _world(distinct, seed=0):
    """Rows with so many kinds of values; nearly as many as rows when none is given."""
    random = np.random.default_rng(seed)
    values = random.normal(size=ROWS) if distinct is None else random.zipf(1.5, ROWS) % distinct
    return pd.DataFrame({"x": values}), random.integers(0, 2, ROWS).astype(float)


@pytest.mark.parametrize("distinct", [None, 10, 100, 1000, 10_000, 100_000])
def test_rows_that_are_merely_alike_are_no_leak(distinct):
    for seed in range(5):
        frame, labels = _world(distinct, seed)
        found = _find(frame, labels, _spec("x"))
        assert repeats.too_many(found, "the challenger") == ""
        # The baseline is what there is at most, and not far above it.
        assert -0.03 < found["baseline"] - found["repeated"] < 0.08


@pytest.mark.parametrize(
    ("distinct", "share"), [(None, 0.15), (None, 0.5), (None, 1.0), (10_000, 0.5), (10_000, 1.0)]
)
def test_rows_pushed_again_with_other_times_are(distinct, share):
    frame, labels = _world(distinct)
    again = np.random.default_rng(1).random(ROWS - START) < share
    places = START + np.flatnonzero(again)
    copies = np.random.default_rng(2).choice(START, len(places), replace=False)
    # Rows that are rare, as those of most data are.
    frame.loc[places, "x"] = frame.loc[copies, "x"].to_numpy() if distinct is None else 1e6 + copies
    if distinct is not None:
        frame.loc[copies, "x"] = 1e6 + copies
    labels[places] = labels[copies]
    found = _find(frame, labels, _spec("x"))
    assert "of the rows to compare on repeat rows that the challenger was fitted on" in repeats.too_many(
        found, "the challenger"
    )


def test_the_champions_rows_are_recognised_by_what_travels_with_it():
    frame, labels = _world(None)
    marks = fingerprints.of(frame, labels, _spec("x").features)
    champion = fingerprints.sample(marks[START:])  # it saw these rows, under other times
    assert _find(frame, labels, _spec("x"))["repeated"] == 0.0
    found = _find(frame, labels, _spec("x"), fitted=champion)
    assert found == {"repeated": 1.0, "baseline": 0.0, "rows": ROWS - START}
    assert repeats.too_many(found, "the champion") == (
        "100.0% of the rows to compare on repeat rows that the champion was fitted on, apart from their "
        "time; 0.0% are usual in this data. Were rows pushed again with other times?"
    )


def test_one_row_that_is_there_a_thousand_times_is_usual_whether_it_is_in_the_sample_or_not(monkeypatch):
    monkeypatch.setattr(fingerprints, "SAMPLE", 400)
    for seed in range(40):
        random = np.random.default_rng(seed)
        values = random.normal(size=ROWS)
        values[random.random(ROWS) < 0.3] = seed
        frame, labels = pd.DataFrame({"x": values}), np.zeros(ROWS)
        marks = fingerprints.of(frame, labels, _spec("x").features)
        found = _find(frame, labels, _spec("x"), fitted=fingerprints.sample(marks[:START], 400))
        assert repeats.too_many(found, "the challenger") == ""


def test_a_few_rows_decide_nothing_and_no_sample_says_nothing():
    assert repeats.too_many({"repeated": 1.0, "baseline": 0.0, "rows": 19}, "x") == ""
    assert repeats.too_many(None, "x") == ""
    frame, labels = _world(None)
    assert _find(frame, labels, _spec("x"), fitted=np.empty(0, dtype=np.uint64)) is None
