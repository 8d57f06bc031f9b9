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
CALLED: dict[Kind, str] = {
    "time": "a timestamp",
    "number": "a number",
    "label": "a number or a boolean",
    "boolean": "a boolean",
    "text": "text",
}


@dataclass(frozen=True)
class Cell:
    """SQL expressions of one column of a file.

    Attributes:
        text: What stands there, as text; NULL where nothing does.
        value: What is accepted of it: TIMESTAMP, DOUBLE, BOOLEAN or VARCHAR.
        readable: A condition, false or NULL where something stands that is no such value.
    """

    text: str
    value: str
    readable: str = "true"

    @property
    def missing(self) -> str:
        """Condition for a row in which nothing stands."""
        return f"({self.text} IS NULL)"

    @property
    def unreadable(self) -> str:
        """Condition for a row in which something else stands."""
        return f"({self.text} IS NOT NULL AND NOT coalesce({self.readable}, false))"


def kind_of(name: str, spec: ModelSpec) -> Kind:
    """What the column holds once it is accepted; columns the spec does not name are texts."""
    if name == spec.time_column:
        return "time"
    if name == spec.target:
        return {"binary": "label", "regression": "number", "multiclass": "text"}[spec.task]  # type: ignore[return-value]
    feature = next((f for f in spec.features if f.name == name), None)
    if feature is None or feature.type == "category":
        return "text"
    return feature.type


def text_cell(cell: str, kind: Kind) -> Cell:
    """A cell of which the file has the text, NULL where it is empty."""
    if kind in ("number", "label"):
        return Cell(cell, f"TRY_CAST({cell} AS DOUBLE)", _is_number(cell))
    if kind == "boolean":
        truth = f"lower({cell})"
        value = (
            f"(CASE WHEN {truth} IN ('true', '1') THEN true WHEN {truth} IN ('false', '0') THEN false END)"
        )
        return Cell(cell, value, f"({truth} IN ('true', 'false', '1', '0'))")
    if kind == "time":
        return Cell(cell, _time(cell), _is_time(cell))
    return Cell(cell, cell)


def _is_number(cell: str) -> str:
    """True for a finite number in plain digits.

    What DuckDB reads beyond that: nan and inf; digits in groups (1_000); two signs (+-1); a vertical tab.
    """
    return (
        f"(isfinite(TRY_CAST({cell} AS DOUBLE)) AND NOT contains({cell}, '_') AND NOT contains({cell}, '+-') "
        f"AND NOT contains({cell}, chr(11)))"
    )


def _time(cell: str) -> str:
    """The time in UTC; a cast to TIMESTAMP alone would leave out the offset."""
    return (
        f"(CASE WHEN strlen({cell}) > 16 AND substr({cell}, -6, 1) IN ('+', '-') "
        f"THEN TRY_CAST({cell} AS TIMESTAMPTZ)::TIMESTAMP ELSE TRY_CAST({cell} AS TIMESTAMP) END)"
    )


def _is_time(cell: str) -> str:
    # Not by the text's first digits: an offset may lead to another year.
    return f"({_in_years(_time(cell))} AND regexp_full_match({cell}, {quoted(_TIME)}))"


def _in_years(time: str) -> str:
    return f"({time} >= TIMESTAMP '{_FIRST_YEAR}-01-01' AND {time} < TIMESTAMP '{_LAST_YEAR + 1}-01-01')"


def fits(found: str, kind: Kind) -> bool:
    """Whether a column of this DuckDB type means the same as the contract's."""
    return found.partition("(")[0] in _FITTING[kind]


def typed_cell(cell: str, found: str, kind: Kind, *, nan_is_missing: bool = True) -> Cell:
    """A cell of a column that has a type of its own.

    Args:
        cell: SQL of the column.
        found: Its DuckDB type, one that `fits`.
        kind: What is accepted.
        nan_is_missing: Whether the number NaN means that there is none.
    """
    text = f"{cell}::VARCHAR"
    if kind in ("number", "label"):
        if found not in ("DOUBLE", "FLOAT"):
            return Cell(text, f"{cell}::DOUBLE")
        # pandas and polars write a missing number as NaN.
        value = f"nullif({cell}::DOUBLE, 'nan'::DOUBLE)" if nan_is_missing else cell
        return Cell(f"{value}::VARCHAR", value, f"isfinite({value})")
    if kind == "boolean":
        return Cell(text, f"{cell}::BOOLEAN", "true" if found == "BOOLEAN" else f"({cell} IN (0, 1))")
    if kind == "time":
        # A date may lie outside of what a timestamp can hold.
        value = cell if found == "TIMESTAMP" else f"TRY_CAST({cell} AS TIMESTAMP)"
        return Cell(text, value, _in_years(value))
    value = f"nullif({text if found != 'VARCHAR' else cell}, '')"
    return Cell(value, value)
