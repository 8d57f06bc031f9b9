"""The stack's ledger as an operator uses it: with their own client, and with what only people do."""

from __future__ import annotations

import dataclasses
import getpass
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from training.ledger.core import ABSENT
from training.ledger.records import (
    NO_VERSION,
    OPEN,
    RELEASED,
    RELEASING,
    DataRecord,
    ObjectRecord,
    QuarantineRecord,
    Record,
)
from training.ledger.table import Ledger
from upkeep.errors import UpkeepError
from upkeep.runs import Clients

# A release that was begun this long ago has died: copying the largest file allowed takes a fraction of it.
RELEASING_SECONDS = 600.0
REPLACING, ERASED = "replacing", "erased"
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_BATCH = 100
_MOST_NAME = 256


@dataclass(frozen=True, kw_only=True)
class ReplacedRecord(Record):
    """An accepted object whose rows were written again without some of them.

    It is there before the object goes, so that a crash leaves nothing behind, and stays, because the data
    versions made before list the old key.

    Attributes:
        model: Whose data.
        forget_id: Of the request.
        key: The object as it was.
        new_key: What is left of it; empty when no row is.
        rows: How many rows were taken out.
        kept: Whether the old object stays in S3, because others own it (the seed is Pulumi's).
        state: `replacing`, or `erased` once nothing of the old object is left.
        at: Seconds since 1970.
    """

    prefix: ClassVar[str] = "replaced#"
    model: str
    forget_id: str
    key: str
    new_key: str = ""
    rows: int = 0
    kept: bool = False
    state: str = REPLACING
    at: float = 0

    @property
    def sort_key(self) -> str:
        """The item's ``sk``."""
        return f"{self.prefix}{self.forget_id}#{self.key}"


class OperatorLedger(Ledger):
    """The ledger with the writes that belong to people's commands."""

    def at(self, key: str, version_id: str) -> ObjectRecord | None:
        """What became of one version of an object; an empty version is that of a bucket without versions."""
        return self.version(key, version_id or NO_VERSION)

    def contents(self, model: str, digests: Sequence[str]) -> dict[str, DataRecord]:
        """Those of some contents that were accepted, by digest."""
        wanted = [f"data#{digest}" for digest in dict.fromkeys(digests)]
        found: dict[str, DataRecord] = {}
        for start in range(0, len(wanted), _BATCH):
            for item in self._get_several(model, wanted[start : start + _BATCH]).values():
                record = DataRecord.from_item(item)
                found[record.raw_sha256] = record
        return found

    def begin_release(self, entry: QuarantineRecord, by: str) -> QuarantineRecord | None:
        """Open an entry's release, or take up one that died.

        Race: of two people one gets the new record, the other None.
        """
        changes = {"state": RELEASING, "by": by, "ended_at": self.now()}
        if entry.state == OPEN:
            condition, values = "#state = :open AND #seen = :seen", {"open": OPEN, "seen": entry.seen}
        else:
            condition = "#state = :releasing AND #ended_at = :then AND #ended_at < :dead"
            values = {
                "releasing": RELEASING, "then": entry.ended_at, "dead": self.now() - RELEASING_SECONDS,
            }  # fmt: skip
        item = self._update(entry.model, entry.sort_key, changes, condition, values)
        return QuarantineRecord.from_item(item) if item else None

    def end_release(self, entry: QuarantineRecord) -> QuarantineRecord:
        """Note that a file is on its way again; the entry as it is afterwards.

        Race: what the intake says about the same bytes in the meantime counts. When it has refused them once
        more, the entry is open again.
        """
        values = {"releasing": RELEASING, "seen": entry.seen}
        mine, changes = "#state = :releasing AND #seen = :seen", {"ended_at": self.now()}
        item = self._update(entry.model, entry.sort_key, {**changes, "state": RELEASED}, mine, values)
        if item is None:
            refused = "#state = :releasing AND #seen > :seen"
            again = {"state": OPEN, "by": None, "ended_at": None}
            item = self._update(entry.model, entry.sort_key, again, refused, values)
        if item is not None:
            return QuarantineRecord.from_item(item)
        return self.quarantine_entry(entry.model, entry.id) or entry

    def scrub_entry(
        self, entry: QuarantineRecord, sample: Sequence[object], findings: Sequence[object], reason: str
    ) -> bool:
        """Take rows out of what an entry shows; race: False when it was refused once more in between."""
        changes = {"sample": list(sample), "findings": list(findings), "reason": reason}
        found = self._update(entry.model, entry.sort_key, changes, "#seen = :seen", {"seen": entry.seen})
        return found is not None

    def replacements(self, model: str, forget_id: str = "") -> list[ReplacedRecord]:
        """Accepted objects that were written again, of one request or of all, oldest first."""
        prefix = f"{ReplacedRecord.prefix}{forget_id}#" if forget_id else ReplacedRecord.prefix
        found = [ReplacedRecord.from_item(item) for item in self._query(model, prefix)]
        return sorted(found, key=lambda record: (record.at, record.key))

    def note_replacement(self, record: ReplacedRecord) -> None:
        """Write what an object is being replaced by; a note that is there already stays as it is."""
        self._put(dataclasses.replace(record, at=self.now()), ABSENT)

    def note_erased(self, record: ReplacedRecord) -> None:
        """Write that nothing of the old object is left."""
        self._update(record.model, record.sort_key, {"state": ERASED}, "attribute_exists(#pk)")


def open_ledger(context: Clients) -> OperatorLedger:
    """The ledger of a stack.

    Raises:
        UpkeepError: The stack was deployed by a version that had none.
    """
    table = context.outputs.ledger_table
    if not table:
        raise UpkeepError(
            "This stack has no ledger: it was deployed by an older version. `upkeep up` brings it up to date."
        )
    return OperatorLedger(context.client("dynamodb"), table)


def actor(context: Clients) -> str:
    """Who acts, for the record: the caller's ARN, and the login name on this machine.

    The call needs no permission:
    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    arn = str(context.client("sts").get_caller_identity()["Arn"])
    return f"{arn} ({_login()})"[:_MOST_NAME]


@lru_cache(maxsize=1)
def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name for this user id; a KeyError before Python 3.13
        return "unknown"
