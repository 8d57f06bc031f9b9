"""Numbers as they stand in a decision's sentences."""

from __future__ import annotations

import math

_MOST_DIGITS = 12


def number(value: object) -> float:
    """A number of a document somebody else wrote; NaN for anything else."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


def apart(value: float, other: float) -> str:
    """A number with four digits, or as many as tell it from the other one."""
    for digits in range(4, _MOST_DIGITS):
        if f"{value:.{digits}f}" != f"{other:.{digits}f}" or value == other:
            return f"{value:.{digits}f}"
    return repr(value)


def limit(value: float, *, less: bool, passed: bool) -> str:
    """Where something is beside its minimum, or its maximum where less is better."""
    if passed:
        return f"at most {value:g}" if less else f"at least {value:g}"
    return f"above the maximum {value:g}" if less else f"below the minimum {value:g}"
