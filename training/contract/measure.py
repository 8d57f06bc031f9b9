"""Counts what breaks the contract, in one pass over the file, and looks up the first rows that do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from models.spec import Feature, ModelSpec
from training.contract import forgetting
from training.contract.distribution import QUANTILES
from training.contract.engine import Engine
from training.contract.findings import EXAMPLES
from training.contract.forgetting import Forgotten
from training.contract.rules import Rule, rules_of
from training.contract.sources import Source
from training.words import cut

# Deciles of so many rows are as good as of all.
_DECILE_ROWS = 100_000


@dataclass(frozen=True)
class Plan:
    """What is asked of every row.

    Attributes:
        rules: In the order they are reported.
        forgotten: Condition for a row somebody asked to forget.
        bad: Condition for a row that breaks a rule.
        key: SQL of the key's values; empty without a key.
    """

    source: Source
    rules: tuple[Rule, ...]
    forgotten: str
    bad: str
    key: str

    @property
    def good(self) -> str:
        """Condition for a row that is kept, repeated keys aside."""
        return f"NOT ({self.forgotten}) AND NOT ({self.bad})"


@dataclass(frozen=True)
class Counts:
    """What the pass found.

    Attributes:
        rows: All rows.
        forgotten: Of them those to forget.
        bad: Rows that break a rule, those to forget aside.
        broken: Rows per rule.
        keys: Different keys among the good rows; None without a key.
        labels: Smallest and largest label of the good rows.
        times: Oldest and newest time of the good rows.
    """

    rows: int
    forgotten: int
    bad: int
    broken: tuple[int, ...]
    keys: int | None
    labels: tuple[Any, Any]
    times: tuple[datetime | None, datetime | None]

    @property
    def good(self) -> int:
        """Rows that break no rule of their own."""
        return self.rows - self.forgotten - self.bad


def plan(source: Source, spec: ModelSpec, now: datetime, forgotten: Sequence[Forgotten]) -> Plan:
    """Make conditions of the contract."""
    rules = [rule for name in spec.columns for rule in rules_of(name, source.cells[name], spec)]
    at = source.cells[spec.time_column]
    latest = (now + timedelta(days=spec.contract.max_future_days)).replace(tzinfo=None)
    rules.append(
        Rule(
            spec.time_column,
            "future",
            f"coalesce({at.readable} AND {at.value} > TIMESTAMP '{latest:%Y-%m-%d %H:%M:%S.%f}', false)",
            f"a time not after {latest:%Y-%m-%dT%H:%M:%S} (contract.max_future_days)",
        )
    )
    texts = {name: forgetting.column_text(cell.value) for name, cell in source.cells.items()}
    key = ", ".join(source.cells[name].value for name in spec.contract.key)
    broken = " OR ".join([source.broken_row, *(rule.broken for rule in rules)])
    return Plan(source, tuple(rules), forgetting.matches(forgotten, texts), broken, key)


def count(plan: Plan, spec: ModelSpec, engine: Engine) -> Counts:
    """Look at every row once."""
    label, at = plan.source.cells[spec.target], plan.source.cells[spec.time_column]
    keys = f"count(DISTINCT hash({plan.key})) FILTER ({plan.good})" if plan.key else "NULL"
    selected = [
        "count(*)",
        f"count(*) FILTER ({plan.forgotten})",
        f"count(*) FILTER (NOT ({plan.forgotten}) AND ({plan.bad}))",
        keys,
        *(f"{end}({cell.value}) FILTER ({plan.good})" for cell in (label, at) for end in ("min", "max")),
        *(f"count(*) FILTER (NOT ({plan.forgotten}) AND {rule.broken})" for rule in plan.rules),
        # Counting every column makes the reader look at all of them, those outside the spec included.
        *(f"count({cell.value})" for cell in plan.source.cells.values()),
    ]
    found = engine.row(f"SELECT {', '.join(selected)} FROM {plan.source.table}")  # noqa: S608 - see sources
    return Counts(
        rows=int(found[0]),
        forgotten=int(found[1]),
        bad=int(found[2]),
        keys=None if found[3] is None else int(found[3]),
        labels=(found[4], found[5]),
        times=(found[6], found[7]),
        broken=tuple(int(n) for n in found[8 : 8 + len(plan.rules)]),
    )


def examples(plan: Plan, rule: Rule, engine: Engine) -> tuple[dict[str, Any], ...]:
    """The first rows that break a rule."""
    cell = plan.source.cells[rule.column]
    found = engine.rows(
        f"SELECT row, value FROM (SELECT row_number() OVER () AS row, {cell.text} AS value, "  # noqa: S608 - see sources
        f"NOT ({plan.forgotten}) AND {rule.broken} AS broken FROM {plan.source.table}) "
        f"WHERE broken ORDER BY row LIMIT {EXAMPLES}"
    )
    return tuple(
        {"row": int(row), "value": None if value is None else cut(str(value).rstrip("\r\n"))}
        for row, value in found
    )


def deciles(
    plan: Plan, features: Sequence[Feature], rows: int, engine: Engine
) -> dict[str, tuple[tuple[float, ...] | None, int]]:
    """The deciles of the good rows, and how many numbers they were made from."""
    if not features:
        return {}
    share = min(100.0, 100.0 * _DECILE_ROWS / max(rows, 1))
    cells = [plan.source.cells[f.name].value for f in features]
    listed = ", ".join(f"quantile_disc({cell}, {list(QUANTILES)}), count({cell})" for cell in cells)
    sample = f" USING SAMPLE {share:.6f} PERCENT (bernoulli, 1)" if share < 100 else ""
    found = engine.row(
        f"SELECT {listed} FROM (SELECT * FROM {plan.source.table} WHERE {plan.good}){sample}"  # noqa: S608 - see sources
    )
    return {
        feature.name: (tuple(found[2 * i]) if found[2 * i] else None, int(found[2 * i + 1]))
        for i, feature in enumerate(features)
    }
