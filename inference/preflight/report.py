"""The shadow report: one HTML page, readable offline, of what a new version would change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1b1f24;background:#fff}
body{max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p.verdict{padding:.6rem .8rem;border-left:.4rem solid;background:#f6f8fa}
.passed{border-color:#1a7f37}.refused{border-color:#b42318}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;border-bottom:1px solid #d8dee4;text-align:right;vertical-align:top}
th:first-child,td:first-child,td.text{text-align:left}
div.wide{overflow-x:auto}pre{background:#f6f8fa;padding:.6rem;overflow-x:auto}small{color:#57606a}
"""
_WIDTH, _HEIGHT, _MARGIN = 640, 180, 34
_SHOWN_FEATURES = 12


def render(document: Mapping[str, Any]) -> str:
    """The page.

    Args:
        document: As in ``check.json``.
    """
    title = f"{document['model']}: check of {document['challenger'] or document['run_id']}"
    verdict = "passed" if document["passed"] else "refused"
    parts = [
        f"<h1>{_text(title)}</h1>",
        f"<small>run {_text(document['run_id'])}, job {_text(document['job_name'])}</small>",
        f'<p class="verdict {verdict}"><b>{verdict.capitalize()}.</b> {_text(document["reason"])}</p>',
        _numbers(document),
        *(f"<p>{_text(note)}</p>" for note in document["notes"]),
        _shadow(document),
        _log(document["log"]),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def _numbers(document: Mapping[str, Any]) -> str:
    asked = "recorded" if document["source"] == "recorded" else "of the sample of its training"
    rows = [
        ("Start of the server to the first ping", _unit(document["started_seconds"], "s")),
        (f"Requests asked, {asked}", f"{document['requests']:,}"),
        ("Not answered with 200 any more", f"{document['errors']:,}"),
        ("Single row, half of them within", _unit(document["p50_milliseconds"], "ms")),
        ("Single row, 99 of 100 within", _unit(document["p99_milliseconds"], "ms")),
        ("Limit for 99 of 100", _unit(document["limit_milliseconds"], "ms")),
        ("Four at the same moment, 99 of 100 within", _unit(document["burst_p99_milliseconds"], "ms")),
    ]
    cells = "".join(f"<tr><td>{_text(name)}</td><td>{_text(value)}</td></tr>" for name, value in rows)
    return f"<h2>The server</h2>\n<table>{cells}</table>"


def _shadow(document: Mapping[str, Any]) -> str:
    found = document["shadow"]
    if found is None:
        return "<h2>What would change</h2>\n<p>Nothing was compared.</p>"
    before, after = document["champion"] or "now", document["challenger"] or "new"
    compared, changed = found["compared"], found["changed_labels"]
    rows = [("Rows answered by both", f"{compared:,}")]
    if changed is not None:
        rows.append(("Labels that change", f"{changed:,} ({changed / compared:.1%})"))
    rows += [
        ("Mean score now", _number(found["mean_before"])),
        ("Mean score of the new version", _number(found["mean_after"])),
        ("Mean distance of the scores", _number(found["mean_abs_difference"])),
        ("Largest distance", _number(found["max_abs_difference"])),
    ]
    cells = "".join(f"<tr><td>{_text(name)}</td><td>{_text(value)}</td></tr>" for name, value in rows)
    return "\n".join(
        [
            f"<h2>What would change from {_text(before)} to {_text(after)}</h2>",
            f"<table>{cells}</table>",
            _transitions(found["transitions"]),
            "<h2>Score of the new version minus score now</h2>",
            _histogram(found["histogram"]["edges"], found["histogram"]["counts"]),
            _worst(found["worst"], changed is not None),
        ]
    )


def _transitions(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return ""
    cells = "".join(
        f"<tr><td>{_text(row['before'])}</td><td class=text>{_text(row['after'])}</td>"
        f"<td>{row['rows']:,}</td></tr>"
        for row in found
    )
    return f"<h2>Labels</h2>\n<table><tr><th>now</th><th>new</th><th>rows</th></tr>{cells}</table>"


def _worst(found: Sequence[Mapping[str, Any]], labelled: bool) -> str:
    if not found:
        return "<p>No row is answered otherwise.</p>"
    names = list(dict.fromkeys(name for row in found for name in row["values"]))[:_SHOWN_FEATURES]
    head = ["difference", "score now", "score new", *(["label now", "label new"] if labelled else []), *names]
    lines = []
    for row in found:
        before, after = row["before"], row["after"]
        cells = [f"{row['difference']:+.4g}", _number(before["score"]), _number(after["score"])]
        if labelled:
            cells += [str(before["label"]), str(after["label"])]
        cells += [_value(row["values"].get(name)) for name in names]
        lines.append("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + "</tr>")
    header = "".join(f"<th>{_text(name)}</th>" for name in head)
    return (
        f'<h2>The rows that change most</h2>\n<div class="wide"><table><tr>{header}</tr>'
        + "\n".join(lines)
        + "</table></div>"
    )


def _histogram(edges: Sequence[float], counts: Sequence[int]) -> str:
    """Bars with the count of each, and the edges at the ends and in the middle."""
    most, width = max(counts), (_WIDTH - 2 * _MARGIN) / len(counts)
    bars = []
    for number, count in enumerate(counts):
        height = (_HEIGHT - 2 * _MARGIN) * count / most
        x, y = _MARGIN + number * width, _HEIGHT - _MARGIN - height
        words = f"{edges[number]:+.3g} to {edges[number + 1]:+.3g}: {count:,} rows"
        bars.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width - 1, 1):.1f}" height="{height:.1f}" '
            f'fill="#3b6fb6"><title>{words}</title></rect>'
        )
    base = _HEIGHT - _MARGIN
    marks = [(_MARGIN, edges[0]), (_WIDTH / 2, 0.0), (_WIDTH - _MARGIN, edges[-1])]
    labels = "".join(
        f'<text x="{x:.1f}" y="{base + 18}" text-anchor="middle" font-size="12">{value:+.3g}</text>'
        for x, value in marks
    )
    return (
        f'<svg role="img" aria-label="histogram of score differences" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}"><line x1="{_MARGIN}" y1="{base}" x2="{_WIDTH - _MARGIN}" '
        f'y2="{base}" stroke="#57606a"/><text x="{_MARGIN}" y="{_MARGIN - 10}" font-size="12">up to '
        f"{most:,} rows</text>{''.join(bars)}{labels}</svg>"
    )


def _log(lines: Sequence[str]) -> str:
    return f"<h2>The server's last words</h2>\n<pre>{_text(chr(10).join(lines))}</pre>" if lines else ""


def _unit(value: float | None, unit: str) -> str:
    return "not measured" if value is None else f"{value:,.3g} {unit}"


def _number(value: float) -> str:
    return f"{value:,.4g}"


def _value(value: Any) -> str:
    return "" if value is None else str(value)


def _text(value: Any) -> str:
    return escape(str(value))
