"""What the ledger knows: one frozen dataclass per kind of item, and how it becomes an item.

Fields that are None are left out of the item. Attributes that a later version has added are ignored, and
fields an earlier version did not know get their default, so that versions can read each other's records.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from training.ledger.attributes import pack, unpack
from training.ledger.item import NO_MODEL as NO_MODEL
from training.ledger.item import NO_VERSION as NO_VERSION
from training.ledger.item import Item, pack_files, sort_prefix
from training.ledger.item import Record as Record
from training.ledger.item import model_of as model_of

# Of objects; all but the first are final, and a person or a later event may bring back the last two.
CLAIMED, ACCEPTED, DUPLICATE, QUARANTINED, IGNORED = (
    "claimed", "accepted", "duplicate", "quarantined", "ignored",
)  # fmt: skip
GONE, DEAD = "gone", "dead"
# Of data.
ACTIVE, FORGOTTEN = "active", "forgotten"
# Of quarantine entries; ACCEPTED as well.
OPEN, RELEASING, RELEASED, DISCARDED = "open", "releasing", "released", "discarded"
# Of deliveries; OPEN as well.
COMPLETE = "complete"
# Of runs; RELEASING as well.
STARTING, RUNNING, SUCCEEDED, FAILED = "starting", "running", "succeeded", "failed"

LATEST_FORGET = "forgets-latest"  # sort key of the item that names the latest ForgetRecord


@dataclass(frozen=True, kw_only=True)
class ObjectRecord(Record):
    """What became of one version of an object below ``incoming/``.

    Attributes:
        model: The folder of its key, or ``no-model``.
        key: Its full key.
        version_id: Its version; ``null`` without versions.
        state: claimed, accepted, duplicate, quarantined, ignored, gone or dead.
        owner: The message that works on it, or did.
        claimed_until: Until when nobody else may take it, in seconds since 1970; 0 when it was given back.
        crashes: How many claims before this one ended without a word.
        at: When it was settled, ISO 8601.
        size: Bytes.
        sha256: Of its bytes.
        target: The key its content became.
        rows: Good rows.
        dropped: Bad rows that were left out.
        reason: Why it is not accepted, or what is special about it.
        delivery: Its folder below ``incoming/<model>/``.
        quarantine_id: Of its entry in the quarantine.
    """

    prefix: ClassVar[str] = "object#"
    model: str
    key: str
    version_id: str = NO_VERSION
    state: str = CLAIMED
    owner: str = ""
    claimed_until: float = 0
    crashes: int = 0
    at: str = ""
    size: int | None = None
    sha256: str | None = None
    target: str | None = None
    rows: int | None = None
    dropped: int | None = None
    reason: str = ""
    delivery: str = ""
    quarantine_id: str | None = None

    @classmethod
    def of(cls, key: str, version_id: str | None, **values: Any) -> ObjectRecord:
        """The record of a version of an object, kept where ``model_of`` says."""
        return cls(model=model_of(key), key=key, version_id=version_id or NO_VERSION, **values)

    @property
    def sort_key(self) -> str:
        """The item's ``sk``."""
        return f"{sort_prefix(self.key)}{self.version_id}"

    @property
    def is_settled(self) -> bool:
        """Whether it is known what became of it."""
        return self.state != CLAIMED


@dataclass(frozen=True, kw_only=True)
class DataRecord(Record):
    """One distinct content that was accepted.

    Attributes:
        model: Whose data it is.
        raw_sha256: Digest of the bytes that were pushed; the identity.
        key: The accepted object.
        version_id: Its version.
        sha256: Digest of the accepted object.
        rows: Good rows in it.
        dropped: Bad rows left out of it.
        forgotten: Rows left out of it because a person asked.
        first: Time of the oldest row, ISO 8601.
        last: Time of the newest row, ISO 8601.
        bytes: Size of the accepted object.
        contract: Version of the contract it keeps.
        source: The key it was pushed as.
        delivery: Its folder below ``incoming/<model>/``.
        accepted_at: Seconds since 1970.
        rejected_key: Where the rows left out lie.
        state: active, or forgotten when no row is left.
    """

    prefix: ClassVar[str] = "data#"
    model: str
    raw_sha256: str
    key: str
    version_id: str = NO_VERSION
    sha256: str = ""
    rows: int = 0
    dropped: int = 0
    forgotten: int = 0
    first: str | None = None
    last: str | None = None
    bytes: int = 0
    contract: str = ""
    source: str = ""
    delivery: str = ""
    accepted_at: float = 0
    rejected_key: str | None = None
    state: str = ACTIVE

    @property
    def sort_key(self) -> str:
        """The item's ``sk``."""
        return f"data#{self.raw_sha256}"

    @classmethod
    def from_item(cls, item: Mapping[str, Mapping[str, Any]]) -> Self:
        """Read an item; the digest is in its sort key, also when it is the seed's, made by Pulumi."""
        sort_key = unpack(item["sk"])
        return super().from_item({"raw_sha256": pack(sort_key.removeprefix("data#")), **item})


