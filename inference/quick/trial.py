"""Rows a quick way is tried on before it is taken: thresholds, the numbers beside them, gaps, categories."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from training.artifact import Model

ROWS = 256
_LARGEST = np.finfo(np.float64).max


def rows(model: Model, edges: Mapping[int, np.ndarray]) -> np.ndarray:
    """Make the rows; the same for the same model.

    Args:
        model: Its encoder says what a column can hold.
        edges: Per column of numbers the values at which something changes.
    """
    source = np.random.default_rng(0)
    matrix = np.empty((ROWS, len(model.encoder.columns)))
    for i, column in enumerate(model.encoder.columns):
        if column.feature.type == "category":
            values = np.arange(len(column.categories) + 1, dtype=np.float64)
        elif column.feature.type == "boolean":
            values = np.array([0.0, 1.0])
        else:
            at = np.unique(edges.get(i, np.zeros(0)))
            values = np.concatenate((at, np.nextafter(at, np.inf), np.nextafter(at, -np.inf), [0.0, 1.0]))
            values = values[np.abs(values) < _LARGEST]
        matrix[:, i] = source.choice(np.append(values, np.nan), ROWS)
    return matrix


def sizes() -> list[slice]:
    """The trial's rows as requests of different sizes: all at once, single ones, and small groups."""
    single = [slice(i, i + 1) for i in range(32)]
    groups = [slice(i, i + 2) for i in range(0, 16, 2)] + [slice(i, i + 7) for i in range(0, 70, 7)]
    return [slice(0, ROWS), *single, *groups]
