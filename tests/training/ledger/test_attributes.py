"""Plain data survives the way into DynamoDB and back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.ledger.attributes import pack, unpack

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**37), 10**37)
    | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x == 0 or 1e-100 < abs(x) < 1e100),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_what_goes_in_comes_out(value):
    assert unpack(pack(value)) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300, 1e-300, 10**40])
def test_a_number_dynamodb_cannot_hold_becomes_text(value):
    assert unpack(pack(value)) == str(value)


def test_what_is_not_data_is_refused():
    with pytest.raises(TypeError, match="found a set"):
        pack({1})


def test_sets_written_by_others_are_read_as_sorted_lists():
    assert unpack({"SS": ["b", "a"]}) == ["a", "b"]
    assert unpack({"NS": ["2", "1.5"]}) == [1.5, 2]