@dataclass(frozen=True, kw_only=True)
class QuarantineRecord(Record):
    """One distinct content that was refused.

    Attributes:
        model: Whose data it was meant to be, or ``no-model``.
        id: First 16 digits of its SHA-256, or of that of its ETag and size when it was too big to read.
        state: open, releasing, released, discarded, or accepted when the same bytes were good later.
        key: Where it lies.
        reason: One sentence.
        findings: What is wrong with it, as ``Report.details`` has it; the first ones when there are many.
        sample: Some of its bad rows, as ``Report.sample`` has them.
        contract: Version of the contract it broke.
        source: The key it was pushed as.
        name: The file's name.
        size: Bytes.
        sha256: Of its bytes; None when it was too big to read.
        delivery: Its folder below ``incoming/<model>/``.
        at: When it was refused, seconds since 1970.
        seen: How many object versions with these bytes were refused.
        last_at: When the last of them was.
        announced: Whether people were told.
        by: Who released or discarded it.
        ended_at: When, seconds since 1970.
        expires_at: When DynamoDB forgets the entry, seconds since 1970.
    """

    prefix: ClassVar[str] = "quarantine#"
    model: str
    id: str
    key: str
    state: str = OPEN
    reason: str = ""
    findings: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    sample: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    contract: str = ""
    source: str = ""
    name: str = ""
    size: int = 0
    sha256: str | None = None
    delivery: str = ""
    at: float = 0
    seen: int = 1
    last_at: float = 0
    announced: bool = False
    by: str | None = None
    ended_at: float | None = None
    expires_at: int | None = None

    @property
    def sort_key(self) -> str:
        """The item's ``sk``."""
        return f"quarantine#{self.id}"


@dataclass(frozen=True, kw_only=True)
class DeliveryRecord(Record):
    """A folder whose files count together, once its manifest is there.

    Attributes:
        model: Whose data it is.
        folder: Below ``incoming/<model>/``; empty for the files directly in it.
        files: What the manifest lists, as ``{"name", "sha256"?, "size"?}``; None before it is there.
        state: open or complete.
        first_at: When its first file was seen, seconds since 1970.
        complete_at: When the last of its files was.
        announced_late: Whether people were told that it is overdue.
    """

    prefix: ClassVar[str] = "delivery#"
    model: str
    folder: str
    files: list[dict[str, Any]] | None = None
    state: str = OPEN
    first_at: float = 0
    complete_at: float | None = None
    announced_late: bool = False

    @property
    def sort_key(self) -> str:
        """The item's ``sk``."""
        return f"delivery#{self.folder}"

    def to_item(self) -> Item:
        """The item, with the list of files compressed."""
        item = (
            dataclasses.replace(self, files=None).to_item() if self.files is not None else super().to_item()
        )
        return item if self.files is None else {**item, "files": pack(pack_files(self.files))}

    @classmethod
    def from_item(cls, item: Mapping[str, Mapping[str, Any]]) -> Self:
        """Read an item; also one whose list is not compressed."""
        record = super().from_item(item)
        if not isinstance(record.files, bytes):
            return record
        return dataclasses.replace(record, files=json.loads(gzip.decompress(record.files)))


@dataclass(frozen=True, kw_only=True)
class RunRecord(Record):
    """One training.

    Attributes:
        model: What is trained.
        run_id: Name of the execution and last part of the job's name.
        data_version: Digest of the files it reads.
        attempt: From 1; a data version is tried again when a run failed.
        state: starting, running, releasing, succeeded or failed.
        trigger: Why it was started.
        started_at: Seconds since 1970.
        ended_at: Seconds since 1970.
        worst_usd: What it can cost at most.
        usd: What it did cost.
        files: How many it reads.
        rows: Rows in them.
        manifest_uri: What SageMaker is given.
        reason: Why it failed, or what it is waiting for.
    """

    prefix: ClassVar[str] = "run#"
    model: str
    run_id: str
    data_version: str
    attempt: int = 1
    state: str = STARTING
    trigger: str = ""
    started_at: float = 0
    ended_at: float | None = None
    worst_usd: float = 0
    usd: float | None = None
    files: int = 0
    rows: int = 0
    manifest_uri: str = ""
    reason: str = ""

    @property
    def sort_key(self) -> str:
        """The item's ``sk``."""
        return f"run#{self.run_id}"


@dataclass(frozen=True, kw_only=True)
class PlanRecord(Record):
    """What a model is about to do.

    Attributes:
        model: Its name.
        last_arrival: When something last arrived, seconds since 1970; 0 for never.
        lease_until: Until when one decider has it for itself.
        lease_owner: Who.
        again: Whether somebody came in the meantime: the holder decides once more.
        current_run: Run id of the run that is going on.
        held: What holds back the next run, ``{"rule", "reason", "since", "until"}``; None for nothing.
        held_announced: Whether people were told of it.
        forced: A person's wish to train now, ``{"by", "at"}``; None for none.
        wake_at: When the next wake message comes that was sent for later, seconds since 1970.
    """

    prefix: ClassVar[str] = "plan"
    model: str
    last_arrival: float = 0
    lease_until: float = 0
    lease_owner: str | None = None
    again: bool = False
    current_run: str | None = None
    held: dict[str, Any] | None = None
    held_announced: bool = False
    forced: dict[str, Any] | None = None
    wake_at: float = 0

    @property
    def sort_key(self) -> str:
        """The item's ``sk``."""
        return "plan"


@dataclass(frozen=True, kw_only=True)
class ForgetRecord(Record):
    """A person's request to forget rows.

    Attributes:
        model: Whose data.
        id: Of the request.
        conditions: Column to SHA-256 of the value's text; all must match. The values are not kept.
        by: Who asked for it to be carried out.
        at: Seconds since 1970.
        rows: How many rows were removed.
        objects: Of how many accepted objects.
    """

    prefix: ClassVar[str] = "forget#"
    model: str
    id: str
    conditions: dict[str, str] = dataclasses.field(default_factory=dict)
    by: str = ""
    at: float = 0
    rows: int = 0
    objects: int = 0

    @property
    def sort_key(self) -> str:
        """The item's ``sk``."""
        return f"forget#{self.id}"
