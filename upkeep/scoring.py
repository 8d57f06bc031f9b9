"""How good predictions turned out to be, once the truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Score:
    """Predictions of a binary model against what really happened.

    Attributes:
        rows: Predictions compared.
        expected_share: Mean of the predicted probabilities.
        real_share: Share of rows whose label is 1.
        auc: Area under the ROC curve; None when only one label occurs.
    """

    rows: int
    expected_share: float
    real_share: float
    auc: float | None

    def to_json(self) -> dict[str, Any]:
        """The score as data."""
        return asdict(self)


def score(probabilities: Sequence[float], labels: Sequence[int]) -> Score:
    """Compare predictions with labels.

    Raises:
        ValueError: There are none, or not as many of the one as of the other.
    """
    if not labels or len(labels) != len(probabilities):
        raise ValueError(f"found {len(probabilities)} predictions for {len(labels)} labels")
    return Score(
        rows=len(labels),
        expected_share=sum(probabilities) / len(labels),
        real_share=sum(labels) / len(labels),
        auc=auc(probabilities, labels),
    )


def auc(probabilities: Sequence[float], labels: Sequence[int]) -> float | None:
    """Area under the ROC curve: how often a positive ranks above a negative, ties counting half.

    The Mann-Whitney statistic with mid-ranks: (R - n1 (n1 + 1) / 2) / (n1 n0), R the positives' rank sum.
    Example: scores 0.1, 0.4, 0.35, 0.8 with labels 0, 0, 1, 1 give 0.75.
    """
    positives = sum(labels)
    negatives = len(labels) - positives
    if not positives or not negatives:
        return None
    order = sorted(range(len(labels)), key=lambda i: probabilities[i])
    rank_sum, start = 0.0, 0
    while start < len(order):
        end = start
        while end < len(order) and probabilities[order[end]] == probabilities[order[start]]:
            end += 1
        middle = (start + 1 + end) / 2
        rank_sum += middle * sum(labels[i] for i in order[start:end])
        start = end
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)
