"""What a batch knows of the models: their specs, asked once, and the rows to be forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from threading import Lock
from typing import Any

from models.spec import ModelSpec
from training.contract.forgetting import Forgotten
from training.ledger.table import Ledger
from training.outputs import read_spec


class Knowledge:
    """Asks once per batch; safe for several threads."""

    def __init__(self, s3: Any, bucket: str, account: str, ledger: Ledger) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._account = account
        self._ledger = ledger
        self._lock = Lock()
        self._specs: dict[str, ModelSpec | None] = {}
        self._requests: dict[str, tuple[str, tuple[Forgotten, ...]]] = {}

    def spec(self, model: str) -> ModelSpec | None:
        """The deployed spec; None when the stack has no such model.

        Raises:
            SpecError: The stored spec cannot be used.
        """
        with self._lock:
            if model not in self._specs:
                self._specs[model] = read_spec(self._s3, model, bucket=self._bucket, owner=self._account)
            return self._specs[model]

    def models(self) -> str:
        """The models of the stack, in words."""
        answer = self._s3.list_objects_v2(
            Bucket=self._bucket, Prefix="specs/", ExpectedBucketOwner=self._account
        )
        return ", ".join(PurePosixPath(item["Key"]).stem for item in answer.get("Contents", [])) or "none"

    def forgotten(self, model: str, latest: str | None) -> Sequence[Forgotten]:
        """The requests to forget rows.

        Args:
            model: Whose rows.
            latest: Id of the latest request, as the ledger had it after the file was claimed; no other
                request is read again before there is a newer one.
        """
        if latest is None:
            return ()
        with self._lock:
            if self._requests.get(model, ("",))[0] != latest:
                found = self._ledger.forgets(model)
                requests = tuple(Forgotten(record.id, record.conditions) for record in found)
                self._requests[model] = (latest, requests)
            return self._requests[model][1]
