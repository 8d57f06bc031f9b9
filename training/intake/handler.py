"""Lambda: sorts every object version that arrives, records what became of it, wakes the dispatcher.

Every step can be repeated: a message that is delivered twice, late, in another order, or again after a crash
anywhere, ends in the same state. A bad file never stops a good one, and an unexpected error sends back the
message it concerns, no other.

What the function must be allowed, and nothing more:
    data bucket: s3:GetObject, s3:GetObjectVersion and s3:DeleteObjectVersion on incoming/*;
        s3:GetObject and s3:PutObject on accepted/*; s3:PutObject on rejected/* and quarantine/*,
        s3:AbortMultipartUpload on quarantine/*; s3:ListBucket with the prefixes incoming/ and accepted/
    artifacts bucket: s3:GetObject on specs/*; s3:ListBucket with the prefix specs/
    ledger: dynamodb:GetItem, BatchGetItem, Query, PutItem, UpdateItem
    dispatch queue: sqs:SendMessage
    its own queue: sqs:ChangeMessageVisibility, and what an event source mapping needs
"""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from aws_lambda_powertools import Logger

from models.spec import SpecError
from monitoring import metrics
from training import clock
from training.aws import client
from training.intake.arrivals import INCOMING, Arrival, RefusedEventError, read_message
from training.intake.endings import Endings
from training.intake.knowledge import Knowledge
from training.intake.objects import IncompleteError, Objects
from training.intake.retries import hasten
from training.intake.settings import Settings
from training.intake.sorting import Sorter
from training.intake.tasks import LostClaimError, settled
from training.intake.wakes import Wakes
from training.ledger.core import LedgerError
from training.ledger.item import model_of
from training.ledger.records import DEAD, GONE, ObjectRecord
from training.ledger.table import Ledger
from training.words import cut

_log = Logger(service="intake")
_THREADS = 4
_LEAST_SECONDS = 5.0
MAX_CRASHES = 4
_MAX_ERROR = 500
_FRAMES = 4


class OutOfTimeError(Exception):
    """Too little of the function's time is left for another file."""


class GivenUpError(Exception):
    """A file during whose check the function ended again and again."""


@dataclass(frozen=True)
class Message:
    """One message of the batch.

    Attributes:
        id: Its id, the same at each delivery.
        receives: How often it has been delivered, this time included.
        arrival: What it tells of.
    """

    id: str
    receives: int
    arrival: Arrival


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Handle a batch of queue messages.

    Returns:
        The messages to deliver again:
        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    batch = Batch(Settings.load(os.environ, context.invoked_function_arn), context)
    failed = batch.handle(event["Records"])
    batch.hasten(event["Records"])
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


