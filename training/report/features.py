"""Which features the model needs: what the metric loses when one is shuffled."""

from __future__ import annotations

from training.report import intervals, pieces
from training.report.intervals import Interval
from training.report.markup import Html
from training.report.numbers import alike, finite, items, mapping, shown, signed
from training.report.pieces import BAR, NUMBER
from training.report.subject import Subject, word

_MOST = 40
# Of three shuffles an error is roughly known; two of them are what people expect of a line.
_ERRORS = 2.0


def section(subject: Subject) -> Html | None:
    """The bars; None when it was not measured."""
    found = []
    for item in items(subject.evaluation.get("importance")):
        one = mapping(item)
        mean, error = finite(one.get("mean")), finite(one.get("standard_error"))
        if mean is not None:
            far = None if error is None else _ERRORS * abs(error)
            found.append((word(one.get("feature"), 60), Interval.around(mean, finite(far)), error))
    if not found:
        return None
    shortened = found[:_MOST]
    on = intervals.common([one for _, one, _ in shortened])
    written = alike([one.value for _, one, _ in shortened])
    lines = [
        (
            name,
            text,
            intervals.bar(f"{name}: {signed(one.value)}, standard error {shown(error)}", one, on),
        )
        for text, (name, one, error) in zip(written, shortened, strict=True)
    ]
    rest = f" The {len(found) - _MOST} that matter least are left out." if len(found) > _MOST else ""
    words = (
        f"What {subject.metric} loses on held-out rows when the values of one feature are shuffled; the line "
        f"is two standard errors to each side. Features that say the same share their part.{rest}"
    )
    return pieces.section(
        "features",
        "Feature importance",
        pieces.note(words),
        pieces.table(("feature", f"loss of {subject.metric}", ""), lines, (None, NUMBER, BAR)),
    )
