"""What may stand in a column, as conditions in SQL that are true for rows where it does not.

Nothing that stands in a file reaches the SQL; what the spec holds is quoted.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.spec import Feature, ModelSpec
from training.contract.cells import Cell, in_years
from training.contract.quoting import quoted
from training.words import allowed

_TIME_EXPECTED = "a time such as 2013-01-31T06:15:00"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A condition in SQL that is true for rows that break the rule.

    Attributes:
        column: Its name; None for the row as a whole.
        name: Short name, as in a finding.
        text: SQL of what is shown of such a row.
        broken: The condition; false or NULL for a good row.
        kept: An aggregate that is true when no row breaks the rule, if one is faster than counting.
        expected: In words.
    """

    column: str | None
    name: str
    text: str
    broken: str
    kept: str = ""
    expected: str

    @property
    def reason(self) -> str:
        """What is written beside a row that breaks it."""
        return f"{self.column}: expected {self.expected}" if self.column else f"expected {self.expected}"

    @property
    def holds(self) -> str:
        """An aggregate that is true when no row breaks the rule."""
        return self.kept or f"count(*) FILTER ({self.broken}) = 0"


def rules_of(name: str, cell: Cell, spec: ModelSpec) -> list[Rule]:
    """The rules of one column, in the order they are reported."""
    if name == spec.time_column:
        rules = [
            _missing(name, cell, _TIME_EXPECTED),
            _unreadable(name, cell, "type", _TIME_EXPECTED, time=True),
        ]
    elif name == spec.target:
        rules = _target_rules(name, cell, spec)
    else:
        rules = _feature_rules(next(f for f in spec.features if f.name == name), cell)
    return [rule for rule in rules if rule.broken != "false"]


def future_rule(name: str, cell: Cell, latest: str) -> Rule:
    """Of the time column.

    Args:
        name: Of the column.
        cell: Its cell.
        latest: ISO 8601, in UTC.
    """
    limit = f"TIMESTAMP {quoted(latest)}"
    return Rule(
        column=name,
        name="future",
        text=cell.text,
        broken=f"({cell.readable} AND {cell.value} > {limit})",
        kept=f"coalesce(max({cell.value}) <= {limit}, true)",
        expected=f"a time up to {latest} (contract.max_future_days)",
    )


def _missing(name: str, cell: Cell, expected: str) -> Rule:
    return Rule(
        column=name,
        name="missing",
        text=cell.text,
        broken=cell.missing,
        kept=f"count({cell.value}) = count(*)",
        expected=expected,
    )


def _unreadable(name: str, cell: Cell, rule: str, expected: str, *, time: bool = False) -> Rule:
    kept = ""
    if cell.exact:
        ends = f"min({cell.value})", f"max({cell.value})"
        finite = f"isfinite({ends[0]}) AND isfinite({ends[1]})"
        kept = f"coalesce({in_years(*ends) if time else finite}, true)"
    return Rule(column=name, name=rule, text=cell.text, broken=cell.unreadable, kept=kept, expected=expected)


def _target_rules(name: str, cell: Cell, spec: ModelSpec) -> list[Rule]:
    missing = _missing(name, cell, "a label in every row")
    if spec.task == "multiclass":
        return [missing, _unreadable(name, cell, "type", "a text")]
    if spec.task == "regression":
        return [missing, _unreadable(name, cell, "label", "a number")]
    other = f"({cell.unreadable} OR {cell.value} NOT IN (0, 1))"
    return [missing, Rule(column=name, name="label", text=cell.text, broken=other, expected="0 or 1")]


def _feature_rules(feature: Feature, cell: Cell) -> list[Rule]:
    name, expected = feature.name, allowed(feature)
    rules = [] if feature.nullable else [_missing(name, cell, expected)]
    rules.append(_unreadable(name, cell, "type", expected))
    if feature.values:
        # Of a column with few different texts DuckDB calls a function once per text, and IN once per row.
        position = f"list_position([{', '.join(map(quoted, feature.values))}], {cell.value})"
        rules.append(
            Rule(
                column=name,
                name="values",
                text=cell.text,
                broken=f"({cell.readable} AND {cell.value} IS NOT NULL AND {position} IS NULL)",
                kept=f"count({position}) = count({cell.value})",
                expected=expected,
            )
        )
    limits = [(feature.min, "<", "min", ">="), (feature.max, ">", "max", "<=")]
    given = [(f"{limit!r}::DOUBLE", *rest) for limit, *rest in limits if limit is not None]
    if given:
        outside = " OR ".join(f"{cell.value} {sign} {limit}" for limit, sign, _, _ in given)
        inside = " AND ".join(f"{end}({cell.value}) {sign} {limit}" for limit, _, end, sign in given)
        rules.append(
            Rule(
                column=name,
                name="range",
                text=cell.text,
                broken=f"({cell.readable} AND ({outside}))",
                kept=f"coalesce({inside}, true)",
                expected=expected,
            )
        )
    return rules
