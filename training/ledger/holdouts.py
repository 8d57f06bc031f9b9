"""Holdouts: which rows decisions were made on, so that nobody asks the same rows until they say yes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from training.ledger.core import ABSENT, Core
from training.ledger.item import Record


@dataclass(frozen=True, kw_only=True)
class HoldoutRecord(Record):
    """The rows that one decision was made on.

    Attributes:
        model: Whose decision.
        run_id: Of the run that was decided on.
        days: Rows held out of each day, such as ``{"2013-01-27": 850}``.
        rows: All of them.
        at: When it was decided first, seconds since 1970.
    """

    prefix: ClassVar[str] = "holdout#"
    model: str
    run_id: str
    days: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    at: float = 0

    @property
    def sort_key(self) -> str:
        """The item's ``sk``."""
        return f"holdout#{self.run_id}"


class Holdouts(Core):
    """The rows that decisions were made on."""

    def holdouts(self, model: str) -> list[HoldoutRecord]:
        """Those of all decisions on a model, oldest first."""
        found = [HoldoutRecord.from_item(item) for item in self._query(model, HoldoutRecord.prefix)]
        return sorted(found, key=_order)

    def holdout_uses(self, model: str, holdout: Mapping[str, Any], run_id: str) -> float:
        """How many earlier decisions were made on these rows; one on half of them counts half.

        A run that is decided on again finds the number it found the first time: its own decision does not
        count, nor do those made since.

        Args:
            model: Whose decision.
            holdout: ``holdout`` of an evaluation.
            run_id: Of the run that is decided on.
        """
        every = self.holdouts(model)
        own = next((record for record in every if record.run_id == run_id), None)
        earlier = [r for r in every if r.run_id != run_id and (own is None or _order(r) < _order(own))]
        return shares_used(holdout["days"], (record.days for record in earlier))

    def record_holdout(self, record: HoldoutRecord) -> bool:
        """Note that a decision is made on rows; race: False when the run's decision was noted before."""
        return self._put(record, ABSENT)


def shares_used(days: Mapping[str, int], earlier: Iterable[Mapping[str, int]]) -> float:
    """The sum, over earlier decisions, of the share of today's rows that they have used.

    Rows are counted by day: of a day with 850 rows today and 400 then, 400 were used.

    Args:
        days: Rows of each day today.
        earlier: Rows of each day, of each earlier decision.
    """
    rows = sum(days.values())
    used = sum(min(count, then.get(day, 0)) for then in earlier for day, count in days.items())
    return used / rows if rows else 0.0


def _order(record: HoldoutRecord) -> tuple[float, str]:
    return record.at, record.run_id
