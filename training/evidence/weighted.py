"""Every metric of ``models.spec.METRICS`` for many weightings of the same rows at once.

What depends on the rows alone is done once (sums per block, ranks); a weighting then costs a product, or for
the metrics of ranks one pass over the rows. The values are those of scikit-learn with ``sample_weight``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.spec import METRICS, Task
from training.evaluate import THRESHOLD
from training.evidence.blocks import Blocks

RANKED = ("roc_auc", "average_precision")
# Of more blocks, counting the pairs once costs more than going through the rows each time.
MOST_PAIRED_BLOCKS = 500
_CELLS = 500_000
# As scikit-learn's log_loss has it.
_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Answers:
    """What a model answered on the rows.

    Attributes:
        predicted: As ``training.evaluate.predict`` returns it.
        classes: Names of the columns of a multiclass prediction.
    """

    predicted: np.ndarray
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric:
    """A metric of one model on certain rows, ready to be computed for any weights of their blocks.

    Attributes:
        work: How many numbers one weighting needs.
        of: Takes weights of shape (weightings, blocks) and gives one value each; NaN where the metric is
            not defined, as an area under the curve without any row of one label.
    """

    work: int
    of: Callable[[np.ndarray], np.ndarray]

    def plain(self, blocks: Blocks) -> float:
        """The value with all weights 1."""
        return float(self.of(np.ones((1, blocks.count)))[0])


def prepare(task: Task, metric: str, labels: np.ndarray, answers: Answers, blocks: Blocks) -> Metric:
    """Get a metric ready.

    Args:
        task: The spec's task.
        metric: One of ``METRICS[task]``.
        labels: True labels of the rows.
        answers: A model's answers on the same rows.
        blocks: Their blocks; with each row a block of its own, weights are those of the rows.

    Raises:
        ValueError: The task has no such metric.
    """
    if metric not in METRICS[task]:
        raise ValueError(f"metric: found {metric!r}, a {task} task has {', '.join(METRICS[task])}")
    if metric in RANKED:
        return _ranked(metric, labels > THRESHOLD, answers.predicted, blocks)
    if metric == "f1_macro":
        return _f1_macro(labels, answers, blocks)
    columns, finish = _SUMS[metric](task, labels, answers)
    sums = np.column_stack([np.bincount(blocks.of_rows, c, blocks.count) for c in columns])

    def of(weights: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return finish(*(weights @ sums).T)

    return Metric(blocks.count, of)


_Finish = Callable[..., np.ndarray]
_Sums = tuple[tuple[np.ndarray, ...], _Finish]


def _accuracy(task: Task, labels: np.ndarray, answers: Answers) -> _Sums:
    if task == "binary":
        right = (answers.predicted >= THRESHOLD) == (labels > THRESHOLD)
    else:
        right = _decided(answers) == labels.astype(str)
    return (np.ones(len(labels)), right.astype(np.float64)), _mean


def _f1(_task: Task, labels: np.ndarray, answers: Answers) -> _Sums:
    true, called = labels > THRESHOLD, answers.predicted >= THRESHOLD

    def finish(hits: np.ndarray, ones: np.ndarray, calls: np.ndarray) -> np.ndarray:
        return _harmonic(hits, ones + calls)

    return (true & called, true, called), finish


def _log_loss(task: Task, labels: np.ndarray, answers: Answers) -> _Sums:
    if task == "binary":
        given = np.where(labels > THRESHOLD, answers.predicted, 1.0 - answers.predicted)
    else:
        place = {name: i for i, name in enumerate(answers.classes)}
        positions = np.array([place.get(label, -1) for label in labels.astype(str)])
        given = answers.predicted[np.arange(len(labels)), positions]
        given = np.where(positions < 0, 0.0, given)  # a class the model has never seen
    losses = -np.log(np.clip(given, _EPSILON, 1.0 - _EPSILON))
    return (np.ones(len(labels)), losses), _mean


def _r2(_task: Task, labels: np.ndarray, answers: Answers) -> _Sums:
    centred = labels - labels.mean()
    squares = (labels - answers.predicted) ** 2

    def finish(rows: np.ndarray, total: np.ndarray, spread: np.ndarray, errors: np.ndarray) -> np.ndarray:
        variance = spread - total**2 / rows
        return np.where(variance > 0, 1.0 - errors / variance, np.nan)

    return (np.ones(len(labels)), centred, centred**2, squares), finish


def _rmse(_task: Task, labels: np.ndarray, answers: Answers) -> _Sums:
    squares = (labels - answers.predicted) ** 2
    return (np.ones(len(labels)), squares), lambda rows, total: np.sqrt(total / rows)


def _mae(_task: Task, labels: np.ndarray, answers: Answers) -> _Sums:
    return (np.ones(len(labels)), np.abs(labels - answers.predicted)), _mean


_SUMS: dict[str, Callable[[Task, np.ndarray, Answers], _Sums]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "log_loss": _log_loss,
    "r2": _r2,
    "rmse": _rmse,
    "mae": _mae,
}


def _mean(rows: np.ndarray, total: np.ndarray) -> np.ndarray:
    found: np.ndarray = total / rows
    return found


def _harmonic(hits: np.ndarray, others: np.ndarray) -> np.ndarray:
    """F1 from the hits, and the sum of what there is and what was called; 0 when there is neither."""
    return np.where(others > 0, 2 * hits / np.maximum(others, _EPSILON), 0.0)


def _decided(answers: Answers) -> np.ndarray:
    names: np.ndarray = np.array(answers.classes, dtype=object)[np.argmax(answers.predicted, axis=1)]
    return names.astype(str)


def _f1_macro(labels: np.ndarray, answers: Answers, blocks: Blocks) -> Metric:
    """Mean of the classes' F1; the classes are those that are there or were called."""
    from scipy import sparse  # type: ignore[import-untyped]

    true, called = labels.astype(str), _decided(answers)
    names, codes = np.unique(np.concatenate([true, called]), return_inverse=True)
    size, of_true, of_called = len(names), codes[: len(true)], codes[len(true) :]
    right = of_true == of_called
    rows = np.concatenate([blocks.of_rows, blocks.of_rows, blocks.of_rows[right]])
    columns = np.concatenate([of_true, of_called + size, of_true[right] + 2 * size])
    shape = (blocks.count, 3 * size)
    # Most blocks lack most classes, and with one block per row all but three.
    sums = sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr()

    def of(weights: np.ndarray) -> np.ndarray:
        there, calls, hits = np.split(np.asarray(weights @ sums), 3, axis=1)
        found: np.ndarray = _harmonic(hits, there + calls).mean(axis=1)
        return found

    return Metric(blocks.count + 3 * size, of)


