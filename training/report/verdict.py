"""The top of the page: what was decided, why, the few numbers people ask for first, and every check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.report import pieces
from training.report.markup import Html, tag
from training.report.numbers import NOTHING, finite, items, mapping, percent, shown, signed
from training.report.pieces import NUMBER, WORDS
from training.report.subject import Subject, approval, fact, word

_MOST_CHECKS = 150


def head(subject: Subject) -> Html:
    """The verdict and its reason."""
    decision = subject.decision
    verdict = "promoted" if subject.promoted else "refused"
    reason = fact(decision, "reason", 1_100) or "no reason was recorded"
    if reason.startswith("refused: "):
        reason = reason.removeprefix("refused: ")
    about = [approval(decision), fact(decision, "at"), f"run {subject.fact('run_id')}"]
    return tag(
        "header",
        tag("h1", f"{word(subject.spec.name)} {subject.label}: {'✓' if subject.promoted else '✕'} {verdict}"),
        tag(
            "div",
            tag("p", tag("b", f"{verdict.capitalize()}: "), f"{reason}."),
            tag("p", ", ".join(one for one in about if one), class_="about"),
            class_=f"verdict {'good' if subject.promoted else 'bad'}",
        ),
        tag("p", subject.spec.description) if subject.spec.description else None,
        _not_compared(subject),
        _numbers(subject),
    )


def checks(subject: Subject) -> Html | None:
    """Everything the gate looked at; None in decisions of before there were checks."""
    found = [mapping(one) for one in items(subject.decision.get("checks"))][:_MOST_CHECKS]
    if not found:
        return None
    failed = sum(one.get("passed") is not True for one in found)
    words = "All checks passed." if not failed else f"{failed} of {len(found)} checks failed."
    return pieces.section(
        "checks",
        "What was checked",
        tag("p", words),
        pieces.table(
            ("check", "passed", "found", "limit", "in words"),
            [_check(one) for one in found],
            (None, None, NUMBER, NUMBER, WORDS),
        ),
    )


def _check(one: Mapping[str, Any]) -> tuple[object, ...]:
    name = fact(one, "name", 80)
    write = percent if name == "leak" else _plain
    return (
        name or NOTHING,
        pieces.passed(one.get("passed") is True),
        write(finite(one.get("found"))),
        write(finite(one.get("limit"))),
        fact(one, "words", 500),
    )


def _plain(value: float | None) -> str:
    """A number without decimals where there are none, for many limits are whole numbers."""
    return shown(int(value)) if value is not None and value == int(value) else shown(value)


def _not_compared(subject: Subject) -> Html | None:
    """Why there is nothing about a champion on the page, unless the reason says it already."""
    note = fact(subject.evaluation, "note")
    if subject.compared or (note and note in fact(subject.decision, "reason", 1_100)):
        return None
    words = note or "There was no champion to compare with: this is the first model."
    return tag("p", words, class_="soft")


def _numbers(subject: Subject) -> Html:
    decision, metric = subject.decision, subject.metric
    latency = finite(subject.part("latency").get("p99_milliseconds"))
    challenger = finite(decision.get("challenger"))
    if challenger is None:
        challenger = finite(subject.part("challenger").get(metric))
    low = finite(decision.get("gain_low"))
    found = [
        (metric, shown(challenger), "of the challenger, on fresh rows"),
        ("champion", shown(finite(decision.get("champion"))), "on the same rows"),
        ("gain", signed(finite(decision.get("gain"))), f"at least {signed(low)}" if low is not None else ""),
        (
            "rows compared on" if subject.compared else "rows judged on",
            shown(subject.rows("holdout")),
            f"of {shown(subject.rows('total'))}",
        ),
        ("answers one row in", f"{shown(latency)} ms", "99 of 100 times"),
    ]
    boxes = [
        tag("div", tag("small", name), tag("b", value), tag("small", about) if about else None)
        for name, value, about in found
        if not value.startswith(NOTHING)
    ]
    return tag("div", boxes, class_="facts")
