"""How much a model needs each feature: what its metric loses when that feature's values are shuffled."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from models.spec import LOWER_IS_BETTER, ModelSpec
from training.evaluate import measure

MAX_ROWS = 5_000
REPEATS = 3


class Scorer(Protocol):
    """What is asked of a model; ``training.artifact.Model`` is one."""

    @property
    def spec(self) -> ModelSpec:
        """Names task and features."""

    @property
    def classes(self) -> list[str]:
        """Labels of a multiclass model, in the order of its probabilities."""

    def scores(self, matrix: np.ndarray) -> np.ndarray:
        """Predictions of encoded rows."""


def build(
    model: Scorer,
    matrix: np.ndarray,
    labels: np.ndarray,
    metric: str,
    *,
    seed: int = 0,
    max_rows: int = MAX_ROWS,
    repeats: int = REPEATS,
) -> list[dict[str, Any]]:
    """Permutation importance on held-out rows, the most needed feature first.

    Args:
        model: The model to ask.
        matrix: Encoded held-out rows, one column per feature.
        labels: Their labels.
        metric: One of ``models.spec.METRICS`` of the model's task.
        seed: The same seed gives the same numbers.
        max_rows: Of more rows so many are chosen.
        repeats: So often each feature is shuffled.

    Returns:
        One mapping per feature: ``feature``, ``mean`` (how much worse the metric is without it, also for
        errors; below zero it is better) and ``standard_error`` of that mean over the shuffles. Empty when
        the chosen rows have no such metric, because they are all of one label.
    """
    random = np.random.default_rng(seed)
    if len(labels) > max_rows:
        chosen = np.sort(random.choice(len(labels), max_rows, replace=False))
        matrix, labels = matrix[chosen], labels[chosen]
    if len(labels) < 2 or (model.spec.task != "regression" and len(np.unique(labels.astype(str))) < 2):
        return []
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0

    def value(rows: np.ndarray) -> float:
        return sign * measure(model.spec.task, labels, model.scores(rows), model.classes)[metric]

    whole = value(matrix)
    shuffled = matrix.copy()
    found = []
    for position, feature in enumerate(model.spec.features):
        losses = []
        for _ in range(repeats):
            shuffled[:, position] = random.permutation(matrix[:, position])
            losses.append(whole - value(shuffled))
        shuffled[:, position] = matrix[:, position]
        spread = float(np.std(losses, ddof=1)) / math.sqrt(repeats) if repeats > 1 else 0.0
        found.append({"feature": feature.name, "mean": float(np.mean(losses)), "standard_error": spread})
    return sorted(found, key=lambda one: (-one["mean"], one["feature"]))
