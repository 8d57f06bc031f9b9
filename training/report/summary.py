"""The decision as a short plain text, such as a notification holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.report import losses
from training.report.losses import Slice
from training.report.markup import clean
from training.report.numbers import finite, items, mapping, shown, signed, whole
from training.report.subject import approval, fact, gain, is_promoted, label, metrics, word

MOST = 1_500
_MOST_METRICS, _MOST_SLICES, _MOST_CHECKS = 4, 4, 4
# The gate's own defaults, for decisions of before the gate was stored with them.
_CONFIDENCE, _MAX_LOSS = 0.95, 0.05


def text(decision: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """Verdict, reason, the numbers people ask for, slices that lost, and how to look further.

    Args:
        decision: As it is stored.
        evaluation: As the job wrote it; what it lacks is left out.

    Returns:
        At most ``MOST`` characters; whole lines, and the command to look further is always among them.
    """
    name, version = word(decision.get("model") or "model", 40), label(decision)
    last = [
        "",
        f"More: upkeep models show {version} --model {name} --report {name}.html",
    ]
    verdict = "promoted" if is_promoted(decision) else "refused"
    state = approval(decision)
    reason = fact(decision, "reason", 700).removeprefix("refused: ") or "no reason was recorded"
    first = [
        f"{name} {version} {verdict}" + (f", {state}" if state else ""),
        "",
        f"{reason}.",
        "",
    ]
    lines = [
        *_metrics(decision, evaluation),
        *_failed(decision),
        *_slices(decision, evaluation),
        *_rows(decision, evaluation),
        *_serving(evaluation),
    ]
    return _fitted([clean(line) for line in first], [clean(line) for line in lines], last)


def _fitted(first: list[str], lines: list[str], last: list[str]) -> str:
    """As many of the lines as there is room for; the first and the last are always there."""
    room = MOST - len("\n".join([*first, *last])) - 1
    kept: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join([*first, *kept, *last])


def _metrics(decision: Mapping[str, Any], evaluation: Mapping[str, Any]) -> list[str]:
    decides = fact(decision, "metric", 40) or fact(evaluation, "metric", 40)
    ours, theirs = mapping(evaluation.get("challenger")), mapping(evaluation.get("champion"))
    ours = ours or {decides: decision.get("challenger")}
    theirs = theirs or {decides: decision.get("champion")}
    lines = []
    for name in metrics(fact(evaluation, "task"), decides, ours, theirs)[:_MOST_METRICS]:
        one, other = finite(ours.get(name)), finite(theirs.get(name))
        line = f"{word(name, 40)}: {shown(one)}"
        if other is not None:
            line += f", champion {shown(other)}, gain {signed(gain(name, one, other))}"
        low = finite(decision.get("gain_low"))
        if name == decides and low is not None:
            line += f" (at least {signed(low)})"
        lines.append(line)
    return lines


def _failed(decision: Mapping[str, Any]) -> list[str]:
    """Checks that failed, but for the one that the reason is about already."""
    reason = fact(decision, "reason", 1_100)
    words = [
        fact(one, "words", 160) or fact(one, "name", 60)
        for one in map(mapping, items(decision.get("checks")))
        if one and one.get("passed") is not True
    ]
    others = [one for one in words if one not in reason]
    if not others:
        return []
    rest = len(others) - _MOST_CHECKS
    more = [f"- and {rest} more"] if rest > 0 else []
    return ["Failed too:", *(f"- {one}" for one in others[:_MOST_CHECKS]), *more]


def _slices(decision: Mapping[str, Any], evaluation: Mapping[str, Any]) -> list[str]:
    """The slices that lost, the worst first."""
    every = losses.read(evaluation, *losses.limits(decision, _CONFIDENCE, _MAX_LOSS))
    lost = sorted(((one.loss, one) for one in every if one.loss is not None and one.loss > 0), key=_worst)
    if not lost:
        return ["No slice lost."] if any(one.loss is not None for one in every) else []
    told = [_slice(loss, one) for loss, one in lost[:_MOST_SLICES]]
    rest = len(lost) - _MOST_SLICES
    return [f"Slices that lost: {'; '.join(told)}{f'; and {rest} more' if rest > 0 else ''}"]


def _worst(one: tuple[float, Slice]) -> tuple[bool, float]:
    return not one[1].lost, -one[0]


def _slice(loss: float, one: Slice) -> str:
    chance = "" if one.lost or (one.reach is not None and loss > one.reach) else ", perhaps by chance"
    rows = f", {shown(one.rows)} rows" if one.rows is not None else ""
    return (
        f"{one.feature} {one.value} by {shown(loss)} ({'too much' if one.lost else 'allowed'}{chance}{rows})"
    )


def _rows(decision: Mapping[str, Any], evaluation: Mapping[str, Any]) -> list[str]:
    counts = {**mapping(evaluation.get("rows")), **mapping(decision.get("rows"))}
    names = (("fitted", "fitted on"), ("holdout", "compared on"), ("dropped", "dropped"))
    parts = [
        f"{shown(found)} {words}" for name, words in names if (found := whole(counts.get(name))) is not None
    ]
    files = whole(decision.get("files"))
    if parts and files is not None:
        parts.append(f"{shown(files)} file{'' if files == 1 else 's'}")
    held = mapping(evaluation.get("holdout"))
    first, last = fact(held, "from", 40)[:10], fact(held, "to", 40)[:10]  # the days are enough
    lines = [f"Rows: {', '.join(parts)}"] if parts else []
    use = finite(decision.get("holdout_uses"))
    if first and last:
        times = f", decision {use:.3g} on these rows" if use is not None else ""
        lines.append(f"Held out: {first} to {last}{times}")
    return lines


def _serving(evaluation: Mapping[str, Any]) -> list[str]:
    latency = finite(mapping(evaluation.get("latency")).get("p99_milliseconds"))
    size = finite(evaluation.get("artifact_bytes"))
    parts = [f"99 of 100 single rows within {latency:.3g} ms"] if latency is not None else []
    parts += [f"{size / 1e6:,.3g} MB unpacked"] if size is not None else []
    return [f"Serving: {', '.join(parts)}"] if parts else []
