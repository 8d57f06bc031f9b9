"""Decides the state of a CloudWatch alarm on one metric.

Source: "Configuring how CloudWatch alarms treat missing data"
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html), whose tables
are the tests. One difference, for speed: the period under way counts as soon as it has data, instead of after
its end.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"

# Periods looked at beside the evaluation periods, to find real data points behind gaps.
_EXTRA_PERIODS = 2

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}


@dataclass(frozen=True)
class Rule:
    """When an alarm goes off: `points_to_alarm` of `periods` periods break the threshold."""

    period_seconds: int
    periods: int
    points_to_alarm: int
    threshold: float
    comparison: str
    missing: str = "missing"

    def breaks(self, value: float) -> bool:
        """Whether a period's value is on the wrong side. Raises KeyError for anomaly bands."""
        return _COMPARE[self.comparison](value, self.threshold)


def supported(comparison: str) -> bool:
    """Whether alarms with this comparison are evaluated here: the ones on anomaly bands are not."""
    return comparison in _COMPARE


def periods(rule: Rule, now: float, values: Mapping[int, float]) -> list[float | None]:
    """The values of the periods to look at, oldest first. `values` is by period number since the epoch."""
    current = math.floor(now / rule.period_seconds)
    newest = current if current in values else current - 1
    count = rule.periods + _EXTRA_PERIODS
    return [values.get(number) for number in range(newest - count + 1, newest + 1)]


def evaluate(rule: Rule, found: Sequence[float | None], state: str) -> tuple[str, str]:
    """The new state and its reason, from the periods' values (oldest first) and the present state."""
    real = [value for value in found if value is not None][-rule.periods :]
    gaps = rule.periods - len(real)
    breaking = [value for value in real if rule.breaks(value)]
    if rule.missing == "breaching" and gaps:
        new = _state(len(breaking) + gaps >= rule.points_to_alarm)
    elif rule.missing == "notBreaching" and gaps:
        new = _state(len(breaking) >= rule.points_to_alarm)
    elif rule.missing == "ignore" and gaps:
        undecided = len(breaking) < rule.points_to_alarm <= len(breaking) + gaps
        new = state if undecided else _state(len(breaking) >= rule.points_to_alarm)
    elif not real:
        new = INSUFFICIENT_DATA
    else:
        new = _state(len(breaking) >= min(rule.points_to_alarm, len(real)))
    return new, _reason(rule, real, breaking, gaps)


def _state(alarmed: bool) -> str:
    return ALARM if alarmed else OK


def _reason(rule: Rule, real: list[float], breaking: list[float], gaps: int) -> str:
    if not real:
        treated = (
            ""
            if rule.missing == "missing"
            else f" and {gaps} missing datapoints were treated as [{rule.missing}]"
        )
        return f"Threshold Crossed: no datapoints were received for {gaps} periods{treated}."
    shown = ", ".join(str(value) for value in reversed(real))
    side = {
        "GreaterThanOrEqualToThreshold": "greater than or equal to",
        "GreaterThanThreshold": "greater than",
    }
    words = side.get(rule.comparison) or rule.comparison.removesuffix("Threshold")
    return (
        f"Threshold Crossed: {len(breaking)} out of the last {rule.periods} datapoints [{shown}] were "
        f"{words} the threshold ({rule.threshold}) (minimum {rule.points_to_alarm} datapoints for a change)."
    )
