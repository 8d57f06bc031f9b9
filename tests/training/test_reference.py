"""The statistics later traffic is compared with add up to the rows they were made of."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.training.examples import declare
from training.features import Column, FeatureEncoder
from training.reference import build

SPEC = declare()
ENCODER = FeatureEncoder(
    Column(f, {"kind": ("a", "b", "c"), "place": ("x", "y")}.get(f.name, ())) for f in SPEC.features
)
values = st.none() | st.floats(-100, 100)
rows = st.lists(
    st.tuples(st.sampled_from("abc"), st.none() | st.sampled_from("xyz"), values, st.booleans()),
    min_size=1,
    max_size=60,
)


@given(rows)
def test_counts_and_missing_rows_add_up(rows):
    matrix = ENCODER.encode_values(rows)
    result = build(ENCODER, matrix, np.linspace(0, 1, len(rows)))
    for position, name in enumerate(ENCODER.names):
        column = result["features"][name]
        counts = column["counts"]
        present = sum(counts.values() if isinstance(counts, dict) else counts) + column.get("other", 0)
        missing = int(np.isnan(matrix[:, position]).sum())
        assert present == len(rows) - missing
        assert column["missing"] == missing / len(rows)
    assert sum(result["score"]["counts"]) == result["rows"] == len(rows)
    size = result["features"]["size"]
    assert size["edges"] == sorted(set(size["edges"]))
    assert len(size["counts"]) == len(size["edges"]) + 1


def test_categories_are_counted_by_name_and_unknown_ones_together():
    result = build(
        ENCODER, ENCODER.encode_values([("a", "z", 1, True), ("a", "x", None, False)]), np.zeros(2)
    )
    assert result["features"]["kind"]["counts"] == {"a": 2, "b": 0, "c": 0}
    assert result["features"]["place"] == {
        "type": "category",
        "missing": 0.0,
        "counts": {"x": 1, "y": 0},
        "other": 1,
    }
    assert result["features"]["heavy"]["counts"] == {"false": 1, "true": 1}


def test_numbers_have_their_deciles():
    matrix = ENCODER.encode_values([("a", None, v / 10, True) for v in range(1000)])
    size = build(ENCODER, matrix, np.zeros(1000))["features"]["size"]
    assert (size["min"], size["max"], round(size["mean"], 2)) == (0.0, 99.9, 49.95)
    assert size["counts"] == [100] * 10
