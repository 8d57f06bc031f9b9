"""Slices: parts of the rows by themselves, each with its loss and how far that may be chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.gate.confidence import needed
from training.report import intervals, pieces
from training.report.intervals import Interval
from training.report.markup import Html
from training.report.numbers import NOTHING, alike, finite, items, mapping, shown, signed, whole
from training.report.pieces import BAR, NUMBER, SHORT
from training.report.subject import Subject, fact, word

_MOST = 80


@dataclass(frozen=True)
class Slice:
    """One part of the rows.

    Attributes:
        feature: What the rows were parted by.
        value: What they have in common.
        rows: How many they are.
        challenger: The metric there.
        champion: That of the champion; None when it was not compared.
        loss: How much worse the challenger is; None when it was not compared.
        reach: How far chance may take the loss, by the gate's confidence; None when nobody can say.
        lost: Whether it loses more than is allowed, and more than chance explains.
    """

    feature: str
    value: str
    rows: int | None
    challenger: float | None
    champion: float | None
    loss: float | None
    reach: float | None
    lost: bool

    @property
    def words(self) -> str:
        """What to think of it."""
        if self.loss is None:
            return ""
        if self.lost:
            return "✕ loses"
        if self.reach is not None and self.loss < -self.reach:
            return "✓ gains"
        return "no clear difference" if self.reach is None or abs(self.loss) <= self.reach else "✓ small loss"


def read(subject_evaluation: Mapping[str, Any], confidence: float, max_loss: float) -> list[Slice]:
    """The slices of an evaluation.

    Args:
        subject_evaluation: As the job wrote it.
        confidence: Of the gate; what it leaves to chance is shared by all slices, as the gate does.
        max_loss: The most a slice may lose.
    """
    found = [mapping(one) for one in items(subject_evaluation.get("slices"))]
    compared = sum(finite(one.get("loss")) is not None for one in found)
    alpha = (1 - confidence) / max(compared, 1)
    return [_read(one, alpha, max_loss) for one in found if one]


def of(subject: Subject) -> list[Slice]:
    """The slices, by the gate that decided."""
    confidence, max_loss = limits(
        subject.decision, subject.spec.gate.confidence, subject.spec.gate.max_slice_loss
    )
    return read(subject.evaluation, confidence, max_loss)


def limits(decision: Mapping[str, Any], confidence: float, max_loss: float) -> tuple[float, float]:
    """Confidence and allowed loss of the gate in a decision, else those given."""
    gate = mapping(decision.get("gate"))
    known = finite(gate.get("confidence"))
    allowed = finite(gate.get("max_slice_loss"))
    return (
        known if known is not None and 0 < known < 1 else confidence,
        allowed if allowed is not None else max_loss,
    )


def section(subject: Subject) -> Html | None:
    """The table; None when nothing was sliced."""
    everything = of(subject)
    if not everything:
        return None
    found = everything if len(everything) <= _MOST else _worst(everything)
    compared = any(one.loss is not None for one in found)
    words = (
        "A slice loses when the challenger is worse there by more than is allowed (the dashed line) and by "
        "more than chance explains (the line around the dot does not reach zero)."
        if compared
        else "There is no champion to compare with."
    )
    left_out = len(everything) - len(found)
    if left_out:
        words += f" Of {len(everything):,} slices the {len(found)} that lose most are shown."
    return pieces.section("slices", "Slices", pieces.note(words), _table(subject, found, compared=compared))


def _table(subject: Subject, found: Sequence[Slice], *, compared: bool) -> Html:
    head: list[object] = ["slice", "rows", f"{subject.metric} challenger"]
    looks: list[str | None] = [None, NUMBER, NUMBER]
    if not compared:
        lines = [(_name(one), shown(one.rows), shown(one.challenger)) for one in found]
        return pieces.table(head, lines, looks)
    head += ["champion", "loss", "gain ◂ 0 ▸ loss", ""]
    looks += [NUMBER, NUMBER, BAR, SHORT]
    _, allowed = limits(subject.decision, subject.spec.gate.confidence, subject.spec.gate.max_slice_loss)
    drawn = [Interval.around(one.loss, one.reach) for one in found if one.loss is not None]
    on = intervals.common(drawn, allowed)
    written = iter(alike([one.loss for one in found if one.loss is not None]))
    rows = []
    for one in found:
        picture: object = NOTHING
        if one.loss is not None:
            reach = f" ± {shown(one.reach)}" if one.reach is not None else ""
            picture = intervals.bar(
                f"{one.feature} {one.value}: loss {signed(one.loss)}{reach}, {shown(allowed)} is allowed",
                Interval.around(one.loss, one.reach),
                on,
                "bad" if one.lost else "",
                allowed,
            )
        rows.append(
            (
                *(_name(one), shown(one.rows), shown(one.challenger), shown(one.champion)),
                *(NOTHING if one.loss is None else next(written), picture, one.words),
            )
        )
    return pieces.table(head, rows, looks)


def _name(one: Slice) -> str:
    return f"{one.feature}: {one.value}"


def _worst(found: Sequence[Slice]) -> list[Slice]:
    order = sorted(found, key=lambda one: -math.inf if one.loss is None else one.loss, reverse=True)
    kept = {id(one) for one in order[:_MOST]}
    return [one for one in found if id(one) in kept]


def _read(one: Mapping[str, Any], alpha: float, max_loss: float) -> Slice:
    loss, error = finite(one.get("loss")), finite(one.get("standard_error"))
    blocks = finite(one.get("effective_blocks"))
    known = loss is not None and error is not None and error >= 0 and blocks is not None and blocks > 1
    reach = needed(error or 0.0, alpha, blocks or 0.0) if known else None
    return Slice(
        feature=word(one.get("feature") or "", 60),
        value=fact(one, "value", 60) or word(one.get("value"), 60),
        rows=whole(one.get("rows")),
        challenger=finite(one.get("challenger")),
        champion=finite(one.get("champion")),
        loss=loss,
        reach=finite(reach),
        lost=loss is not None and reach is not None and loss > max_loss and loss > reach,
    )
