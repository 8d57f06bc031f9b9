"""Rows encoded a column at a time are the rows encoded value by value, or none at all."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.spec import Feature
from training.features import Column, FeatureEncoder, ValueRefusedError

FEATURES = (
    Column(Feature(name="listed", type="category", values=("a", "b", "c")), ("a", "b")),
    Column(Feature(name="free", type="category", nullable=True), ("x", "y")),
    Column(Feature(name="name", type="category"), ("x", "y")),
    Column(Feature(name="size", type="number", nullable=True, min=-100, max=100)),
    Column(Feature(name="count", type="number")),
    Column(Feature(name="wide", type="number", nullable=True, min=0, max=2**53)),
    Column(Feature(name="heavy", type="boolean")),
    Column(Feature(name="maybe", type="boolean", nullable=True)),
)
ENCODER = FeatureEncoder(FEATURES)
PLAIN = ["a", "x", "y", 1.5, 3, None, True, None]
TEXTS = ["a", "x", "y", "1.5", "3", "", "true", ""]


def _both(encode, quickly, rows):
    """What the two ways make of the rows; a refusal as its words."""
    found = quickly(rows)
    try:
        expected = encode(rows)
    except (ValueRefusedError, ValueError) as error:
        return found, str(error)
    return found, expected


def _same(found, expected):
    return found is None or (isinstance(expected, np.ndarray) and found.tobytes() == expected.tobytes())


def _by_value(rows):
    return ENCODER._encode(rows, ENCODER._from_values)


def _by_text(rows):
    return ENCODER._encode(rows, ENCODER._from_texts)


values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(["", "a", "c", "x", "zz"]),
    st.sampled_from([0, 1, 2, 0.0, 1.0, 100, 100.0, -100, 2**53, 2**53 + 1, 10**400, -0.0, [], {}, math.nan]),
)  # fmt: skip
texts = st.sampled_from(
    ["", "a", "c", "x", "zz", "0", "1", "true", "TRUE", "tRuE", "false", "1.5", " 1.5 ", "1_0", "nan", "NaN",
     "inf", "-inf", "1e999", "\u0661", "100", "100.0001", "-0", "9007199254740993", "\u00a01", "no"]
) | st.text(max_size=3)  # fmt: skip


@given(st.lists(st.tuples(*[values] * len(PLAIN)), max_size=4), st.integers(0, 7), values)
@example([], 5, 2**53 + 1)
@example([], 3, math.nan)
@example([], 2, "")
def test_values_are_encoded_alike_or_looked_at_one_by_one(rows, place, value):
    changed = [*PLAIN]
    changed[place] = value  # one odd value among plain ones is what the column's way has to notice
    for tried in ([*rows, PLAIN], [PLAIN, changed, PLAIN]):
        assert _same(*_both(_by_value, ENCODER._columnwise.values, tried))


@given(st.lists(st.tuples(*[texts] * len(TEXTS)), max_size=4), st.integers(0, 7), texts)
def test_texts_are_encoded_alike_or_looked_at_one_by_one(rows, place, cell):
    changed = [*TEXTS]
    changed[place] = cell
    for tried in ([*rows, TEXTS], [TEXTS, changed, TEXTS]):
        assert _same(*_both(_by_text, ENCODER._columnwise.texts, tried))


@pytest.mark.parametrize(("rows", "way"), [(PLAIN, "values"), (TEXTS, "texts")])
def test_ordinary_rows_do_take_the_quick_way(rows, way):
    found = getattr(ENCODER._columnwise, way)([rows] * 10)
    assert found is not None
    assert found.shape == (10, 8)
    # Unknown categories, gaps and both spellings of a number are ordinary too.
    other = ["c", "new", "new", None, -7, 2.5, 0, 1] if way == "values" else [
        *("c", "new", "new", "", "-7", "2.5", "0", "1")
    ]  # fmt: skip
    assert getattr(ENCODER._columnwise, way)([rows, other]) is not None


@pytest.mark.parametrize("rows", [[], [PLAIN[:3]], [[*PLAIN, 1]], [PLAIN, PLAIN[:3]]])
def test_rows_of_another_width_are_left_to_the_careful_way(rows):
    assert ENCODER._columnwise.values(rows) is None


def test_a_refusal_among_many_rows_names_its_row():
    rows = [PLAIN] * 9 + [["a", "x", "y", 101, 3, None, True, None]]
    with pytest.raises(ValueRefusedError, match="row 10, column 'size': found 101") as caught:
        ENCODER.encode_values(rows)
    assert caught.value.row == 10
