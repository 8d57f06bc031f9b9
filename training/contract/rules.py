"""What may stand in a column, as conditions in SQL that are true for rows where it does not.

Nothing that stands in a file reaches the SQL; what the spec holds is quoted.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.spec import Feature, ModelSpec
from training.contract.cells import Cell
from training.contract.quoting import quoted
from training.words import allowed

_TIME_EXPECTED = "a time such as 2013-01-31T06:15:00"


@dataclass(frozen=True)
class Rule:
    """A condition in SQL that is true for rows that break the rule.

    Attributes:
        column: Its name; None for the row as a whole.
        name: Short name, as in a finding.
        cell: SQL of what is shown of such a row.
        broken: The condition; never NULL.
        expected: In words.
    """

    column: str | None
    name: str
    cell: str
    broken: str
    expected: str

    @property
    def reason(self) -> str:
        """What is written beside a row that breaks it."""
        return f"{self.column}: expected {self.expected}" if self.column else f"expected {self.expected}"


def rules_of(name: str, cell: Cell, spec: ModelSpec) -> list[Rule]:
    """The rules of one column, in the order they are reported."""
    if name == spec.time_column:
        return [
            Rule(name, "missing", cell.text, cell.missing, _TIME_EXPECTED),
            Rule(name, "type", cell.text, cell.unreadable, _TIME_EXPECTED),
        ]
    if name == spec.target:
        return _target_rules(name, cell, spec)
    return _feature_rules(next(f for f in spec.features if f.name == name), cell)


def future_rule(name: str, cell: Cell, latest: str) -> Rule:
    """Of the time column.

    Args:
        name: Of the column.
        cell: Its cell.
        latest: ISO 8601, in UTC.
    """
    broken = f"coalesce({cell.readable} AND {cell.value} > TIMESTAMP {quoted(latest)}, false)"
    return Rule(name, "future", cell.text, broken, f"a time up to {latest} (contract.max_future_days)")


def _target_rules(name: str, cell: Cell, spec: ModelSpec) -> list[Rule]:
    missing = Rule(name, "missing", cell.text, cell.missing, "a label in every row")
    if spec.task == "multiclass":
        return [missing, *_plain(name, cell, "a text")]
    expected = "0 or 1" if spec.task == "binary" else "a number"
    wrong = cell.unreadable
    if spec.task == "binary":
        wrong = f"({wrong} OR coalesce({cell.value} NOT IN (0, 1), false))"
    return [missing, Rule(name, "label", cell.text, wrong, expected)]


def _feature_rules(feature: Feature, cell: Cell) -> list[Rule]:
    name, expected = feature.name, allowed(feature)
    rules = [] if feature.nullable else [Rule(name, "missing", cell.text, cell.missing, expected)]
    if feature.type == "category":
        rules += _plain(name, cell, expected)
        if feature.values:
            listed = ", ".join(quoted(v) for v in feature.values)
            wrong = f"coalesce({cell.readable} AND {cell.value} NOT IN ({listed}), false)"
            rules.append(Rule(name, "values", cell.text, wrong, expected))
        return rules
    rules.append(Rule(name, "type", cell.text, cell.unreadable, expected))
    limits = [f"{cell.value} {sign} {limit!r}::DOUBLE" for sign, limit in _limits(feature)]
    if limits:
        wrong = f"coalesce({cell.readable} AND ({' OR '.join(limits)}), false)"
        rules.append(Rule(name, "range", cell.text, wrong, expected))
    return rules


def _plain(name: str, cell: Cell, expected: str) -> list[Rule]:
    """Any text will do, unless there is something else than a text."""
    return [] if cell.readable == "true" else [Rule(name, "type", cell.text, cell.unreadable, expected)]


def _limits(feature: Feature) -> list[tuple[str, float]]:
    pairs = (("<", feature.min), (">", feature.max))
    return [(sign, limit) for sign, limit in pairs if limit is not None]
