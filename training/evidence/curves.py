"""What a report draws of a model's answers on the held-out rows: curves, tables, histograms.

All of it is plain data for ``evaluation.json``, of a size that does not grow with the rows.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

from models.spec import Task
from training.evaluate import THRESHOLD

MAX_POINTS = 200
# A curve is drawn a few hundred pixels wide: what deviates less than this cannot be seen.
INVISIBLE = 0.0005
MAX_BINS = 40
MAX_CLASSES = 20
MAX_DOTS = 500
# Errors beyond these percentiles are counted, not drawn: one outlier would squeeze all others into one bin.
TAILS = (0.5, 99.5)
_DIGITS = 5


def build(task: Task, labels: np.ndarray, predicted: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """Everything that is drawn of one model.

    Args:
        task: The spec's task.
        labels: True labels of the rows.
        predicted: As ``training.evaluate.predict`` returns it.
        classes: Names of the columns of a multiclass prediction.

    Returns:
        For binary tasks ``roc`` (pairs of false and true positive rate, ascending), ``pr`` (recall and
        precision, by rising recall), ``confusion`` (counts by true, then predicted label) and ``scores`` (a
        histogram with the rows of label 1 counted beside all); for multiclass ``confusion``; for regression
        ``residuals`` (histogram of actual minus predicted) and ``predicted_actual`` (some pairs).
    """
    if task == "binary":
        truth = labels.astype(np.float64) > THRESHOLD
        roc, pr = _rates(truth, predicted)
        return {
            "roc": roc,
            "pr": pr,
            "confusion": _confusion(truth.astype(int), (predicted >= THRESHOLD).astype(int), ["0", "1"]),
            "scores": _scores(truth, predicted),
        }
    if task == "multiclass":
        true, codes = np.unique(labels.astype(str), return_inverse=True)
        names = sorted({*classes, *true.tolist()})
        place = {name: i for i, name in enumerate(names)}
        of_labels = np.array([place[name] for name in true.tolist()])[codes]
        of_classes = np.array([place[name] for name in classes])[np.argmax(predicted, axis=1)]
        return {"confusion": _confusion(of_labels, of_classes, names)}
    actual = labels.astype(np.float64)
    return {"residuals": _residuals(actual - predicted), "predicted_actual": _pairs(predicted, actual)}


def thin(points: np.ndarray, most: int = MAX_POINTS, tolerance: float = INVISIBLE) -> np.ndarray:
    """The points of a curve that its shape needs; the ends are always among them.

    The piece that deviates most from its chord is split where it does, until no piece deviates visibly or
    there are enough points (Ramer, Douglas and Peucker, worst first).

    Args:
        points: Shape (n, 2), in the order they are joined.
        most: So many points at most.
        tolerance: Largest deviation that does not matter, in units of the points.
    """
    if len(points) <= 2:
        return points
    kept = {0, len(points) - 1}
    pieces = [_worst(points, 0, len(points) - 1)]
    while pieces and len(kept) < most:
        deviation, first, middle, last = heapq.heappop(pieces)
        if -deviation <= tolerance:
            break
        kept.add(middle)
        for start, end in ((first, middle), (middle, last)):
            if end - start > 1:
                heapq.heappush(pieces, _worst(points, start, end))
    return points[sorted(kept)]


def _worst(points: np.ndarray, first: int, last: int) -> tuple[float, int, int, int]:
    """How far the points between two lie from the line that joins these at most, negative for the heap."""
    start, chord = points[first], points[last] - points[first]
    between = points[first + 1 : last] - start
    length = float(np.hypot(*chord))
    if length:
        distances = np.abs(between[:, 0] * chord[1] - between[:, 1] * chord[0]) / length
    else:
        distances = np.hypot(between[:, 0], between[:, 1])
    place = int(distances.argmax())
    return -float(distances[place]), first, first + 1 + place, last


def _rates(truth: np.ndarray, scores: np.ndarray) -> tuple[list[list[float]], list[list[float]]]:
    """ROC and precision over recall at every threshold, thinned; empty when a label is missing."""
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return [], []
    order = np.argsort(-scores, kind="stable")
    last_of_score = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(truth[order])[last_of_score].astype(np.float64)
    called = last_of_score + 1.0
    roc = np.vstack([[0.0, 0.0], np.column_stack([(called - hits) / negatives, hits / positives])])
    pr = np.column_stack([hits / positives, hits / called])
    return _plain(thin(roc)), _plain(thin(pr))


def _confusion(truth: np.ndarray, decided: np.ndarray, names: list[str]) -> dict[str, Any]:
    """Counts by true, then predicted label, of the classes with the most rows; ``left_out`` of the others.

    Args:
        truth: Places of the true labels in the names.
        decided: Places of the predicted ones.
        names: Of all classes, sorted.
    """
    size = len(names)
    table = np.bincount(truth * size + decided, minlength=size * size).reshape(size, size)
    shown = np.sort(np.argsort(-table.sum(axis=1), kind="stable")[:MAX_CLASSES])
    counts = table[np.ix_(shown, shown)]
    return {
        "labels": [names[i] for i in shown],
        "counts": counts.tolist(),
        "left_out": len(truth) - int(counts.sum()),
    }


def _scores(truth: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    edges = _edges(float(scores.min()), float(scores.max()), 0.0, 1.0)
    counts = np.histogram(scores, edges)[0]
    return {
        "edges": _rounded(edges),
        "counts": counts.tolist(),
        "positives": np.histogram(scores[truth], edges)[0].tolist(),
    }


def _residuals(errors: np.ndarray) -> dict[str, Any]:
    low, high = np.percentile(errors, TAILS)
    edges = _edges(float(low), float(high))
    return {
        "edges": _rounded(edges),
        "counts": np.histogram(errors, edges)[0].tolist(),
        "below": int((errors < edges[0]).sum()),
        "above": int((errors > edges[-1]).sum()),
    }


def _pairs(predicted: np.ndarray, actual: np.ndarray) -> list[list[float]]:
    """Predicted and actual values of some rows, chosen at random but always the same."""
    chosen = np.arange(len(actual))
    if len(actual) > MAX_DOTS:
        chosen = np.sort(np.random.default_rng(0).choice(len(actual), MAX_DOTS, replace=False))
    return [[_short(p), _short(a)] for p, a in zip(predicted[chosen], actual[chosen], strict=True)]


def _edges(low: float, high: float, least: float = -np.inf, most: float = np.inf) -> np.ndarray:
    """Edges of at most ``MAX_BINS`` bins around a range, at multiples of 1, 2 or 5 times a power of ten."""
    width = (high - low) / (MAX_BINS - 2)
    if not width > abs(high) * 1e-12:  # one value
        width = max(abs(high), 1.0) / MAX_BINS
    power = 10.0 ** np.floor(np.log10(width))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= width * (1 - 1e-9))
    first, last = np.floor(low / step), np.ceil(high / step)
    edges: np.ndarray = np.unique(np.clip(np.arange(first, max(last, first + 1) + 1) * step, least, most))
    return edges


def _plain(points: np.ndarray) -> list[list[float]]:
    found: list[list[float]] = np.round(points, _DIGITS).tolist()
    return found


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.12g}") for value in values.tolist()]


def _short(value: float) -> float:
    return float(f"{value:.6g}")
