"""What the model was fitted on and what it was judged on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from training.report import charts, pieces
from training.report.markup import Html, tag
from training.report.numbers import finite, items, mapping, percent, shown, whole
from training.report.subject import CHALLENGER, CHAMPION, Subject, fact, word

_MOST_FILES, _MOST_DAYS = 100, 400


def section(subject: Subject) -> Html:
    """Rows, files, window, holdout and freshness."""
    window = mapping(subject.decision.get("window")) or subject.part("window")
    names = [word(one) for one in items(subject.evaluation.get("files"))]
    files = whole(subject.decision.get("files")) if not names else len(names)
    return pieces.section(
        "data",
        "Data",
        pieces.facts(
            [
                ("rows accepted", _rows(subject, "available")),
                ("rows in the window", _rows(subject, "total")),
                ("fitted on", _rows(subject, "fitted")),
                ("held out, the newest", _rows(subject, "holdout")),
                ("dropped, the contract refused them", _rows(subject, "dropped")),
                ("duplicates, counted once", _rows(subject, "duplicates")),
                ("window", fact(window, "setting", 60)),
                ("rows from", _span(window)),
                ("held out from", _holdout(subject, window)),
                ("decision on these rows", _uses(subject)),
                ("champion fitted until", fact(subject.evaluation, "champion_fitted_until", 40)),
                ("rows that repeat fitted ones", _repeated(subject, CHALLENGER)),
                ("the same for the champion", _repeated(subject, CHAMPION)),
                ("files", shown(files)),
                ("trigger", fact(subject.decision, "trigger", 80)),
            ]
        ),
        _days(subject),
        _files(names),
    )


def _rows(subject: Subject, name: str) -> str | None:
    found = subject.rows(name)
    return None if found is None else shown(found)


def _span(window: Mapping[str, Any]) -> str:
    first, last = fact(window, "from", 40), fact(window, "to", 40)
    return f"{first} to {last}" if first and last else first


def _holdout(subject: Subject, window: Mapping[str, Any]) -> str:
    held = subject.part("holdout")
    first = fact(held, "from", 40) or fact(window, "holdout_from", 40)
    last = fact(held, "to", 40)
    return f"{first} to {last}" if first and last else first


def _uses(subject: Subject) -> str | None:
    use = finite(subject.decision.get("holdout_uses"))
    if use is None:
        return None
    most = whole(
        mapping(subject.decision.get("gate")).get("max_holdout_uses", subject.spec.gate.max_holdout_uses)
    )
    return f"{use:.2f}".rstrip("0").rstrip(".") + (f" of at most {most}" if most else "")


def _repeated(subject: Subject, who: str) -> str | None:
    found = subject.part("leakage", who)
    repeated, usual = finite(found.get("repeated")), finite(found.get("baseline"))
    if repeated is None:
        return None
    return percent(repeated) + (f", {percent(usual)} are usual" if usual is not None else "")


def _days(subject: Subject) -> Html | None:
    """Rows held out on each day, when there are days enough to see something."""
    found = {}
    for name, rows in list(subject.part("holdout", "days").items())[:_MOST_DAYS]:
        try:
            day = date.fromisoformat(str(name))
        except ValueError:  # not a day: what it is cannot be placed on an axis
            continue
        if (count := whole(rows)) is not None:
            found[day] = count
    if len(found) < 3:  # told by the sentence above
        return None
    drawn = charts.days("Rows held out on each day", found)
    return pieces.figure("Rows held out on each day", drawn)


def _files(names: list[str]) -> Html | None:
    if not names:
        return None
    rest = len(names) - _MOST_FILES
    listed = [tag("li", tag("code", name)) for name in names[:_MOST_FILES]]
    more = tag("li", f"and {rest:,} more, in the manifest") if rest > 0 else None
    return pieces.fold(f"{len(names):,} file{'s' if len(names) > 1 else ''}", tag("ul", listed, more))
