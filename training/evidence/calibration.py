"""Whether scores are probabilities: of the rows with a score near 0.3, three in ten should have label 1."""

from __future__ import annotations

from typing import Any

import numpy as np

MAX_BINS = 10
# The share of label 1 among so few rows strays by a tenth as it is.
_LEAST_ROWS = 50


def measure(labels: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """Compare scores with the share of label 1, in bins of about equally many rows.

    Args:
        labels: 0 or 1.
        scores: Probabilities of label 1.

    Returns:
        ``bins``, each with the mean ``score``, the ``share`` of label 1 and its ``rows``; and ``error``, the
        mean distance between score and share over all rows (the expected calibration error).
    """
    order = np.argsort(scores, kind="stable")
    labels, scores = labels[order], scores[order]
    count = max(1, min(MAX_BINS, len(scores) // _LEAST_ROWS))
    # Rows of one score stay together.
    edges = np.searchsorted(scores, scores[[len(scores) * i // count for i in range(1, count)]], "left")
    bounds = np.unique([0, *edges.tolist(), len(scores)])
    bins = [
        {"score": float(scores[a:b].mean()), "share": float(labels[a:b].mean()), "rows": int(b - a)}
        for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    ]
    error = sum(abs(one["score"] - one["share"]) * one["rows"] for one in bins) / len(scores)
    return {"error": float(error), "bins": bins}
