"""What a challenger is checked for: each check by itself, with its numbers and in words.

The evidence is the ``evaluation.json`` of ``training.job``. What is not in it was not measured, and what was
not measured does not pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.spec import LOWER_IS_BETTER, Gate
from training.gate.confidence import needed
from training.gate.wording import apart, limit, number

MEGABYTE = 1_000_000
# Of so few longer spans the error is a guess; beyond this factor it is hardly one.
_LEAST_LONGER, _MUCH_LARGER = 5.0, 1.5
AGAIN = "train again with the code of this gate"


@dataclass(frozen=True)
class Check:
    """One condition.

    Attributes:
        name: What is checked, such as ``floor log_loss``.
        passed: Whether it holds.
        found: The number found; None without one.
        limit: What it is compared with; None without one.
        words: One sentence, or part of one, with the numbers.
    """

    name: str
    passed: bool
    found: float | None
    limit: float | None
    words: str

    def to_dict(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)


def minimum(evaluation: Mapping[str, Any], gate: Gate) -> Check:
    """Whether the challenger's metric is there, and reaches the gate's minimum."""
    return _floor("minimum", evaluation, gate.metric, gate.minimum)


def floors(evaluation: Mapping[str, Any], gate: Gate) -> list[Check]:
    """Whether the challenger's other metrics reach their floors."""
    return [_floor(f"floor {metric}", evaluation, metric, least) for metric, least in gate.floors.items()]


def comparable(evaluation: Mapping[str, Any], gate: Gate) -> Check:
    """Whether challenger and champion were compared on rows that tell them apart, by what the gate asks."""
    why = ""
    paired = evaluation.get("paired")
    if not evaluation.get("comparable"):
        why = str(evaluation.get("note") or "no note was written")
    elif evaluation.get("champion") is None and evaluation.get("champion_run_id") is not None:
        why = f"the evaluation holds no scores of the champion {evaluation['champion_run_id']}"
    elif evaluation.get("champion") is not None and not _has(evaluation["champion"], gate.metric):
        why = f"the evaluation holds no {gate.metric} of the champion"
    elif evaluation.get("champion") is not None:
        why = _unpaired(paired if isinstance(paired, Mapping) else {}, gate)
    words = f"not compared with the champion: {why}" if why else "compared on the same fresh rows"
    return Check("comparable", not why, None, None, words)


def leak(evaluation: Mapping[str, Any]) -> Check | None:
    """Whether the rows held out are fresh, though they were found so; None when it was not measured."""
    found = evaluation.get("leakage")
    if not isinstance(found, Mapping):
        return None
    one = found.get("challenger") or {}
    other = found.get("champion") or {}
    worst = other if number(other.get("repeated")) > number(one.get("repeated")) else one
    repeated, baseline = number(worst.get("repeated")), number(worst.get("baseline"))
    note = str(found.get("note") or "")
    if note or not math.isfinite(repeated):
        words = note or "which rows repeat each other was not measured"
        return Check("leak", not note, None, None, words)
    words = f"{repeated:.1%} of the rows held out repeat fitted ones, {baseline:.1%} are usual"
    return Check("leak", True, repeated, baseline, words)


def uses(use: float, gate: Gate) -> Check:
    """Whether the rows have not been decided on too often."""
    passed = use <= gate.max_holdout_uses
    times = f"{use:.2f}".rstrip("0").rstrip(".")
    words = f"decision {times} on these rows, at most {gate.max_holdout_uses} are made"
    if not passed:
        words += "; push newer data"
    return Check("holdout uses", passed, round(use, 4), float(gate.max_holdout_uses), words)


def block(evaluation: Mapping[str, Any], gate: Gate) -> Check | None:
    """Whether the gate's blocks are long enough; a remark that never fails, None when it was not measured.

    Where the standard error by the next longer span is much larger, neighbouring blocks share their luck.
    """
    paired = evaluation["paired"]
    longer = paired.get("coarser")
    if not isinstance(longer, Mapping) or number(longer.get("effective_blocks")) < _LEAST_LONGER:
        return None
    near, far = number(paired.get("standard_error")), number(longer.get("standard_error"))
    if not math.isfinite(near) or not math.isfinite(far):
        return None
    words = f"the gain's standard error is {near:.4f} by {gate.block} and {far:.4f} by {longer.get('block')}"
    if far > _MUCH_LARGER * near:
        words += (
            f"; neighbouring blocks are alike, set gate.block: {longer.get('block')} to be on the safe side"
        )
    return Check("block", True, far, near, words)


def slices(evaluation: Mapping[str, Any], gate: Gate) -> list[Check]:
    """Whether no slice loses more than allowed, beyond chance; one check per feature of the gate."""
    return [_slice(evaluation, gate, feature) for feature in gate.slices]


