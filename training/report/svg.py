"""The frame of a chart: plot area, axes with round numbers, grid, legend, and what screen readers say.

Colours are classes only (``training.report.style``), so one drawing suits screen and paper, bright and
dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from training.report.markup import Html, tag
from training.report.numbers import Axis, Scale

WIDTH = 360.0
# An average letter of the small type, in pixels.
LETTER = 6.2
LINE = 15.0
_RIGHT, _BOTTOM = 12.0, 38.0


@dataclass(frozen=True)
class Series:
    """One of several things drawn together.

    Attributes:
        name: For the legend.
        points: Pairs of x and y, in the order they are joined.
        look: Class that colours it: ``challenger``, ``champion``, ``one`` or ``zero``.
        value: Shown behind the name, such as the area under the curve.
        weights: One per point, of dots whose area means something.
    """

    name: str
    points: Sequence[tuple[float, float]]
    look: str
    value: str = ""
    weights: Sequence[float] = ()


@dataclass(frozen=True)
class Frame:
    """Plot area of a chart, with its scales.

    Attributes:
        width: Of the drawing, in pixels.
        height: Of the drawing.
        x: Scale from left to right.
        y: Scale from the bottom up.
        parts: Grid, numbers and labels, to be drawn first.
    """

    width: float
    height: float
    x: Scale
    y: Scale
    parts: tuple[Html, ...]


def drawing(title: str, description: str, width: float, height: float, parts: Iterable[object]) -> Html:
    """A whole SVG image.

    Args:
        title: What it is; a screen reader says it first.
        description: What can be seen in it, in a sentence or two.
        width: In pixels; it shrinks with a narrow page.
        height: In pixels.
        parts: The elements.
    """
    return tag(
        "svg",
        tag("title", title),
        tag("desc", description) if description else None,
        list(parts),
        class_="chart",
        role="img",
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
    )


def frame(
    x: Axis,
    y: Axis,
    *,
    x_label: str,
    y_label: str,
    legend: Sequence[tuple[str, str]] = (),
    width: float = WIDTH,
    plot_height: float | None = None,
) -> Frame:
    """Axes and legend around a plot.

    Args:
        x: Numbers below.
        y: Numbers at the left.
        x_label: What is counted below.
        y_label: What is counted at the left; written above the axis, where it is read without a turn.
        legend: Pairs of a text and a look; drawn when there are two or more.
        width: Of the drawing.
        plot_height: Of the plot area; as high as it is wide when None.
    """
    left = 10 + LETTER * max(len(y.label(tick)) for tick in y.ticks or [0.0])
    rows = legend_rows(legend, width) if len(legend) > 1 else []
    top = LINE * len(rows) + (8 if rows else 0) + LINE + 6
    plot_width = width - left - _RIGHT
    bottom = top + (plot_width if plot_height is None else plot_height)
    across, up = Scale(x.low, x.high, left, left + plot_width), Scale(y.low, y.high, bottom, top)
    parts = [
        *(_legend_row(row, LINE * i + 11) for i, row in enumerate(rows)),
        text(y_label, 0, top - 9, "label"),
        *(line(left, up(t), width - _RIGHT, up(t), "grid") for t in y.ticks),
        *(text(y.label(t), left - 6, up(t) + 4, "tick", "end") for t in y.ticks),
        *(line(across(t), bottom, across(t), bottom + 4, "axis") for t in x.ticks),
        *(
            text(x.label(t), _inside(across(t), x.label(t), width), bottom + 17, "tick", "middle")
            for t in x.ticks
        ),
        line(left, bottom, width - _RIGHT, bottom, "axis"),
        *([text(x_label, (left + width - _RIGHT) / 2, bottom + 33, "label", "middle")] if x_label else []),
    ]
    return Frame(width, bottom + _BOTTOM, across, up, tuple(parts))


def text(words: str, x: float, y: float, look: str, anchor: str | None = None) -> Html:
    """A text; ``anchor`` is ``middle`` or ``end`` when it does not start at x."""
    return tag("text", words, x=x, y=y, class_=look, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, look: str) -> Html:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=look)


def path(points: Iterable[tuple[float, float]], look: str, *, closed: bool = False) -> Html:
    """A line through positions."""
    steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return tag("path", d=f"M{steps}{'Z' if closed else ''}", class_=look)


def cut(words: str, letters: int) -> str:
    """A text that fits; the beginning and the end tell most names apart."""
    if len(words) <= letters:
        return words
    tail = letters // 3
    return f"{words[: letters - tail - 1]}…{words[len(words) - tail :]}"


def legend_rows(legend: Sequence[tuple[str, str]], width: float) -> list[list[tuple[float, str, str]]]:
    """Entries with their positions, in as many rows as they need."""
    rows: list[list[tuple[float, str, str]]] = [[]]
    x = 0.0
    for words, look in legend:
        needed = 24 + LETTER * len(words) + 16
        if rows[-1] and x + needed - 16 > width:
            rows.append([])
            x = 0.0
        rows[-1].append((x, words, look))
        x += needed
    return rows


def _legend_row(row: Sequence[tuple[float, str, str]], y: float) -> Html:
    return tag(
        "g",
        [
            (line(x, y - 4, x + 18, y - 4, f"curve {look}"), text(words, x + 24, y, "key"))
            for x, words, look in row
        ],
    )


def _inside(x: float, label: str, width: float) -> float:
    """The middle of a label so that none of it lies outside the drawing."""
    return min(x, width - LETTER * len(label) / 2)
