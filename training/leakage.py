"""Finds a feature that gives the label away: one that was written after the outcome was known.

Such a model is near perfect on every old row, passes every gate, and has nothing to go by when it is asked
before the outcome. Only the certain case is called: one feature alone tells the label of every row.
"""

from __future__ import annotations

import numpy as np

from models.spec import ModelSpec, Task

# A category that takes more values than a tenth of the rows names rows, so it tells their labels by chance.
_ROWS_PER_VALUE = 10
# Fewer rows than this may follow one feature by chance.
MIN_ROWS = 50
_SAME_LINE = 1e-12


def find(matrix: np.ndarray, labels: np.ndarray, spec: ModelSpec) -> str:
    """Why the rows do not tell how good a model is; empty when no feature gives the label away.

    Args:
        matrix: Encoded rows, one column per feature of the spec.
        labels: Their labels.
        spec: Names task, target and features.
    """
    if len(labels) < MIN_ROWS:
        return ""
    codes = labels if spec.task == "regression" else np.unique(labels.astype(str), return_inverse=True)[1]
    for position, feature in enumerate(spec.features):
        if _tells(matrix[:, position], codes, spec.task, is_number=feature.type == "number"):
            return (
                f"the feature {feature.name} alone tells {spec.target} in all {len(labels):,} rows to "
                "compare on; if it is known only after the outcome, remove it from the features"
            )
    return ""


def _tells(values: np.ndarray, labels: np.ndarray, task: Task, *, is_number: bool) -> bool:
    if task == "regression":
        return is_number and _on_one_line(values, labels)
    return _one_label_per_value(values, labels) or (is_number and _one_range_per_label(values, labels))


def _on_one_line(values: np.ndarray, labels: np.ndarray) -> bool:
    if np.isnan(values).any() or not np.ptp(values) or not np.ptp(labels):
        return False
    return bool(np.corrcoef(values, labels)[0, 1] ** 2 > 1 - _SAME_LINE)


def _one_label_per_value(values: np.ndarray, labels: np.ndarray) -> bool:
    """Whether rows of one value never differ in their label, missing being a value too."""
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) * _ROWS_PER_VALUE > len(values):
        return False
    return len(np.unique(np.stack([places, labels]), axis=1).T) == len(distinct)


def _one_range_per_label(values: np.ndarray, labels: np.ndarray) -> bool:
    """Whether the rows of each label lie together when they are sorted by value."""
    present = ~np.isnan(values)
    if not present.all():  # missing sorts last, as one value
        values = np.where(present, values, np.inf)
    order = np.argsort(values, kind="stable")
    values, labels = values[order], labels[order]
    changes = np.flatnonzero(labels[1:] != labels[:-1])
    apart = bool((values[changes] != values[changes + 1]).all())
    return apart and len(changes) == len(np.unique(labels)) - 1
