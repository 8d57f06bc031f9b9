"""A person's rows beside the accepted data: among dropped rows, in refused files, in their entries."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from training.ledger.records import DISCARDED, NO_MODEL, OPEN, RELEASING, QuarantineRecord
from upkeep import data, erasing, forget_rows, quarantine
from upkeep.errors import UpkeepError
from upkeep.forget_report import Elsewhere
from upkeep.forget_rows import Wanted
from upkeep.ledger import OperatorLedger
from upkeep.runs import Clients, read_json

REJECTED, QUARANTINE = "rejected", "quarantine"
FOUND, REMOVED, LEFT, DISCARDED_NOW = "found", "removed", "left", "discarded"


@dataclass(frozen=True)
class Beside:
    """Looks for rows in the files that no run reads."""

    context: Clients
    ledger: OperatorLedger
    model: str
    wanted: Wanted

    def look(self) -> tuple[Elsewhere, ...]:
        """What holds such rows, or may; changes nothing."""
        return (*self._rejected(change=False), *self._refused(None, discard=False))

    def carry_out(self, by: str, *, discard: bool) -> tuple[Elsewhere, ...]:
        """Take the rows out of what was dropped; delete refused files with such rows if that is wanted."""
        return (*self._rejected(change=True), *self._refused(by, discard=discard))

    def _rejected(self, *, change: bool) -> list[Elsewhere]:
        """Dropped rows lie as CSV, with their reasons; nobody reads them but people."""
        found = []
        keys = {one.rejected_key for one in self.ledger.data(self.model) if one.rejected_key}
        for key in sorted(keys):
            matching = self._rejected_object(key, change=change)
            if matching:
                found.append(
                    Elsewhere(kind=REJECTED, key=key, matching=matching, action=REMOVED if change else FOUND)
                )
        return found

    def _rejected_object(self, key: str, *, change: bool) -> int:
        s3, bucket = self.context.client("s3"), self.context.outputs.data_bucket
        if not data.exists(self.context, bucket, key):
            return 0
        with tempfile.TemporaryDirectory() as folder:
            path, target = Path(folder) / "rejected.csv", Path(folder) / "kept.csv"
            s3.download_file(bucket, key, str(path))
            kept, gone = forget_rows.filter_rejected(path, self.wanted, target)
            if not change:
                return gone
            if gone and not kept:
                erasing.erase(self.context, key)
            elif gone:
                s3.put_object(Bucket=bucket, Key=key, Body=target.read_bytes(), ContentType="text/csv")
        self._only_current(key)
        return gone

    def _only_current(self, key: str) -> None:
        """Delete the older versions of a key, also those that an earlier try has left."""
        current = [one for one in erasing.versions_of(self.context, key) if one.get("IsLatest")]
        if current:
            erasing.erase(self.context, key, but=current[0]["VersionId"])

    def _refused(self, by: str | None, *, discard: bool) -> list[Elsewhere]:
        """Refused files, and what their entries show of them; without `by` nothing is changed."""
        entries = [one for name in (self.model, NO_MODEL) for one in self.ledger.quarantine_entries(name)]
        found = [self._entry(entry, by, discard=discard) for entry in entries]
        return [one for one in found if one is not None]

    def _entry(self, entry: QuarantineRecord, by: str | None, *, discard: bool) -> Elsewhere | None:
        clean = forget_rows.scrub(self.wanted, entry.sample, entry.findings, entry.reason)
        matching = self._count(entry)
        if by is not None and entry.state == DISCARDED:
            self._erase(entry)  # what could still be brought back
        if matching == 0 and not clean.is_changed:
            return None
        action = FOUND if by is None else LEFT
        if by is not None:
            if clean.is_changed and not self.ledger.scrub_entry(
                entry, clean.sample, clean.findings, clean.reason
            ):
                raise UpkeepError(f"Quarantine {entry.id} was refused once more; run the same command again.")
            self._scrub_document(entry)
            # A file that nobody can read as rows is the person's to judge, not ours to delete.
            if discard and matching and entry.state == OPEN:
                self._discard(entry, by)
                action = DISCARDED_NOW
            elif not matching:
                action = REMOVED if matching == 0 else LEFT
        return Elsewhere(
            kind=QUARANTINE,
            key=entry.key,
            matching=matching,
            action=action,
            quarantine_id=entry.id,
            sampled=clean.rows,
        )

    def _count(self, entry: QuarantineRecord) -> int | None:
        """Rows in the file itself, as long as it is there; None when it cannot be read as rows."""
        if entry.state not in (OPEN, RELEASING) and not data.exists(
            self.context, self.context.outputs.data_bucket, entry.key
        ):
            return 0
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "refused"
            try:
                quarantine.fetch(self.context, entry, path)
            except UpkeepError:
                return 0  # it has expired
            return forget_rows.count_raw(path, self.wanted, entry.name)

    def _discard(self, entry: QuarantineRecord, by: str) -> None:
        changes = {"by": by, "ended_at": self.ledger.now()}
        if self.ledger.transition_entry(entry.model, entry.id, [OPEN], DISCARDED, **changes) is None:
            raise UpkeepError(f"Quarantine {entry.id} was changed in between; run the same command again.")
        self._erase(entry)

    def _erase(self, entry: QuarantineRecord) -> None:
        for key in (entry.key, entry.key + quarantine.REASON_SUFFIX):
            erasing.erase(self.context, key)

    def _scrub_document(self, entry: QuarantineRecord) -> None:
        """Take the rows out of the document beside a refused file."""
        key, bucket = entry.key + quarantine.REASON_SUFFIX, self.context.outputs.data_bucket
        document = read_json(self.context, bucket, key)
        if document is None:
            return
        given = document.get("sample") or [], document.get("findings") or [], document.get("reason") or ""
        clean = forget_rows.scrub(self.wanted, *given)
        if clean.is_changed:
            shown = {"sample": clean.sample, "findings": clean.findings, "reason": clean.reason}
            body = json.dumps({**document, **shown}, indent=1).encode()
            self.context.client("s3").put_object(
                Bucket=bucket, Key=key, Body=body, ContentType="application/json"
            )
        self._only_current(key)
