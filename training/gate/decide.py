"""Decides whether a challenger replaces the champion: every check with its numbers, and one sentence why.

Standard library only: this runs in the judge's function, on the evidence a training job has written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.spec import LOWER_IS_BETTER, Gate
from training.gate import checks
from training.gate.checks import Check
from training.gate.confidence import chance, needed, spent
from training.gate.wording import apart, number

# Differences below this are the noise of floating-point sums, not a better model.
NOISE = 1e-12
_SPANS = {"row": "rows", "hour": "hours", "day": "days", "week": "weeks"}


@dataclass(frozen=True)
class Decision:
    """What was decided, and on what grounds.

    Attributes:
        promote: Whether the challenger replaces the champion.
        reason: One sentence with the numbers: of the win, or of the first check that failed.
        metric: What was compared.
        challenger: The challenger's value; None when it has none.
        champion: The champion's value on the same rows; None without a comparable champion.
        gain: How much better the challenger is, above 0 also for errors; None without a comparison.
        gain_low: The gain is at least this, as sure as the gate asks; None without a comparison.
        significance: The chance of such a gain when the true one is the gate's minimum gain; None without a
            comparison.
        holdout_uses: Which decision on these rows it is, this one included: 1 on fresh rows.
        checks: Everything that was checked, the most important first.
    """

    promote: bool
    reason: str
    metric: str
    challenger: float | None
    champion: float | None
    gain: float | None
    gain_low: float | None
    significance: float | None
    holdout_uses: float
    checks: tuple[Check, ...]

    @property
    def decision(self) -> str:
        """``promote`` or ``refuse``."""
        return "promote" if self.promote else "refuse"

    def to_dict(self) -> dict[str, Any]:
        """As it is stored with the model's decision."""
        names = ("metric", "challenger", "champion", "gain", "gain_low", "significance", "holdout_uses")
        return {
            "decision": self.decision,
            "reason": self.reason,
            **{name: getattr(self, name) for name in names},
            "checks": [check.to_dict() for check in self.checks],
        }


@dataclass(frozen=True)
class _Gain:
    """The paired test's numbers."""

    gain: float
    low: float
    significance: float
    needed: float
    alpha: float


def decide(evaluation: Mapping[str, Any], gate: Gate, uses: float = 0.0) -> Decision:
    """Apply the gate to an evaluation.

    The challenger must reach the minimum, must have been compared with the champion on the same fresh rows,
    must be better by more than the minimum gain, and surer of it than the gate's confidence. Floors, slices,
    calibration, latency and size must hold too. Without a champion there is nothing to be better than: then
    all but the comparisons decide.

    Args:
        evaluation: ``evaluation.json`` as written by ``training.job``.
        gate: The model's gate; for errors such as ``rmse`` less is better and the minimum is the most
            allowed.
        uses: How many earlier decisions were made on these rows, as ``Ledger.holdout_uses`` counts them.
    """
    use = 1 + max(uses, 0.0)
    comparison = checks.comparable(evaluation, gate)
    found = [checks.minimum(evaluation, gate), comparison]
    leak = checks.leak(evaluation)
    found += [leak] if leak else []
    against = found[0].found is not None and comparison.passed and evaluation.get("champion") is not None
    tested = _test(evaluation, gate, use) if against else None
    if tested:
        found += [checks.uses(use, gate), _gain_check(evaluation, gate, tested, use)]
        found += [remark] if (remark := checks.block(evaluation, gate)) else []
    found += checks.floors(evaluation, gate)
    found += checks.slices(evaluation, gate) if against else []
    found += checks.calibration(evaluation, gate)
    found += [checks.latency(evaluation, gate), checks.size(evaluation, gate)]
    failed = next((check for check in found if not check.passed), None)
    champion = number((evaluation.get("champion") or {}).get(gate.metric))
    challenger = number((evaluation.get("challenger") or {}).get(gate.metric))
    return Decision(
        promote=failed is None,
        reason=_refusal(failed, evaluation) if failed else _win(evaluation, gate, tested),
        metric=gate.metric,
        challenger=challenger if math.isfinite(challenger) else None,
        champion=champion if math.isfinite(champion) else None,
        gain=tested.gain if tested else None,
        gain_low=tested.low if tested else None,
        significance=tested.significance if tested else None,
        holdout_uses=round(use, 4),
        checks=tuple(found),
    )


def _test(evaluation: Mapping[str, Any], gate: Gate, use: float) -> _Gain:
    """The paired test: the gain against the minimum gain, in standard errors of independent blocks."""
    paired = evaluation["paired"]
    gain, error = float(paired["gain"]), float(paired["standard_error"])
    blocks = float(paired.get("effective_blocks") or paired["blocks"])
    alpha = spent(gate.confidence, use)
    margin = needed(error, alpha, blocks)
    return _Gain(gain, gain - margin, chance(gain - gate.minimum_gain, error, blocks), margin, alpha)


def _gain_check(evaluation: Mapping[str, Any], gate: Gate, tested: _Gain, use: float) -> Check:
    passed = tested.gain > NOISE and tested.low > gate.minimum_gain
    least = gate.minimum_gain + tested.needed
    return Check("gain", passed, tested.gain, least, _gain_words(evaluation, gate, tested, use))


def _gain_words(evaluation: Mapping[str, Any], gate: Gate, tested: _Gain, use: float) -> str:
    score, best = float(evaluation["challenger"][gate.metric]), float(evaluation["champion"][gate.metric])
    better, worse, gain = apart(score, best), apart(best, score), tested.gain
    if gain <= NOISE:
        relation = "equals" if gain >= -NOISE else "is worse than"
        return f"{gate.metric} {better} {relation} the champion's {worse}"
    beats = f"{gate.metric} {better} beats the champion's {worse} by"
    more = f"more than {gate.minimum_gain:g} needed"
    if gain <= gate.minimum_gain:
        return f"{beats} only {apart(gain, gate.minimum_gain)} ({more})"
    if tested.low > gate.minimum_gain:
        sure = f"at least {apart(tested.low, gate.minimum_gain)} with confidence {gate.confidence:g}"
        return f"{beats} {apart(gain, gate.minimum_gain)} ({sure}, {more})"
    least = gate.minimum_gain + tested.needed
    earlier = f", decision {use:.2f} on these rows" if use > 1 else ""
    span = _SPANS.get(gate.block, gate.block)
    return (
        f"{beats} {apart(gain, least)}, which chance may explain: more than {apart(least, gain)} is needed "
        f"(confidence {gate.confidence:g}, {int(evaluation['paired']['blocks']):,} {span}{earlier})"
    )


def _rows(evaluation: Mapping[str, Any]) -> str:
    return f"on {int(evaluation['rows']['holdout']):,} fresh rows"


def _refusal(failed: Check, evaluation: Mapping[str, Any]) -> str:
    measured = failed.found is not None and failed.name.split()[0] in ("minimum", "floor", "gain")
    return f"refused: {failed.words}" + (f" {_rows(evaluation)}" if measured else "")


def _win(evaluation: Mapping[str, Any], gate: Gate, tested: _Gain | None) -> str:
    if tested:
        return f"{_gain_words(evaluation, gate, tested, 1.0)} {_rows(evaluation)}"
    score = float(evaluation["challenger"][gate.metric])
    least = gate.minimum
    if least is None:
        floor = ""
    else:
        floor = f", {'at most' if gate.metric in LOWER_IS_BETTER else 'at least'} {least:g} needed"
    return f"{gate.metric} {score:.4f} {_rows(evaluation)}{floor}; the first model"
