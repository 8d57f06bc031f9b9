"""Sorts one claimed object version: where its content goes, what the ledger says, and that it leaves.

The order makes every step repeatable: first the copy, then the ledger's record, then the version is taken
out of ``incoming/``. Whoever breaks off in between is followed by somebody who finds either nothing done, or
the same copy under the same key, or the record.

Calls for one new good file: GetObject, PutItem (claim), BatchGetItem, PutObject, TransactWriteItems (settled
and recorded), DeleteObject; for a duplicate PutItem instead of the last two writes. Per batch and model one
GetObject (spec), one UpdateItem a second (arrival) and one SendMessage.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Semaphore
from urllib.parse import quote

from aws_lambda_powertools import Logger

from models.spec import Contract, ModelSpec
from monitoring import metrics
from training import clock
from training.contract.findings import Report
from training.intake import manifests
from training.intake.arrivals import REASON_SUFFIX, Arrival, accepted_key, is_hidden_folder
from training.intake.knowledge import Knowledge
from training.intake.objects import GoneError, Objects, Opened
from training.intake.refusals import entry_of, quarantine_id, reason_text, refusal
from training.intake.wakes import Wakes
from training.ledger.core import LedgerError, wait
from training.ledger.records import (
    ACCEPTED,
    DUPLICATE,
    FORGOTTEN,
    GONE,
    IGNORED,
    NO_MODEL,
    QUARANTINED,
    DataRecord,
    ObjectRecord,
    QuarantineRecord,
)
from training.ledger.table import Ledger

_log = Logger(service="intake")
_TRIES = 8
_UNIT_BYTES = 1_000_000
_MAX_UNKNOWN_BYTES = Contract().max_file_mb * _UNIT_BYTES
# Two files at once use the waiting for S3; more of them would share one CPU and its memory.
_checks = Semaphore(2)
# A large file has the disk for itself.
_LARGE_BYTES = 64_000_000
_large = Semaphore(1)
_PARQUET = "application/vnd.apache.parquet"
# User metadata has 2 KB in all: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
_MAX_FACT = 1500


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


@dataclass(frozen=True)
class Sorter:
    """Sorts versions, several at a time.

    Attributes:
        objects: The data bucket.
        ledger: Where it is recorded.
        knowledge: Specs and requests to forget.
        wakes: Are told of arrivals.
        count: Takes a model's name and metrics to add.
    """

    objects: Objects
    ledger: Ledger
    knowledge: Knowledge
    wakes: Wakes
    count: Callable[[str, Mapping[str, float]], None]

    def sort(self, arrival: Arrival, record: ObjectRecord) -> None:
        """Bring a claimed version to its end.

        Raises:
            LostClaimError: Another message has it by now.
        """
        spec = self.knowledge.spec(arrival.folder) if arrival.is_model_name else None
        try:
            opened = self.objects.open(arrival.key, record.version_id)
        except GoneError as error:
            self._settle(settled(record, GONE, reason=str(error), delivery=arrival.delivery))
            return
        task = Task(arrival, record, spec, opened)
        reason = arrival.ignored_reason(opened.size)
        if reason:
            opened.close()
            self._settle(task.settled(IGNORED, reason=reason))
        elif spec is None:
            self._refuse_unknown(task)
        elif arrival.is_manifest:
            self._take_manifest(task, spec)
        elif opened.size > spec.contract.max_file_mb * _UNIT_BYTES:
            opened.close()
            self._quarantine(task, None, refusal("file", _too_big(opened.size, spec)))
        elif opened.size > _LARGE_BYTES:
            with _large:
                self._look(task, spec)
        else:
            self._look(task, spec)
        self.clear(arrival, record.version_id)

    def clear(self, arrival: Arrival, version_id: str) -> None:
        """Take a settled version out of ``incoming/``, unless a writer still works in its folder."""
        if not is_hidden_folder(arrival.key):
            self.objects.remove(arrival.key, version_id)

    def _look(self, task: Task, spec: ModelSpec) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "arrived"
            sha256 = task.opened.save(path)
            known = self.ledger.known(task.model, sha256, quarantine_id(sha256, task.opened))
            if known.data:
                self._settle_duplicate(task, known.data)
                return
            forgotten = self.knowledge.forgotten(spec.name, known.latest_forget)
            good, bad = Path(folder) / "good.parquet", Path(folder) / "bad.csv"
            with _checks:
                from training.contract.check import check_file  # DuckDB, only once there is a file to check

                report = check_file(
                    path,
                    spec,
                    name=task.arrival.file_name,
                    accept_to=good,
                    reject_to=bad,
                    forgotten=forgotten,
                )
            if report.ok:
                self._accept(Checked(task, spec, sha256, report, good, bad, known.entry))
            else:
                self._quarantine(task, sha256, report)

    def _accept(self, checked: Checked) -> None:
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
        self._settle_duplicate(checked.task, first)

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

    def _settle_duplicate(self, task: Task, data: DataRecord) -> None:
        self._settle(
            task.settled(
                DUPLICATE, sha256=data.raw_sha256, target=data.key, rows=data.rows, dropped=data.dropped,
                reason=f"the same bytes as {data.source}",
            )
        )  # fmt: skip

    def _refuse_unknown(self, task: Task) -> None:
        arrival = task.arrival
        shown = f"no model {arrival.folder!r} in this stack" if arrival.folder else "no model named"
        text = f"{shown}; upload files to incoming/<model>/, models here: {self.knowledge.models()}"
        sha256 = None
        if task.opened.size > _MAX_UNKNOWN_BYTES:
            task.opened.close()
        else:
            with _large, tempfile.TemporaryDirectory() as folder:
                sha256 = task.opened.save(Path(folder) / "arrived")
        self._quarantine(task, sha256, refusal("model", text))

    def _take_manifest(self, task: Task, spec: ModelSpec) -> None:
        if spec.triggers.delivery != "manifest":
            task.opened.close()
            text = "the model's deliveries need no manifest (triggers.delivery: files)"
            self._settle(task.settled(IGNORED, reason=text))
            return
        if task.opened.size > manifests.MAX_BYTES:
            task.opened.close()
            text = f"the manifest has {task.opened.size:,} bytes, at most {manifests.MAX_BYTES:,} are taken"
            self._quarantine(task, None, refusal("manifest", text))
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "manifest"
            sha256 = task.opened.save(path)
            try:
                files = manifests.read(path.read_bytes())
            except manifests.ManifestError as error:
                self._quarantine(task, sha256, refusal("manifest", str(error)))
                return
        self.wakes.note(spec, None)
        self.ledger.record_manifest(spec.name, task.arrival.delivery, files)
        self._settle(task.settled(ACCEPTED, sha256=sha256, reason=f"the manifest of {len(files):,} files"))

    def _quarantine(self, task: Task, sha256: str | None, report: Report) -> None:
        """Put a bad file aside; of two messages with the same content the second counts up."""
        arrival, name = task.arrival, quarantine_id(sha256, task.opened)
        if task.spec:
            self.wakes.note(task.spec, arrival.delivery)
        safe: set[str] = set()
        for attempt in range(_TRIES):
            known = self.ledger.known(task.model, sha256 or name, name)
            if known.data:
                self._settle_duplicate(task, known.data)
                return
            entry = entry_of(arrival, task.opened, sha256, report, task.spec, known.entry)
            if entry.key not in safe:
                self.objects.copy(task.opened, entry.key)
                text = reason_text(arrival, task.opened, report, task.spec, entry)
                self.objects.put_text(entry.key + REASON_SUFFIX, text)
                safe.add(entry.key)
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

    def _settle(self, record: ObjectRecord) -> None:
        if not self.ledger.settle(record):
            raise LostClaimError(record.key)
        _log.info(record.state, extra={"key": record.key, "version_id": record.version_id})


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _too_big(size: int, spec: ModelSpec) -> str:
    most = spec.contract.max_file_mb * _UNIT_BYTES
    return f"the file has {size:,} bytes, at most {most:,} are taken (contract.max_file_mb); split it"
