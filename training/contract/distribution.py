"""Recognises a column whose numbers are in another unit than the data the model knows.

A change of unit multiplies every number by one factor, so it multiplies all nine deciles by it. A file that
is merely from another season or another place moves its deciles too, but each by its own amount. So a column
is said to have another unit when all of its deciles are larger, or all smaller, than the feature's
``deciles`` by at least ``contract.unit_factor``, and the factors agree with each other.

What it cannot see, by design, because refusing good data would be worse:

* factors below ``unit_factor`` (5 by default: miles to kilometres is 1.6), and in files that differ much from
  the reference those up to about three times as large;
* units with another zero (Fahrenheit to Celsius), because no single factor stands between them;
* a column whose zero is arbitrary (``min`` is missing or below 0) becoming smaller by less than the square of
  ``unit_factor``: a frosty day does the same to a temperature;
* columns with fewer than five different deciles in the file or the reference: mostly zero, or constant;
* fewer than 100 numbers in the column, and a change in some of the rows only.

For all of these the feature's ``min`` and ``max`` are the guard. How often it is wrong on a year of real
flights, and what it finds there, is counted in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from models.spec import Feature

QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# A decile of fewer numbers than this rests on fewer than ten of them.
MIN_ROWS = 100
# A column that takes few values has no shape that could be recognised again on another scale.
MIN_DISTINCT = 5
# How far the factors of single deciles may lie apart: a season or an airport changes the shape by that much.
MAX_SPREAD = 3.0
# A known conversion is only named when the factor in the middle is this close to it.
_GUESS_WITHIN = 1.12

_CONVERSIONS: tuple[tuple[float, str, str], ...] = (
    (7, "weeks", "days"),
    (12, "years", "months"),
    (24, "days", "hours"),
    (60, "hours", "minutes"),
    (60, "minutes", "seconds"),
    (1440, "days", "minutes"),
    (3600, "hours", "seconds"),
    (86400, "days", "seconds"),
    (10, "centimetres", "millimetres"),
    (100, "fractions", "percent"),
    (100, "whole units of a currency", "cents"),
    (100, "metres", "centimetres"),
    (1000, "kilometres", "metres"),
    (1000, "kilograms", "grams"),
    (1000, "seconds", "milliseconds"),
    (1000, "thousands", "ones"),
    (1e6, "millions", "ones"),
    (1e6, "seconds", "microseconds"),
    (1e9, "seconds", "nanoseconds"),
    (1609.344, "miles", "metres"),
    (5280, "miles", "feet"),
    (25.4, "inches", "millimetres"),
    (12, "feet", "inches"),
    (16, "pounds", "ounces"),
    (453.592, "pounds", "grams"),
    (28.35, "ounces", "grams"),
    (33.864, "inches of mercury", "hectopascals"),
    (100, "hectopascals", "pascals"),
    (1024, "mebibytes", "kibibytes"),
    (1048576, "mebibytes", "bytes"),
)


@dataclass(frozen=True)
class UnitChange:
    """A column that is in another unit.

    Attributes:
        column: Its name.
        factor: The file's numbers are about this many times the reference's; below 1 for smaller ones.
        expected: The reference's decile in the middle.
        found: The file's.
        text: One sentence for people: what was found, what it may be, what to do.
    """

    column: str
    factor: float
    expected: float
    found: float
    text: str


def unit_change(
    feature: Feature, deciles: Sequence[float] | None, rows: int, unit_factor: float
) -> UnitChange | None:
    """Compare a column of a file with the feature's reference.

    Args:
        feature: A number with nine ``deciles``; others have nothing to compare with.
        deciles: The file's nine deciles of the column; None when it holds no number.
        rows: How many numbers they were made from.
        unit_factor: The least factor that means another unit; more than 1.

    Returns:
        The change, or None when there is none or it cannot be told.
    """
    if not deciles or len(feature.deciles) != len(deciles) or rows < MIN_ROWS:
        return None
    logs = _logs(feature.deciles, deciles)
    if logs is None:
        return None
    low, high = min(logs), max(logs)
    nearest = low if low > 0 else -high
    arbitrary_zero = feature.min is None or feature.min < 0
    least = unit_factor**2 if high < 0 and arbitrary_zero else unit_factor
    if nearest < math.log(least) or high - low > math.log(MAX_SPREAD):
        return None
    factor = math.exp(sorted(logs)[len(logs) // 2])
    middle = len(deciles) // 2
    expected, found = feature.deciles[middle], deciles[middle]
    return UnitChange(feature.name, factor, expected, found, _text(feature.name, factor, expected, found))


def likely_units(factor: float) -> tuple[str, ...]:
    """Conversions in words that multiply by about this factor, such as ``minutes to seconds``."""
    named = []
    for size, large, small in _CONVERSIONS:
        if 1 / _GUESS_WITHIN <= factor / size <= _GUESS_WITHIN:
            named.append((abs(math.log(factor / size)), f"{large} to {small}"))
        elif 1 / _GUESS_WITHIN <= factor * size <= _GUESS_WITHIN:
            named.append((abs(math.log(factor * size)), f"{small} to {large}"))
    return tuple(text for _, text in sorted(named, key=lambda pair: pair[0]))


def _logs(reference: Sequence[float], found: Sequence[float]) -> list[float] | None:
    """Logarithms of the factor at each decile that is not zero in both; None when there is no common one."""
    logs = []
    shapes: tuple[set[str], set[str]] = (set(), set())
    for expected, value in zip(reference, found, strict=True):
        if expected == 0 and value == 0:
            continue
        ratio = value / expected if expected else 0.0
        if not (0 < ratio < math.inf):  # zero against something, or another sign: no factor makes that
            return None
        logs.append(math.log(ratio))
        shapes[0].add(f"{expected:.6g}")
        shapes[1].add(f"{value:.6g}")
    return logs if min(len(values) for values in shapes) >= MIN_DISTINCT else None


def _text(column: str, factor: float, expected: float, found: float) -> str:
    times, direction = (factor, "larger") if factor > 1 else (1 / factor, "smaller")
    guesses = likely_units(factor)
    guess = f", perhaps from {' or '.join(guesses)}" if guesses else ""
    return (
        f"column {column}: the numbers are about {_round(times)} times {direction} than in the data the "
        f"model knows: half are below {_round(found)}, expected about {_round(expected)}; has the unit "
        f"changed{guess}? Convert the column back and push it again; if the new unit is meant, change min, "
        "max and deciles of the feature in model.yaml, and push all earlier data again in that unit"
    )


def _round(value: float) -> str:
    """Three digits that matter, without an exponent where a person would write none."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if 1000 <= abs(rounded) < 1e15 else f"{rounded:g}"
