"""The quarantine as people work with it: look, release after another check, discard."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.spec import ModelSpec
from training.contract.findings import Report
from training.ledger.records import ACCEPTED, DISCARDED, NO_MODEL, OPEN, RELEASED, RELEASING, QuarantineRecord
from upkeep import data, engine
from upkeep.errors import UpkeepError, is_gone
from upkeep.ledger import OperatorLedger
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients

PREFIX, REASON_SUFFIX = "quarantine/", ".reason.json"
WAITING = (OPEN, RELEASING)


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release that was carried out: the check, and the object the intake checks again."""

    entry: QuarantineRecord
    report: Report
    key: str = ""
    version_id: str = ""

    @property
    def done(self) -> bool:
        """Whether the file is on its way; else the check still refuses it, and the entry stays open."""
        return self.report.ok


def partitions(context: Clients, models: Iterable[str]) -> list[str]:
    """Under which names of the ledger there may be entries: the models', and what people mistook for one."""
    listed = context.client("s3").list_objects_v2(
        Bucket=context.outputs.data_bucket, Prefix=PREFIX, Delimiter="/"
    )
    folders = [item["Prefix"].removeprefix(PREFIX).rstrip("/") for item in listed.get("CommonPrefixes", [])]
    return list(dict.fromkeys([*sorted(models), NO_MODEL, *sorted(folders)]))


def entries(ledger: OperatorLedger, names: Iterable[str], *, ended: bool = False) -> list[QuarantineRecord]:
    """The entries, newest first; only those that wait for a person unless the ended ones are wanted too."""
    states = () if ended else WAITING
    found = [entry for name in names for entry in ledger.quarantine_entries(name, states)]
    return sorted(found, key=lambda entry: (-entry.at, entry.id))


def find(ledger: OperatorLedger, names: Iterable[str], wanted: str) -> QuarantineRecord:
    """The entry whose id begins with `wanted`.

    Raises:
        UpkeepError: None or several do.
    """
    known = entries(ledger, names, ended=True)
    found = [entry for entry in known if wanted and entry.id.startswith(wanted.lower())]
    if len(found) != 1:
        waiting = [entry for entry in known if entry.state in WAITING]
        shown = ", ".join(f"{entry.id} ({entry.name})" for entry in (found or waiting)[:8]) or "none"
        said = "several ids begin" if found else "no id begins"
        raise UpkeepError(
            f"Quarantine {wanted!r}: {said} with it. {'These do' if found else 'Waiting'}: {shown}. "
            "`upkeep quarantine list --all` shows all."
        )
    return found[0]


def release(
    context: Clients,
    ledger: OperatorLedger,
    entry: QuarantineRecord,
    target: ModelOutputs,
    spec: ModelSpec,
    by: str,
) -> Release:
    """Check a quarantined file again with the deployed spec and, if it is good now, let it arrive again.

    The entry goes from open to releasing to released by conditional writes, so that of two people one
    releases it. The file lies in `incoming/` before the entry counts as released: a crash in between leaves
    it releasing, which can be taken up again, and the same bytes arriving twice are one content.

    Raises:
        UpkeepError: It has ended, somebody else releases it now, or its bytes are gone.
    """
    _require_waiting(entry)
    bucket = context.outputs.data_bucket
    report = _check(context, entry, spec)
    if not report.ok:
        return Release(entry=entry, report=report)
    mine = ledger.begin_release(entry, by)
    if mine is None:
        raise UpkeepError(_taken(ledger.quarantine_entry(entry.model, entry.id) or entry))
    key = _arriving_key(entry, target)
    # Bytes, metadata and tags stay as they are; up to 5 GB at once, which the contract's file size is below:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
    copied = context.client("s3").copy_object(
        Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": entry.key}, MetadataDirective="COPY"
    )
    found = ledger.end_release(mine)
    return Release(entry=found, report=report, key=key, version_id=str(copied.get("VersionId") or ""))


