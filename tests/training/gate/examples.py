"""Evaluations as training jobs write them, with all that a gate looks at."""

from __future__ import annotations

from typing import Any

from models.spec import LOWER_IS_BETTER

ROWS = 26_720


def evaluation(
    challenger: float = 0.7562,
    champion: float | None = 0.7276,
    *,
    metric: str = "roc_auc",
    standard_error: float = 0.002,
    blocks: int = 720,
    block: str = "hour",
    **changes: Any,
) -> dict[str, Any]:
    """An evaluation on which every check passes, unless changed."""
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    paired = None
    if champion is not None:
        paired = {
            "metric": metric,
            "gain": sign * (challenger - champion),
            "standard_error": standard_error,
            "blocks": blocks,
            "effective_blocks": float(blocks),
            "block": block,
            "resamples": 1000,
        }
    return {
        "schema": 2,
        "model": "toy",
        "run_id": "r1234567890",
        "metric": metric,
        "rows": {
            "available": 90_000,
            "total": 90_000,
            "fitted": 90_000 - ROWS,
            "holdout": ROWS,
            "duplicates": 0,
        },
        "challenger": {metric: challenger},
        "champion": None if champion is None else {metric: champion},
        "champion_run_id": None if champion is None else "r0",
        "comparable": True,
        "note": "",
        "paired": paired,
        "sliced": [],
        "slices": [],
        "calibration": None,
        "latency": {"requests": 500, "p50_milliseconds": 0.2, "p99_milliseconds": 0.6},
        "artifact_bytes": 600_000,
        "leakage": {
            "challenger": {"repeated": 0.0, "baseline": 0.0, "rows": ROWS},
            "champion": None,
            "note": "",
        },
        "holdout": {
            "from": "2013-05-02T05:00:00",
            "to": "2013-05-31T23:00:00",
            "rows": ROWS,
            "days": {"2013-05-02": ROWS},
        },
    } | changes


def part(loss: float, standard_error: float = 0.002, **changes: Any) -> dict[str, Any]:
    """One slice, of one feature and value."""
    return {
        "feature": "origin",
        "value": "EWR",
        "rows": 9_000,
        "challenger": 0.7 - loss,
        "champion": 0.7,
        "loss": loss,
        "standard_error": standard_error,
        "effective_blocks": 700.0,
    } | changes
