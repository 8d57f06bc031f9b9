"""How the models answer: curves, calibration, distributions of scores and errors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from training.report import charts, confusion, pieces
from training.report.markup import Html
from training.report.numbers import Axis, axis, finite, items, mapping, shown, whole
from training.report.subject import CHALLENGER, CHAMPION, Subject
from training.report.svg import Series

_WHO = (CHALLENGER, CHAMPION)
_MOST_POINTS, _MOST_BINS, _MOST_DOTS = 400, 100, 600

Histogram = tuple[list[float], list[float]]


def section(subject: Subject) -> Html | None:
    """All drawings there is something for; None without any."""
    drawn = [
        _roc(subject),
        _precision(subject),
        _calibration(subject),
        *(_scores(subject, who) for who in _WHO),
        _residuals(subject),
        *(_dots(subject, who) for who in _WHO),
    ]
    tables = [confusion.figure(subject, who) for who in _WHO]
    if not any((*drawn, *tables)):
        return None
    return pieces.section(
        "answers",
        "How it answers",
        pieces.note(f"On the {shown(subject.rows('holdout'))} rows held out."),
        pieces.figures(drawn),
        pieces.figures(tables),
    )


def pairs(
    value: object, most: int, low: float | None = None, high: float | None = None
) -> list[tuple[float, float]]:
    """Points that can be drawn: both numbers, and within limits where there are any."""
    found = []
    for point in items(value)[:most]:
        both = items(point)
        if len(both) != 2:  # no point
            continue
        x, y = finite(both[0]), finite(both[1])
        if x is None or y is None:
            continue
        if (low is not None and min(x, y) < low) or (high is not None and max(x, y) > high):
            continue
        found.append((x, y))
    return found


def histogram(value: object, counted: str = "counts") -> Histogram | None:
    """Edges and counts; None when they do not fit together."""
    found = mapping(value)
    edges = [finite(one) for one in items(found.get("edges"))]
    counts = [whole(one) for one in items(found.get(counted))]
    sure = [one for one in edges if one is not None]
    full = [float(one) for one in counts if one is not None]
    if not full or len(full) != len(counts) or len(sure) != len(edges) or len(sure) != len(full) + 1:
        return None
    if len(full) > _MOST_BINS or any(a >= b for a, b in pairwise(sure)):
        return None
    return sure, full


def _curves(subject: Subject, name: str) -> list[Series]:
    """The curve of each model that has one, with the metric beside its name."""
    value = {"roc": "roc_auc", "pr": "average_precision"}[name]
    found = []
    for who in _WHO:
        points = pairs(subject.part("curves", who).get(name), _MOST_POINTS, 0.0, 1.0)
        if len(points) > 1:
            area = finite(subject.part(who).get(value))
            found.append(Series(who, points, who, "" if area is None else shown(area)))
    return found


def _told(series: Sequence[Series]) -> str:
    return "; ".join(f"{one.name} {one.value}".strip() for one in series)


def _roc(subject: Subject) -> Html | None:
    found = _curves(subject, "roc")
    if not found:
        return None
    drawn = charts.lines(
        "ROC curve",
        f"True over false positive rate. Area under the curve: {_told(found)}.",
        found,
        x_label="false positive rate",
        y_label="true positive rate",
        reference=[(0.0, 0.0), (1.0, 1.0)],
    )
    return pieces.figure("ROC", drawn, f"area under the curve: {_told(found)}; 0.5 is chance")


def _precision(subject: Subject) -> Html | None:
    found = _curves(subject, "pr")
    if not found:
        return None
    share = _share_of_ones(subject)
    drawn = charts.lines(
        "Precision over recall",
        f"Average precision: {_told(found)}.",
        found,
        x_label="recall",
        y_label="precision",
        reference=[(0.0, share), (1.0, share)] if share is not None else (),
    )
    chance = f"; {shown(share)} is chance" if share is not None else ""
    return pieces.figure("Precision and recall", drawn, f"average precision: {_told(found)}{chance}")


def _share_of_ones(subject: Subject) -> float | None:
    """The share of rows with label 1, which is the precision of guessing."""
    found = confusion.read(subject.part("curves", CHALLENGER).get("confusion"))
    if found is None or len(found.counts) != 2:  # binary: labels 0 and 1
        return None
    total = sum(map(sum, found.counts))
    return sum(found.counts[1]) / total if total else None


def _calibration(subject: Subject) -> Html | None:
    found, errors = [], []
    for who in _WHO:
        one = subject.part("calibration", who)
        bins = [mapping(item) for item in items(one.get("bins"))[:_MOST_BINS]]
        points = [
            (score, share, float(rows))
            for score, share, rows in (
                (finite(b.get("score")), finite(b.get("share")), whole(b.get("rows"))) for b in bins
            )
            if score is not None and share is not None and rows and 0 <= score <= 1 and 0 <= share <= 1
        ]
        if points:
            error = finite(one.get("error"))
            value = "" if error is None else shown(error)
            found.append(
                Series(who, [(a, b) for a, b, _ in points], who, value, [rows for _, _, rows in points])
            )
            errors.append(f"{who} {value}".strip())
    if not found:
        return None
    words = f"mean distance from the diagonal: {'; '.join(errors)}"
    drawn = charts.reliability("Calibration", f"Share of label 1 over the score; {words}.", found)
    return pieces.figure("Calibration", drawn, words)


def _scores(subject: Subject, who: str) -> Html | None:
    """Scores of rows with label 1 and of the others, as shares of each."""
    value = subject.part("curves", who).get("scores")
    every, ones = histogram(value), histogram(value, "positives")
    if every is None:
        return None
    edges, counts = every
    groups: list[tuple[str, str, list[float], list[float]]] = []
    if ones is not None and all(a <= b for a, b in zip(ones[1], counts, strict=True)):
        others = [a - b for a, b in zip(counts, ones[1], strict=True)]
        parts = [("label 0", "zero", others), ("label 1", "one", ones[1])]
    else:
        parts = [("all rows", "one", counts)]
    for name, look, found in parts:
        if total := sum(found):
            groups.append((name, look, edges, [one / total for one in found]))
    if not groups:
        return None
    title = f"Scores of the {who}"
    words = "each label's rows are 100 %; the further apart, the better the model tells them apart"
    width = (edges[-1] - edges[0]) / len(counts)
    drawn = charts.histogram(
        title, f"{words}.", groups, x_label=f"score, in steps of {width:.2g}", x=_of_scores(subject)
    )
    return pieces.figure(title, drawn, words)


def _of_scores(subject: Subject) -> Axis:
    """One axis for the scores of both models, for they stand side by side."""
    found = [histogram(subject.part("curves", who).get("scores")) for who in _WHO]
    edges = [edge for one in found if one for edge in (one[0][0], one[0][-1])]
    return axis(min(edges), max(edges), 6, tight=True)


def _residuals(subject: Subject) -> Html | None:
    groups, beyond = [], []
    for who in _WHO:
        value = mapping(subject.part("curves", who).get("residuals"))
        found = histogram(value)
        if found is None or not sum(found[1]):
            continue
        outside = (whole(value.get("below")) or 0) + (whole(value.get("above")) or 0)
        total = sum(found[1]) + outside
        groups.append((who, who, found[0], [one / total for one in found[1]]))
        if outside:
            beyond.append(f"{who} {outside:,}")
    if not groups:
        return None
    words = "actual minus predicted; right of 0 the prediction was too low"
    if beyond:
        words += f". Rows beyond the edges: {', '.join(beyond)}"
    drawn = charts.histogram(
        "Residuals", f"{words}.", groups, x_label="actual minus predicted", mark=(0.0, "no error")
    )
    return pieces.figure("Residuals", drawn, words)


def _dots(subject: Subject, who: str) -> Html | None:
    found = pairs(subject.part("curves", who).get("predicted_actual"), _MOST_DOTS)
    if not found:
        return None
    title = f"Predicted and actual, {who}"
    words = f"{len(found):,} rows; on the dashed line the prediction is right"
    drawn = charts.dots(title, f"{words}.", found, x_label="predicted", y_label="actual", look=who)
    return pieces.figure(title, drawn, words)
