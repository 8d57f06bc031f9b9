"""Turns columns into the one float64 array every estimator here sees.

The same fitted encoder works on a pandas frame in training and on plain Python rows in serving, where
building a frame would cost more than the prediction itself. Its JSON form travels with the model as
``features.json``.

Codes: a category is its place in the sorted categories; one the encoder does not know is the code after the
last; a missing value is NaN. Booleans are 0 and 1.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.spec import Feature, ModelSpec
from training.columnwise import Columnwise
from training.words import allowed, shown

FORMAT = 1
# HistGradientBoosting takes 255 categories per column at most; the code for unknown ones is one of them.
# https://scikit-learn.org/stable/modules/ensemble.html#categorical-features-support
MAX_CATEGORIES = 254
BOOLEAN_TEXTS = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
_LARGEST = sys.float_info.max
# From here on a column at a time is quicker than a value at a time.
_MANY_ROWS = 6

Converter = Callable[[Any], float]


class ValueRefusedError(ValueError):
    """A value that does not fit its column.

    Attributes:
        column: Name of the column.
        value: What was found.
        expected: What is allowed, in words.
        row: Number of the row, counted from 1; set by the encoder.
    """

    def __init__(self, column: str, value: object, expected: str) -> None:
        super().__init__(column, value, expected)
        self.column = column
        self.value = value
        self.expected = expected
        self.row = 0

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column!r}: found {shown(self.value)}, expected {self.expected}"


@dataclass(frozen=True)
class Column:
    """One encoded column: the feature as declared, and the categories seen when fitting."""

    feature: Feature
    categories: tuple[str, ...] = ()


class FeatureEncoder:
    """Encodes rows; made by ``fit`` or ``from_json``.

    Attributes:
        columns: In the spec's order, which is the order of the array's columns.
        names: Their names.
        categorical: Positions of the category columns.
    """

    def __init__(self, columns: Iterable[Column]) -> None:
        self.columns = tuple(columns)
        self.names = tuple(c.feature.name for c in self.columns)
        self.categorical = [i for i, c in enumerate(self.columns) if c.feature.type == "category"]
        self._from_values = [_value_converter(c) for c in self.columns]
        self._from_texts = [_text_converter(c) for c in self.columns]
        self._columnwise = Columnwise(self.columns, [_range(c.feature) for c in self.columns])

    @classmethod
    def fit(cls, spec: ModelSpec, frame: Any) -> FeatureEncoder:
        """Learn the categories from a pandas frame; beyond ``MAX_CATEGORIES`` the rarest count as unknown."""
        return cls(Column(f, _categories(f, frame[f.name])) for f in spec.features)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FeatureEncoder:
        """Restore an encoder.

        Raises:
            ValueError: The data is of another format.
        """
        if data.get("format") != FORMAT:
            raise ValueError(f"features: found format {data.get('format')!r}, expected {FORMAT}")
        columns = []
        for item in data["columns"]:
            feature = {**item, **{name: tuple(item.get(name, ())) for name in ("values", "deciles")}}
            categories = tuple(feature.pop("categories"))
            columns.append(Column(Feature(**feature), categories))
        return cls(columns)

    def to_json(self) -> dict[str, Any]:
        """The encoder as plain data."""
        columns = [{**asdict(c.feature), "categories": list(c.categories)} for c in self.columns]
        return {"format": FORMAT, "columns": columns}

    def encode_frame(self, frame: Any) -> np.ndarray:
        """Encode a pandas frame that holds at least the encoder's columns; values are not checked again."""
        encoded: np.ndarray = np.empty((len(frame), len(self.columns)), dtype=np.float64)
        for position, column in enumerate(self.columns):
            series = frame[column.feature.name]
            if column.feature.type == "category":
                encoded[:, position] = _encode_categories(series, column.categories)
            else:
                encoded[:, position] = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return encoded

    def encode_values(self, rows: Iterable[Sequence[Any]]) -> np.ndarray:
        """Encode rows of Python values in column order; None is a missing value.

        Raises:
            ValueRefusedError: The first value that does not fit its column.
        """
        rows = rows if isinstance(rows, list) else list(rows)
        quickly = self._columnwise.values(rows) if len(rows) >= _MANY_ROWS else None
        return self._encode(rows, self._from_values) if quickly is None else quickly

    def encode_texts(self, rows: Iterable[Sequence[str]]) -> np.ndarray:
        """Encode rows of CSV cells in column order; an empty cell is a missing value.

        Raises:
            ValueRefusedError: The first value that does not fit its column.
        """
        rows = rows if isinstance(rows, list) else list(rows)
        quickly = self._columnwise.texts(rows) if len(rows) >= _MANY_ROWS else None
        return self._encode(rows, self._from_texts) if quickly is None else quickly

    def _encode(self, rows: Iterable[Sequence[Any]], converters: list[Converter]) -> np.ndarray:
        encoded: list[list[float]] = []
        try:
            for row in rows:
                # Not a comprehension over all rows: their number so far is the place of an error.
                encoded.append([c(v) for c, v in zip(converters, row, strict=True)])  # noqa: PERF401
        except ValueRefusedError as error:
            error.row = len(encoded) + 1
            raise
        return np.array(encoded, dtype=np.float64).reshape(len(encoded), len(converters))


