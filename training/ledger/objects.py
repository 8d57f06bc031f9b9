"""Objects of ``incoming/`` and the contents they became."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from training.ledger.core import ABSENT, Core
from training.ledger.item import model_of, sort_prefix
from training.ledger.records import (
    ACCEPTED,
    CLAIMED,
    DEAD,
    GONE,
    LATEST_FORGET,
    OPEN,
    DataRecord,
    ObjectRecord,
    QuarantineRecord,
)

_MINE = "#state = :claimed AND #owner = :owner"
_UNCHANGED = "#state = :was AND #seen = :seen"


@dataclass(frozen=True)
class Claim:
    """The answer to a claim.

    Attributes:
        won: Whether the object version is the caller's now.
        record: The caller's own record, or what the ledger has instead.
    """

    won: bool
    record: ObjectRecord


@dataclass(frozen=True)
class Known:
    """What the ledger has of a content.

    Attributes:
        data: Its record when it was accepted.
        entry: Its entry in the quarantine, whatever its state.
        latest_forget: Id of the model's latest request to forget rows.
    """

    data: DataRecord | None
    entry: QuarantineRecord | None
    latest_forget: str | None = None


class Objects(Core):
    """Claims and settles object versions."""

    def claim(self, record: ObjectRecord) -> Claim:
        """Take an object version until ``record.claimed_until``.

        A claim that has run out, a dead and a gone version can be claimed again, and a message can claim
        again what it has claimed. ``crashes`` of the record won counts claims that ended without a word.

        Race: of two messages one wins; the loser finds the winner's record.
        """
        record = replace(record, state=CLAIMED)
        condition, values = ABSENT, dict[str, Any]()
        while True:
            if self._put(record, condition, values):
                return Claim(True, record)
            found = self.version(record.key, record.version_id)
            if found is None:  # removed by hand in between
                condition, values = ABSENT, {}
                continue
            if found == record:  # the answer to our own write was lost on the way
                return Claim(True, record)
            if not self._is_free(found, record.owner):
                return Claim(False, found)
            # A message delivered twice at once takes a live claim from itself; nothing has crashed then.
            broken_off = found.state == CLAIMED and 0 < found.claimed_until <= self.now()
            record = replace(record, crashes=found.crashes + broken_off if found.state == CLAIMED else 0)
            condition = "#state = :state AND #claimed_until = :until AND #owner = :owner"
            values = {"state": found.state, "until": found.claimed_until, "owner": found.owner}

    def _is_free(self, found: ObjectRecord, owner: str) -> bool:
        if found.state == CLAIMED:
            return found.claimed_until <= self.now() or found.owner == owner
        return found.state in (DEAD, GONE)

    def give_back(self, record: ObjectRecord) -> None:
        """End a claim early, so that the message's next delivery need not wait.

        Race: does nothing when another message has it by now.
        """
        values = {"claimed": CLAIMED, "owner": record.owner}
        self._update(record.model, record.sort_key, {"claimed_until": 0}, _MINE, values)

    def settle(self, record: ObjectRecord) -> bool:
        """Write what became of a claimed version.

        Race: False when the claim ran out and another message has it; what that one writes counts.
        """
        if self._put(record, _MINE, {"claimed": CLAIMED, "owner": record.owner}):
            return True
        # The answer of our own write may have been lost on the way, and the client wrote again.
        return self.version(record.key, record.version_id) == record

    def accept(self, record: ObjectRecord, data: DataRecord, entry: QuarantineRecord | None = None) -> bool:
        """Settle a version together with the record of its content; closes its open quarantine entry.

        Race: False when another message has the version by now, or has recorded the same content before;
        ``known`` and ``version`` tell which.
        """
        mine = {"Put": self._put_action(record, _MINE, {"claimed": CLAIMED, "owner": record.owner})}
        new = {"Put": self._put_action(data, ABSENT)}
        if entry is not None and entry.state == OPEN:
            changes = {"state": ACCEPTED, "ended_at": self.now()}
            close = self._update_action(entry.model, entry.sort_key, changes, "#state = :was", {"was": OPEN})
            failed = self._transact(mine, new, {"Update": close})
            if failed != [2]:
                return not failed or self.version(record.key, record.version_id) == record
            # A person was faster with the entry.
        failed = self._transact(mine, new)
        return not failed or self.version(record.key, record.version_id) == record

    def quarantine(
        self, record: ObjectRecord, entry: QuarantineRecord, found: QuarantineRecord | None
    ) -> bool:
        """Settle a version together with the entry of its content.

        Args:
            record: The version.
            entry: The entry as it is to be.
            found: The entry that ``known`` gave, None for none.

        Race: False when another message has the version by now, or has changed the entry since ``known``.
        """
        mine = {"Put": self._put_action(record, _MINE, {"claimed": CLAIMED, "owner": record.owner})}
        if found is None:
            write = self._put_action(entry, ABSENT)
        else:
            write = self._put_action(entry, _UNCHANGED, {"was": found.state, "seen": found.seen})
        return (
            not self._transact(mine, {"Put": write}) or self.version(record.key, record.version_id) == record
        )

    def known(self, model: str, sha256: str, quarantine_id: str) -> Known:
        """What is known of a content, and whether there are requests to forget rows, in one call."""
        data, entry = f"data#{sha256}", f"quarantine#{quarantine_id}"
        found = self._get_several(model, [data, entry, LATEST_FORGET])
        return Known(
            DataRecord.from_item(found[data]) if data in found else None,
            QuarantineRecord.from_item(found[entry]) if entry in found else None,
            found[LATEST_FORGET]["id"]["S"] if LATEST_FORGET in found else None,
        )

    def version(self, key: str, version_id: str) -> ObjectRecord | None:
        """What became of one version of an object."""
        record = ObjectRecord.of(key, version_id)
        item = self._get(record.model, record.sort_key)
        return ObjectRecord.from_item(item) if item else None

    def object(self, key: str) -> list[ObjectRecord]:
        """What became of all versions of an object."""
        items = self._query(model_of(key), sort_prefix(key))
        found = [ObjectRecord.from_item(item) for item in items]
        return [record for record in found if record.key == key]

    def objects(self, model: str, prefix: str = "", limit: int | None = None) -> list[ObjectRecord]:
        """Object versions of a model, ordered by key; ``prefix`` begins with ``incoming/``."""
        return [ObjectRecord.from_item(item) for item in self._query(model, f"object#{prefix}", limit)]


class Data(Core):
    """The contents that were accepted."""

    def data(self, model: str) -> list[DataRecord]:
        """All of a model, forgotten ones included."""
        return [DataRecord.from_item(item) for item in self._query(model, DataRecord.prefix)]

    def data_record(self, model: str, raw_sha256: str) -> DataRecord | None:
        """One content."""
        item = self._get(model, f"data#{raw_sha256}")
        return DataRecord.from_item(item) if item else None

    def record_data(self, record: DataRecord) -> bool:
        """Record a content that was accepted; race: False when it is recorded already."""
        return self._put(record, ABSENT)

    def replace_data(self, old: DataRecord, new: DataRecord) -> bool:
        """Write what is left of a content after rows were forgotten.

        Race: False when its object is no longer ``old.key``; read again.
        """
        values = {"key": old.key, "version_id": old.version_id}
        return self._put(new, "#key = :key AND #version_id = :version_id", values)

    def data_of(self, model: str, keys: Sequence[str]) -> list[DataRecord]:
        """The records of some accepted objects."""
        wanted = set(keys)
        return [record for record in self.data(model) if record.key in wanted]
