"""The confusion table: how often which label was taken for which."""

from __future__ import annotations

from dataclasses import dataclass

from training.report import pieces
from training.report.markup import Html, tag
from training.report.numbers import items, mapping, percent, shown, whole
from training.report.subject import Subject, word

MOST_CLASSES = 20
_SHADES = 10


@dataclass(frozen=True)
class Confusion:
    """Counts by true, then predicted label.

    Attributes:
        labels: Names of the classes.
        counts: One row for each true label.
        left_out: Rows of classes that are not in the table.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    left_out: int = 0


def read(value: object) -> Confusion | None:
    """The table of an evaluation; None when it is not square or not whole."""
    found = mapping(value)
    labels = tuple(word(one, 40) for one in items(found.get("labels")))
    counts = tuple(tuple(whole(cell) for cell in items(line)) for line in items(found.get("counts")))
    size = len(labels)
    if not 0 < size <= MOST_CLASSES or len(counts) != size or any(len(line) != size for line in counts):
        return None
    if any(cell is None for line in counts for cell in line):
        return None
    sure = tuple(tuple(cell or 0 for cell in line) for line in counts)
    return Confusion(labels, sure, whole(found.get("left_out")) or 0)


def figure(subject: Subject, who: str) -> Html | None:
    """The table of one model, darker where more of a true label's rows are."""
    found = read(subject.part("curves", who).get("confusion"))
    if found is None:
        return None
    small = len(found.labels) <= 6  # more columns leave no room for shares
    head = tag("tr", tag("th", "true ↓ predicted →"), [tag("th", name, scope="col") for name in found.labels])
    lines = []
    for name, line in zip(found.labels, found.counts, strict=True):
        total = sum(line)
        cells = [_cell(count, total, with_share=small) for count in line]
        lines.append(tag("tr", tag("th", name, scope="row"), cells))
    about = "rows, and their share of the true label; score 0.5 and above means 1"
    if subject.spec.task != "binary":
        about = "rows" + (", and their share of the true label" if small else "")
    if found.left_out:
        about += f"; {found.left_out:,} rows of rarer classes are left out"
    table = tag("table", tag("thead", head), tag("tbody", lines), class_="confusion")
    return pieces.figure(f"Confusion, {who}", tag("div", table, class_="wide"), about)


def _cell(count: int, total: int, *, with_share: bool) -> Html:
    share = count / total if total else 0.0
    words = tag("small", percent(share)) if with_share and total else None
    return tag("td", shown(count), words, class_=f"cell h{round(share * _SHADES)}")