class Batch:
    """Handles the messages of one batch, several at a time."""

    def __init__(self, settings: Settings, context: Any) -> None:
        self._settings = settings
        self._context = context
        s3, account = client("s3"), settings.place.account
        self._ledger = Ledger(client("dynamodb"), settings.ledger_table)
        self._objects = Objects(s3, settings.data_bucket, account)
        self._knowledge = Knowledge(s3, settings.artifacts_bucket, account, self._ledger)
        self._wakes = Wakes(self._ledger, client("sqs"), settings.dispatch_queue_url)
        endings = Endings(self._objects, self._ledger, self._wakes, self._count)
        self._sorter = Sorter(
            self._objects, self._ledger, self._knowledge, self._wakes, endings, self._check_time
        )
        self._lock = Lock()
        self._counts: dict[str, Counter[str]] = {}
        self._failed: list[str] = []
        self._touched: dict[str, list[str]] = {}

    def handle(self, records: Iterable[Mapping[str, Any]]) -> list[str]:
        """The ids of the messages to deliver again."""
        groups: dict[tuple[str, str], list[Message]] = {}
        for record in records:
            message = self._read(record)
            if message:
                version = (message.arrival.key, message.arrival.version_id)
                groups.setdefault(version, []).append(message)
        # A message that comes for the last time goes first, while there is time.
        ordered = sorted(groups.values(), key=lambda group: -max(one.receives for one in group))
        if len(ordered) == 1:
            self._take_group(ordered[0])
        elif ordered:
            with ThreadPoolExecutor(min(_THREADS, len(ordered))) as pool:
                list(pool.map(self._take_group, ordered))
        self._wake()
        for model, counts in self._counts.items():
            metrics.emit(self._settings.prefix, model, counts)
        return self._failed

    def hasten(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Let the failed messages come again before their visibility ends."""
        settings = self._settings
        hasten(client("sqs"), settings.intake_queue_url, records, self._failed, settings.max_receives)

    def _read(self, record: Mapping[str, Any]) -> Message | None:
        name, settings = str(record["messageId"]), self._settings
        try:
            arrival = read_message(
                record, bucket=settings.data_bucket, account=settings.place.account, queue=settings.queue
            )
        except RefusedEventError as error:
            _log.error("refused a message", extra={"message_id": name, "reason": cut(str(error), _MAX_ERROR)})
            self._failed.append(name)
            return None
        receives = record.get("attributes", {}).get("ApproximateReceiveCount", "1")
        return Message(name, int(receives), arrival)

    def _take_group(self, messages: Sequence[Message]) -> None:
        """Handle the messages of one object version, one after the other."""
        for message in messages:
            extra: dict[str, Any] = {"message_id": message.id, "key": message.arrival.key}
            try:
                self._take(message)
            except Exception as error:  # noqa: BLE001 - whatever it is, it concerns this message alone
                extra |= {"error": describe(error), "where": _where(error)}
                _log.error("a message goes back to the queue", extra=extra)
                with self._lock:
                    self._failed.append(message.id)

    def _take(self, message: Message) -> None:
        arrival = message.arrival
        version = arrival.version_id or self._objects.current(arrival.key)
        if version is None and any(record.is_settled for record in self._ledger.object(arrival.key)):
            self._touch(message)
            return
        seconds = max(0, self._context.get_remaining_time_in_millis()) / 1000
        claim = self._ledger.claim(
            ObjectRecord.of(arrival.key, version, owner=message.id, claimed_until=clock.now() + seconds)
        )
        if claim.won:
            self._work(message, claim.record, there=version is not None)
        elif claim.record.is_settled:
            # Handled before, perhaps by a call that ended before its last steps.
            self._sorter.clear(arrival, claim.record.version_id)
            self._touch(message)
        else:
            _log.info("another message works on it", extra={"key": arrival.key})

    def _work(self, message: Message, record: ObjectRecord, *, there: bool) -> None:
        """Bring a claimed version to its end; when that fails, leave word."""
        try:
            if record.crashes >= MAX_CRASHES:
                self._give_up(record)
            self._check_time()
            if there:
                self._sorter.sort(message.arrival, record)
            else:
                gone = settled(record, GONE, reason="it was not there any more; nothing of it was taken")
                self._ledger.settle(gone)
        except LostClaimError:
            _log.info("another message has taken it over", extra={"key": record.key})
        except Exception as error:
            self._leave_word(message, record, error)
            raise
        self._touch(message)

    def _give_up(self, record: ObjectRecord) -> None:
        raise GivenUpError(f"the function ended {record.crashes} times while it worked on this file")

    def _check_time(self) -> None:
        left = self._context.get_remaining_time_in_millis() / 1000
        if left < _LEAST_SECONDS:
            raise OutOfTimeError(f"{left:.0f} seconds are left, at least {_LEAST_SECONDS:.0f} are needed")

    def _leave_word(self, message: Message, record: ObjectRecord, error: Exception) -> None:
        """Give the claim back, or settle the version as dead when its message will not come again."""
        last = message.receives >= self._settings.max_receives or isinstance(error, GivenUpError)
        try:
            if last:
                self._ledger.settle(settled(record, DEAD, reason=describe(error)))
            else:
                self._ledger.give_back(record)
        except Exception as second:  # noqa: BLE001 - the first error counts; the claim runs out by itself
            _log.error("the claim stays", extra={"key": record.key, "error": describe(second)})

    def _touch(self, message: Message) -> None:
        with self._lock:
            self._touched.setdefault(message.arrival.folder, []).append(message.id)

    def _wake(self) -> None:
        """Wake the dispatcher of every model with news; without that, its messages come again."""
        for folder, messages in self._touched.items():
            try:
                spec = self._knowledge.spec(folder) if model_of(f"{INCOMING}{folder}/") == folder else None
                if spec:
                    self._wakes.send(spec)
            except Exception as error:  # noqa: BLE001 - other models go on
                _log.error("no wake message", extra={"model": folder, "error": describe(error)})
                self._failed.extend(messages)

    def _count(self, model: str, values: Mapping[str, float]) -> None:
        with self._lock:
            self._counts.setdefault(model, Counter()).update(values)


# Their texts are ours; the text of any other error may hold a value of the data.
_OWN_ERRORS = (SpecError, LedgerError, IncompleteError, OutOfTimeError, GivenUpError)


def _where(error: Exception) -> list[str]:
    """The last places an error came through; its text may hold values, its places do not."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


def describe(error: Exception) -> str:
    """An error without values of the data: what kind, and where AWS said it."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        operation = getattr(error, "operation_name", "a call")
        return f"{operation}: {response.get('Error', {}).get('Code', 'unknown')}"
    name = type(error).__name__
    if isinstance(error, _OWN_ERRORS):
        return cut(f"{name}: {error}", _MAX_ERROR)
    if isinstance(error, OSError):
        return f"{name}: {error.strerror}"
    return name
