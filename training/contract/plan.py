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
        rules: In the order they are reported.
        forgotten: Condition for a row somebody asked to forget; ``false`` without requests.
        bad: Condition for a row that breaks a rule.
        key: SQL of the key's values; empty without a key.
        label: SQL of the label.
        time: SQL of the time.
        deciles: Features whose unit is watched.
    """

    source: Source
    rules: tuple[Rule, ...]
    forgotten: str
    bad: str
    key: tuple[str, ...]
    label: str
    time: str
    deciles: tuple[Feature, ...]

    @property
    def good(self) -> str:
        """Condition for a row that is kept, repeated keys aside."""
        kept = f"NOT ({self.bad})"
        return kept if self.forgotten == "false" else f"NOT {self.forgotten} AND {kept}"

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
    return Plan(
        source=source,
        rules=tuple(rules),
        forgotten=forgetting.matches(forgotten, texts),
        bad=" OR ".join(rule.broken for rule in rules),
        key=tuple(cells[name].value for name in spec.contract.key),
        label=cells[spec.target].value,
        time=cells[spec.time_column].value,
        deciles=tuple(f for f in spec.features if f.deciles),
    )
