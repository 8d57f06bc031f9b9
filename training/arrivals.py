"""What a message of the intake queue says, and where a file belongs. Nothing here calls AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

INCOMING, ACCEPTED, QUARANTINE = "incoming/", "accepted/", "quarantine/"
REASON_SUFFIX = ".reason.json"
NO_MODEL = "no-model"
_MODEL_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")  # as models.spec allows
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME = 120


class RefusedEventError(Exception):
    """A message that does not tell of an object in our own bucket; it ends in the dead-letter queue."""


@dataclass(frozen=True)
class Arrival:
    """An object that arrived below ``incoming/``.

    Attributes:
        key: Its full key.
        folder: The first part after ``incoming/``, which should be a model; empty when there is none.
        name: The rest, as one name that is safe in keys.
    """

    key: str
    folder: str
    name: str

    @property
    def is_model_name(self) -> bool:
        """Whether the folder can be a model at all; only then may it become part of another key."""
        return bool(_MODEL_NAME.fullmatch(self.folder))

    @property
    def is_folder_marker(self) -> bool:
        """Consoles make empty objects that end in a slash to show folders."""
        return self.key.endswith("/")

    def accepted_key(self, sha256: str) -> str:
        """Where a good file goes; the same bytes have the same beginning, see ``accepted_prefix``."""
        return f"{self.accepted_prefix(sha256)}{self.name}"

    def accepted_prefix(self, sha256: str) -> str:
        """The beginning of the key of any accepted file with these bytes."""
        return f"{ACCEPTED}{self.folder}/{sha256[:16]}-"

    def quarantine_key(self, arrived: datetime) -> str:
        """Where a bad file goes; the same arrival gives the same key, also when it is handled twice."""
        stamp = arrived.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        return f"{QUARANTINE}{_safe(self.folder) or NO_MODEL}/{stamp}-{self.name}"


def read_message(record: Mapping[str, Any], *, bucket: str, account: str, queue: str) -> Arrival:
    """Read an SQS record that carries EventBridge's "Object Created".

    Only the key is taken from it; everything else about the object is asked of S3.

    Args:
        record: One of the Lambda event's Records.
        bucket: The data bucket.
        account: The function's own account.
        queue: Name of the intake queue.

    Raises:
        RefusedEventError: The message comes from elsewhere or tells of something else.
    """
    source = str(record.get("eventSourceARN", ""))
    parts = source.split(":")
    if parts[2:3] != ["sqs"] or parts[4:6] != [account, queue]:
        raise RefusedEventError(
            f"eventSourceARN: found {source!r}, expected queue {queue} of account {account}"
        )
    try:
        event = json.loads(record["body"])
        found = {
            "source": event["source"],
            "detail-type": event["detail-type"],
            "account": event["account"],
            "bucket": event["detail"]["bucket"]["name"],
        }
        key = event["detail"]["object"]["key"]
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedEventError(f"no S3 event of EventBridge: {type(error).__name__} {error}") from error
    expected = {"source": "aws.s3", "detail-type": "Object Created", "account": account, "bucket": bucket}
    wrong = [f"{k}: found {found[k]!r}, expected {v!r}" for k, v in expected.items() if found[k] != v]
    if not isinstance(key, str) or not key.startswith(INCOMING):
        wrong.append(f"key: found {key!r}, expected one below {INCOMING}")
    if wrong:
        raise RefusedEventError("; ".join(wrong))
    return arrival(key)


def arrival(key: str) -> Arrival:
    """Take apart a key below ``incoming/``."""
    folder, slash, rest = key.removeprefix(INCOMING).partition("/")
    return Arrival(key, folder, _safe(rest)) if slash else Arrival(key, "", _safe(folder))


def _safe(text: str) -> str:
    """A name for keys: letters, digits, dot, dash, underscore; the end is kept, for the file's extension."""
    return _UNSAFE.sub("-", text).strip("-")[-_MAX_NAME:]
