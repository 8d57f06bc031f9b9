"""What a check found, as the release Lambda reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inference.preflight import places
from training.aws import is_missing

MAX_RESULT_BYTES = 5 * 1024 * 1024


class ResultError(Exception):
    """A result that is there but is none."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The outcome of a check.

    Attributes:
        passed: Whether the challenger may get traffic.
        reason: One sentence: why not, or what was seen.
        started_seconds: From the start of its server to the first good ping; None when there was none.
        requests: How many requests it was asked.
        errors: How many of them it did not answer with 200 although what serves does.
        p50_milliseconds: Of single rows; None when none was measured.
        p99_milliseconds: Of single rows.
        shadow: What it answers otherwise than what serves; None when nothing was compared.
        uri: Address of ``check.json``.
        report_uri: Address of ``check.html``.
    """

    passed: bool
    reason: str
    started_seconds: float | None
    requests: int
    errors: int
    p50_milliseconds: float | None
    p99_milliseconds: float | None
    shadow: Mapping[str, Any] | None = field(default=None)
    uri: str = ""
    report_uri: str = ""


def read(s3: Any, *, bucket: str, model: str, run_id: str, job_name: str, owner: str) -> CheckResult | None:
    """Read a check's result; None when the job has written none (yet).

    Args:
        s3: boto3 client.
        bucket: The artifacts bucket.
        model: The model's name.
        run_id: The challenger's run.
        job_name: The job's.
        owner: Account that owns the bucket.

    Raises:
        ResultError: What was found is no result of a check.
    """
    prefix = places.folder(model, run_id, job_name)
    key = prefix + places.RESULT
    try:
        answer = s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
    except s3.exceptions.ClientError as error:
        if is_missing(error, s3, bucket, key, owner):
            return None
        raise
    if answer["ContentLength"] > MAX_RESULT_BYTES:
        raise ResultError(f"s3://{bucket}/{key}: {answer['ContentLength']:,} bytes, expected a few thousand")
    return parse(answer["Body"].read(), f"s3://{bucket}/{prefix}", run_id)


def parse(content: bytes, folder_uri: str, run_id: str) -> CheckResult:
    """A result out of the bytes of ``check.json``; see ``read``."""
    where = folder_uri + places.RESULT
    try:
        data = json.loads(content)
        if data["schema"] != places.SCHEMA or data["run_id"] != run_id:
            raise ResultError(
                f"{where}: found schema {data['schema']!r} of run {data['run_id']!r}, expected "
                f"{places.SCHEMA} of {run_id}"
            )
        return CheckResult(
            passed=data["passed"] is True,
            reason=str(data["reason"]),
            started_seconds=data["started_seconds"],
            requests=int(data["requests"]),
            errors=int(data["errors"]),
            p50_milliseconds=data["p50_milliseconds"],
            p99_milliseconds=data["p99_milliseconds"],
            shadow=data["shadow"],
            uri=where,
            report_uri=folder_uri + places.REPORT,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ResultError(f"{where}: no result of a check: {error!r}") from error
