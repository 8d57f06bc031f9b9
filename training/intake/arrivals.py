"""What a message of the intake queue says, and where a file belongs. Nothing here calls AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.ledger.records import NO_MODEL, NO_VERSION

INCOMING, ACCEPTED, QUARANTINE, REJECTED = "incoming/", "accepted/", "quarantine/", "rejected/"
REASON_SUFFIX = ".reason.json"
MANIFEST_NAME = "_MANIFEST.json"
_RAW_DIGITS, _ACCEPTED_DIGITS = 16, 20
_MODEL_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")  # as models.spec allows
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_VERSION = re.compile(r"[\x21-\x7e]{1,1024}")
_MAX_NAME = 120
# What writers leave beside their files: Spark, Databricks and Hadoop begin these names with _ or a dot.
_HIDDEN = ("_", ".")
_CHECKSUMS = ".crc"


class RefusedEventError(Exception):
    """A message that does not tell of an object in our own bucket; it ends in the dead-letter queue."""


@dataclass(frozen=True)
class Arrival:
    """An object that arrived below ``incoming/``.

    Attributes:
        key: Its full key.
        folder: The first part after ``incoming/``, which should be a model; empty when there is none.
        path: The rest of the key.
        version_id: Which version the message tells of; empty when it does not say.
    """

    key: str
    folder: str
    path: str
    version_id: str = ""

    @property
    def name(self) -> str:
        """The path as one name that is safe in keys."""
        return _safe(self.path)

    @property
    def file_name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def delivery(self) -> str:
        """The folder it lies in, below the model's; empty for the model's own."""
        return self.path.rpartition("/")[0]

    @property
    def is_model_name(self) -> bool:
        """Whether the folder can be a model at all; only then may it become part of another key."""
        return bool(_MODEL_NAME.fullmatch(self.folder))

    @property
    def is_manifest(self) -> bool:
        """Whether it says which files its folder must have."""
        return self.file_name == MANIFEST_NAME and not is_hidden_folder(self.key)

    def ignored_reason(self, size: int) -> str | None:
        """Why nothing is to be done about it; None when it is a file with data, or a manifest."""
        if self.key.endswith("/") and size == 0:
            return "a folder marker, as consoles make them"
        if is_hidden_folder(self.key):
            return "in a folder whose name begins with _ or a dot; it is left where it is"
        if self.file_name == MANIFEST_NAME:
            return None
        if self.file_name.startswith(_HIDDEN) or self.file_name.endswith(_CHECKSUMS):
            return "a file that writers leave beside their data, by its name"
        return None

    def quarantine_key(self, quarantine_id: str, *, has_model: bool) -> str:
        """Where a bad file goes; the same content under the same name gives the same key."""
        folder = self.folder if has_model and self.is_model_name else NO_MODEL
        return f"{QUARANTINE}{folder}/{quarantine_id}-{self.name}"

    def rejected_key(self, sha256: str) -> str:
        """Where the rows of a file go that were left out."""
        return f"{REJECTED}{self.folder}/{sha256[:_RAW_DIGITS]}-{self.name}.csv"


def accepted_key(model: str, sha256: str) -> str:
    """Where good rows go: the same rows give the same Parquet bytes, and so the same key."""
    return f"{ACCEPTED}{model}/{sha256[:_ACCEPTED_DIGITS]}.parquet"


def is_hidden_folder(key: str) -> bool:
    """Whether a key lies in a folder that a writer is still working in, such as Spark's ``_temporary``.

    To take such an object away would break the writer; what it moves out of there has an event of its own.
    """
    return any(part.startswith(_HIDDEN) for part in key.removeprefix(INCOMING).split("/")[1:-1])


def read_message(record: Mapping[str, Any], *, bucket: str, account: str, queue: str) -> Arrival:
    """Read an SQS record that carries EventBridge's "Object Created".

    Only key and version are taken from it; everything else about the object is asked of S3.

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
        version = event["detail"]["object"].get("version-id") or ""
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise RefusedEventError(f"no S3 event of EventBridge: {type(error).__name__} {error}") from error
    expected = {"source": "aws.s3", "detail-type": "Object Created", "account": account, "bucket": bucket}
    wrong = [f"{k}: found {found[k]!r}, expected {v!r}" for k, v in expected.items() if found[k] != v]
    if not isinstance(key, str) or not key.startswith(INCOMING):
        wrong.append(f"key: found {key!r}, expected one below {INCOMING}")
    if version and not (isinstance(version, str) and _VERSION.fullmatch(version)):
        wrong.append(f"version-id: found {version!r}, expected the id of a version")
    if wrong:
        raise RefusedEventError("; ".join(wrong))
    return arrival(key, version)


def arrival(key: str, version_id: str = "") -> Arrival:
    """Take apart a key below ``incoming/``."""
    folder, slash, rest = key.removeprefix(INCOMING).partition("/")
    if not slash:
        folder, rest = "", folder
    return Arrival(key, folder, rest, "" if version_id == NO_VERSION else version_id)


def _safe(text: str) -> str:
    """A name for keys: letters, digits, dot, dash, underscore; the end is kept, for the file's extension."""
    return _UNSAFE.sub("-", text).strip("-")[-_MAX_NAME:]
