"""Equal rows have equal fingerprints, whatever their order, and others do not."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.spec import Feature
from training.evidence import fingerprints

FEATURES = (
    Feature(name="kind", type="category"),
    Feature(name="size", type="number"),
    Feature(name="heavy", type="boolean"),
)
row = st.tuples(
    st.none() | st.text(max_size=3),
    st.none() | st.floats(allow_nan=False),
    st.sampled_from([0.0, 1.0, None]),
    st.sampled_from([0.0, 1.0]),
)


def _of(rows, features=FEATURES):
    frame = pd.DataFrame(
        {
            "kind": pd.Series([r[0] for r in rows], dtype=object),
            "size": pd.Series([r[1] for r in rows], dtype="float64"),
            "heavy": pd.Series([r[2] for r in rows], dtype="float64"),
        }
    )
    return fingerprints.of(frame, np.array([r[3] for r in rows]), features)


@given(st.lists(row, min_size=1, max_size=20))
def test_rows_are_alike_exactly_when_their_values_are(rows):
    numbers = _of(rows)
    same = [tuple(0.0 if v == 0 else v for v in r) for r in rows]  # minus zero is zero
    for i, one in enumerate(same):
        for j, other in enumerate(same):
            assert (numbers[i] == numbers[j]) == (one == other)
    assert np.array_equal(_of(rows[::-1]), numbers[::-1])


def test_the_order_of_the_features_does_not_matter_but_their_names_do():
    rows = [("a", 1.0, 0.0, 1.0)]
    assert np.array_equal(_of(rows), _of(rows, FEATURES[::-1]))
    assert _of([("a", 1.0, 0.0, 1.0)]) != _of([("a", 0.0, 1.0, 1.0)])


def test_they_are_the_same_everywhere_and_always():
    """Fingerprints of older models are compared with those of today: another number is another format."""
    assert _of([("UA", 2.5, 1.0, 0.0), (None, None, None, 1.0)]).tolist() == [
        5720598927046712926,
        1732951915325289565,
    ]


def test_labels_may_be_texts():
    frame = pd.DataFrame({"size": [1.0, 1.0, 1.0]})
    labels = np.array(["low", "high", "low"], dtype=object)
    one, other, again = fingerprints.of(frame, labels, (Feature(name="size"),))
    assert one == again
    assert one != other


def test_a_sample_is_sorted_distinct_and_tells_only_of_its_range(monkeypatch):
    monkeypatch.setattr(fingerprints, "SAMPLE", 100)
    random = np.random.default_rng(0)
    numbers = random.integers(0, 2**63, 1000, dtype=np.uint64)
    kept = fingerprints.sample(np.concatenate([numbers, numbers]), 100)
    assert kept.tolist() == sorted(set(numbers.tolist()))[:100]
    assert fingerprints.tells_of(kept, numbers).sum() == 100
    assert fingerprints.tells_of(kept[:50], numbers).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_sample_knows_the_share_of_known_rows(share):
    random = np.random.default_rng(1)
    fitted = random.integers(0, 2**63, 200_000, dtype=np.uint64)
    fresh = random.integers(0, 2**63, 50_000, dtype=np.uint64)
    fresh[: int(share * len(fresh))] = fitted[: int(share * len(fresh))]
    kept = fingerprints.sample(fitted)
    told = fresh[fingerprints.tells_of(kept, fresh)]
    assert len(kept) == fingerprints.SAMPLE
    assert np.isin(told, kept).mean() == pytest.approx(share, abs=0.03)
