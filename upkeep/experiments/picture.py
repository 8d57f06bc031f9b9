"""An experiment as one HTML file: the interval over the outcomes, and all numbers; readable offline."""

from __future__ import annotations

from collections.abc import Sequence

from training.report import svg
from training.report.markup import Html, tag, together
from training.report.numbers import NOTHING, axis, percent, shown, signed
from upkeep.experiments import view
from upkeep.experiments.fetch import CONTROL, TREATMENT
from upkeep.experiments.figures import SHARE_ALARM, Figures, Point

_STYLE = """
:root { --ink: #1a1a1a; --soft: #6b6b6b; --line: #d9d9d9; --mark: #1f5fa8; --back: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --soft: #a0a0a0; --line: #3c3c3c; --mark: #7db4f0; --back: #161616; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
       max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin-bottom: 0; } p.about { color: var(--soft); margin-top: 0; }
.verdict { font-size: 1.1rem; } table { border-collapse: collapse; margin: 1.5rem 0; }
th, td { text-align: right; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
svg.chart { width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.grid { stroke: var(--line); stroke-width: .5; } .axis, .reference { stroke: var(--soft); fill: none; }
.reference { stroke-dasharray: 4 3; } .curve { stroke: var(--mark); stroke-width: 2; fill: none; }
.band { fill: var(--mark); opacity: .18; } .decided { stroke: var(--ink); stroke-dasharray: 2 3; }
.warn { border-left: 3px solid #c77d00; padding-left: .8rem; } footer { color: var(--soft); }
"""
_WIDTH, _HEIGHT = 640.0, 300.0


def render(figures: Figures) -> str:
    """The whole page."""
    record = figures.record
    title = f"Experiment {record.id}: {record.model} {record.treatment_version}"
    control = record.control_version or "the seed"
    body = [
        tag("h1", title),
        tag(
            "p",
            f"beside {control}, {percent(record.weight)} of the requests; {record.state}",
            class_="about",
        ),
        tag("p", tag("strong", view.headline(figures)), " ", view.explanation(figures), class_="verdict"),
        chart(figures.trace, figures.test.decided_at) if figures.trace else None,
        _table(figures),
        tag("p", view.share_warning(figures), class_="warn") if figures.share_p < SHARE_ALARM else None,
        tag("ul", [tag("li", words) for words in view.remarks(figures)]),
        tag(
            "footer", f"As of {figures.at:%Y-%m-%d %H:%M} UTC. The band may be looked at whenever one likes."
        ),
    ]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(_STYLE)),
    ]
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', together(body)), lang='en')}\n"


def chart(trace: Sequence[Point], decided_at: int) -> Html:
    """The difference of the losses and its interval, over the outcomes."""
    # The first intervals are as wide as can be; what is looked at is the last half of them, and zero.
    later = trace[len(trace) // 4 :] or trace
    reach = max(max(abs(point.low), abs(point.high)) for point in later)
    up, across = axis(-reach, reach), axis(0, trace[-1].outcomes, tight=True)
    made = svg.frame(
        across,
        up,
        x_label="outcomes",
        y_label="difference of the losses; above 0 the treatment is worse",
        width=_WIDTH,
        plot_height=_HEIGHT,
    )
    lower = [(made.x(one.outcomes), made.y(one.low)) for one in trace]
    upper = [(made.x(one.outcomes), made.y(one.high)) for one in trace]
    middle = [(made.x(one.outcomes), made.y(one.difference)) for one in trace if one.difference is not None]
    zero = made.y(0.0)
    parts = [
        *made.parts,
        svg.path([*lower, *reversed(upper)], "band", closed=True),
        svg.line(made.x(across.low), zero, made.x(across.high), zero, "reference"),
        svg.path(middle, "curve") if middle else None,
    ]
    if decided_at:
        at = made.x(decided_at)
        parts.append(svg.line(at, made.y(up.low), at, made.y(up.high), "decided"))
    last = trace[-1]
    words = f"After {last.outcomes:,} outcomes the difference lies from {last.low:+.4f} to {last.high:+.4f}."
    return svg.drawing("Difference of the losses over the outcomes", words, made.width, made.height, parts)


def _table(figures: Figures) -> Html:
    names = ["Variant", "Version", "Requests", "Share", "Outcomes", "Mean loss", "5xx"]
    rows = []
    for variant in (CONTROL, TREATMENT):
        treated = variant == TREATMENT
        arm = figures.test.treatment if treated else figures.test.control
        cells = [
            variant,
            figures.record.treatment_version if treated else figures.record.control_version or "seed",
            shown(figures.collected.count(treated=treated)),
            percent(figures.share(variant)),
            shown(arm.count),
            shown(arm.mean) if arm.count else NOTHING,
            shown(int(figures.counts.get(variant, {}).get("Invocation5XXErrors", 0))),
        ]
        rows.append(tag("tr", [tag("td", cell) for cell in cells]))
    difference = signed(figures.test.difference)
    caption = f"Difference {difference}, p = {figures.test.p_value:.2g} at any time"
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", [tag("th", name) for name in names])),
        tag("tbody", rows),
    )
