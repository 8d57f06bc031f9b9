"""Numbers for people: how they are written, and which ones stand at an axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOTHING = "\u2013"
MINUS = "\u2212"
# Beyond it differences of two numbers are no numbers any more.
_LARGEST, _SMALLEST = 1e300, 1e-300
_SAME = 1e-9


def finite(value: object) -> float | None:
    """A number that can be drawn; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < _LARGEST else None


def whole(value: object) -> int | None:
    """A count; None for everything else."""
    found = finite(value)
    return None if found is None or found < 0 else int(found)


def mapping(value: object) -> Mapping[str, Any]:
    """A mapping, empty when there is none: pieces that old evaluations lack."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> Sequence[Any]:
    """A list, empty when there is none."""
    return value if isinstance(value, (list, tuple)) else ()


def shown(value: object) -> str:
    """A number with the digits that matter, such as 0.6406, 1,759 or 12.346."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST:
        return f"{value:,}".replace("-", MINUS)
    found = finite(value)
    if found is None:
        return NOTHING
    size = abs(found)
    if size >= 1e9 or 0 < size < 1e-3:
        text = f"{size:.3g}"
    else:
        text = f"{size:,.{4 if size < 10 else 3 if size < 100 else 2 if size < 10_000 else 0}f}"
    return f"{MINUS}{text}" if found < 0 else text


def signed(value: object) -> str:
    """A difference with its sign, such as +0.0635."""
    found = finite(value)
    if found is None:
        return NOTHING
    text = shown(float(abs(found)))
    return f"{MINUS if found < 0 else '+'}{text}" if found else text


def alike(values: Sequence[float]) -> list[str]:
    """Differences with their signs, all with the decimals that the largest needs, to be read in a column."""
    largest = max((abs(value) for value in values), default=0.0)
    if largest >= 1e9 or 0 < largest < 1e-6:
        return [signed(value) for value in values]
    decimals = 4 if largest < 10 else 3 if largest < 100 else 2 if largest < 10_000 else 0
    if 0 < largest < 0.01:
        decimals = 2 - math.floor(math.log10(largest))
    texts = [f"{abs(value):,.{decimals}f}" for value in values]
    return [
        f"{'' if not float(text.replace(',', '')) else MINUS if value < 0 else '+'}{text}"
        for value, text in zip(values, texts, strict=True)
    ]


def percent(share: object) -> str:
    """A share such as 3.4 %."""
    found = finite(share)
    if found is None:
        return NOTHING
    hundredths = found * 100
    digits = 0 if abs(hundredths) >= 99.95 or found == 0 else 1 if abs(hundredths) >= 1 else 2
    return f"{hundredths:.{digits}f} %"


@dataclass(frozen=True)
class Scale:
    """Where the values of an axis lie on the page.

    Attributes:
        low: Value at the start.
        high: Value at the end; above ``low``.
        start: Position of ``low``, in pixels.
        end: Position of ``high``.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Position of a value; beyond the axis it is the axis' end."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


@dataclass(frozen=True)
class Axis:
    """Round numbers along a range.

    Attributes:
        low: First value of the axis.
        high: Last value.
        step: Distance of the ticks: 1, 2 or 5 times a power of ten.
    """

    low: float
    high: float
    step: float

    @property
    def ticks(self) -> list[float]:
        """The multiples of the step within the axis."""
        first = math.ceil(self.low / self.step - _SAME)
        last = math.floor(self.high / self.step + _SAME)
        return [i * self.step for i in range(first, min(last, first + 50) + 1)]

    def label(self, value: float) -> str:
        """A tick's number, with as many decimals as the step needs."""
        largest = max(abs(self.low), abs(self.high))
        if abs(value) < self.step * _SAME:
            return "0"
        if largest >= 1e9 or self.step < 1e-4:
            text = f"{value:.4g}"
        elif self.step >= 1000 and largest >= 10_000:
            text = f"{value / 1000:,.0f}k"
        else:
            text = f"{value:,.{max(0, -math.floor(math.log10(self.step) + _SAME))}f}"
        return text.replace("-", MINUS, 1) if value < 0 else text


def axis(low: float, high: float, ticks: int = 5, *, tight: bool = False) -> Axis:
    """An axis with about so many ticks.

    Args:
        low: Smallest value to show.
        high: Largest.
        ticks: How many fit.
        tight: The axis ends at the values, not at the next ticks.
    """
    span = high - low
    if not span > max(abs(low), abs(high)) * _SAME or span < _SMALLEST:
        pad = max(abs(low), abs(high)) * 0.05 or 0.5
        low, high = low - pad, high + pad
        span = high - low
    rough = span / max(ticks, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if factor * power >= rough * (1 - _SAME))
    if tight:
        return Axis(low, high, step)
    return Axis(math.floor(low / step + _SAME) * step, math.ceil(high / step - _SAME) * step, step)
