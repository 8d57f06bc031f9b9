"""Data files on their way into a stack: upload, and what became of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from training.arrivals import QUARANTINE, REASON_SUFFIX, arrival
from upkeep.errors import UpkeepError, is_gone
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients, read_json

ARRIVED, ACCEPTED, QUARANTINED = "arrived", "accepted", "quarantined"
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that was pushed.

    Attributes:
        path: The file on this machine.
        bucket: The data bucket.
        key: Where it arrives.
        accepted_key: Where it goes when accepted, or where these very bytes already are.
        name: Its name as the intake spells it in keys.
        known: Whether these very bytes had been accepted before.
        quarantined_before: Keys of this name that lay in quarantine before the push.
        state: `arrived`, `accepted` or `quarantined`.
        reason: Why it was quarantined.
        found_at: The key it has now.
    """

    path: Path
    bucket: str
    key: str
    accepted_key: str
    name: str
    size: int
    known: bool = False
    quarantined_before: frozenset[str] = frozenset()
    state: str = ARRIVED
    reason: str = ""
    found_at: str = ""
    rows: int | None = None

    @property
    def uri(self) -> str:
        """Where it was put."""
        return f"s3://{self.bucket}/{self.key}"

    def to_json(self) -> dict[str, Any]:
        """The file as `--json` prints it."""
        data = asdict(self)
        for name in ("quarantined_before", "path"):
            del data[name]
        return {"file": str(self.path), "uri": self.uri, **data}


def plan(context: Clients, model: ModelOutputs, paths: Iterable[Path]) -> list[Upload]:
    """What pushing these files means, before anything is sent.

    Raises:
        UpkeepError: A file does not exist, is no file, or two have the same name.
    """
    files = list(paths)
    problems = [f"{path}: no such file" for path in files if not path.exists()]
    problems += [f"{path}: is a folder; name the files in it" for path in files if path.is_dir()]
    names = [path.name for path in files]
    problems += [
        f"{name}: named twice; they would overwrite each other"
        for name in sorted({n for n in names if names.count(n) > 1})
    ]
    if problems:
        raise UpkeepError("Nothing was pushed. " + "; ".join(problems) + ".")
    return [_plan_one(context, model, path) for path in files]


def send(context: Clients, upload: Upload, progress: Callable[[int], None]) -> None:
    """Upload one file; `progress` is told of the bytes sent since the last call."""
    context.client("s3").upload_file(str(upload.path), upload.bucket, upload.key, Callback=progress)


def look(context: Clients, model: ModelOutputs, upload: Upload) -> Upload:
    """The upload as it is now: still arriving, accepted, or quarantined with the reason."""
    if upload.state != ARRIVED:
        return upload
    bucket = upload.bucket
    for key in _quarantined(context, model, upload.name, bucket) - upload.quarantined_before:
        record = read_json(context, bucket, key + REASON_SUFFIX)
        if record is not None:
            return replace(upload, state=QUARANTINED, reason=reason_text(record), found_at=key)
    if exists(context, bucket, upload.accepted_key) and not exists(context, bucket, upload.key):
        return replace(upload, state=ACCEPTED, found_at=upload.accepted_key)
    return upload


def reason_text(record: dict[str, Any]) -> str:
    """The sentence of a quarantine record; several errors are joined."""
    said = record.get("reason") or record.get("reasons") or record.get("errors") or record.get("message")
    if isinstance(said, list):
        return "; ".join(str(item.get("message", item) if isinstance(item, dict) else item) for item in said)
    return str(said or json.dumps(record))


def list_keys(context: Clients, bucket: str, prefix: str, limit: int = 10_000) -> list[dict[str, Any]]:
    """Objects below a prefix, as S3 lists them."""
    pages = context.client("s3").get_paginator("list_objects_v2")
    found: list[dict[str, Any]] = []
    for page in pages.paginate(Bucket=bucket, Prefix=prefix, PaginationConfig={"MaxItems": limit}):
        found.extend(page.get("Contents", []))
    return found


def quarantined(context: Clients, model: ModelOutputs, bucket: str) -> list[dict[str, Any]]:
    """The files in a model's quarantine, without their reason files."""
    listed = list_keys(context, bucket, f"{QUARANTINE}{model.name}/")
    return [item for item in listed if not item["Key"].endswith(REASON_SUFFIX)]


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


def _plan_one(context: Clients, model: ModelOutputs, path: Path) -> Upload:
    bucket, _, prefix = model.incoming.removeprefix("s3://").partition("/")
    key = f"{prefix.rstrip('/')}/{path.name}"
    arriving = arrival(key)
    sha256 = digest(path)
    same_bytes = list_keys(context, bucket, arriving.accepted_prefix(sha256), limit=1)
    return Upload(
        path=path,
        bucket=bucket,
        key=key,
        accepted_key=same_bytes[0]["Key"] if same_bytes else arriving.accepted_key(sha256),
        name=arriving.name,
        size=path.stat().st_size,
        known=bool(same_bytes),
        quarantined_before=frozenset(_quarantined(context, model, arriving.name, bucket)),
    )


def _quarantined(context: Clients, model: ModelOutputs, name: str, bucket: str) -> set[str]:
    return {item["Key"] for item in quarantined(context, model, bucket) if item["Key"].endswith(f"-{name}")}
