"""Metrics inside log lines: CloudWatch's embedded metric format.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.rules.cloudwatch import is_metric_value

_MARK = '"_aws"'
MAX_VALUES = 100  # the specification: a metric's array of values holds at most 100


def metrics_in(line: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The metrics a log line declares: pairs of namespace and CloudWatch MetricData entries.

    A line that is not of the format, or names a metric it does not hold, declares nothing, as on AWS.
    """
    if _MARK not in line:
        return
    try:
        found = json.loads(line)
        directives = found["_aws"]["CloudWatchMetrics"]
        seconds = float(found["_aws"]["Timestamp"]) / 1000
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return
    if not isinstance(directives, list):
        return
    for directive in directives:
        if isinstance(directive, Mapping) and isinstance(directive.get("Namespace"), str):
            yield directive["Namespace"], list(_data(found, directive, seconds))


def _data(found: Mapping[str, Any], directive: Mapping[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
    for metric in _list(directive.get("Metrics")):
        name = metric.get("Name") if isinstance(metric, Mapping) else None
        values = _numbers(found.get(name)) if isinstance(name, str) else []
        if not values or len(values) > MAX_VALUES:
            continue
        for names in _list(directive.get("Dimensions", [[]])):
            if all(isinstance(n, str) and isinstance(found.get(n), str) for n in _list(names)):
                yield {
                    "MetricName": name,
                    "Dimensions": [{"Name": n, "Value": found[n]} for n in _list(names)],
                    "Unit": metric.get("Unit", "None"),
                    "Timestamp": seconds,
                    "Values": values,
                    "Counts": [1.0] * len(values),
                }


def _numbers(value: object) -> list[float]:
    """The value or values of a metric; none when one of them is no number that CloudWatch takes."""
    values: list[Any] = value if isinstance(value, list) else [value]
    good = all(isinstance(v, (int, float)) and not isinstance(v, bool) and is_metric_value(v) for v in values)
    return [float(v) for v in values] if good else []


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
