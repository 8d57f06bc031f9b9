"""Champion against challenger: every metric, and the gain with its interval."""

from __future__ import annotations

from training.report import intervals, pieces
from training.report.intervals import Interval
from training.report.markup import Html, tag
from training.report.numbers import NOTHING, finite, mapping, shown, signed, whole
from training.report.pieces import NUMBER
from training.report.subject import CHALLENGER, CHAMPION, Subject, better, fact, gain, metrics, word

_MOST_METRICS = 30
_SPANS = {"row": "rows", "hour": "hours", "day": "days", "week": "weeks"}


def section(subject: Subject) -> Html | None:
    """The metrics of both; None when none were measured."""
    ours, theirs = subject.part(CHALLENGER), subject.part(CHAMPION)
    names = metrics(subject.spec.task, subject.metric, ours, theirs)[:_MOST_METRICS]
    if not names:
        return None
    lines = []
    for name in names:
        one, other = finite(ours.get(name)), finite(theirs.get(name))
        cells: list[object] = [_name(name, subject.metric), shown(one)]
        if theirs:
            cells += [shown(other), _gain(gain(name, one, other))]
        lines.append((*cells, better(name)))
    head = ["metric", "challenger", *(["champion", "gain"] if theirs else []), ""]
    looks = [None, NUMBER, *([NUMBER, NUMBER] if theirs else [])]
    title = "Challenger against champion" if theirs else "Metrics"
    rows = f"on the same {shown(subject.rows('holdout'))} rows that neither was fitted on"
    words = f"Both {rows}; a gain above 0 is for the better, also of errors." if theirs else None
    return pieces.section(
        "metrics",
        title,
        pieces.note(words) if words else None,
        pieces.table(head, lines, looks),
        _drawn(subject),
    )


def _name(name: str, decided_by: str) -> object:
    return [word(name), tag("small", " decides")] if name == decided_by else word(name)


def _gain(found: float | None) -> object:
    if found is None:
        return NOTHING
    return tag("span", signed(found), class_="good" if found > 0 else "bad" if found < 0 else None)


def _drawn(subject: Subject) -> Html | None:
    """The gain of the gate's metric; None when it was not compared."""
    decision = subject.decision
    value, low = finite(decision.get("gain")), finite(decision.get("gain_low"))
    if value is None:
        return None
    gate = mapping(decision.get("gate"))
    least = finite(gate.get("minimum_gain", subject.spec.gate.minimum_gain)) or 0.0
    confidence = finite(gate.get("confidence", subject.spec.gate.confidence))
    unsure = low is not None
    interval = Interval.around(value, value - low if low is not None else None)
    sure = low is not None and low > least and value > 0
    words = [f"{subject.metric} gains {signed(value)}"]
    if unsure:
        words.append(f"at least {signed(low)} with confidence {shown_plainly(confidence)}")
    words.append(f"more than {shown_plainly(least)} is needed")
    drawn = intervals.gain(
        f"Gain in {subject.metric}",
        f"{', '.join(words)}.",
        interval,
        least,
        "good" if sure else "bad",
        unsure=unsure,
    )
    about = f"{', '.join(words)}. The line reaches as far above the gain as below it." if unsure else ""
    return tag("div", pieces.figure(f"The gain in {subject.metric}", drawn, about), _test(subject))


def _test(subject: Subject) -> Html | None:
    """How sure the gain is, in numbers."""
    decision, paired = subject.decision, subject.part("paired")
    longer = mapping(paired.get("coarser"))
    span = _SPANS.get(fact(paired, "block"), fact(paired, "block", 40))
    worth = finite(paired.get("effective_blocks"))
    blocks = whole(paired.get("blocks"))
    wider = finite(longer.get("standard_error"))
    chance = finite(decision.get("significance"))
    return pieces.facts(
        [
            ("standard error", _known(paired.get("standard_error"))),
            (
                f"by {fact(longer, 'block', 40)}",
                f"{shown(wider)}, of {shown(whole(longer.get('blocks')))} parts"
                if wider is not None
                else None,
            ),
            (
                "independent parts",
                f"{shown(blocks)} {span}"
                + (f", worth {worth:,.0f} of equal size" if worth is not None else "")
                if blocks is not None
                else None,
            ),
            ("chance of such a gain without a better model", _small(chance)),
            ("decision on these rows", _times(finite(decision.get("holdout_uses")))),
        ]
    )


def shown_plainly(value: float | None) -> str:
    """A number somebody has set, without more digits than were given."""
    return NOTHING if value is None else f"{value:g}"


def _known(value: object) -> str | None:
    found = finite(value)
    return None if found is None else shown(found)


def _small(value: float | None) -> str | None:
    if value is None:
        return None
    return "below 0.0001" if value < 1e-4 else f"{value:.4f}"


def _times(use: float | None) -> str | None:
    if use is None:
        return None
    if use == 1:
        return "the first"
    return f"number {use:.2f}".rstrip("0").rstrip(".") + ", counted by the share of the rows that were used"
