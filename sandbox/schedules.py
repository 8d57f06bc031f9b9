"""Checks the schedule expressions of EventBridge rules and EventBridge Scheduler.

Source: "Schedule types in EventBridge Scheduler"
(https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html) and "Setting a schedule pattern
for scheduled rules"
(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html).
"""

from __future__ import annotations

import re
from datetime import datetime

_RATE = re.compile(r"rate\(([1-9]\d*) (minute|minutes|hour|hours|day|days)\)")
_CRON = re.compile(r"cron\((.+)\)")
_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
# Of each field: lowest and highest value, names, and the marks allowed beside `*`, `,`, `-` and `/`.
_FIELDS: tuple[tuple[int, int, list[str], str], ...] = (
    (0, 59, [], ""),
    (0, 23, [], ""),
    (1, 31, [], "?LW"),
    (1, 12, _MONTHS, ""),
    (1, 7, _DAYS, "?L#"),
    (1970, 2199, [], ""),
)
_DAY_OF_MONTH, _DAY_OF_WEEK = 2, 4


def is_valid(expression: str, *, one_time: bool = False) -> bool:
    """Whether a schedule expression is one; `one_time` allows `at(...)`, which only Scheduler has."""
    if rate := _RATE.fullmatch(expression):
        return (rate[1] == "1") != rate[2].endswith("s")
    if cron := _CRON.fullmatch(expression):
        return _is_cron(cron[1].split())
    at = _AT.fullmatch(expression) if one_time else None
    return at is not None and _is_time(at[1])


def _is_cron(fields: list[str]) -> bool:
    """Six fields, and exactly one of the two day fields left open with a question mark."""
    if len(fields) != len(_FIELDS):
        return False
    if (fields[_DAY_OF_MONTH] == "?") == (fields[_DAY_OF_WEEK] == "?"):
        return False
    return all(_is_field(text, *field) for text, field in zip(fields, _FIELDS, strict=True))


def _is_field(text: str, low: int, high: int, names: list[str], marks: str) -> bool:
    if text == "*" or (text == "?" and "?" in marks):
        return True
    return all(_is_item(item, low, high, names, marks) for item in text.split(","))


def _is_item(item: str, low: int, high: int, names: list[str], marks: str) -> bool:
    if _is_mark(item, marks):
        return True
    span, _, step = item.partition("/")
    if "/" in item and not (step.isdecimal() and int(step) > 0):
        return False
    first, _, last = span.partition("-")
    if span == "*":
        return "/" in item
    return all(_is_number(part, low, high, names) for part in ([first, last] if "-" in span else [first]))


def _is_mark(item: str, marks: str) -> bool:
    """L, LW, 15W (days of the month), 3L, 3#2 (days of the week)."""
    if "W" in marks:
        return bool(re.fullmatch(r"L|LW|([1-9]|[12]\d|3[01])W", item))
    return bool("#" in marks and re.fullmatch(r"L|[1-7]L|[1-7]#[1-5]", item))


def _is_number(text: str, low: int, high: int, names: list[str]) -> bool:
    return text.upper() in names or (text.isdecimal() and low <= int(text) <= high)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
