"""What may stand in a column, as conditions in SQL that are true for rows where it does not.

Nothing that stands in a file reaches the SQL; what the spec holds is quoted.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.spec import Feature, ModelSpec
from training.words import allowed

_NUMBER = r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?\s*"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?"
_TIME = rf"{_DATE}([T ]{_CLOCK}(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?"
# What pandas' nanosecond times can hold, rounded to whole years.
FIRST_YEAR, LAST_YEAR = 1700, 2200
TIME_EXPECTED = "a time such as 2013-01-31T06:15:00"


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
        """Condition for a row without a value."""
        return f"{self.text} IS NULL"


@dataclass(frozen=True)
class Rule:
    """A condition in SQL that is true for rows that break the rule."""

    column: str
    name: str
    broken: str
    expected: str


def rules_of(name: str, cell: Cell, spec: ModelSpec) -> list[Rule]:
    """The rules of one column, in the order they are reported."""
    if name == spec.time_column:
        return [
            Rule(name, "missing", cell.missing, TIME_EXPECTED),
            Rule(name, "type", _unreadable(cell), TIME_EXPECTED),
        ]
    if name == spec.target:
        return _target_rules(name, cell, spec)
    return _feature_rules(next(f for f in spec.features if f.name == name), cell)


def _target_rules(name: str, cell: Cell, spec: ModelSpec) -> list[Rule]:
    missing = Rule(name, "missing", cell.missing, "a label in every row")
    if spec.task == "multiclass":
        return [missing]
    expected = "0 or 1" if spec.task == "binary" else "a number"
    wrong = _unreadable(cell)
    if spec.task == "binary":
        wrong = f"{wrong} OR coalesce({cell.value} NOT IN (0, 1), false)"
    return [missing, Rule(name, "label", f"({wrong})", expected)]


def _feature_rules(feature: Feature, cell: Cell) -> list[Rule]:
    name, expected = feature.name, allowed(feature)
    rules = [] if feature.nullable else [Rule(name, "missing", cell.missing, expected)]
    if feature.type == "category":
        if feature.values:
            listed = ", ".join(quoted(v) for v in feature.values)
            wrong = f"coalesce({cell.value} NOT IN ({listed}), false)"
            rules.append(Rule(name, "values", wrong, expected))
        return rules
    rules.append(Rule(name, "type", _unreadable(cell), expected))
    limits = [f"{cell.value} {sign} {limit!r}::DOUBLE" for sign, limit in _limits(feature)]
    if limits:
        wrong = f"coalesce({cell.readable} AND ({' OR '.join(limits)}), false)"
        rules.append(Rule(name, "range", wrong, expected))
    return rules


def _unreadable(cell: Cell) -> str:
    return f"(NOT ({cell.missing}) AND NOT coalesce({cell.readable}, false))"


def _limits(feature: Feature) -> list[tuple[str, float]]:
    pairs = (("<", feature.min), (">", feature.max))
    return [(sign, limit) for sign, limit in pairs if limit is not None]


def kind_of(name: str, spec: ModelSpec) -> str:
    """What the column holds once it is accepted: time, number, boolean or text."""
    if name == spec.time_column:
        return "time"
    if name == spec.target:
        return "text" if spec.task == "multiclass" else "number"
    kinds = {f.name: f.type for f in spec.features}
    return {"number": "number", "boolean": "boolean"}.get(kinds.get(name, "category"), "text")


def text_cell(cell: str, kind: str) -> Cell:
    """A cell of which the file has the text; an empty one is missing."""
    if kind == "number":
        return Cell(cell, f"TRY_CAST({cell} AS DOUBLE)", _is_number(cell))
    if kind == "boolean":
        value = f"CASE WHEN lower({cell}) IN ('true', '1') THEN true WHEN lower({cell}) IN ('false', '0') THEN false END"
        return Cell(cell, f"({value})", f"lower({cell}) IN ('true', 'false', '1', '0')")
    if kind == "time":
        return Cell(cell, _time(cell), _is_time(cell))
    return Cell(cell, cell)


def _is_number(cell: str) -> str:
    """True for a finite number in plain digits; DuckDB alone also reads nan, inf and 1_000."""
    number = f"TRY_CAST({cell} AS DOUBLE)"
    return f"(isfinite({number}) AND regexp_full_match({cell}, {quoted(_NUMBER)}))"


def _time(cell: str) -> str:
    """The time in UTC; a cast to TIMESTAMP alone would drop the offset."""
    return (
        f"(CASE WHEN strlen({cell}) > 16 AND substr({cell}, -6, 1) IN ('+', '-') "
        f"THEN TRY_CAST({cell} AS TIMESTAMPTZ)::TIMESTAMP ELSE TRY_CAST({cell} AS TIMESTAMP) END)"
    )


def _is_time(cell: str) -> str:
    # Not by the text's first digits: an offset may lead to another year.
    return (
        f"(year({_time(cell)}) BETWEEN {FIRST_YEAR} AND {LAST_YEAR} "
        f"AND regexp_full_match({cell}, {quoted(_TIME)}))"
    )


def quoted(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
