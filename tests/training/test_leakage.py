"""A feature that was written after the outcome is found, and no honest one is taken for it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.spec import parse
from training import leakage

ROWS = 200
MISSING = float("nan")


def _spec(task, kind):
    metric = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "r2"}[task]
    features = {"honest": {"type": "number"}, "outcome": {"type": kind, "nullable": True}}
    data = {"name": "toy", "task": task, "target": "late", "time_column": "at", "features": features}
    return parse({**data, "gate": {"metric": metric}})


def _found(task, kind, outcome, labels):
    noise = np.random.default_rng(0).normal(size=len(labels))
    return leakage.find(np.column_stack([noise, outcome]), np.asarray(labels), _spec(task, kind))


LABELS = np.random.default_rng(1).integers(0, 2, ROWS).astype(float)
ONE = int(np.argmax(LABELS))  # a row with the label 1
DELAY = np.where(LABELS == 1, 15.0, -20.0) + np.random.default_rng(2).uniform(0, 10, ROWS)
WORDS = np.array(["low", "middle", "high"], dtype=object)[np.random.default_rng(3).integers(0, 3, ROWS)]
CODES = np.unique(WORDS.astype(str), return_inverse=True)[1].astype(float)


@pytest.mark.parametrize(
    ("task", "kind", "outcome", "labels"),
    [
        ("binary", "number", DELAY, LABELS),
        ("binary", "number", -DELAY, LABELS),
        ("binary", "number", np.where(LABELS == 1, DELAY, MISSING), LABELS),
        ("binary", "number", LABELS, LABELS),
        ("binary", "boolean", 1 - LABELS, LABELS),
        ("binary", "category", np.where(LABELS == 1, MISSING, 3.0), LABELS),
        ("multiclass", "category", CODES, WORDS),
        ("multiclass", "number", CODES * 100 + np.random.default_rng(4).uniform(0, 50, ROWS), WORDS),
        ("regression", "number", DELAY * 1.609 + 3, DELAY),
    ],
)
def test_a_feature_that_tells_every_label_is_named(task, kind, outcome, labels):
    assert _found(task, kind, outcome, labels) == (
        "the feature outcome alone tells late in all 200 rows to compare on; if it is known only after the "
        "outcome, remove it from the features"
    )


@pytest.mark.parametrize(
    ("task", "kind", "outcome", "labels"),
    [
        ("binary", "category", np.arange(ROWS, dtype=float), LABELS),  # names rows
        ("binary", "number", np.where(np.arange(ROWS) == ONE, -15.0, DELAY), LABELS),  # but for one row
        ("binary", "number", np.full(ROWS, MISSING), LABELS),
        ("binary", "boolean", np.where(np.arange(ROWS) == ONE, 0.0, LABELS), LABELS),
        ("regression", "number", DELAY + np.random.default_rng(5).normal(size=ROWS) / 1000, DELAY),
        ("regression", "category", np.round(DELAY), DELAY),
        ("binary", "number", DELAY[:40], LABELS[:40]),  # few rows may do so by chance
    ],
)
def test_a_feature_that_is_only_good_or_only_unique_is_not(task, kind, outcome, labels):
    assert _found(task, kind, outcome, labels) == ""


@given(st.integers(0, 2**32 - 1), st.integers(2, 50), st.integers(10, 100))
def test_chance_is_not_taken_for_it(seed, values, rare):
    source = np.random.default_rng(seed)
    labels = (np.arange(1000) < rare).astype(float)
    matrix = np.column_stack([source.normal(size=1000), source.integers(0, values, 1000)]).astype(float)
    assert leakage.find(matrix, labels, _spec("binary", "category")) == ""
