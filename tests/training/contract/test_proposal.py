"""What a column's values suggest: never narrower than what was seen, and in numbers a person would write."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.contract.proposal import Facts, outward, propose, rounded


def _facts(**known):
    return Facts(**{"name": "x", "rows": 1000, "distinct": 1000, **known})


def _numbers(low, high, **known):
    return _facts(numbers=1000, low=low, high=high, **known)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (17, 4983, (0, 7000)),
        (990.1, 1042.3, (970, 1060)),
        (-9.9, 99.1, (-40, 130)),
        (0, 0.81, (0, 1.0)),
        (0.02, 1, (0, 1)),
        (-40, -3, (-50, 0)),
        (7, 7, (5, 9)),
        (0, 0, (0, None)),
        (0.00012, 0.00019, (0.0001, 0.00021)),
        (-1e300, 1e300, (None, None)),
    ],
)
def test_a_range_is_rounded_outward(low, high, expected):
    assert outward(low, high) == pytest.approx(expected)


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite, finite)
def test_what_was_seen_is_never_outside(one, other):
    low, high = sorted((one, other))
    least, most = outward(low, high)
    assert least is None or least <= low
    assert most is None or most >= high
    assert all(value is None or math.isfinite(value) for value in (least, most))


@given(st.floats(0, 1e200), st.floats(0, 1e200))
def test_numbers_that_are_never_negative_stay_so(one, other):
    assert outward(*sorted((one, other)))[0] >= 0


@given(st.lists(st.floats(-1e12, 1e12), min_size=9, max_size=9).map(sorted))
def test_rounding_keeps_the_order(values):
    kept = [rounded(value) for value in values]
    assert kept == sorted(kept)


def test_a_number_has_a_range_and_deciles():
    proposal = propose(_numbers(17, 4983, deciles=(200.04, 431, 569, 738, 888, 1028.44, 1096, 1598, 2446)))
    assert proposal.options == {
        "type": "number",
        "min": 0,
        "max": 7000,
        "deciles": [200, 431, 569, 738, 888, 1028, 1096, 1598, 2446],
    }
    assert proposal.note == "seen from 17 to 4983"


def test_a_column_without_a_shape_has_no_deciles():
    proposal = propose(_numbers(0, 3, deciles=(0, 0, 0, 0, 0, 0, 0, 1, 3)))
    assert "deciles" not in proposal.options
    assert "no deciles" in proposal.note


def test_noughts_and_ones_may_be_a_boolean():
    assert "a boolean, if" in propose(_numbers(0, 1, values=("0", "1"), distinct=2)).note


def test_a_few_texts_are_listed():
    proposal = propose(_facts(distinct=3, values=("b", "a", "c"), missing=4))
    assert proposal.options == {"type": "category", "nullable": True, "values": ["a", "b", "c"]}
    assert "missing in 4 of 1,000 rows" in proposal.note


def test_many_texts_or_rare_ones_are_not_listed():
    assert propose(_facts(distinct=400)).options == {"type": "category"}
    assert propose(_facts(rows=20, distinct=3, values=("a", "b", "c"))).options == {"type": "category"}


def test_numbers_among_texts_are_pointed_out():
    assert "990 of 1,000 are numbers" in propose(_facts(distinct=400, numbers=990)).note


def test_words_for_true_and_false_are_a_boolean():
    assert propose(_facts(words=1000, distinct=2)).options == {"type": "boolean"}


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (_facts(missing=1000), "no row has a value"),
        (_facts(times=1000), "holds times"),
        (_facts(), "another text in every row"),
    ],
)
def test_what_is_no_input_of_a_model_is_left_out_with_the_reason(facts, words):
    proposal = propose(facts)
    assert proposal.options is None
    assert words in proposal.note