def _categories(feature: Feature, series: Any) -> tuple[str, ...]:
    if feature.type != "category":
        return ()
    if feature.values and len(feature.values) <= MAX_CATEGORIES:
        return tuple(sorted(set(feature.values)))
    counts = series.value_counts()
    by_count = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(sorted(str(name) for name, _ in by_count[:MAX_CATEGORIES]))


def _encode_categories(series: Any, categories: tuple[str, ...]) -> np.ndarray:
    import pandas as pd

    found = pd.Index(categories, dtype=object).get_indexer(series.astype(object))
    codes: np.ndarray = np.asarray(found, dtype=np.float64)
    codes[codes < 0] = len(categories)
    codes[series.isna().to_numpy()] = np.nan
    return codes


def _value_converter(column: Column) -> Converter:
    """From a Python value, as JSON gives it."""
    feature = column.feature
    name, expected = feature.name, allowed(feature)
    missing = _missing(feature, expected)

    if feature.type == "category":
        codes, unknown, listed = _codes(column)

        def category(value: Any) -> float:
            if value is None or value == "":
                return missing(value)
            if not isinstance(value, str) or (listed and value not in listed):
                raise ValueRefusedError(name, value, expected)
            return codes.get(value, unknown)

        return category

    if feature.type == "boolean":

        def boolean(value: Any) -> float:
            if value is None:
                return missing(value)
            if not isinstance(value, (bool, int)) or value not in (0, 1):
                raise ValueRefusedError(name, value, expected)
            return float(value)

        return boolean

    low, high = _range(feature)

    def number(value: Any) -> float:
        if value is None:
            return missing(value)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise ValueRefusedError(name, value, expected)
        # NaN and infinities fail the comparison; an integer of any size can be compared.
        if not low <= value <= high:
            raise ValueRefusedError(name, value, expected)
        return float(value)

    return number


def _text_converter(column: Column) -> Converter:
    """From a CSV cell."""
    feature = column.feature
    name, expected = feature.name, allowed(feature)
    missing = _missing(feature, expected)

    if feature.type == "category":
        return _value_converter(column)

    if feature.type == "boolean":

        def boolean(text: str) -> float:
            if text == "":
                return missing(text)
            try:
                return BOOLEAN_TEXTS[text.lower()]
            except KeyError:
                raise ValueRefusedError(name, text, expected) from None

        return boolean

    low, high = _range(feature)

    def number(text: str) -> float:
        if text == "":
            return missing(text)
        try:
            value = float(text)
        except ValueError:
            raise ValueRefusedError(name, text, expected) from None
        # Python reads 1_000 and digits of other scripts as numbers; data files must not hold them.
        if not low <= value <= high or "_" in text or not text.isascii():
            raise ValueRefusedError(name, text, expected)
        return value

    return number


def _missing(feature: Feature, expected: str) -> Converter:
    def missing(value: Any) -> float:
        if feature.nullable:
            return math.nan
        raise ValueRefusedError(feature.name, value, expected)

    return missing


def _codes(column: Column) -> tuple[dict[str, float], float, frozenset[str]]:
    codes = {name: float(code) for code, name in enumerate(column.categories)}
    return codes, float(len(codes)), frozenset(column.feature.values)


def _range(feature: Feature) -> tuple[float, float]:
    """Least and largest number a column may hold; infinite where it holds no numbers."""
    if feature.type != "number":
        return -math.inf, math.inf
    low = -_LARGEST if feature.min is None else feature.min
    high = _LARGEST if feature.max is None else feature.max
    return low, high
