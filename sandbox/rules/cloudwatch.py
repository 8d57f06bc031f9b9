"""Rules of CloudWatch.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html,
…API_PutMetricData.html
"""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.rules.rule import Broken, Params, Rule

_SHORT_PERIODS = (10, 20, 30)
_DAY_SECONDS, _WEEK_SECONDS, _HOUR_SECONDS = 86_400, 604_800, 3600
_MISSING_DATA = ("breaching", "notBreaching", "ignore", "missing")
_MAX_METRIC_VALUE = 2.0**360


def _alarm(params: Params) -> Broken:
    problem = _alarm_metric(params) or _alarm_time(params)
    treatment = params.get("TreatMissingData")
    if problem is None and treatment is not None and treatment not in _MISSING_DATA:
        problem = (
            f"The value {treatment} for parameter TreatMissingData is not one of {', '.join(_MISSING_DATA)}"
        )
    return ("ValidationError", problem) if problem else None


def _alarm_metric(params: Params) -> str | None:
    if "Metrics" in params:
        clash = [
            name
            for name in ("MetricName", "Namespace", "Statistic", "Period", "Dimensions")
            if params.get(name)
        ]
        return f"Metrics cannot be given together with {', '.join(clash)}" if clash else None
    missing = [name for name in ("MetricName", "Namespace", "Period") if not params.get(name)]
    if missing:
        return f"{', '.join(missing)} must be given for an alarm on a metric"
    if ("Statistic" in params) == ("ExtendedStatistic" in params):
        return "Exactly one of Statistic and ExtendedStatistic must be given"
    return None


def _alarm_time(params: Params) -> str | None:
    period, count = int(params.get("Period") or 60), int(params.get("EvaluationPeriods") or 1)
    if period not in _SHORT_PERIODS and period % 60:
        return f"The Period {period} is invalid: valid values are 10, 20, 30 and any multiple of 60"
    longest = _WEEK_SECONDS if period >= _HOUR_SECONDS else _DAY_SECONDS
    if period * count > longest:
        return f"Metrics cannot be checked across more than {longest} seconds (EvaluationPeriods * Period)"
    points = params.get("DatapointsToAlarm")
    if points is not None and int(points) > count:
        return f"DatapointsToAlarm {points} must not be greater than EvaluationPeriods {count}"
    return None


def _metric_data(params: Params) -> Broken:
    if str(params.get("Namespace", "")).startswith("AWS/"):
        return "InvalidParameterValue", "The value AWS/ for parameter Namespace is invalid."
    for datum in params.get("MetricData") or []:
        numbers = [datum.get("Value"), *(datum.get("Values") or [])]
        bad = [number for number in numbers if number is not None and not is_metric_value(number)]
        if bad:
            return "InvalidParameterValue", f"The value {bad[0]} for parameter MetricData is invalid."
    return None


def is_metric_value(number: float) -> bool:
    """Whether CloudWatch takes the number as the value of a metric."""
    return abs(number) <= _MAX_METRIC_VALUE  # neither NaN nor infinity is


RULES: Mapping[str, Rule] = {
    "PutMetricAlarm": _alarm,
    "PutMetricData": _metric_data,
}