def _ranked(metric: str, ones: np.ndarray, scores: np.ndarray, blocks: Blocks) -> Metric:
    """Metrics of the order of the scores: the rows are sorted once, the weights are summed up along them."""
    high, low = scores[ones], scores[~ones]
    by_high, by_low = np.argsort(high, kind="stable"), np.argsort(low, kind="stable")
    high, low = high[by_high], low[by_low]
    high_blocks, low_blocks = blocks.of_rows[ones][by_high], blocks.of_rows[~ones][by_low]
    below, up_to = np.searchsorted(low, high, "left"), np.searchsorted(low, high, "right")
    if metric == "average_precision":
        as_high = np.searchsorted(high, high, "left")
        return Metric(len(ones), _precision(high_blocks, low_blocks, below, as_high))
    if blocks.count <= MOST_PAIRED_BLOCKS:
        return Metric(
            2 * blocks.count, _area_of_blocks(high_blocks, low_blocks, (below, up_to), blocks.count)
        )
    return Metric(len(ones), _area(high_blocks, low_blocks, below, up_to))


def _area(
    high_blocks: np.ndarray, low_blocks: np.ndarray, below: np.ndarray, up_to: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """The area under the ROC curve: the share of pairs of rows in which that of label 1 scores higher."""

    def of(weights: np.ndarray) -> np.ndarray:
        heavy, light = weights[:, high_blocks], _running(weights[:, low_blocks])
        beaten = np.einsum("rn,rn->r", heavy, light[:, below] + light[:, up_to]) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            found: np.ndarray = beaten / (heavy.sum(axis=1) * light[:, -1])
        return found

    return of


def _area_of_blocks(
    high_blocks: np.ndarray, low_blocks: np.ndarray, edges: tuple[np.ndarray, np.ndarray], count: int
) -> Callable[[np.ndarray], np.ndarray]:
    """The same from the pairs counted once, per pair of blocks: a weighting need not look at rows at all."""
    beaten = (
        _pairs(high_blocks, low_blocks, edges[0], count) + _pairs(high_blocks, low_blocks, edges[1], count)
    ) / 2
    ones = np.bincount(high_blocks, minlength=count).astype(np.float64)
    zeros = np.bincount(low_blocks, minlength=count).astype(np.float64)

    def of(weights: np.ndarray) -> np.ndarray:
        won = np.einsum("rk,rk->r", weights @ beaten, weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            found: np.ndarray = won / ((weights @ ones) * (weights @ zeros))
        return found

    return of


def _pairs(high_blocks: np.ndarray, low_blocks: np.ndarray, edges: np.ndarray, count: int) -> np.ndarray:
    """How many rows of label 0 in one block lie below rows of label 1 in another, for all pairs of blocks.

    Args:
        high_blocks: Blocks of the rows of label 1, by ascending score.
        low_blocks: Blocks of the rows of label 0, by ascending score.
        edges: For each row of label 1, how many of label 0 lie below it.
        count: How many blocks there are.
    """
    beaten = np.zeros((count, count))
    before = np.zeros(count)
    turn = max(1, _CELLS // max(count, 1))
    for first in range(0, len(high_blocks), turn):
        ends = edges[first : first + turn]
        start = int(edges[first - 1]) if first else 0
        # Each row of label 0 is counted at the first row of label 1 above it, and then for all that follow.
        places = np.searchsorted(ends, np.arange(start, ends[-1]), side="right")
        cells = places * count + low_blocks[start : ends[-1]]
        added = np.bincount(cells, minlength=len(ends) * count).reshape(len(ends), count)
        running = np.cumsum(added, axis=0) + before
        np.add.at(beaten, high_blocks[first : first + turn], running)
        before = running[-1]
    return beaten


def _precision(
    high_blocks: np.ndarray, low_blocks: np.ndarray, below: np.ndarray, as_high: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Average precision: of each row of label 1, the share of label 1 among all that score as high."""

    def of(weights: np.ndarray) -> np.ndarray:
        heavy, light = weights[:, high_blocks], _running(weights[:, low_blocks])
        running = _running(heavy)
        hits = running[:, -1:] - running[:, as_high]
        called = hits + light[:, -1:] - light[:, below]
        # Where nothing is called the row's own weight is 0.
        each = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            found: np.ndarray = np.einsum("rn,rn->r", heavy, each) / running[:, -1]
        return found

    return of


def _running(weights: np.ndarray) -> np.ndarray:
    """Sums of the first none, one, two... columns."""
    sums = np.zeros((weights.shape[0], weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums
