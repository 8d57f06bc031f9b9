"""How much better the challenger is than the champion on the same rows, and how far chance moves that.

Both are scored on the same drawn blocks, so what makes rows easy or hard for both of them cancels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models.spec import LOWER_IS_BETTER, Task
from training.evidence.blocks import Blocks, draws
from training.evidence.weighted import Answers, prepare

# The standard error of n resamples is itself off by 1 / sqrt(2 n): by 2 % with a thousand, 5 % with 200.
MOST_RESAMPLES, LEAST_RESAMPLES = 1000, 200
# So many numbers in all, some seconds; of very many rows there are fewer resamples.
_WORK = 60_000_000
# Metrics that hang on the rows of the rarer label.
_BY_LABEL = ("roc_auc", "average_precision", "f1")


@dataclass(frozen=True)
class Difference:
    """What two models differ by.

    Attributes:
        gain: Above 0 the challenger is better, also for errors.
        standard_error: Of the gain, over the draws of blocks; NaN with fewer than two blocks.
        challenger: Its metric.
        champion: Its metric.
        blocks: How many blocks the rows have.
        effective_blocks: How many of equal size tell as much; for metrics that hang on one label, of the
            label that is rarer among the blocks.
        resamples: How often blocks were drawn.
    """

    gain: float
    standard_error: float
    challenger: float
    champion: float
    blocks: int
    effective_blocks: float
    resamples: int


def compare(
    task: Task,
    metric: str,
    labels: np.ndarray,
    challenger: Answers,
    champion: Answers,
    blocks: Blocks,
    *,
    resamples: int = MOST_RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Compare two models on the same rows.

    Args:
        task: The spec's task.
        metric: One of ``models.spec.METRICS[task]``.
        labels: True labels of the rows.
        challenger: Its answers.
        champion: Its answers.
        blocks: The blocks of the rows.
        resamples: How often blocks are drawn; fewer of very many rows.
        seed: The same seed gives the same numbers.
    """
    new, old = (prepare(task, metric, labels, answers, blocks) for answers in (challenger, champion))
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    work = new.work + old.work
    resamples = max(min(resamples, LEAST_RESAMPLES), min(resamples, _WORK // max(work, 1)))
    turns = draws(blocks.count, resamples, work, seed)
    gains = np.concatenate([sign * (new.of(weights) - old.of(weights)) for weights in turns])
    gains = gains[np.isfinite(gains)]  # a draw without any row of one label says nothing
    error, worth = math.nan, blocks.effective()
    if worth > 1 and len(gains) > 1:
        # A bootstrap of n blocks has (n - 1) / n of the variance; of blocks of different size, even less.
        error = float(gains.std(ddof=1)) * math.sqrt(worth / (worth - 1))
    ours, theirs = new.plain(blocks), old.plain(blocks)
    enough = _effective(metric, labels, blocks)
    return Difference(sign * (ours - theirs), error, ours, theirs, blocks.count, enough, len(gains))


def _effective(metric: str, labels: np.ndarray, blocks: Blocks) -> float:
    if metric not in _BY_LABEL:
        return blocks.effective()
    return min(blocks.effective(labels == label) for label in np.unique(labels))
