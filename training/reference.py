"""Statistics of the rows a model was fitted on; what later traffic is compared with."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.features import Column, FeatureEncoder

FORMAT = 1
# Ten bins at the deciles, the usual choice for the population stability index.
QUANTILES = np.linspace(0.0, 1.0, 11)[1:-1]


def build(encoder: FeatureEncoder, matrix: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """Statistics per feature and of the model's scores.

    Args:
        encoder: Names the columns.
        matrix: Encoded rows the model was fitted on.
        scores: What the model answers on the held-out rows, one number per row (multiclass: the highest).
    """
    columns = {c.feature.name: _column(c, matrix[:, i]) for i, c in enumerate(encoder.columns)}
    return {"format": FORMAT, "rows": len(matrix), "features": columns, "score": _numbers(scores)}


def _column(column: Column, values: np.ndarray) -> dict[str, Any]:
    if column.feature.type == "number":
        return {"type": "number", **_numbers(values)}
    names = (
        ("false", "true") if column.feature.type == "boolean" else (*column.categories, None)
    )  # the last code stands for unknown categories
    present = values[~np.isnan(values)].astype(np.int64)
    counts = np.bincount(present, minlength=len(names)).tolist()
    result: dict[str, Any] = {
        "type": column.feature.type,
        "missing": _missing_share(values),
        "counts": {name: count for name, count in zip(names, counts, strict=True) if name is not None},
    }
    if column.feature.type == "category":
        result["other"] = counts[-1]
    return result


def _numbers(values: np.ndarray) -> dict[str, Any]:
    """Decile edges with the counts of the bins between them; the outer bins are open."""
    present = values[~np.isnan(values)]
    if not len(present):
        empty = {"edges": [], "counts": [0], "min": None, "max": None, "mean": None}
        return {"missing": _missing_share(values), **empty}
    edges = np.unique(np.quantile(present, QUANTILES))
    counts = np.bincount(np.searchsorted(edges, present, side="right"), minlength=len(edges) + 1)
    return {
        "missing": _missing_share(values),
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "min": float(present.min()),
        "max": float(present.max()),
        "mean": float(present.mean()),
    }


def _missing_share(values: np.ndarray) -> float:
    return float(np.isnan(values).mean()) if len(values) else 0.0
