"""Data files on their way into a stack: what is pushed, the upload, and what the ledger says became of it."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from training.ledger import records
from training.ledger.records import ObjectRecord
from upkeep.errors import is_gone
from upkeep.ledger import OperatorLedger
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients

ARRIVED, ACCEPTED, QUARANTINED = "arrived", "accepted", "quarantined"
IGNORED, GONE, DEAD = "ignored", "gone", "dead"

_CHUNK = 1 << 20
# Beyond this an upload has parts, sent side by side; one PutObject takes 5 GB at most:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
PARTS_ABOVE_BYTES = 64 * 1000**2
_MARK = "upkeep-push"
_STATES = {
    records.ACCEPTED: ACCEPTED, records.DUPLICATE: ACCEPTED, records.QUARANTINED: QUARANTINED,
    records.IGNORED: IGNORED, records.GONE: GONE, records.DEAD: DEAD,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that is pushed.

    Attributes:
        path: The file on this machine.
        bucket: The data bucket.
        key: Where it arrives.
        sha256: Of its bytes.
        name: How it is called in messages.
        known: Whether these very bytes had been accepted before.
        version_id: Of the object, once it is uploaded; empty in a bucket without versions.
        state: `arrived`, `accepted`, `quarantined`, `ignored`, `gone` or `dead`.
        reason: Why it is not accepted.
        accepted_key: The object that its good rows became, or were already.
        rows: Good rows.
        dropped: Bad rows that were left out.
        quarantine_id: Of its entry in the quarantine.
        delivery: The folder below the model's that it belongs to.
    """

    path: Path
    bucket: str
    key: str
    name: str
    size: int
    sha256: str = ""
    known: bool = False
    version_id: str = ""
    state: str = ARRIVED
    reason: str = ""
    accepted_key: str = ""
    rows: int | None = None
    dropped: int | None = None
    quarantine_id: str = ""
    delivery: str = ""

    @property
    def uri(self) -> str:
        """Where it was put."""
        return f"s3://{self.bucket}/{self.key}"

    def to_json(self) -> dict[str, Any]:
        """The file as `--json` prints it."""
        data = asdict(self)
        del data["path"]
        return {"file": str(self.path), "uri": self.uri, **data}


def send(context: Clients, upload: Upload, progress: Callable[[int], None]) -> Upload:
    """Upload one file; `progress` is told of the bytes sent since the last call.

    Returns:
        The upload with the version it made. What becomes of it is recorded per version.
    """
    s3 = context.client("s3")
    if upload.size <= PARTS_ABOVE_BYTES:
        with upload.path.open("rb") as body:
            answer = s3.put_object(Bucket=upload.bucket, Key=upload.key, Body=body)
        progress(upload.size)
        return replace(upload, version_id=str(answer.get("VersionId") or ""))
    mark = uuid.uuid4().hex
    s3.upload_file(
        str(upload.path), upload.bucket, upload.key, Callback=progress, ExtraArgs={"Metadata": {_MARK: mark}}
    )
    return replace(upload, version_id=_version_of(context, upload, mark))


def look(ledger: OperatorLedger, upload: Upload) -> Upload:
    """The upload as it is now: on its way, or what the intake made of it."""
    if upload.state != ARRIVED:
        return upload
    found = ledger.at(upload.key, upload.version_id)
    return upload if found is None else settled(upload, found, ledger)


def settled(upload: Upload, found: ObjectRecord, ledger: OperatorLedger) -> Upload:
    """The upload with what the ledger says about its version."""
    state = _STATES.get(found.state)
    if state is None:
        return upload
    target = found.target or ""
    if state == ACCEPTED:
        # Content that a person had forgotten since lies under another key, or under none.
        content = ledger.data_record(found.model, found.sha256 or upload.sha256)
        target = content.key if content is not None and content.state == records.ACTIVE else target
    return replace(
        upload,
        state=state,
        reason=found.reason,
        accepted_key=target if state == ACCEPTED else "",
        known=upload.known or found.state == records.DUPLICATE,
        rows=found.rows,
        dropped=found.dropped,
        quarantine_id=found.quarantine_id or "",
    )


def list_keys(context: Clients, bucket: str, prefix: str, limit: int = 10_000) -> list[dict[str, Any]]:
    """Objects below a prefix, as S3 lists them."""
    pages = context.client("s3").get_paginator("list_objects_v2")
    found: list[dict[str, Any]] = []
    for page in pages.paginate(Bucket=bucket, Prefix=prefix, PaginationConfig={"MaxItems": limit}):
        found.extend(page.get("Contents", []))
    return found


def exists(context: Clients, bucket: str, key: str) -> bool:
    """Whether an object is there."""
    s3 = context.client("s3")
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except s3.exceptions.ClientError as error:
        if is_gone(error):
            return False
        raise
    return True


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            sha.update(chunk)
    return sha.hexdigest()


def place(model: ModelOutputs) -> tuple[str, str]:
    """The bucket that files of a model arrive in, and the beginning of their keys, with its slash."""
    bucket, _, prefix = model.incoming.removeprefix("s3://").partition("/")
    return bucket, f"{prefix.rstrip('/')}/"


def as_body(value: Any) -> bytes:
    """Plain data as a JSON object's bytes."""
    return json.dumps(value, indent=1).encode()


def _version_of(context: Clients, upload: Upload, mark: str) -> str:
    """The version that an upload in parts made; boto3 does not tell, and the key may have newer ones."""
    s3 = context.client("s3")
    listed = s3.list_object_versions(Bucket=upload.bucket, Prefix=upload.key)
    for item in listed.get("Versions", []):
        if item["Key"] != upload.key or item["VersionId"] == records.NO_VERSION:
            continue
        head = s3.head_object(Bucket=upload.bucket, Key=upload.key, VersionId=item["VersionId"])
        if head["Metadata"].get(_MARK) == mark:
            return str(item["VersionId"])
    return ""
