"""Encodes many plain rows at once, a column at a time, or says that it cannot.

Two function calls per value are most of the cost of a large request. What is taken here is what nearly all
requests hold; any value that could have to be refused, or whose reading is not plain, gives None, and the
rows are encoded value by value, which finds the words for what is wrong. What is given is the same to the
last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from training.features import Column

_BOOLEANS = {text: float(text.lower() in ("true", "1")) for text in (
    "true", "false", "True", "False", "TRUE", "FALSE", "1", "0",
)}  # fmt: skip
# Beyond it not every whole number has a float of its own, so a range has to be compared before rounding.
_WHOLE = 2.0**53 - 1

Taker = Callable[[tuple[Any, ...]], Any]


class _NotPlainError(Exception):
    """A value that has to be looked at by itself."""


class Columnwise:
    """Takers for all columns of an encoder.

    Args:
        columns: The encoder's columns.
        ranges: Least and largest number per column; infinite where it holds no numbers.
    """

    def __init__(self, columns: Sequence[Column], ranges: Sequence[tuple[float, float]]) -> None:
        self._lows = np.array([max(low, -_WHOLE) for low, _ in ranges])
        self._highs = np.array([min(high, _WHOLE) for _, high in ranges])
        makers = [_TAKERS[column.feature.type] for column in columns]
        self._from_values, self._from_texts = (
            [makers[i][kind](column) for i, column in enumerate(columns)] for kind in (0, 1)
        )

    def values(self, rows: Sequence[Sequence[Any]]) -> np.ndarray | None:
        """Encode rows of Python values as JSON gives them; None when they must be looked at one by one."""
        return self._encode(rows, self._from_values)

    def texts(self, rows: Sequence[Sequence[str]]) -> np.ndarray | None:
        """Encode rows of CSV cells; None when they must be looked at one by one."""
        return self._encode(rows, self._from_texts)

    def _encode(self, rows: Sequence[Sequence[Any]], takers: list[Taker]) -> np.ndarray | None:
        matrix: np.ndarray = np.empty((len(rows), len(takers)), dtype=np.float64)
        try:
            for place, (take, cells) in enumerate(zip(takers, zip(*rows, strict=True), strict=True)):
                matrix[:, place] = take(cells)
        except (_NotPlainError, KeyError, OverflowError, TypeError, ValueError):
            return None
        # A missing value fails no comparison.
        if (matrix < self._lows).any() or (matrix > self._highs).any():
            return None
        return matrix


class _Known(dict[Any, float]):
    """Codes of the categories; any other text but the empty one is an unknown category."""

    unknown = 0.0

    def __missing__(self, value: Any) -> float:
        if isinstance(value, str) and value:
            return self.unknown
        raise _NotPlainError


def _category(column: Column) -> Taker:
    codes = {name: float(code) for code, name in enumerate(column.categories)}
    unknown = float(len(codes))
    known: dict[Any, float]
    if column.feature.values:
        known = {name: codes.get(name, unknown) for name in column.feature.values}
    else:
        known = _Known(codes)
        known.unknown = unknown
    known.pop("", None)
    if column.feature.nullable:
        known[""] = known[None] = math.nan
    return lambda cells: list(map(known.__getitem__, cells))


def _boolean_value(column: Column) -> Taker:
    types = {bool, int, type(None)} if column.feature.nullable else {bool, int}

    def take(cells: tuple[Any, ...]) -> Any:
        if not types.issuperset(map(type, cells)) or not _ZERO_ONE.issuperset(cells):
            raise _NotPlainError
        return cells

    return take


_ZERO_ONE = frozenset({0, 1, None})


def _boolean_text(column: Column) -> Taker:
    known = {**_BOOLEANS, "": math.nan} if column.feature.nullable else _BOOLEANS
    return lambda cells: list(map(known.__getitem__, cells))


def _number_value(column: Column) -> Taker:
    types = {float, int, type(None)} if column.feature.nullable else {float, int}

    def take(cells: tuple[Any, ...]) -> np.ndarray:
        if not types.issuperset(map(type, cells)):
            raise _NotPlainError
        return _checked(np.array(cells, dtype=np.float64), cells.count(None))

    return take


def _number_text(column: Column) -> Taker:
    nullable = column.feature.nullable

    def take(cells: tuple[str, ...]) -> np.ndarray:
        together = "".join(cells)
        # Python reads 1_000 and digits of other scripts as numbers.
        if "_" in together or not together.isascii():
            raise _NotPlainError
        blank = cells.count("")
        if not blank:
            return _checked(np.array(list(map(float, cells))), 0)
        if not nullable:
            raise _NotPlainError
        return _checked(np.array([float(text) if text else math.nan for text in cells]), blank)

    return take


def _checked(found: np.ndarray, missing: int) -> np.ndarray:
    """Numbers of which only so many are NaN as are missing."""
    if np.count_nonzero(found != found) != missing:
        raise _NotPlainError
    return found


_TAKERS: dict[str, tuple[Callable[[Column], Taker], Callable[[Column], Taker]]] = {
    "category": (_category, _category),
    "boolean": (_boolean_value, _boolean_text),
    "number": (_number_value, _number_text),
}