def discard(context: Clients, ledger: OperatorLedger, entry: QuarantineRecord, by: str) -> QuarantineRecord:
    """Delete a quarantined file and its reason file; the entry stays in the ledger.

    The objects can be brought back for as long as the bucket keeps versions. Can be repeated: what a crash
    left behind is deleted then.

    Raises:
        UpkeepError: It was released, or is being released now.
    """
    if entry.state != DISCARDED:
        if entry.state != OPEN:
            raise UpkeepError(_taken(entry))
        found = ledger.transition_entry(
            entry.model, entry.id, [OPEN], DISCARDED, by=by, ended_at=ledger.now()
        )
        if found is None:
            raise UpkeepError(_taken(ledger.quarantine_entry(entry.model, entry.id) or entry))
        entry = found
    s3, bucket = context.client("s3"), context.outputs.data_bucket
    for key in (entry.key, entry.key + REASON_SUFFIX):
        if data.exists(context, bucket, key):
            s3.delete_object(Bucket=bucket, Key=key)
    return entry


def fetch(context: Clients, entry: QuarantineRecord, path: Path) -> None:
    """Download the quarantined bytes.

    Raises:
        UpkeepError: They are gone: quarantined files expire.
    """
    s3 = context.client("s3")
    try:
        s3.download_file(context.outputs.data_bucket, entry.key, str(path))
    except s3.exceptions.ClientError as error:
        if not is_gone(error):
            raise
        raise UpkeepError(
            f"Quarantine {entry.id}: its file s3://{context.outputs.data_bucket}/{entry.key} is gone (they "
            f"expire after the stack's quarantineRetentionDays). Push {entry.name} again, and "
            f"`upkeep quarantine discard {entry.id}` ends this entry."
        ) from error


def diff_of(context: Clients, entry: QuarantineRecord) -> dict[str, Any]:
    """How the file's columns differ from the contract, as its reason file says; empty when it does not."""
    s3 = context.client("s3")
    try:
        answer = s3.get_object(Bucket=context.outputs.data_bucket, Key=entry.key + REASON_SUFFIX)
        said = json.loads(answer["Body"].read())
    except s3.exceptions.ClientError as error:
        if is_gone(error):
            return {}
        raise
    found = said.get("diff") if isinstance(said, dict) else None
    return found if isinstance(found, dict) else {}


def advice(entry: QuarantineRecord) -> str:
    """What a person can do about an entry."""
    if entry.state == OPEN:
        return (
            f"Push a mended file; or mend the contract (`upkeep contract check FILE`, `upkeep up`) and "
            f"`upkeep quarantine release {entry.id}`; or `upkeep quarantine discard {entry.id}`."
        )
    if entry.state == RELEASING:
        return f"Somebody is releasing it; `upkeep quarantine release {entry.id}` takes it up if that died."
    if entry.state == ACCEPTED:
        return "Nothing: the same bytes were accepted later."
    if entry.state == RELEASED:
        return f"Nothing: `upkeep runs show {entry.source or entry.name}` says what became of it."
    return "Nothing: push the file again if it is wanted after all."


def moment(seconds: float | None) -> datetime | None:
    """A time of the ledger."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _check(context: Clients, entry: QuarantineRecord, spec: ModelSpec) -> Report:
    """The intake's own check, here."""
    engine.require("Checking the file again")
    from training.contract.check import check_file

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quarantined"
        fetch(context, entry, path)
        return check_file(path, spec, name=entry.name)


def _arriving_key(entry: QuarantineRecord, target: ModelOutputs) -> str:
    """Where the file arrives again: where it came from, unless that was no place for this model's files."""
    _, prefix = data.place(target)
    return entry.source if entry.source.startswith(prefix) else f"{prefix}{entry.name}"


def _require_waiting(entry: QuarantineRecord) -> None:
    if entry.state not in WAITING:
        raise UpkeepError(_taken(entry))


def _taken(entry: QuarantineRecord) -> str:
    """Why an entry cannot be worked on."""
    by = f" by {entry.by}" if entry.by else ""
    since = moment(entry.ended_at)
    at = f" at {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
    if entry.state == RELEASING:
        return (
            f"Quarantine {entry.id} ({entry.name}) is being released{by} since{at.removeprefix(' at')}. "
            "If that has died, it can be taken up again ten minutes after it began."
        )
    said = "was accepted since, with the same bytes," if entry.state == ACCEPTED else f"was {entry.state}"
    return f"Quarantine {entry.id} ({entry.name}) {said}{by}{at}; it can happen once only. {advice(entry)}"
