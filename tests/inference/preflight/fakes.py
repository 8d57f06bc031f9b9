"""An S3 in memory and a server that answers by a function: what the checks' unit tests need."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from inference.preflight.recorded import Recorded
from inference.preflight.server import Reply

OWNER = "123456789012"


class FakeS3:
    """Objects by (bucket, key); later ones are newer. Counts its calls."""

    exceptions = SimpleNamespace(ClientError=ClientError)

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.written: dict[tuple[str, str], datetime] = {}
        self.calls: list[str] = []
        self.ranges: list[str] = []

    def put(self, bucket: str, key: str, body: bytes | str) -> None:
        self.objects[bucket, key] = body.encode() if isinstance(body, str) else body
        self.written[bucket, key] = datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=len(self.written))

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ExpectedBucketOwner: str, **_: Any) -> None:  # noqa: N803
        assert ExpectedBucketOwner == OWNER
        self.put(Bucket, Key, Body)

    def head_object(self, *, Bucket: str, Key: str, ExpectedBucketOwner: str) -> dict[str, Any]:  # noqa: N803
        return {"ContentLength": len(self._find(Bucket, Key, ExpectedBucketOwner, "HeadObject"))}

    def get_object(self, **given: Any) -> dict[str, Any]:
        body = self._find(given["Bucket"], given["Key"], given["ExpectedBucketOwner"], "GetObject")
        if "Range" in given:
            self.ranges.append(given["Range"])
            body = body[-int(given["Range"].removeprefix("bytes=-")) :]
        return {"Body": io.BytesIO(body), "ContentLength": len(body)}

    def list_objects_v2(self, **given: Any) -> dict[str, Any]:
        assert given["ExpectedBucketOwner"] == OWNER
        self.calls.append("ListObjectsV2")
        asked, prefix = given["Bucket"], given["Prefix"]
        below = sorted(
            key.removeprefix(prefix)
            for bucket, key in self.objects
            if bucket == asked and key.startswith(prefix)
        )
        if "Delimiter" in given:
            folders = sorted({f"{prefix}{key.partition('/')[0]}/" for key in below if "/" in key})
            return {"CommonPrefixes": [{"Prefix": folder} for folder in folders]}
        found = [prefix + key for key in below]
        return {
            "Contents": [
                {"Key": key, "Size": len(self.objects[asked, key]), "LastModified": self.written[asked, key]}
                for key in found
            ]
        }

    def _find(self, bucket: str, key: str, owner: str, operation: str) -> bytes:
        assert owner == OWNER
        self.calls.append(operation)
        if (bucket, key) not in self.objects:
            raise ClientError(
                {"Error": {"Code": "404" if operation == "HeadObject" else "NoSuchKey"}}, operation
            )
        return self.objects[bucket, key]


class FakeServer:
    """Answers by a function of the request; knows how often it was asked."""

    def __init__(self, answer: Callable[[Recorded], Reply]) -> None:
        self._answer = answer
        self.asked = 0

    def ask(self, request: Recorded, seconds: float = 60.0) -> Reply:
        assert seconds > 0
        self.asked += 1
        return self._answer(request)


def predictions(*scores: float, labels: bool = True, milliseconds: float = 1.0) -> Reply:
    """An answer in JSON."""
    items = [{"score": s, "label": int(s >= 0.5)} if labels else {"score": s} for s in scores]
    return Reply(200, json.dumps({"predictions": items}).encode(), "application/json", milliseconds)


def captured(
    body: str, answer: str | None = '{"predictions": []}', kind: str = "application/json", **changes: Any
) -> str:
    """A line as SageMaker records it."""
    data: dict[str, Any] = {
        "endpointInput": {"observedContentType": kind, "mode": "INPUT", "data": body, "encoding": "JSON"}
        | changes
    }
    if answer is not None:
        data["endpointOutput"] = {
            "observedContentType": "application/json",
            "mode": "OUTPUT",
            "data": answer,
            "encoding": "JSON",
        }
    metadata = {"eventId": "e", "inferenceTime": "2026-11-21T10:00:00Z"}
    return json.dumps({"captureData": data, "eventMetadata": metadata, "eventVersion": "0"})
