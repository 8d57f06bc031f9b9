"""Finds the newest requests that an endpoint recorded, with a bounded number of calls and bytes.

Places and format: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html:
``<prefix>yyyy/mm/dd/hh/<name>.jsonl``, one JSON line per invocation.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any

from inference.preflight.recorded import JSON, Recorded

MAX_LISTINGS = 60
MAX_FILES = 40
# The newest lines are at a file's end, so of a larger file only that is read.
MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_TOTAL_BYTES = 32 * 1024 * 1024
_LEVELS = 4  # year, month, day, hour


def newest(s3: Any, bucket: str, prefix: str, count: int, owner: str) -> list[Recorded]:
    """The newest recorded requests that were answered, oldest of them first.

    Args:
        s3: boto3 client.
        bucket: Where requests are recorded.
        prefix: ``capture/<model>/<endpoint>/<variant>/``.
        count: So many at most.
        owner: Account that owns the bucket.
    """
    found: list[Recorded] = []
    total = 0
    if count <= 0:
        return found
    for number, (key, size) in enumerate(_files(s3, bucket, prefix, owner)):
        if number >= MAX_FILES or total >= MAX_TOTAL_BYTES:
            break
        total += min(size, MAX_FILE_BYTES)
        found += _answered(_lines(s3, bucket, key, size, owner), count - len(found))
        if len(found) >= count:
            break
    return found[::-1]


def _files(s3: Any, bucket: str, prefix: str, owner: str) -> Iterator[tuple[str, int]]:
    """Key and size of recorded files, from the newest hour back; within an hour by the time of writing."""
    calls = iter(range(MAX_LISTINGS))

    def listed(below: str, delimiter: str) -> dict[str, Any] | None:
        if next(calls, None) is None:
            return None
        options = {"Delimiter": delimiter} if delimiter else {}
        answer: dict[str, Any] = s3.list_objects_v2(
            Bucket=bucket, Prefix=below, ExpectedBucketOwner=owner, **options
        )
        return answer

    def walk(below: str, level: int) -> Iterator[tuple[str, int]]:
        answer = listed(below, "/" if level < _LEVELS else "")
        if answer is None:
            return
        if level == _LEVELS:
            entries = [entry for entry in answer.get("Contents", []) if entry["Key"].endswith(".jsonl")]
            entries.sort(key=lambda entry: (entry["LastModified"], entry["Key"]), reverse=True)
            yield from ((entry["Key"], int(entry["Size"])) for entry in entries)
            return
        folders = [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]
        for folder in sorted(folders, reverse=True):
            yield from walk(folder, level + 1)

    return walk(prefix, 0)


def _lines(s3: Any, bucket: str, key: str, size: int, owner: str) -> list[bytes]:
    """A file's lines, the newest first."""
    part = {"Range": f"bytes=-{MAX_FILE_BYTES}"} if size > MAX_FILE_BYTES else {}
    body: bytes = s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner, **part)["Body"].read()
    lines = body.split(b"\n")
    return [line for line in reversed(lines[1:] if part else lines) if line.strip()]


def _answered(lines: list[bytes], count: int) -> list[Recorded]:
    found: list[Recorded] = []
    for line in lines:
        if len(found) >= count:
            break
        request = read(line)
        if request is not None:
            found.append(request)
    return found


def read(line: bytes) -> Recorded | None:
    """The request of a recorded line; None for one without input, or whose recorded answer is an error.

    A line does not tell the status. Refusals of ours are recognised by their body; any other request that was
    not answered is found by asking what serves now (``judge``).
    """
    try:
        data = json.loads(line)
        sides = data["captureData"]
        given = sides["endpointInput"]
        body = _body(given)
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
    answer = sides.get("endpointOutput")
    if answer is not None and _is_refusal(answer):
        return None
    accept = str((answer or {}).get("observedContentType") or JSON)
    at = str((data.get("eventMetadata") or {}).get("inferenceTime", ""))
    return Recorded(body, str(given.get("observedContentType") or JSON), accept, at)


def _body(side: dict[str, Any]) -> bytes:
    text = side["data"]
    return base64.b64decode(text, validate=True) if side.get("encoding") == "BASE64" else text.encode()


def _is_refusal(answer: dict[str, Any]) -> bool:
    try:
        data = json.loads(_body(answer))
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        return False
    return isinstance(data, dict) and "error" in data and "status" in data
