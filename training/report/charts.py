"""Charts of one kind each: lines, reliability, histograms, dots, rows by day."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date

from training.report import svg
from training.report.markup import Html, tag
from training.report.numbers import Axis, axis, percent, shown
from training.report.svg import Series

SHARES = Axis(0.0, 1.0, 0.2)
_MAX_DOT, _MIN_DOT = 6.0, 2.0


def lines(
    title: str,
    description: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    reference: Sequence[tuple[float, float]] = (),
    x: Axis = SHARES,
    y: Axis = SHARES,
) -> Html:
    """Curves on common axes.

    Args:
        title: What it is.
        description: For those who cannot see it.
        series: Drawn in this order reversed, so that the first lies on top.
        x_label: Name of the x axis.
        y_label: Name of the y axis.
        reference: A line to compare with, such as chance.
        x: Its numbers.
        y: Its numbers.
    """
    made = svg.frame(x, y, x_label=x_label, y_label=y_label, legend=_legend(series))
    parts: list[Html] = [*made.parts]
    if reference:
        parts.append(svg.path([(made.x(a), made.y(b)) for a, b in reference], "reference"))
    parts += [
        svg.path([(made.x(a), made.y(b)) for a, b in one.points], f"curve {one.look}")
        for one in reversed(series)
    ]
    return svg.drawing(title, description, made.width, made.height, parts)


def reliability(title: str, description: str, series: Sequence[Series]) -> Html:
    """Share of label 1 over the score: on the diagonal a score of 0.3 comes true in 3 of 10 rows.

    Args:
        title: What it is.
        description: For those who cannot see it.
        series: Points of mean score and share; their weights are rows.
    """
    largest = max((max(point) for one in series for point in one.points), default=1.0)
    both = SHARES if largest > 0.8 else axis(0.0, max(largest * 1.02, 1e-6), 5)
    made = svg.frame(
        both, both, x_label="score", y_label="share of rows with label 1", legend=_legend(series)
    )
    parts: list[Html] = [
        *made.parts,
        svg.path([(made.x(v), made.y(v)) for v in (both.low, both.high)], "reference"),
    ]
    most = max((weight for one in series for weight in one.weights), default=1.0) or 1.0
    for one in reversed(series):
        places = [(made.x(a), made.y(b)) for a, b in one.points]
        parts.append(svg.path(places, f"curve {one.look}"))
        for (cx, cy), (score, share), rows in zip(places, one.points, one.weights, strict=True):
            words = (
                f"{one.name}: score {shown(score)}, label 1 in {percent(share)} of {shown(int(rows))} rows"
            )
            radius = max(_MIN_DOT, _MAX_DOT * math.sqrt(rows / most))
            parts.append(tag("circle", tag("title", words), cx=cx, cy=cy, r=radius, class_=f"dot {one.look}"))
    return svg.drawing(title, description, made.width, made.height, parts)


def histogram(
    title: str,
    description: str,
    series: Sequence[tuple[str, str, Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    mark: tuple[float, str] | None = None,
    x: Axis | None = None,
    height: float = 190.0,
) -> Html:
    """Shares of the rows over a value, one outline for each group.

    Args:
        title: What it is.
        description: For those who cannot see it.
        series: For each group its name, look, the edges of its bins and the shares within them.
        x_label: Name of the value.
        mark: A value to point at, and its name.
        x: Numbers of the axis; from the first to the last edge when None.
        height: Of the plot area.
    """
    low = min(edges[0] for _, _, edges, _ in series)
    high = max(edges[-1] for _, _, edges, _ in series)
    across = x or axis(low, high, 6, tight=True)
    # Bins of another width hold other shares: all are drawn as if they were as wide as the first group's.
    width = _bin_width(series[0][2])
    heights = [[share * width / _bin_width(edges) for share in shares] for _, _, edges, shares in series]
    top = max((max(found, default=0.0) for found in heights), default=0.0)
    # The mark's name stands above the columns.
    up = _percents(axis(0.0, (top or 1.0) * (1.12 if mark else 1.0), 4))
    legend = [(name, look) for name, look, _, _ in series]
    made = svg.frame(across, up, x_label=x_label, y_label="share of rows", legend=legend, plot_height=height)
    parts: list[Html] = [*made.parts]
    for (name, look, edges, shares), found in reversed(list(zip(series, heights, strict=True))):
        parts.append(svg.path(_steps(made, edges, found), f"area {look}", closed=True))
        parts.append(svg.path(_steps(made, edges, found)[1:-1], f"curve {look}"))
        parts.extend(_hovers(made, name, edges, shares) if look == series[0][1] else [])
    if mark and across.low < mark[0] < across.high:
        parts.extend(_mark(made, *mark))
    return svg.drawing(title, description, made.width, made.height, parts)


def dots(
    title: str,
    description: str,
    points: Sequence[tuple[float, float]],
    *,
    x_label: str,
    y_label: str,
    look: str = "challenger",
) -> Html:
    """Pairs of values on two axes alike, with the line on which both are equal."""
    values = [value for point in points for value in point]
    both = axis(min(values, default=0.0), max(values, default=1.0), 5)
    made = svg.frame(both, both, x_label=x_label, y_label=y_label)
    equal = [(made.x(v), made.y(v)) for v in (both.low, both.high)]
    # A line of no length with round ends is a dot, at a tenth of the size of a circle element.
    places = "".join(f"M{made.x(a):.1f},{made.y(b):.1f}h0" for a, b in points)
    parts = [*made.parts, tag("path", d=places, class_=f"dots {look}"), svg.path(equal, "reference")]
    return svg.drawing(title, description, made.width, made.height, parts)


def days(title: str, found: Mapping[date, int], height: float = 90.0) -> Html:
    """A column for each day between the first and the last.

    Args:
        title: What it is.
        found: Rows of each day; days without any may be left out.
        height: Of the plot area.
    """
    first, last = min(found), max(found)
    count = (last - first).days + 1
    up = axis(0.0, float(max(found.values()) or 1), 3)
    made = svg.frame(
        Axis(0.5, count + 0.5, count + 2.0),  # no ticks: days are no numbers
        up,
        x_label="",
        y_label="rows",
        width=2 * svg.WIDTH,
        plot_height=height,
    )
    base, width = made.y(0.0), made.x(1.5) - made.x(0.5)
    columns = [
        tag(
            "rect",
            tag("title", f"{day}: {rows:,} rows"),
            x=made.x((day - first).days + 0.5) + width * 0.1,
            y=made.y(float(rows)),
            width=width * 0.8,
            height=base - made.y(float(rows)),
            class_="fill",
        )
        for day, rows in sorted(found.items())
    ]
    ends = [
        svg.text(str(first), made.x.start, base + 17, "tick"),
        svg.text(str(last), made.x.end, base + 17, "tick", "end"),
    ]
    words = f"{sum(found.values()):,} rows on {len(found):,} days from {first} to {last}."
    return svg.drawing(title, words, made.width, made.height, [*made.parts, *columns, *ends])


def _legend(series: Sequence[Series]) -> list[tuple[str, str]]:
    return [(f"{one.name} {one.value}".strip(), one.look) for one in series]


def _bin_width(edges: Sequence[float]) -> float:
    return (edges[-1] - edges[0]) / (len(edges) - 1)


def _percents(found: Axis) -> Axis:
    return _Percents(found.low, found.high, found.step)


class _Percents(Axis):
    """An axis of shares, written as percentages."""

    def label(self, value: float) -> str:
        """A tick such as 5 %."""
        return f"{Axis(self.low * 100, self.high * 100, self.step * 100).label(value * 100)} %"


def _steps(made: svg.Frame, edges: Sequence[float], heights: Sequence[float]) -> list[tuple[float, float]]:
    """The outline of a histogram, from the axis up and back to it."""
    base = made.y(0.0)
    outline = [(made.x(edges[0]), base)]
    for i, height in enumerate(heights):
        outline += [(made.x(edges[i]), made.y(height)), (made.x(edges[i + 1]), made.y(height))]
    return [*outline, (made.x(edges[len(heights)]), base)]


def _hovers(made: svg.Frame, name: str, edges: Sequence[float], shares: Sequence[float]) -> list[Html]:
    """Invisible columns that tell their numbers when they are pointed at."""
    top, base = made.y(made.y.high), made.y(0.0)
    return [
        tag(
            "rect",
            tag("title", f"{shown(edges[i])} to {shown(edges[i + 1])}: {percent(share)} of {name}"),
            x=made.x(edges[i]),
            y=top,
            width=made.x(edges[i + 1]) - made.x(edges[i]),
            height=base - top,
            class_="hover",
        )
        for i, share in enumerate(shares)
        if share
    ]


def _mark(made: svg.Frame, value: float, words: str) -> list[Html]:
    x = made.x(value)
    top = made.y(made.y.high)
    left_half = x < (made.x.start + made.x.end) / 2
    return [
        svg.line(x, top, x, made.y(made.y.low), "reference"),
        svg.text(words, x + (5 if left_half else -5), top + 10, "label", None if left_half else "end"),
    ]
