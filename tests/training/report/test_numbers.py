"""Numbers read well, and axes have round ones."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.report.numbers import MINUS, NOTHING, Scale, alike, axis, finite, percent, shown, signed, whole


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.640573, "0.6406"),
        (1_759, "1,759"),
        (12.3456, "12.346"),
        (-0.5, f"{MINUS}0.5000"),
        (-3, f"{MINUS}3"),
        (0.0, "0.0000"),
        (0.00012345, "0.000123"),
        (1.5e12, "1.5e+12"),
        (math.nan, NOTHING),
        (math.inf, NOTHING),
        (None, NOTHING),
        (True, NOTHING),
        ("1", NOTHING),
        (10**400, NOTHING),
    ],
)
def test_a_number_has_the_digits_that_matter(value, text):
    assert shown(value) == text


def test_differences_have_signs():
    assert (signed(0.0635), signed(-0.0635), signed(0.0), signed(None)) == (
        "+0.0635", f"{MINUS}0.0635", "0.0000", NOTHING,
    )  # fmt: skip


def test_a_column_has_the_same_decimals_throughout():
    assert alike([0.05846, -0.0000077, -0.0013]) == ["+0.0585", "0.0000", f"{MINUS}0.0013"]
    assert alike([0.00123, -0.0004]) == ["+0.00123", f"{MINUS}0.00040"]
    assert alike([12_345.6, -3.2]) == ["+12,346", f"{MINUS}3"]
    assert alike([]) == []


def test_shares_are_percentages():
    assert [percent(s) for s in (0.034, 0.9999, 1.0, 0.0, 0.0012, None)] == [
        "3.4 %", "100 %", "100 %", "0 %", "0.12 %", NOTHING,
    ]  # fmt: skip


def test_what_cannot_be_drawn_is_no_number():
    assert [finite(v) for v in (1, 2.5, "3", None, False, math.nan, 1e301)] == [1.0, 2.5, *[None] * 5]
    assert [whole(v) for v in (3, 3.7, -1, None)] == [3, 3, None, None]


@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12), st.integers(1, 10))
def test_an_axis_covers_its_values_with_few_round_ticks(a, b, ticks):
    low, high = min(a, b), max(a, b)
    found = axis(low, high, ticks)
    slack = 1e-6 * max(abs(low), abs(high), 1e-12)
    assert found.low <= low + slack
    assert found.high >= high - slack
    assert 1 <= len(found.ticks) <= 2 * ticks + 3
    mantissa = found.step / 10 ** math.floor(math.log10(found.step) + 1e-9)
    assert min(abs(mantissa - round_one) for round_one in (1, 2, 5)) < 1e-6


def test_a_scale_keeps_what_is_beyond_it_at_its_ends():
    scale = Scale(0.0, 2.0, 10.0, 110.0)
    assert [scale(v) for v in (-1.0, 0.0, 1.0, 2.0, 9.0)] == [10.0, 10.0, 60.0, 110.0, 110.0]
