"""The account's SageMaker resources, in memory: they live exactly as long as the sandbox."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from sandbox.sagemaker import errors

_RESOURCE_TYPES = {
    "training_job": "training-job",
    "processing_job": "processing-job",
    "model": "model",
    "endpoint_config": "endpoint-config",
    "endpoint": "endpoint",
    "model_package_group": "model-package-group",
    "model_package": "model-package",
}


@dataclass
class Record:
    """One resource: the request that made it and what has become of it since."""

    kind: str
    name: str
    arn: str
    request: dict[str, Any]
    created: float
    modified: float
    fields: dict[str, Any] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """Request and status fields together; the status fields win."""
        return {
            **self.request,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            **self.fields,
        }


class Store:
    """Records by kind and name, and the tags of their ARNs.

    Hold `lock` across a check and the change it allows.
    """

    def __init__(self, region: str, account_id: str) -> None:
        self.lock = threading.RLock()
        self._region = region
        self._account_id = account_id
        self._records: dict[str, dict[str, Record]] = {kind: {} for kind in _RESOURCE_TYPES}
        self._tags: dict[str, dict[str, str]] = {}

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a resource; SageMaker lowers the case of names in ARNs."""
        return f"arn:aws:sagemaker:{self._region}:{self._account_id}:{_RESOURCE_TYPES[kind]}/{name.lower()}"

    def find(self, kind: str, name: str) -> Record | None:
        """The record of that name, or None."""
        with self.lock:
            return self._records[kind].get(name)

    def find_arn(self, arn: str) -> Record | None:
        """The record of that ARN, or None."""
        with self.lock:
            for records in self._records.values():
                for record in records.values():
                    if record.arn == arn:
                        return record
        return None

    def all(self, kind: str) -> list[Record]:
        """Every record of a kind, oldest first."""
        with self.lock:
            return list(self._records[kind].values())

    def counts(self) -> dict[str, int]:
        """How many there are of each kind."""
        with self.lock:
            return {kind: len(records) for kind, records in self._records.items()}

    def add(self, kind: str, name: str, request: dict[str, Any], now: float) -> Record:
        """Store a new record with the request's tags; the caller has checked that the name is free."""
        with self.lock:
            tags = request.get("Tags") or []
            kept = {key: value for key, value in request.items() if key != "Tags"}
            record = Record(kind, name, self.arn(kind, name), kept, now, now)
            self._records[kind][name] = record
            self._tags[record.arn] = {tag["Key"]: tag.get("Value", "") for tag in tags}
            return record

    def remove(self, record: Record) -> None:
        """Forget a record and its tags."""
        with self.lock:
            self._records[record.kind].pop(record.name, None)
            self._tags.pop(record.arn, None)

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of a resource, a live dict; raises ApiError when nothing has that ARN."""
        with self.lock:
            if arn not in self._tags:
                raise errors.validation(f'Could not find a resource with the ARN "{arn}".')
            return self._tags[arn]

    def tags_of(self, record: Record) -> dict[str, str]:
        """A copy of a record's tags; empty when the record is gone, as in the last event about it."""
        with self.lock:
            return dict(self._tags.get(record.arn, {}))
