"""Finds held-out rows that a model was fitted on under another time: rows pushed again with a changed clock.

Equal rows with equal times count once when files are read. With other times they are different rows, and the
newer copy may be held out while a model knows the older one by heart. Some repetition is ordinary, of rows
with few and coarse columns nearly all; so the share of held-out rows that repeat fitted ones is compared with
the share at which the newest fitted rows repeat the ones before them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from training.evidence import fingerprints

# Of the rows that would ordinarily be new, so many may repeat fitted ones; the world is not quite steady.
MAX_EXCESS = 0.1
# Fewer repeated rows decide nothing.
_LEAST_ROWS = 20
# Standard errors, of rows counted as if they were independent.
_SURE = 5.0
_DIGITS = 6


def find(marks: np.ndarray, start: int, fitted: np.ndarray, rows_fitted: int) -> dict[str, Any] | None:
    """How many held-out rows repeat rows that a model was fitted on, and how many are usual.

    Args:
        marks: Fingerprints of all rows, oldest first, of the features of that model.
        start: Position of the first row held out.
        fitted: Fingerprints of rows the model was fitted on: a sample, or all distinct ones, ascending.
        rows_fitted: How many rows it was fitted on.

    Returns:
        ``repeated`` and ``baseline``, shares of the rows held out, and ``rows``, how many the sample can tell
        of; None when it can tell of none.
    """
    told = fingerprints.tells_of(fitted, marks)
    held = marks[start:][told[start:]]
    if not len(held) or not len(fitted):
        return None
    return {
        "repeated": round(float(np.isin(held, fitted).mean()), _DIGITS),
        "baseline": round(_usual(marks, told, start, rows_fitted), _DIGITS),
        "rows": len(held),
    }


def too_many(found: dict[str, Any] | None, whose: str) -> str:
    """Why the rows held out are not fresh; empty when they are.

    Args:
        found: As ``find`` returns it.
        whose: The model's name in the sentence, such as "the champion".
    """
    if found is None:
        return ""
    repeated, baseline, rows = found["repeated"], found["baseline"], found["rows"]
    excess = repeated - baseline
    error = float(np.sqrt(max(baseline * (1 - baseline), 1 / rows) / rows))
    if excess * rows < _LEAST_ROWS or excess < _SURE * error or excess < MAX_EXCESS * (1 - baseline):
        return ""
    return (
        f"{repeated:.1%} of the rows to compare on repeat rows that {whose} was fitted on, apart from their "
        f"time; {baseline:.1%} are usual in this data. Were rows pushed again with other times?"
    )


def _usual(marks: np.ndarray, told: np.ndarray, start: int, rows_fitted: int) -> float:
    """The share of rows that repeat ``rows_fitted`` older ones, judged by the newest fitted rows.

    Those are as many as the rows held out, at most half. They have fewer rows before them than the rows held
    out have, so their share b is extrapolated: each kind of row is missed among n rows with a chance q^n, and
    by Jensen's inequality the mean of q^(c n) is at least (1 - b)^c. Only rows of which the sample tells
    count here too, for a row that is there a thousand times is in the sample or is not.
    """
    newest = min(len(marks) - start, start // 2)
    before = start - newest
    recent = marks[before:start][told[before:start]]
    if not len(recent):
        return 0.0
    share = float(np.isin(recent, marks[:before]).mean())
    return float(1 - (1 - share) ** max(1.0, rows_fitted / before))
