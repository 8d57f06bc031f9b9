"""What is asked of every row of a file, as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.spec import Feature, ModelSpec
from training.contract import forgetting
from training.contract.forgetting import Forgotten
from training.contract.rules import Rule, future_rule, rules_of
from training.contract.sources import Source


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The contract in terms of one file.

    Attributes:
        source: The file.
        table: The source's table, with every row judged: columns ``b0``, ``b1`` and so on for the rules,
            ``gone`` for a row somebody asked to forget, ``bad`` and ``good``, repeated keys aside.
        rules: In the order they are reported.
        forgotten: Condition for a row to forget; ``false`` without requests.
        key: SQL of the key's values; empty without a key.
        label: SQL of the label.
        time: SQL of the time.
        deciles: Features whose unit is watched.
    """

    source: Source
    table: str
    rules: tuple[Rule, ...]
    forgotten: str
    key: tuple[str, ...]
    label: str
    time: str
    deciles: tuple[Feature, ...]

    @property
    def key_hash(self) -> str:
        """SQL of 64 bits that are equal for equal keys."""
        return f"hash({', '.join(self.key)})"


def make_plan(source: Source, spec: ModelSpec, now: datetime, forgotten: Sequence[Forgotten]) -> Plan:
    """Write the contract down as conditions.

    Args:
        source: The file.
        spec: Holds the contract.
        now: In UTC.
        forgotten: Requests to forget.
    """
    cells = source.cells
    latest = (now + timedelta(days=spec.contract.max_future_days)).replace(tzinfo=None)
    rules = [
        *source.whole_rows,
        *(rule for name in spec.columns for rule in rules_of(name, cells[name], spec)),
        future_rule(spec.time_column, cells[spec.time_column], latest.isoformat(timespec="seconds")),
    ]
    texts = {name: forgetting.column_text(cell.value) for name, cell in cells.items()}
    gone = forgetting.matches(forgotten, texts)
    return Plan(
        source=source,
        table=_judged(source.table, rules, gone),
        rules=tuple(rules),
        forgotten=gone,
        key=tuple(cells[name].value for name in spec.contract.key),
        label=cells[spec.target].value,
        time=cells[spec.time_column].value,
        deciles=tuple(f for f in spec.features if f.deciles),
    )


def _judged(table: str, rules: Sequence[Rule], gone: str) -> str:
    conditions = "".join(f", {rule.broken} AS b{i}" for i, rule in enumerate(rules))
    broken = " OR ".join(f"b{i}" for i in range(len(rules)))
    judged = f"SELECT *, {gone} AS gone{conditions} FROM {table}"  # noqa: S608 - see sources
    judged = f"SELECT *, NOT gone AND ({broken}) IS TRUE AS bad FROM ({judged})"  # noqa: S608
    return f"(SELECT *, NOT gone AND NOT bad AS good FROM ({judged}))"  # noqa: S608
