"""Finds files below ``incoming/`` that no message tells of any more, and tells the intake of them again.

An event may be lost, a message may expire, a function may die between its last step and its answer. What lies
below ``incoming/`` for long and is in nobody's hands is handed to the intake as if it had just arrived; doing
that twice is harmless, because the intake handles each version of an object once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from training import clock
from training.aws import client
from training.dispatch.settings import Settings
from training.ledger.records import CLAIMED, DEAD, GONE, IGNORED, ObjectRecord
from training.ledger.table import Ledger

_log = Logger(service="dispatch", child=True)
OLD_SECONDS = 15 * 60
# A file that the ledger knows is told of at 15 minutes of age, at 30, at an hour and so on, so that one that
# no call can handle does not come twelve times an hour for ever. A turn is two sweeps long.
TURN_SECONDS = 10 * 60
DAY_SECONDS = 24 * 3600
MAX_MESSAGES = 1000
# Listed per sweep; the next one begins at the start again, by when the intake has taken the first away. What
# people have withdrawn stays for a while, and must not keep the sweep from what comes behind it.
MAX_VERSIONS = 50_000
_BATCH = 10  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
_PARALLEL = 8
# Nothing more is to be done with them by itself; dead ones are people's, see `upkeep replay`.
_LEFT_ALONE = (IGNORED, GONE, DEAD)


class SweepError(Exception):
    """Messages that the queue did not take."""


@dataclass(frozen=True)
class Found:
    """One version of an object that lies below ``incoming/``, and since when."""

    key: str
    version_id: str
    size: int
    etag: str
    age_seconds: float


def sweep(settings: Settings, ledger: Ledger) -> int:
    """Tell the intake of everything that was overlooked.

    Returns:
        How many messages were sent; at most ``MAX_MESSAGES``, the next sweep goes on.

    Raises:
        SweepError: The queue did not take some; the next sweep tries again.
    """
    sent = 0
    with ThreadPoolExecutor(_PARALLEL) as pool:
        for page in _old_versions(settings):
            records = pool.map(lambda found: ledger.version(found.key, found.version_id), page)
            pairs = zip(page, records, strict=True)
            overlooked = [found for found, record in pairs if _is_to_be_told(found, record)]
            overlooked = overlooked[: MAX_MESSAGES - sent]
            _tell(settings, overlooked)
            sent += len(overlooked)
            if sent >= MAX_MESSAGES:
                break
    if sent:
        _log.warning("files were overlooked; the intake is told again", extra={"files": sent})
    return sent


def is_overlooked(record: ObjectRecord | None, now: float) -> bool:
    """Whether nobody works on an object that should not lie there any more."""
    if record is None:
        return True
    if record.state == CLAIMED:
        return record.claimed_until <= now
    return record.state not in _LEFT_ALONE  # settled, but its removal was lost


def is_due(age_seconds: float) -> bool:
    """Whether it is the turn of an object of this age to be told of, if the ledger knows it."""
    if age_seconds < OLD_SECONDS:
        return False
    turn: float = OLD_SECONDS * 2.0 ** math.floor(math.log2(age_seconds / OLD_SECONDS))
    return age_seconds < turn + TURN_SECONDS


def is_looked_up(age_seconds: float) -> bool:
    """Whether the ledger is asked about an object of this age.

    In its first day at every sweep: of one that it does not know, no message has come, and the intake is told
    at once. After that at its turns and once a day, because what people have withdrawn stays for long.
    """
    if age_seconds < OLD_SECONDS:
        return False
    return age_seconds < DAY_SECONDS or age_seconds % DAY_SECONDS < TURN_SECONDS or is_due(age_seconds)


def _is_to_be_told(found: Found, record: ObjectRecord | None) -> bool:
    return is_overlooked(record, clock.now()) and (record is None or is_due(found.age_seconds))


def event(settings: Settings, found: Found) -> dict[str, Any]:
    """The event that S3 sends of an upload, as far as the intake reads it.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """
    place, bucket = settings.place, settings.data_bucket
    return {
        "version": "0",
        "id": f"sweep-{found.version_id}",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": place.account,
        "time": datetime.fromtimestamp(clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": place.region,
        "resources": [f"arn:{place.partition}:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {
                "key": found.key,
                "size": found.size,
                "etag": found.etag.strip('"'),
                "version-id": found.version_id,
            },
            "reason": "Sweep",
        },
    }


def _old_versions(settings: Settings) -> Iterator[list[Found]]:
    """Pages of versions that lie there for long; overwritten ones are data too."""
    pages = (
        client("s3")
        .get_paginator("list_object_versions")
        .paginate(
            Bucket=settings.data_bucket,
            Prefix="incoming/",
            ExpectedBucketOwner=settings.place.account,
            PaginationConfig={"MaxItems": MAX_VERSIONS},
        )
    )
    now = clock.now()
    for page in pages:
        found = [
            Found(
                one["Key"],
                one["VersionId"],
                one["Size"],
                one["ETag"],
                now - one["LastModified"].timestamp(),
            )
            for one in page.get("Versions", [])
        ]
        yield [one for one in found if is_looked_up(one.age_seconds)]


def _tell(settings: Settings, overlooked: list[Found]) -> None:
    for begin in range(0, len(overlooked), _BATCH):
        batch = overlooked[begin : begin + _BATCH]
        entries: list[Mapping[str, str]] = [
            {"Id": str(place), "MessageBody": json.dumps(event(settings, found))}
            for place, found in enumerate(batch)
        ]
        answer = client("sqs").send_message_batch(QueueUrl=settings.intake_queue_url, Entries=entries)
        failed = answer.get("Failed", [])
        if failed:
            raise SweepError(f"{settings.intake_queue_url}: took not {len(failed)} messages: {failed[0]}")
