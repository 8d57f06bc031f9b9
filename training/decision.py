"""Decides whether a challenger replaces the champion, always with a reason that holds the numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.spec import LOWER_IS_BETTER, Gate

# Differences below this are the noise of floating-point sums, not a better model.
NOISE = 1e-12
_MOST_DIGITS = 12


@dataclass(frozen=True)
class Verdict:
    """The decision.

    Attributes:
        promote: Whether the challenger replaces the champion.
        reason: One sentence with the numbers.
        metric: What was compared.
        challenger: The challenger's value; NaN when it has none.
        champion: The champion's value on the same rows; None without a comparable champion.
    """

    promote: bool
    reason: str
    metric: str
    challenger: float
    champion: float | None


def decide(evaluation: Mapping[str, Any], gate: Gate) -> Verdict:
    """Apply the gate to an evaluation.

    The challenger must reach the minimum, must have been compared with the champion on the same fresh rows,
    and must be better by the minimum gain (and better at all). Without a champion the minimum alone decides.

    Args:
        evaluation: ``evaluation.json`` as written by ``training.job``.
        gate: The model's gate; for errors such as ``rmse`` less is better and the minimum is the most
            allowed.
    """
    metric = gate.metric
    score = _number((evaluation.get("challenger") or {}).get(metric))
    champion_metrics = evaluation.get("champion")
    best = _number(champion_metrics.get(metric)) if champion_metrics else None
    rows = f"on {int(evaluation['rows']['holdout']):,} fresh rows"

    def refused(why: str) -> Verdict:
        return Verdict(False, f"refused: {why}", metric, score, best)

    if not math.isfinite(score):
        found = ", ".join(sorted(evaluation.get("challenger") or {})) or "nothing"
        return refused(f"the evaluation holds no {metric} of the challenger, it has {found}")
    less = metric in LOWER_IS_BETTER
    if gate.minimum is not None and (score > gate.minimum if less else score < gate.minimum):
        return refused(f"{metric} {_apart(score, gate.minimum)} is {_limit(gate.minimum, less)} {rows}")
    if not evaluation.get("comparable"):
        return refused(f"not compared with the champion: {evaluation.get('note') or 'no note was written'}")
    if best is None:
        least = (
            "" if gate.minimum is None else f", {'at most' if less else 'at least'} {gate.minimum:g} needed"
        )
        return Verdict(True, f"{metric} {score:.4f} {rows}{least}; the first model", metric, score, None)
    if not math.isfinite(best):
        return refused(f"the evaluation holds no {metric} of the champion")
    gain = best - score if less else score - best
    better, worse = _apart(score, best), _apart(best, score)
    if gain <= NOISE:
        relation = "equals" if abs(gain) <= NOISE else "is worse than"
        return refused(f"{metric} {better} {relation} the champion's {worse} {rows}")
    if gain < gate.minimum_gain - NOISE:
        short = _apart(gain, gate.minimum_gain)
        return refused(
            f"{metric} {better} beats the champion's {worse} by only {short} "
            f"(at least {gate.minimum_gain:g} needed) {rows}"
        )
    needed = f" (at least {gate.minimum_gain:g} needed)" if gate.minimum_gain else ""
    return Verdict(
        True,
        f"{metric} {better} beats the champion's {worse} by {_apart(gain, gate.minimum_gain)}{needed} {rows}",
        metric,
        score,
        best,
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


def _limit(minimum: float, less: bool) -> str:
    return f"above the maximum {minimum:g}" if less else f"below the minimum {minimum:g}"


def _apart(value: float, other: float) -> str:
    """A number with four digits, or as many as tell it from the other one."""
    for digits in range(4, _MOST_DIGITS):
        if f"{value:.{digits}f}" != f"{other:.{digits}f}" or value == other:
            return f"{value:.{digits}f}"
    return repr(value)
