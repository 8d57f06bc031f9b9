"""Sorts one claimed object version: where its content goes, what the ledger says, and that it leaves.

The order makes every step repeatable: first the copy, then the ledger's record, then the version is taken
out of ``incoming/``. Whoever breaks off in between is followed by somebody who finds either nothing done, or
the same copy under the same key, or the record.

Calls for one new good file: GetObject, PutItem (claim), BatchGetItem, PutObject, TransactWriteItems (settled
and recorded), DeleteObject; for a duplicate PutItem instead of the last two writes. Per batch and model one
GetObject (spec), one UpdateItem a second (arrival) and one SendMessage.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Semaphore

from models.spec import Contract, ModelSpec
from training import clock
from training.contract.findings import Report
from training.intake import manifests
from training.intake.arrivals import Arrival, is_hidden_folder
from training.intake.endings import Endings
from training.intake.knowledge import Knowledge
from training.intake.objects import GoneError, Objects, Opened
from training.intake.refusals import quarantine_id, refusal
from training.intake.tasks import Checked, Task, settled
from training.intake.wakes import Wakes
from training.ledger.records import ACCEPTED, GONE, IGNORED, ObjectRecord
from training.ledger.table import Ledger

_UNIT_BYTES = 1_000_000
_MAX_UNKNOWN_BYTES = Contract().max_file_mb * _UNIT_BYTES
# Two files at once use the waiting for S3; more of them would share one CPU and its memory.
_checks = Semaphore(2)
# One large file at a time: it takes all of both the memory and the disk that there is.
LARGE_BYTES = 64_000_000
_large = Semaphore(1)


@dataclass(frozen=True)
class Sorter:
    """Sorts versions, several at a time.

    Attributes:
        objects: The data bucket.
        ledger: Where it is recorded.
        knowledge: Specs and requests to forget.
        wakes: Are told of arrivals.
        endings: Records what became of a version.
        check_time: Raises when too little of the function's time is left.
    """

    objects: Objects
    ledger: Ledger
    knowledge: Knowledge
    wakes: Wakes
    endings: Endings
    check_time: Callable[[], None]

    def sort(self, arrival: Arrival, record: ObjectRecord) -> None:
        """Bring a claimed version to its end.

        Raises:
            LostClaimError: Another message has it by now.
        """
        spec = self.knowledge.spec(arrival.folder) if arrival.is_model_name else None
        try:
            self._sort(Task(arrival, record, spec, self.objects.open(arrival.key, record.version_id)))
        except GoneError as error:
            self.endings.settle(settled(record, GONE, reason=str(error), delivery=arrival.delivery))
            return
        self.clear(arrival, record.version_id)

    def clear(self, arrival: Arrival, version_id: str) -> None:
        """Take a settled version out of ``incoming/``, unless a writer still works in its folder."""
        if not is_hidden_folder(arrival.key):
            self.objects.remove(arrival.key, version_id)

    def _sort(self, task: Task) -> None:
        arrival, spec, size = task.arrival, task.spec, task.opened.size
        reason = arrival.ignored_reason(size)
        if reason:
            task.opened.close()
            self.endings.settle(task.settled(IGNORED, reason=reason))
        elif spec is None:
            self._refuse_unknown(task)
        elif arrival.is_manifest:
            self._take_manifest(task, spec)
        elif size > spec.contract.max_file_mb * _UNIT_BYTES:
            task.opened.close()
            self.endings.quarantine(task, None, refusal("file", _too_big(size, spec)))
        elif size > LARGE_BYTES:
            with self._alone(task) as reopened, _checks:
                self._look(reopened, spec)
        else:
            self._look(task, spec)

    @contextmanager
    def _alone(self, task: Task) -> Iterator[Task]:
        """Wait until no other large file is worked on; the version opened anew, as streams do not wait."""
        task.opened.close()
        with _large:
            self.check_time()
            yield replace(task, opened=self.objects.open(task.arrival.key, task.record.version_id))

    def _look(self, task: Task, spec: ModelSpec) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "arrived"
            sha256 = task.opened.save(path)
            known = self.ledger.known(task.model, sha256, quarantine_id(sha256, task.opened))
            if known.data:
                self.endings.settle_duplicate(task, known.data)
                return
            forgotten = self.knowledge.forgotten(spec.name, known.latest_forget)
            good, bad = Path(folder) / "good.parquet", Path(folder) / "bad.csv"
            with _checks:
                from training.contract.check import check_file  # DuckDB, only once there is a file to check

                report = check_file(
                    path,
                    spec,
                    name=task.arrival.file_name,
                    now=datetime.fromtimestamp(clock.now(), UTC),
                    accept_to=good,
                    reject_to=bad,
                    forgotten=forgotten,
                )
            if report.ok or _is_forgotten(report):
                self.endings.accept(Checked(task, spec, sha256, report, good, bad, known.entry))
            else:
                self.endings.quarantine(task, sha256, report)

    def _refuse_unknown(self, task: Task) -> None:
        arrival = task.arrival
        shown = f"no model {arrival.folder!r} in this stack" if arrival.folder else "no model named"
        text = f"{shown}; upload files to incoming/<model>/, models here: {self.knowledge.models()}"
        if task.opened.size <= LARGE_BYTES:
            self.endings.quarantine(task, _digest_of(task.opened), refusal("model", text))
        elif task.opened.size <= _MAX_UNKNOWN_BYTES:
            with self._alone(task) as reopened:
                self.endings.quarantine(reopened, _digest_of(reopened.opened), refusal("model", text))
        else:
            task.opened.close()
            self.endings.quarantine(task, None, refusal("model", text))

    def _take_manifest(self, task: Task, spec: ModelSpec) -> None:
        if spec.triggers.delivery != "manifest":
            task.opened.close()
            text = "the model's deliveries need no manifest (triggers.delivery: files)"
            self.endings.settle(task.settled(IGNORED, reason=text))
            return
        if task.opened.size > manifests.MAX_BYTES:
            task.opened.close()
            text = f"the manifest has {task.opened.size:,} bytes, at most {manifests.MAX_BYTES:,} are taken"
            self.endings.quarantine(task, None, refusal("manifest", text))
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "manifest"
            sha256 = task.opened.save(path)
            try:
                files = manifests.read(path.read_bytes())
            except manifests.ManifestError as error:
                self.endings.quarantine(task, sha256, refusal("manifest", str(error)))
                return
        self.wakes.note(spec, None)
        self.ledger.record_manifest(spec.name, task.arrival.delivery, files)
        self.endings.settle(
            task.settled(ACCEPTED, sha256=sha256, reason=f"the manifest of {len(files):,} files")
        )


def _digest_of(opened: Opened) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return opened.save(Path(folder) / "arrived")


def _is_forgotten(report: Report) -> bool:
    """Whether all rows are to be forgotten: then no copy is kept, in the quarantine neither."""
    return report.forgotten > 0 and not report.rows and not report.dropped


def _too_big(size: int, spec: ModelSpec) -> str:
    most = spec.contract.max_file_mb * _UNIT_BYTES
    return f"the file has {size:,} bytes, at most {most:,} are taken (contract.max_file_mb); split it"
