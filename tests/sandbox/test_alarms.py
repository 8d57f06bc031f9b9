"""The tables of "Configuring how CloudWatch alarms treat missing data", and the limits of a period."""

from __future__ import annotations

import pytest

from sandbox import alarms
from sandbox.alarms import ALARM, INSUFFICIENT_DATA, OK, Rule

RETAIN = "the present state"


def rule(points: int = 3, missing: str = "missing", **more: object) -> Rule:
    values: dict[str, object] = {
        "period_seconds": 60,
        "periods": 3,
        "points_to_alarm": points,
        "threshold": 1.0,
        "comparison": "GreaterThanOrEqualToThreshold",
        "missing": missing,
    }
    return Rule(**(values | more))  # type: ignore[arg-type]


def points(text: str) -> list[float | None]:
    """`X` breaks the threshold, `0` does not, `-` is missing; oldest first, as in AWS's tables."""
    return [{"X": 2.0, "0": 0.0, "-": None}[mark] for mark in text.split()]


# AWS's table for 3 out of 3: data points, then the state when missing is treated as
# missing, ignore, breaching, notBreaching.
THREE_OF_THREE = [
    ("0 - X - X", OK, OK, OK, OK),
    ("- - - - 0", OK, OK, OK, OK),
    ("- - - - -", INSUFFICIENT_DATA, RETAIN, ALARM, OK),
    ("0 X X - X", ALARM, ALARM, ALARM, ALARM),
    ("- - X - -", ALARM, RETAIN, ALARM, OK),
]


@pytest.mark.parametrize(
    ("data", "treatment", "state"),
    [
        (row[0], treatment, state)
        for row in THREE_OF_THREE
        for treatment, state in zip(("missing", "ignore", "breaching", "notBreaching"), row[1:], strict=True)
    ],
)
def test_missing_data_is_treated_as_in_awss_table(data: str, treatment: str, state: str) -> None:
    for present in (OK, ALARM, INSUFFICIENT_DATA):
        new, reason = alarms.evaluate(rule(missing=treatment), points(data), present)
        assert new == (present if state == RETAIN else state)
        assert reason.startswith("Threshold Crossed: ")


@pytest.mark.parametrize(
    ("data", "wanted", "state"), [("0 0 X 0 X", 2, ALARM), ("0 0 X 0 X", 3, OK), ("X X 0 0 0", 2, OK)]
)
def test_only_so_many_of_the_last_periods_have_to_break(data: str, wanted: int, state: str) -> None:
    assert alarms.evaluate(rule(points=wanted), points(data), OK)[0] == state


@pytest.mark.parametrize(
    ("comparison", "value", "breaks"),
    [
        ("GreaterThanThreshold", 1.0, False),
        ("GreaterThanOrEqualToThreshold", 1.0, True),
        ("LessThanThreshold", 1.0, False),
        ("LessThanOrEqualToThreshold", 1.0, True),
    ],
)
def test_a_comparison_means_what_it_says(comparison: str, value: float, breaks: bool) -> None:
    assert rule(comparison=comparison).breaks(value) is breaks


def test_the_period_under_way_counts_once_it_has_data() -> None:
    now = 600.0
    assert alarms.periods(rule(), now, {10: 5.0, 9: 4.0})[-2:] == [4.0, 5.0]
    assert alarms.periods(rule(), now, {9: 4.0})[-1] == 4.0


def test_data_behind_the_evaluation_range_is_not_looked_at() -> None:
    assert alarms.periods(rule(), 600.0, {1: 5.0}) == [None] * 5
