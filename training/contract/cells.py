"""SQL of single cells: what is there, what is accepted of it, and whether it can be read at all.

An empty cell is missing. Numbers are plain digits with a point and an exponent, times are ISO 8601.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.spec import ModelSpec
from training.contract.quoting import quoted

Kind = Literal["time", "number", "label", "boolean", "text"]

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?"
_TIME = rf"{_DATE}([T ]{_CLOCK}(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?"
# What pandas' nanosecond times can hold, rounded to whole years.
_FIRST_YEAR, _LAST_YEAR = 1700, 2200

_INTEGERS = frozenset(
    f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
)
# Types of Parquet columns that mean the same as the contract's; the rest is another type, however well it
# could be cast.
_FITTING: dict[Kind, frozenset[str]] = {
    "number": _INTEGERS | {"FLOAT", "DOUBLE", "DECIMAL"},
    "label": _INTEGERS | {"FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN"},
    "boolean": _INTEGERS | {"BOOLEAN"},
    "time": frozenset(
        {"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"}
    ),
    "text": frozenset({"VARCHAR", "ENUM"}),
}
_LABELS: dict[str, Kind] = {"binary": "label", "regression": "number", "multiclass": "text"}
CALLED: dict[Kind, str] = {
    "time": "a timestamp",
    "number": "a number",
    "label": "a number or a boolean",
    "boolean": "a boolean",
    "text": "text",
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """SQL expressions of one column of a file.

    Attributes:
        text: What stands there, as text.
        missing: Condition for a row in which nothing stands.
        value: What is accepted: TIMESTAMP, DOUBLE, BOOLEAN or VARCHAR.
        readable: Condition, false or NULL where something stands that is no such value.
        exact: Whether every value can be read, but for numbers that are not finite and times out of range.
    """

    text: str
    missing: str
    value: str
    readable: str = "true"
    exact: bool = False

    @property
    def unreadable(self) -> str:
        """Condition for a row in which something else stands."""
        return "false" if self.readable == "true" else f"(NOT {self.missing} AND {self.readable} IS NOT TRUE)"


def kind_of(name: str, spec: ModelSpec) -> Kind:
    """What the column holds once it is accepted; columns the spec does not name are texts."""
    if name == spec.time_column:
        return "time"
    if name == spec.target:
        return _LABELS[spec.task]
    feature = next((f for f in spec.features if f.name == name), None)
    if feature is None or feature.type == "category":
        return "text"
    return feature.type


def text_cell(cell: str, kind: Kind) -> Cell:
    """A cell of which the file has the text, NULL where it is empty.

    Args:
        cell: SQL of the text.
        kind: What is accepted.
    """
    missing = f"({cell} IS NULL)"
    if kind in ("number", "label"):
        value = f"TRY_CAST({cell} AS DOUBLE)"
        # What DuckDB reads beyond plain digits: nan and inf; digits in groups (1_000); two signs (+-1); a
        # vertical tab in front.
        readable = (
            f"(isfinite({value}) AND NOT contains({cell}, '_') AND NOT contains({cell}, '+-') "
            f"AND NOT contains({cell}, chr(11)))"
        )
        return Cell(text=cell, missing=missing, value=value, readable=readable)
    if kind == "boolean":
        truth = f"lower({cell})"
        value = (
            f"(CASE WHEN {truth} IN ('true', '1') THEN true WHEN {truth} IN ('false', '0') THEN false END)"
        )
        return Cell(text=cell, missing=missing, value=value, readable=f"({value} IS NOT NULL)")
    if kind == "time":
        value = _time(cell)
        # The years are not those of the text: an offset may lead to another one.
        readable = f"({in_years(value)} AND regexp_full_match({cell}, {quoted(_TIME)}))"
        return Cell(text=cell, missing=missing, value=value, readable=readable)
    return Cell(text=cell, missing=missing, value=cell)


def _time(cell: str) -> str:
    """The time in UTC; a cast to TIMESTAMP alone would leave out the offset, which no shorter text has."""
    return (
        f"(CASE WHEN strlen({cell}) > 21 AND substr({cell}, -6, 1) IN ('+', '-') "
        f"THEN TRY_CAST({cell} AS TIMESTAMPTZ)::TIMESTAMP ELSE TRY_CAST({cell} AS TIMESTAMP) END)"
    )


def in_years(*times: str) -> str:
    """Condition for times that every reader can hold."""
    limits = [
        f"{time} >= TIMESTAMP '{_FIRST_YEAR}-01-01' AND {time} < TIMESTAMP '{_LAST_YEAR + 1}-01-01'"
        for time in times
    ]
    return f"({' AND '.join(limits)})"


def fits(found: str, kind: Kind) -> bool:
    """Whether a column of this DuckDB type means the same as the contract's."""
    return found.partition("(")[0] in _FITTING[kind]


def number_cell(cell: str) -> Cell:
    """A number that the CSV reader has read; not a number is none."""
    return Cell(
        text=f"{cell}::VARCHAR",
        missing=f"({cell} IS NULL)",
        value=cell,
        readable=f"isfinite({cell})",
        exact=True,
    )


def typed_cell(cell: str, found: str, kind: Kind) -> Cell:
    """A cell of a Parquet column.

    Args:
        cell: SQL of the column.
        found: Its DuckDB type, one that `fits`.
        kind: What is accepted.
    """
    text, missing = f"{cell}::VARCHAR", f"({cell} IS NULL)"
    if kind in ("number", "label"):
        if found not in ("DOUBLE", "FLOAT"):
            return Cell(text=text, missing=missing, value=f"{cell}::DOUBLE", exact=True)
        # pandas and polars write a missing number as NaN.
        value = f"nullif({cell}::DOUBLE, 'nan'::DOUBLE)"
        return Cell(
            text=text, missing=f"({value} IS NULL)", value=value, readable=f"isfinite({value})", exact=True
        )
    if kind == "boolean":
        readable = "true" if found == "BOOLEAN" else f"({cell} IN (0, 1))"
        return Cell(text=text, missing=missing, value=f"{cell}::BOOLEAN", readable=readable)
    if kind == "time":
        if found == "TIMESTAMP":
            return Cell(text=text, missing=missing, value=cell, readable=in_years(cell), exact=True)
        # A date may lie outside of what a timestamp can hold.
        value = f"TRY_CAST({cell} AS TIMESTAMP)"
        return Cell(text=text, missing=missing, value=value, readable=in_years(value))
    value = f"nullif({text if found != 'VARCHAR' else cell}, '')"
    return Cell(text=value, missing=f"({value} IS NULL)", value=value)
