"""The ways a version ends: first the copy, then the ledger's record; see ``sorting`` for the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from aws_lambda_powertools import Logger

from monitoring import metrics
from training import clock
from training.contract.findings import Report
from training.intake.arrivals import REASON_SUFFIX, accepted_key
from training.intake.objects import Objects
from training.intake.refusals import entry_of, quarantine_id, reason_text
from training.intake.tasks import Checked, LostClaimError, Task
from training.intake.wakes import Wakes
from training.ledger.core import LedgerError, wait
from training.ledger.records import (
    ACCEPTED,
    DUPLICATE,
    FORGOTTEN,
    OPEN,
    QUARANTINED,
    DataRecord,
    ObjectRecord,
)
from training.ledger.table import Ledger

_log = Logger(service="intake")
_TRIES = 8
_PARQUET = "application/vnd.apache.parquet"
# User metadata has 2 KB in all: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
_MAX_FACT = 1500


@dataclass(frozen=True)
class Endings:
    """Brings versions to their end, several at a time.

    Attributes:
        objects: The data bucket.
        ledger: Where it is recorded.
        wakes: Are told of arrivals.
        count: Takes a model's name and metrics to add.
    """

    objects: Objects
    ledger: Ledger
    wakes: Wakes
    count: Callable[[str, Mapping[str, float]], None]

    def accept(self, checked: Checked) -> None:
        """Make a content data; of two messages with the same content the second is a duplicate.

        Raises:
            LostClaimError: Another message has the version by now.
        """
        spec = checked.spec
        self.wakes.note(spec, checked.task.arrival.delivery)
        data = self._store(checked)
        done = checked.task.settled(
            ACCEPTED, sha256=checked.sha256, target=data.key, rows=data.rows, dropped=data.dropped,
            reason="" if data.key else "all its rows are to be forgotten",
        )  # fmt: skip
        if self.ledger.accept(done, data, checked.entry):
            counts = {metrics.FILES_ACCEPTED: 1, metrics.ROWS_ACCEPTED: data.rows}
            self.count(spec.name, counts | {metrics.ROWS_DROPPED: data.dropped})
            extra = {"key": data.source, "as": data.key, "rows": data.rows, "dropped": data.dropped}
            _log.info("accepted", extra=extra)
            return
        first = self.ledger.data_record(spec.name, checked.sha256)
        if first is None:
            raise LostClaimError(data.source)
        self.settle_duplicate(checked.task, first)

    def _store(self, checked: Checked) -> DataRecord:
        """Put the good rows and the bad ones where they belong; the record of it."""
        arrival, report, spec = checked.task.arrival, checked.report, checked.spec
        rejected = arrival.rejected_key(checked.sha256) if report.dropped else None
        if rejected:
            self.objects.put(rejected, checked.bad, "text/csv")
        data = DataRecord(
            model=spec.name,
            raw_sha256=checked.sha256,
            key="",
            rows=report.rows,
            dropped=report.dropped,
            forgotten=report.forgotten,
            first=report.first,
            last=report.last,
            contract=spec.contract_version,
            source=arrival.key,
            delivery=arrival.delivery,
            accepted_at=clock.now(),
            rejected_key=rejected,
        )
        if not report.rows:
            return replace(data, state=FORGOTTEN)
        digest = _digest(checked.good)
        key = accepted_key(spec.name, digest)
        facts = {"rows": str(report.rows), "source": quote(arrival.key)[:_MAX_FACT]}
        version = self.objects.put_once(key, checked.good, digest, facts, _PARQUET)
        size = checked.good.stat().st_size
        return replace(data, key=key, version_id=version, sha256=digest, bytes=size)

    def settle_duplicate(self, task: Task, data: DataRecord) -> None:
        """Record that the content is data already.

        Raises:
            LostClaimError: Another message has the version by now.
        """
        self.settle(
            task.settled(
                DUPLICATE, sha256=data.raw_sha256, target=data.key, rows=data.rows, dropped=data.dropped,
                reason=f"the same bytes as {data.source}",
            )
        )  # fmt: skip

    def quarantine(self, task: Task, sha256: str | None, report: Report) -> None:
        """Put a bad file aside; of two messages with the same content the second counts up.

        Raises:
            LostClaimError: Another message has the version by now.
            LedgerError: Too many others wrote the same entry.
        """
        arrival, name = task.arrival, quarantine_id(sha256, task.opened)
        if task.spec:
            self.wakes.note(task.spec, arrival.delivery)
        safe: set[tuple[str, str]] = set()
        for attempt in range(_TRIES):
            known = self.ledger.known(task.model, sha256 or name, name)
            if known.data:
                self.settle_duplicate(task, known.data)
                return
            entry = entry_of(arrival, task.opened, sha256, report, task.spec, known.entry)
            # Who discards an entry deletes its copy as well.
            copy = (entry.key, known.entry.state if known.entry else OPEN)
            if copy not in safe:
                self.objects.copy(task.opened, entry.key)
                text = reason_text(arrival, task.opened, report, task.spec, entry)
                self.objects.put_text(entry.key + REASON_SUFFIX, text)
                safe.add(copy)
            done = task.settled(
                QUARANTINED, sha256=sha256, target=entry.key, rows=report.rows, dropped=report.dropped,
                reason=entry.reason, quarantine_id=name,
            )  # fmt: skip
            if self.ledger.quarantine(done, entry, known.entry):
                if task.spec:
                    self.count(task.spec.name, {metrics.FILES_QUARANTINED: 1})
                rules = sorted({finding.rule for finding in report.findings})
                _log.warning("quarantined", extra={"key": arrival.key, "as": entry.key, "rules": rules})
                return
            mine = self.ledger.version(arrival.key, task.record.version_id)
            if mine is None or mine.is_settled or mine.owner != task.record.owner:
                raise LostClaimError(arrival.key)
            wait(attempt)
        raise LedgerError(f"{arrival.key}: others kept counting up the same quarantine entry; try again")

    def settle(self, record: ObjectRecord) -> None:
        """Record an end.

        Raises:
            LostClaimError: Another message has the version by now.
        """
        if not self.ledger.settle(record):
            raise LostClaimError(record.key)
        _log.info(record.state, extra={"key": record.key, "version_id": record.version_id})


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
