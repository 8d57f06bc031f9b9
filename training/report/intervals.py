"""Small pictures of numbers that are not known exactly: bars in tables, and one large one for the gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.report import svg
from training.report.markup import Html, tag
from training.report.numbers import Axis, Scale, axis, signed

BAR_WIDTH, BAR_HEIGHT = 220.0, 22.0
_EDGE = 4.0
_WIDTH = 680.0


@dataclass(frozen=True)
class Interval:
    """A number and how far it may be off.

    Attributes:
        value: The number.
        low: It is hardly below this.
        high: It is hardly above this.
    """

    value: float
    low: float
    high: float

    @classmethod
    def around(cls, value: float, reach: float | None) -> Interval:
        """As far above as below; without a reach the number alone."""
        far = abs(reach or 0.0)
        return cls(value, value - far, value + far)


def common(found: Sequence[Interval], *others: float) -> Axis:
    """One axis for all bars of a table, with zero on it."""
    values = [0.0, *others, *(edge for one in found for edge in (one.low, one.high))]
    return axis(min(values), max(values), 6, tight=True)


def bar(title: str, one: Interval, on: Axis, look: str = "", limit: float | None = None) -> Html:
    """A bar from zero to the number, a line over its interval and a mark at a limit.

    Args:
        title: The numbers in words, shown when pointed at.
        one: What is drawn.
        on: As ``common`` returns it.
        look: ``good`` or ``bad`` or nothing.
        limit: Where a dashed line stands.
    """
    at = Scale(on.low, on.high, _EDGE, BAR_WIDTH - _EDGE)
    middle = BAR_HEIGHT / 2
    start, end = sorted((at(0.0), at(one.value)))
    parts = [
        tag("rect", x=start, y=middle - 5, width=end - start, height=10.0, class_=f"fill {look}".strip()),
        svg.line(at(one.low), middle, at(one.high), middle, f"reach {look}".strip()),
        tag("circle", cx=at(one.value), cy=middle, r=3.2, class_=f"mark {look}".strip()),
        svg.line(at(0.0), 1, at(0.0), BAR_HEIGHT - 1, "zeroline"),
        svg.line(at(limit), 1, at(limit), BAR_HEIGHT - 1, "limit") if limit is not None else None,
    ]
    return svg.drawing(title, "", BAR_WIDTH, BAR_HEIGHT, parts)


def gain(title: str, words: str, one: Interval, least: float, look: str, *, unsure: bool) -> Html:
    """The gain on an axis of its own, with zero and what is needed.

    Args:
        title: What it is.
        words: For those who cannot see it.
        one: The gain and its interval.
        least: The gate's minimum gain.
        look: ``good`` or ``bad``.
        unsure: Whether there is an interval.
    """
    values = (0.0, least, one.low, one.high)
    margin = (max(values) - min(values)) * 0.06
    on = axis(min(values) - margin, max(values) + margin, 7, tight=True)
    at = Scale(on.low, on.high, 10.0, _WIDTH - 10.0)
    middle, bottom = 46.0, 66.0
    needed = f"needed: more than {signed(least)}" if least else "needed: more than 0"
    parts: list[object] = [svg.line(10, bottom, _WIDTH - 10, bottom, "axis")]
    for tick in on.ticks:
        parts.append(svg.line(at(tick), bottom, at(tick), bottom + 4, "axis"))
        shown = f"+{on.label(tick)}" if tick > on.step / 2 else on.label(tick)
        parts.append(svg.text(shown, min(max(at(tick), 18), _WIDTH - 20), bottom + 17, "tick", "middle"))
    parts.append(svg.line(at(0.0), 22, at(0.0), bottom, "zeroline"))
    parts.append(svg.line(at(least), 18, at(least), bottom, "limit"))
    left = at(least) > _WIDTH * 0.6
    parts.append(svg.text(needed, at(least) + (-6 if left else 6), 22, "label", "end" if left else None))
    if unsure:
        parts.append(svg.line(at(one.low), middle, at(one.high), middle, f"reach {look}"))
        parts += [
            svg.line(at(x), middle - 6, at(x), middle + 6, f"reach {look}") for x in (one.low, one.high)
        ]
    parts.append(tag("circle", cx=at(one.value), cy=middle, r=6.0, class_=f"mark {look}"))
    return svg.drawing(title, words, _WIDTH, 88.0, parts)
