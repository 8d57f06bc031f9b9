"""The shadow report: one HTML page, readable offline, of what a new version would change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.report import charts
from training.report.markup import Html, tag
from training.report.numbers import MINUS, percent, shown, signed
from training.report.style import STYLE

_SHOWN_FEATURES = 12
SIGNS = ("+", MINUS)


def render(document: Mapping[str, Any]) -> str:
    """The page.

    Args:
        document: As in ``check.json``.
    """
    title = f"{document['model']}: check of {document['challenger'] or document['run_id']}"
    verdict, look = ("Passed.", "good") if document["passed"] else ("Refused.", "bad")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name_="viewport", content="width=device-width"),
        tag("title", title),
        Html(f"<style>{STYLE}</style>"),
    )
    body = tag(
        "body",
        tag("h1", title),
        tag("small", f"run {document['run_id']}, job {document['job_name']}"),
        tag("div", tag("p", tag("b", verdict), " ", document["reason"]), class_=f"verdict {look}"),
        _numbers(document),
        [tag("p", note) for note in document["notes"]],
        _shadow(document),
        _log(document["log"]),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _numbers(document: Mapping[str, Any]) -> list[Html]:
    asked = "recorded" if document["source"] == "recorded" else "of the sample of its training"
    return [
        tag("h2", "The server"),
        _table(
            [
                ("Start of the server to the first ping", _unit(document["started_seconds"], "s")),
                (f"Requests asked, {asked}", shown(document["requests"])),
                ("Not answered with 200 any more", shown(document["errors"])),
                ("Single row, half of them within", _unit(document["p50_milliseconds"], "ms")),
                ("Single row, 99 of 100 within", _unit(document["p99_milliseconds"], "ms")),
                ("Limit for 99 of 100", _unit(document["limit_milliseconds"], "ms")),
                (
                    "Four at the same moment, 99 of 100 within",
                    _unit(document["burst_p99_milliseconds"], "ms"),
                ),
            ]
        ),
    ]


def _shadow(document: Mapping[str, Any]) -> list[Html]:
    found = document["shadow"]
    if found is None:
        return [tag("h2", "What would change"), tag("p", "Nothing was compared.")]
    before, after = document["champion"] or "now", document["challenger"] or "new"
    compared, changed = found["compared"], found["changed_labels"]
    rows = [("Rows answered by both", shown(compared))]
    if changed is not None:
        rows.append(("Labels that change", f"{shown(changed)} ({percent(changed / compared)})"))
    rows += [
        ("Mean score now", shown(found["mean_before"])),
        ("Mean score of the new version", shown(found["mean_after"])),
        ("Mean distance of the scores", shown(found["mean_abs_difference"])),
        ("Largest distance", shown(found["max_abs_difference"])),
    ]
    return [
        tag("h2", f"What would change from {before} to {after}"),
        _table(rows),
        *_transitions(found["transitions"]),
        tag("h2", "By how much the scores differ"),
        _histogram(found, compared),
        *_worst(found["worst"], labelled=changed is not None),
    ]


def _histogram(found: Mapping[str, Any], compared: int) -> Html:
    histogram = found["histogram"]
    shares = [count / compared for count in histogram["counts"]]
    return charts.histogram(
        "Score of the new version minus score now",
        f"Differences from {signed(histogram['edges'][0])} to {signed(histogram['edges'][-1])}; the mean is "
        f"{signed(found['mean_difference'])}.",
        [("all rows", "challenger", histogram["edges"], shares)],
        x_label="score of the new version minus score now",
        mark=(0.0, "the same"),
    )


def _transitions(found: Sequence[Mapping[str, Any]]) -> list[Html]:
    if not found:
        return []
    lines = [(row["before"], row["after"], shown(row["rows"])) for row in found]
    return [tag("h2", "Labels"), _table(lines, ("now", "new", "rows"))]


def _worst(found: Sequence[Mapping[str, Any]], *, labelled: bool) -> list[Html]:
    if not found:
        return [tag("p", "No row is answered otherwise.")]
    names = list(dict.fromkeys(name for row in found for name in row["values"]))[:_SHOWN_FEATURES]
    labels = ["label now", "label new"] if labelled else []
    lines = []
    for row in found:
        before, after = row["before"], row["after"]
        cells = [signed(row["difference"]), shown(before["score"]), shown(after["score"])]
        cells += [str(before["label"]), str(after["label"])] if labelled else []
        lines.append([*cells, *("" if (v := row["values"].get(n)) is None else str(v) for n in names)])
    head = ["difference", "score now", "score new", *labels, *names]
    return [tag("h2", "The rows that change most"), tag("div", _table(lines, head), class_="wide")]


def _table(lines: Sequence[Sequence[object]], head: Sequence[object] = ()) -> Html:
    header = tag("tr", [tag("th", cell) for cell in head]) if head else None
    return tag("table", header, [tag("tr", [_cell(cell) for cell in line]) for line in lines])


def _cell(value: object) -> Html:
    """Numbers stand one below the other."""
    text = str(value)
    return tag("td", text, class_="n" if text[:1].isdigit() or text[:1] in SIGNS else None)


def _log(lines: Sequence[str]) -> list[Html]:
    return [tag("h2", "The server's last words"), tag("pre", "\n".join(lines))] if lines else []


def _unit(value: float | None, unit: str) -> str:
    return "not measured" if value is None else f"{value:,.3g} {unit}"
