"""What people see and decide: quarantine entries, deliveries, requests to forget."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from training.ledger.core import ABSENT, Core, any_of
from training.ledger.item import pack_files
from training.ledger.records import (
    COMPLETE,
    LATEST_FORGET,
    OPEN,
    DeliveryRecord,
    ForgetRecord,
    QuarantineRecord,
)

_MOST_TRIES = 10


class Quarantine(Core):
    """The contents that were refused."""

    def quarantine_entry(self, model: str, entry_id: str) -> QuarantineRecord | None:
        """One entry."""
        item = self._get(model, f"quarantine#{entry_id}")
        return QuarantineRecord.from_item(item) if item else None

    def quarantine_entries(self, model: str, states: Collection[str] = ()) -> list[QuarantineRecord]:
        """The entries of a model, oldest first; all when no states are given."""
        items = self._query(model, QuarantineRecord.prefix)
        found = [QuarantineRecord.from_item(item) for item in items]
        return sorted((r for r in found if not states or r.state in states), key=lambda r: (r.at, r.id))

    def untold_entries(self, model: str) -> list[QuarantineRecord]:
        """Open entries that people were not told of, oldest first, without samples and examples.

        There may be ten thousand after a bad day, and a whole entry may have 100 KB.
        """
        found = []
        for item in self._query(model, QuarantineRecord.prefix):
            whole = QuarantineRecord.from_item({k: v for k, v in item.items() if k != "sample"})
            if whole.state == OPEN and not whole.announced:
                slim = [{k: v for k, v in one.items() if k != "examples"} for one in whole.findings]
                found.append(replace(whole, findings=slim))
        return sorted(found, key=lambda r: (r.at, r.id))

    def transition_entry(
        self, model: str, entry_id: str, expected: Sequence[str], state: str, **changes: Any
    ) -> QuarantineRecord | None:
        """Bring an entry from one of the expected states into another.

        Race: of two callers one gets the new record, the other None.
        """
        condition, values = any_of("state", expected)
        item = self._update(model, f"quarantine#{entry_id}", {**changes, "state": state}, condition, values)
        return QuarantineRecord.from_item(item) if item else None

    def announce_entry(self, model: str, entry_id: str) -> bool:
        """Note that people were told of an entry; race: True for one caller only."""
        changes, values = {"announced": True}, {"no": False}
        found = self._update(model, f"quarantine#{entry_id}", changes, "#announced = :no", values)
        return found is not None


class Deliveries(Core):
    """Folders that count together, for models with ``triggers.delivery: manifest``."""

    def delivery(self, model: str, folder: str) -> DeliveryRecord | None:
        """One folder."""
        item = self._get(model, f"delivery#{folder}")
        return DeliveryRecord.from_item(item) if item else None

    def deliveries(self, model: str, states: Collection[str] = ()) -> list[DeliveryRecord]:
        """The folders of a model, oldest first; all when no states are given."""
        found = [DeliveryRecord.from_item(item) for item in self._query(model, DeliveryRecord.prefix)]
        return sorted(
            (r for r in found if not states or r.state in states), key=lambda r: (r.first_at, r.folder)
        )

    def note_delivery(self, model: str, folder: str) -> bool:
        """Note the first file of a folder; race: of many files one gets True, the time of the first stays."""
        return self._put(DeliveryRecord(model=model, folder=folder, first_at=self.now()), ABSENT)

    def record_manifest(self, model: str, folder: str, files: Sequence[Mapping[str, Any]]) -> bool:
        """Write what a folder's manifest lists; a list that differs opens a complete delivery again.

        Race: of two manifests the later written counts. False when this list is there already.
        """
        listed = [dict(file) for file in files]
        new = DeliveryRecord(model=model, folder=folder, files=listed, first_at=self.now())
        if self._put(new, ABSENT):
            return True
        packed = pack_files(listed)
        changes = {"files": packed, "state": OPEN, "announced_late": False}
        condition = "attribute_not_exists(#files) OR #files <> :listed"
        return self._update(model, new.sort_key, changes, condition, {"listed": packed}) is not None

    def complete_delivery(self, record: DeliveryRecord) -> bool:
        """Close a folder; race: True for one caller only, and for none when its manifest changed."""
        changes = {"state": COMPLETE, "complete_at": self.now()}
        condition = "#state = :open AND #files = :listed"
        values = {"open": OPEN, "listed": pack_files(record.files or [])}
        return self._update(record.model, record.sort_key, changes, condition, values) is not None

    def announce_late(self, model: str, folder: str) -> bool:
        """Note that people were told that a folder is overdue; race: True for one caller only."""
        changes, condition = {"announced_late": True}, "#announced_late = :no AND #state = :open"
        values = {"no": False, "open": OPEN}
        return self._update(model, f"delivery#{folder}", changes, condition, values) is not None


class Forgets(Core):
    """Requests to forget rows; the values themselves are never kept."""

    def forgets(self, model: str) -> list[ForgetRecord]:
        """All requests of a model, oldest first."""
        found = [ForgetRecord.from_item(item) for item in self._query(model, ForgetRecord.prefix)]
        return sorted(found, key=lambda r: (r.at, r.id))

    def record_forget(self, record: ForgetRecord) -> bool:
        """Write a request; race: False when one with this id is there already.

        A check that began before does not know of it: before accepted data is gone through, every claim that
        is alive now must have been settled or have run out.
        """
        latest = self._update_action(record.model, LATEST_FORGET, {"id": record.id})
        return not self._transact({"Put": self._put_action(record, ABSENT)}, {"Update": latest})

    def update_forget(self, model: str, request_id: str, **changes: Any) -> ForgetRecord | None:
        """Write how many rows a request removed; None when there is none; race: the later written counts."""
        item = self._update(model, f"forget#{request_id}", changes, "attribute_exists(#pk)")
        return ForgetRecord.from_item(item) if item else None
