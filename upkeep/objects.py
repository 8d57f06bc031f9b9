"""What became of a file: by its address, its key or its name, for every version of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from training.ledger import records
from training.ledger.records import DataRecord, ObjectRecord, QuarantineRecord
from upkeep import dead_letters, lineage
from upkeep.dead_letters import INCOMING, Subject
from upkeep.errors import UpkeepError
from upkeep.ledger import OperatorLedger
from upkeep.lineage import Trained
from upkeep.render import iso
from upkeep.runs import Clients

QUEUED, IN_WORK, GIVEN_UP, WITHDRAWN = "waiting", "being checked", "dead", "withdrawn"
_PEEKED = 1000
_MOST_FOUND = 200


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What became of one version of an object.

    Attributes:
        model: Whose file it is.
        key: Where it arrived.
        version_id: Its version.
        state: accepted, duplicate, quarantined, ignored, gone, dead; `waiting` or `being checked` before
            that; `withdrawn` when its owner deleted it first.
        at: When that was found out, or since when it waits.
        reason: Why, in a sentence.
        rows: Good rows.
        dropped: Bad rows that were left out.
        now_at: Keys where its content lies now.
        quarantine_id: Of its entry in the quarantine.
        quarantine_state: Of that entry now: open, released, discarded, or accepted since.
        delivery: The folder it belongs to.
        trained: The runs that were trained on it.
    """

    model: str
    key: str
    version_id: str
    state: str
    at: str | None = None
    reason: str = ""
    rows: int | None = None
    dropped: int | None = None
    forgotten: int = 0
    now_at: tuple[str, ...] = ()
    quarantine_id: str = ""
    quarantine_state: str = ""
    delivery: str = ""
    trained: tuple[Trained, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """The version as `--json` prints it."""
        return {
            "model": self.model,
            "key": self.key,
            "version_id": self.version_id,
            "state": self.state,
            "at": self.at,
            "reason": self.reason,
            "rows": self.rows,
            "dropped": self.dropped,
            "forgotten": self.forgotten,
            "lies_at": list(self.now_at),
            "quarantine_id": self.quarantine_id or None,
            "quarantine_state": self.quarantine_state or None,
            "delivery": self.delivery or None,
            "runs": [run.to_json() for run in self.trained],
        }


def is_object(name: str) -> bool:
    """Whether a word names an object and no run: run ids are hexadecimal."""
    return name.startswith("s3://") or "/" in name or "." in name


def find(context: Clients, ledger: OperatorLedger, name: str) -> list[Fate]:
    """What became of every version of an object, oldest first.

    Args:
        context: The stack.
        ledger: Its ledger.
        name: `s3://bucket/key`, a key of the data bucket, or a file's name.

    Raises:
        UpkeepError: Another bucket is meant, or nothing is known by this name.
    """
    key = _key(context, name)
    settled = _recorded(context, ledger, key)
    fates = [_fate(context, ledger, record) for record in settled]
    known = {(record.key, record.version_id) for record in settled}
    fates += _unrecorded(context, key, known)
    if not fates:
        raise UpkeepError(
            f"{name}: the ledger does not know it, nothing of this name lies in "
            f"s3://{context.outputs.data_bucket}/{INCOMING}, and no dead letter is about it. It never "
            "arrived, or was deleted before anybody saw it. Names look like 2013-01.csv, "
            "incoming/flights/2013-01.csv or s3://bucket/key; a run's id is hexadecimal."
        )
    return fates


def _key(context: Clients, name: str) -> str:
    if not name.startswith("s3://"):
        return name.lstrip("/")
    bucket, _, key = name.removeprefix("s3://").partition("/")
    if bucket != context.outputs.data_bucket:
        raise UpkeepError(
            f"{name}: found bucket {bucket!r}; this stack's files arrive in {context.outputs.data_bucket!r}."
        )
    return key


def _recorded(context: Clients, ledger: OperatorLedger, key: str) -> list[ObjectRecord]:
    """What the ledger has by a key: of where it arrived, of what it became, or of how it ends."""
    if key.startswith(INCOMING):
        return _by_time(ledger.object(key))
    folder, _, rest = key.partition("/")
    every = [one for name in _models(context) for one in ledger.objects(name)]
    if rest and folder in ("accepted", "rejected", "quarantine"):
        return _by_time(_that_became(context, ledger, every, key))
    found = [one for one in every if one.key == key or one.key.endswith(f"/{key}")]
    if len(found) > _MOST_FOUND:
        raise UpkeepError(
            f"{key}: {len(found):,} versions of objects have this name; give more of the key, such as "
            f"{found[0].key}."
        )
    return _by_time(found)


def _that_became(
    context: Clients, ledger: OperatorLedger, every: list[ObjectRecord], key: str
) -> list[ObjectRecord]:
    """The versions whose content lies, or lay, at a key."""
    contents = [one for name in context.outputs.models for one in ledger.data(name)]
    later = {new for name in context.outputs.models for new in _descendants(ledger, name, key)}
    digests = {c.raw_sha256 for c in contents if c.key in later or c.rejected_key == key}
    name = key.rpartition("/")[2].removesuffix(".reason.json")
    entry = name.partition("-")[0] if key.startswith("quarantine/") else ""
    return [
        one
        for one in every
        if one.target == key or (one.sha256 in digests) or (entry and one.quarantine_id == entry)
    ]


def _descendants(ledger: OperatorLedger, model: str, key: str) -> set[str]:
    """The object, and what became of it when rows were forgotten."""
    after = {record.key: record.new_key for record in ledger.replacements(model)}
    found = {key}
    while (key := after.get(key, "")) and key not in found:
        found.add(key)
    return found


def _fate(context: Clients, ledger: OperatorLedger, record: ObjectRecord) -> Fate:
    content = ledger.data_record(record.model, record.sha256) if record.sha256 else None
    became = record.state in (records.ACCEPTED, records.DUPLICATE)
    trained: list[Trained] = []
    if became and record.model in context.outputs.models:
        keys = {key for key in (record.target, content.key if content else None) if key}
        every = lineage.ancestors(ledger, record.model, keys)
        trained = lineage.trained_on(context, ledger, context.outputs.models[record.model], every)
    entry = _entry(ledger, record)
    gone = entry is not None and entry.state == records.DISCARDED
    state = IN_WORK if record.state == records.CLAIMED else record.state
    since = datetime.fromtimestamp(record.claimed_until, UTC) if record.state == records.CLAIMED else None
    return Fate(
        model=record.model,
        key=record.key,
        version_id=record.version_id,
        state=state,
        at=record.at or None,
        reason=record.reason or (f"its claim ends {since:%H:%M:%S} UTC" if since else ""),
        rows=content.rows if became and content else record.rows,
        dropped=record.dropped,
        forgotten=content.forgotten if became and content else 0,
        now_at=() if gone else tuple(_places(record, content if became else None)),
        quarantine_id=record.quarantine_id or "",
        quarantine_state=entry.state if entry else "",
        delivery=record.delivery,
        trained=tuple(trained),
    )


def _entry(ledger: OperatorLedger, record: ObjectRecord) -> QuarantineRecord | None:
    """A refused file's entry; that of a file for a model that is not deployed is kept apart."""
    if not record.quarantine_id:
        return None
    found = ledger.quarantine_entry(record.model, record.quarantine_id)
    return found or ledger.quarantine_entry(records.NO_MODEL, record.quarantine_id)


def _places(record: ObjectRecord, content: DataRecord | None) -> Iterable[str]:
    if content is None:
        return [record.target] if record.target else []
    active = [content.key] if content.state == records.ACTIVE else []
    return [*active, *([content.rejected_key] if content.rejected_key else [])]


def _unrecorded(context: Clients, key: str, known: set[tuple[str, str]]) -> list[Fate]:
    """Versions that nobody has looked at yet: they wait in the queue, or their message was given up."""
    wanted = [key] if key.startswith(INCOMING) else [f"{INCOMING}{name}/{key}" for name in _models(context)]
    versions = [version for one in wanted for version in _versions(context, one)]
    fresh = [one for one in versions if (one["Key"], one["VersionId"]) not in known]
    letters = _letters(context, wanted) if fresh or not (known or versions) else []
    fates = [_waiting(item, letters) for item in fresh]
    listed = {(one["Key"], one["VersionId"]) for one in versions} | known
    for about, given_up in letters:
        if (about.key, about.version_id or "") in listed or any(f.key == about.key for f in fates):
            continue
        reason = "its message was given up, and the object is not in incoming/ any more: `upkeep replay`"
        fates.append(
            Fate(
                model=about.model,
                key=about.key,
                version_id=about.version_id,
                state=GIVEN_UP,
                at=iso(given_up),
                reason=reason,
            )
        )
    return fates


def _waiting(item: dict[str, Any], letters: list[tuple[Subject, datetime | None]]) -> Fate:
    key, version = item["Key"], item["VersionId"]
    model = records.model_of(key)
    if item.get("marker"):
        return Fate(
            model=model, key=key, version_id=version, state=WITHDRAWN, at=iso(item["LastModified"]),
            reason="a delete marker: its owner deleted the file",
        )  # fmt: skip
    dead = any(about.key == key and about.version_id in ("", version) for about, _ in letters)
    reason = (
        "its message was given up; mend what failed, then `upkeep replay`"
        if dead
        else "in the intake queue, since it arrived"
    )
    return Fate(
        model=model, key=key, version_id=version, state=GIVEN_UP if dead else QUEUED,
        at=iso(item["LastModified"]), reason=reason,
    )  # fmt: skip


def _versions(context: Clients, key: str) -> list[dict[str, Any]]:
    """Versions and delete markers of exactly one key, oldest first.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
    """
    pages = context.client("s3").get_paginator("list_object_versions")
    found: list[dict[str, Any]] = []
    for page in pages.paginate(Bucket=context.outputs.data_bucket, Prefix=key):
        found += [item for item in page.get("Versions", []) if item["Key"] == key]
        found += [{**item, "marker": True} for item in page.get("DeleteMarkers", []) if item["Key"] == key]
    return sorted(found, key=lambda item: item["LastModified"])


def _letters(context: Clients, keys: list[str]) -> list[tuple[Subject, datetime | None]]:
    """The intake's dead letters about some objects; they all stay where they are."""
    found = []
    for queue in dead_letters.queues(context.outputs):
        if queue.name != dead_letters.INTAKE:
            continue
        for letter in dead_letters.peek(context, queue, _PEEKED):
            about = dead_letters.subject(letter, context.outputs)
            if about.key in keys:
                found.append((about, letter.sent_at))
    return found


def _models(context: Clients) -> list[str]:
    return [*sorted(context.outputs.models), records.NO_MODEL]


def _by_time(found: Iterable[ObjectRecord]) -> list[ObjectRecord]:
    return sorted(found, key=lambda record: (record.at or "9", record.key, record.version_id))