def calibration(evaluation: Mapping[str, Any], gate: Gate) -> list[Check]:
    """Whether scores are near the share of label 1, if the gate asks."""
    most = gate.max_calibration_error
    if most is None:
        return []
    ours = (evaluation.get("calibration") or {}).get("challenger") or {}
    error = number(ours.get("error"))
    if not math.isfinite(error):
        return [Check("calibration", False, None, most, f"calibration was not measured; {AGAIN}")]
    passed = error <= most
    words = (
        f"calibration error {apart(error, most)} is {'within' if passed else 'above'} the maximum {most:g}"
    )
    return [Check("calibration", passed, error, most, words)]


def latency(evaluation: Mapping[str, Any], gate: Gate) -> Check:
    """Whether single rows are answered in time."""
    most = gate.max_latency_milliseconds
    found = number((evaluation.get("latency") or {}).get("p99_milliseconds"))
    if not math.isfinite(found):
        return Check("latency", False, None, most, f"latency was not measured; {AGAIN}")
    passed = found <= most
    place = "within" if passed else "above"
    words = f"99 of 100 single rows are answered in {found:.3g} ms, {place} the maximum {most:g} ms"
    return Check("latency", passed, found, most, words)


def size(evaluation: Mapping[str, Any], gate: Gate) -> Check:
    """Whether the unpacked model is small enough."""
    most = float(gate.max_artifact_mb)
    found = number(evaluation.get("artifact_bytes")) / MEGABYTE
    if not math.isfinite(found):
        return Check("artifact size", False, None, most, f"the model's size was not measured; {AGAIN}")
    passed = found <= most
    words = f"the unpacked model has {found:.3g} MB, {'within' if passed else 'above'} the maximum {most:g}"
    return Check("artifact size", passed, found, most, words)


def _floor(name: str, evaluation: Mapping[str, Any], metric: str, least: Any) -> Check:
    metrics = evaluation.get("challenger") or {}
    score, floor = number(metrics.get(metric)), None if least is None else float(least)
    if not math.isfinite(score):
        found = ", ".join(sorted(metrics)) or "nothing"
        return Check(
            name, False, None, floor, f"the evaluation holds no {metric} of the challenger, it has {found}"
        )
    if floor is None:
        return Check(name, True, score, None, f"{metric} {score:.4f}, any value is taken")
    less = metric in LOWER_IS_BETTER
    passed = score <= floor if less else score >= floor
    words = f"{metric} {apart(score, floor)} is {limit(floor, less=less, passed=passed)}"
    return Check(name, passed, score, floor, words)


def _has(metrics: Mapping[str, Any], metric: str) -> bool:
    return math.isfinite(number(metrics.get(metric)))


def _unpaired(paired: Mapping[str, Any], gate: Gate) -> str:
    """Why a paired comparison does not say what the gate asks; empty when it does."""
    if not paired:
        return f"the evaluation holds no paired comparison; {AGAIN}"
    for key, wanted in (("metric", gate.metric), ("block", gate.block)):
        if paired.get(key) != wanted:
            return f"compared by the {key} {paired.get(key)}, the gate asks for {wanted}; {AGAIN}"
    for key in ("gain", "standard_error", "blocks"):
        if not math.isfinite(number(paired.get(key))):
            return f"the paired comparison holds no {key}; {AGAIN}"
    return ""


def _slice(evaluation: Mapping[str, Any], gate: Gate, feature: str) -> Check:
    name, most = f"slice {feature}", gate.max_slice_loss
    if feature not in (evaluation.get("sliced") or []):
        return Check(name, False, None, most, f"slices of {feature} were not measured; {AGAIN}")
    every = [s for s in evaluation.get("slices") or [] if math.isfinite(number(s.get("loss")))]
    ours = [s for s in every if s.get("feature") == feature]
    if not ours:
        words = f"no value of {feature} has {gate.slice_min_rows} rows to compare on"
        return Check(name, True, None, most, words)
    # A chance of 1 - confidence for all slices together, whatever feature they are of.
    alpha = (1 - gate.confidence) / len(every)
    failed = [s for s in ours if float(s["loss"]) > most and _beyond_chance(s, alpha)]
    worst = max(failed or ours, key=lambda s: float(s["loss"]))
    loss, where = float(worst["loss"]), f"where {feature} is {worst.get('value')}"
    rows = f"{int(worst['rows']):,} rows"
    if failed:
        words = (
            f"{gate.metric} loses {apart(loss, most)} {where} ({rows}), more than {most:g} and than chance "
            "explains"
        )
        return Check(name, False, loss, most, words)
    if loss <= 0:
        return Check(name, True, loss, most, f"no value of {feature} loses, {_count(ours)} compared")
    how = "at most" if loss <= most else "by chance"
    words = f"{gate.metric} loses {how} {apart(loss, most)} {where} ({rows}), {most:g} is allowed"
    return Check(name, True, loss, most, words)


def _beyond_chance(part: Mapping[str, Any], alpha: float) -> bool:
    error = number(part.get("standard_error"))
    blocks = number(part.get("effective_blocks"))
    if not math.isfinite(error) or not blocks > 1:
        return False  # one block, say one day, is one stroke of luck
    return float(part["loss"]) > needed(error, alpha, blocks)


def _count(parts: Iterable[Any]) -> str:
    return f"{len(list(parts))} of them"
