"""Rules of EventBridge and EventBridge Scheduler.

Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox import schedules
from sandbox.rules.rule import Broken, Params, Rule


def _event_rule(params: Params) -> Broken:
    pattern, schedule = params.get("EventPattern"), params.get("ScheduleExpression")
    if not pattern and not schedule:
        return "ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified."
    if schedule and not schedules.is_valid(schedule):
        return "ValidationException", "Parameter ScheduleExpression is not valid."
    return _event_pattern(pattern) if pattern else None


def _event_pattern(pattern: str) -> Broken:
    """A pattern is an object whose leaves are lists."""
    try:
        parsed = json.loads(pattern)
    except (ValueError, RecursionError) as error:
        return "InvalidEventPatternException", f"Event pattern is not valid. Reason: {error}"
    if not isinstance(parsed, dict) or not parsed:
        return "InvalidEventPatternException", "Event pattern is not valid. Reason: Filter is not an object"
    leaf = _bad_leaf(parsed)
    if leaf is None:
        return None
    return (
        "InvalidEventPatternException",
        f'Event pattern is not valid. Reason: "{leaf}" must be an object or an array',
    )


def _bad_leaf(pattern: dict[str, Any]) -> str | None:
    for name, value in pattern.items():
        if isinstance(value, dict):
            if (inner := _bad_leaf(value)) is not None:
                return inner
        elif not isinstance(value, list) or not value:
            return name
    return None


def _schedule(params: Params) -> Broken:
    expression = str(params.get("ScheduleExpression", ""))
    if schedules.is_valid(expression, one_time=True):
        return None
    return "ValidationException", f"Invalid Schedule Expression {expression}."


RULES: Mapping[str, Rule] = {
    "PutRule": _event_rule,
    "CreateSchedule": _schedule,
    "UpdateSchedule": _schedule,
}
