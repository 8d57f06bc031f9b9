"""What may stand in a column, as conditions in SQL that are true where it does not.

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
_FIRST_YEAR, _LAST_YEAR = 1700, 2200


@dataclass(frozen=True)
class Rule:
    """A condition in SQL that is true for rows that break the rule."""

    column: str
    name: str
    cell: str
    broken: str
    expected: str


def rules_of(name: str, cell: str, spec: ModelSpec) -> list[Rule]:
    """The rules of one column, in the order they are reported."""
    if name == spec.time_column:
        expected = "a time such as 2013-01-31T06:15:00"
        return [
            Rule(name, "missing", cell, f"{cell} IS NULL", expected),
            Rule(name, "type", cell, f"{cell} IS NOT NULL AND NOT {_is_time(cell)}", expected),
        ]
    if name == spec.target:
        return _target_rules(name, cell, spec)
    feature = next(f for f in spec.features if f.name == name)
    return _feature_rules(feature, cell)


def _target_rules(name: str, cell: str, spec: ModelSpec) -> list[Rule]:
    missing = Rule(name, "missing", cell, f"{cell} IS NULL", "a label in every row")
    if spec.task == "multiclass":
        return [missing]
    expected = "0 or 1" if spec.task == "binary" else "a number"
    fits = f"{_is_number(cell)}" + (f" AND {number(cell)} IN (0, 1)" if spec.task == "binary" else "")
    return [missing, Rule(name, "label", cell, f"{cell} IS NOT NULL AND NOT ({fits})", expected)]


def _feature_rules(feature: Feature, cell: str) -> list[Rule]:
    name, expected = feature.name, allowed(feature)
    rules = [] if feature.nullable else [Rule(name, "missing", cell, f"{cell} IS NULL", expected)]
    if feature.type == "boolean":
        wrong = f"lower({cell}) NOT IN ('true', 'false', '1', '0')"
        return [*rules, Rule(name, "type", cell, wrong, expected)]
    if feature.type == "category":
        if feature.values:
            listed = ", ".join(quoted(v) for v in feature.values)
            rules.append(Rule(name, "values", cell, f"{cell} NOT IN ({listed})", expected))
        return rules
    rules.append(Rule(name, "type", cell, f"{cell} IS NOT NULL AND NOT {_is_number(cell)}", expected))
    limits = [f"{number(cell)} {sign} {limit!r}::DOUBLE" for sign, limit in _limits(feature)]
    if limits:
        broken = f"{_is_number(cell)} AND ({' OR '.join(limits)})"
        rules.append(Rule(name, "range", cell, broken, expected))
    return rules


def _limits(feature: Feature) -> list[tuple[str, float]]:
    pairs = (("<", feature.min), (">", feature.max))
    return [(sign, limit) for sign, limit in pairs if limit is not None]


def number(cell: str) -> str:
    """The cell's number; NULL where it holds none."""
    return f"TRY_CAST({cell} AS DOUBLE)"


def _is_number(cell: str) -> str:
    """True for a finite number in plain digits; DuckDB alone also reads nan, inf and 1_000."""
    return f"coalesce(isfinite({number(cell)}) AND regexp_full_match({cell}, {quoted(_NUMBER)}), false)"


def _is_time(cell: str) -> str:
    year = f"year(TRY_CAST({cell} AS TIMESTAMP))"
    return (
        f"coalesce({year} BETWEEN {_FIRST_YEAR} AND {_LAST_YEAR} "
        f"AND regexp_full_match({cell}, {quoted(_TIME)}), false)"
    )


def quoted(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"
