"""The report on one decision: a single HTML page without scripts or other files, readable offline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.spec import ModelSpec
from training.report import comparison, data, features, losses, provenance, quality, verdict
from training.report.markup import Html, tag
from training.report.style import STYLE
from training.report.subject import Subject, word

# No script, no request: also when something above it should ever be wrong.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_LINKS = {
    "checks": "Checks",
    "metrics": "Metrics",
    "answers": "How it answers",
    "slices": "Slices",
    "features": "Features",
    "data": "Data",
    "provenance": "Where it comes from",
}


def render(decision: Mapping[str, Any], evaluation: Mapping[str, Any], spec: ModelSpec) -> str:
    """The page.

    Args:
        decision: As it is stored; one of before there were checks gives a page without them.
        evaluation: As the job wrote it, of any age; what was not measured is left out.
        spec: Of the model.
    """
    subject = Subject(decision, evaluation, spec)
    sections = {
        "checks": verdict.checks(subject),
        "metrics": comparison.section(subject),
        "answers": quality.section(subject),
        "slices": losses.section(subject),
        "features": features.section(subject),
        "data": data.section(subject),
        "provenance": provenance.section(subject),
    }
    there = {name: one for name, one in sections.items() if one is not None}
    title = f"{word(spec.name)} {subject.label}: {'promoted' if subject.promoted else 'refused'}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    links = [tag("a", _LINKS[name], href=f"#{name}") for name in there]
    body = tag(
        "body",
        verdict.head(subject),
        tag("nav", links),
        tag("main", list(there.values())),
        tag("footer", "All numbers of this page are in the decision and the evaluation named above."),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"
