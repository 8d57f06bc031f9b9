"""Which files count as data by now, which deliveries are overdue, and of which people have not been told.

With ``triggers.delivery: files`` everything accepted counts, and what arrives until nothing has for the quiet
period is one delivery. With ``manifest`` a folder is one: its files count together, once its
``_MANIFEST.json`` is there and every file listed in it has been looked at. Nothing here reads or writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.spec import Triggers
from training.dispatch.policy import MAX_QUIET_PERIODS
from training.intake.arrivals import MANIFEST_NAME
from training.ledger.records import (
    ACCEPTED,
    COMPLETE,
    DUPLICATE,
    IGNORED,
    QUARANTINED,
    DataRecord,
    DeliveryRecord,
    ObjectRecord,
    QuarantineRecord,
)
from training.versions import is_seed

# A file that was withdrawn, or could not be handled, has not been looked at: the delivery waits for it.
_LOOKED_AT = (ACCEPTED, DUPLICATE, QUARANTINED, IGNORED)
_GOOD = (ACCEPTED, DUPLICATE)


@dataclass(frozen=True)
class Delivery:
    """A folder, and what is known of the files in it.

    Attributes:
        record: The ledger's.
        contents: SHA-256 of the listed files that are good.
        missing: Listed files that have not arrived with the content that is announced, as names.
        unlisted: Good files in the folder that no manifest lists; they wait.
        is_part: Whether it has no manifest of its own and that of a folder above lists files in it.
    """

    record: DeliveryRecord
    contents: frozenset[str]
    missing: tuple[str, ...]
    unlisted: tuple[str, ...]
    is_part: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether all of it is there."""
        return self.record.files is not None and not self.missing

    def counts(self, content: DataRecord) -> bool:
        """Whether a good file of it is data by now.

        A manifest that is replaced opens its delivery again; what counted before goes on counting, or the
        next run would be on less data than the last one.
        """
        if content.raw_sha256 not in self.contents:
            return False
        before = self.record.complete_at
        return self.is_ready or (before is not None and content.accepted_at <= before)


def look(records: Sequence[DeliveryRecord], objects: Iterable[ObjectRecord]) -> list[Delivery]:
    """Put together what the manifests say and what became of the objects of a model."""
    by_key: dict[str, list[ObjectRecord]] = {}
    for found in objects:
        by_key.setdefault(found.key, []).append(found)
    owners: dict[str, DeliveryRecord] = {}
    for record in records:
        for key in _listed(record):
            owners[key] = owners[_directory(key)] = record
    unlisted: dict[str, list[str]] = {}
    for key, versions in by_key.items():
        is_data = not key.endswith(f"/{MANIFEST_NAME}") and any(one.state in _GOOD for one in versions)
        if is_data and key not in owners:
            unlisted.setdefault(_directory(key), []).append(key)
    return [_look_at(record, by_key, unlisted, owners) for record in records]


def counting(data: Iterable[DataRecord], deliveries: Sequence[Delivery]) -> list[DataRecord]:
    """The data that counts when deliveries have manifests.

    The seed does, and what was accepted before its folder was known as a delivery: a model that changes to
    manifests keeps its data.
    """
    first_at = {one.record.folder: one.record.first_at for one in deliveries}
    return [
        record
        for record in data
        if is_seed(record)
        or record.accepted_at < first_at.get(record.delivery, float("inf"))
        or any(delivery.counts(record) for delivery in deliveries)
    ]


def is_overdue(delivery: Delivery, triggers: Triggers, now: float) -> bool:
    """Whether people must be told that it does not become complete."""
    late = now >= delivery.record.first_at + triggers.manifest_deadline_seconds
    is_open = not delivery.is_ready and not delivery.is_part and delivery.record.state != COMPLETE
    return late and is_open


def is_quiet(triggers: Triggers, last: float, oldest: float, now: float) -> bool:
    """Whether what arrived from ``oldest`` to ``last`` is a delivery that has ended."""
    quiet = triggers.quiet_seconds
    return now >= min(last + quiet, oldest + MAX_QUIET_PERIODS * quiet)


def to_announce(
    entries: Iterable[QuarantineRecord],
    deliveries: Sequence[Delivery],
    triggers: Triggers,
    last_arrival: float,
    now: float,
) -> dict[str, list[QuarantineRecord]]:
    """Refused files that people have not been told of, by delivery, as far as the deliveries have ended.

    A folder's end with its manifest, at the deadline, or at once when the manifest itself was refused.
    """
    untold = [entry for entry in entries if not entry.announced]
    if not untold:
        return {}
    if triggers.delivery == "files":
        oldest = min(entry.at for entry in untold)
        return {"": untold} if is_quiet(triggers, last_arrival, oldest, now) else {}
    groups: dict[str, list[QuarantineRecord]] = {}
    for entry in untold:
        groups.setdefault(_part_of(entry, deliveries), []).append(entry)
    known = {one.record.folder: one for one in deliveries}
    return {
        folder: group
        for folder, group in groups.items()
        if _has_ended(known.get(folder), triggers, now) or any(_is_manifest(entry) for entry in group)
    }


def _has_ended(delivery: Delivery | None, triggers: Triggers, now: float) -> bool:
    return delivery is None or delivery.is_ready or is_overdue(delivery, triggers, now)


def _is_manifest(entry: QuarantineRecord) -> bool:
    return entry.source.endswith(f"/{MANIFEST_NAME}")


def _part_of(entry: QuarantineRecord, deliveries: Sequence[Delivery]) -> str:
    """The delivery whose manifest lists the file, else the one of its own folder."""
    for one in deliveries:
        if entry.source in _listed(one.record):
            return one.record.folder
    return entry.delivery


def _look_at(
    record: DeliveryRecord,
    by_key: Mapping[str, Sequence[ObjectRecord]],
    unlisted: Mapping[str, Sequence[str]],
    owners: Mapping[str, DeliveryRecord],
) -> Delivery:
    contents: set[str] = set()
    missing: list[str] = []
    for key, file in _listed(record).items():
        found = [one for one in by_key.get(key, ()) if one.state in _LOOKED_AT and _is_announced(one, file)]
        contents.update(one.sha256 for one in found if one.state in _GOOD and one.sha256)
        if not found:
            missing.append(str(file["name"]))
    folder = _folder(record)
    waiting = [
        key.removeprefix(folder)
        for directory, keys in unlisted.items()
        if directory == folder or owners.get(directory) is record
        for key in keys
    ]
    return Delivery(
        record,
        frozenset(contents),
        tuple(missing),
        tuple(sorted(waiting)),
        is_part=record.files is None and folder in owners,
    )


def _is_announced(found: ObjectRecord, file: Mapping[str, Any]) -> bool:
    """Whether it has the content the manifest announces; one that was too big to read has no digest."""
    sha256, size = file.get("sha256"), file.get("size")
    same = sha256 is None or found.sha256 is None or found.sha256 == str(sha256).lower()
    return same and (size is None or found.size is None or found.size == size)


def _listed(record: DeliveryRecord) -> dict[str, Mapping[str, Any]]:
    """Listed files by the keys they have or will have."""
    return {f"{_folder(record)}{file['name']}": file for file in record.files or ()}


def _folder(record: DeliveryRecord) -> str:
    """Beginning of the keys of its files, with the slash."""
    below = f"{record.folder}/" if record.folder else ""
    return f"incoming/{record.model}/{below}"


def _directory(key: str) -> str:
    return key[: key.rfind("/") + 1]
