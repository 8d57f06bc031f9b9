"""A claimed object version on its way, and the record of its end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from models.spec import ModelSpec
from training import clock
from training.contract.findings import Report
from training.intake.arrivals import Arrival
from training.intake.objects import Opened
from training.ledger.records import NO_MODEL, ObjectRecord, QuarantineRecord


class LostClaimError(Exception):
    """Another message has taken the version over; it does what is left to do."""


@dataclass(frozen=True)
class Task:
    """One claimed version on its way.

    Attributes:
        arrival: The file.
        record: The claim.
        spec: Of its model, None without.
        opened: The version's bytes.
    """

    arrival: Arrival
    record: ObjectRecord
    spec: ModelSpec | None
    opened: Opened

    @property
    def model(self) -> str:
        """Under which model its content is kept."""
        return self.spec.name if self.spec else NO_MODEL

    def settled(self, state: str, **values: object) -> ObjectRecord:
        """The record of its end."""
        given = {"delivery": self.arrival.delivery, "size": self.opened.size, **values}
        return settled(self.record, state, **given)


@dataclass(frozen=True)
class Checked:
    """A file that may be trained with.

    Attributes:
        task: The version.
        spec: Of its model.
        sha256: Of its bytes.
        report: What the check found.
        good: Its good rows.
        bad: Its bad rows; there is no such file when there are none.
        entry: Of the same content in the quarantine, None for none.
    """

    task: Task
    spec: ModelSpec
    sha256: str
    report: Report
    good: Path
    bad: Path
    entry: QuarantineRecord | None


def settled(record: ObjectRecord, state: str, **values: object) -> ObjectRecord:
    """A claim's record after its end, now."""
    at = datetime.fromtimestamp(clock.now(), UTC).isoformat(timespec="seconds")
    return replace(record, state=state, at=at, crashes=0, **values)  # type: ignore[arg-type]
