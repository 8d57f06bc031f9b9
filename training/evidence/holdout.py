"""Says which rows two models were compared on, so that others can count how often they were."""

from __future__ import annotations

from typing import Any

import numpy as np


def describe(times: np.ndarray) -> dict[str, Any]:
    """First and last time of the rows held out, how many there are, and how many on each day.

    Args:
        times: Ascending times of the rows.
    """
    days, counts = np.unique(times.astype("datetime64[D]"), return_counts=True)
    return {
        "from": iso(times[0]),
        "to": iso(times[-1]),
        "rows": len(times),
        "days": {str(day): int(count) for day, count in zip(days, counts, strict=True)},
    }


def iso(moment: np.datetime64) -> str:
    """A time as text, such as 2013-01-31T06:15:00."""
    return str(moment.astype("datetime64[us]").item().isoformat())
