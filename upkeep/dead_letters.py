"""Messages that were tried too often and given up, of the intake's queue and of the dispatcher's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from upkeep.outputs import StackOutputs
from upkeep.runs import Clients

INTAKE, DISPATCH = "intake", "dispatch"
OBJECT, WAKE, EVENT, UNREADABLE = "object", "wake", "event", "unreadable"
INCOMING = "incoming/"

# How long nobody else sees a message that was taken to look at; it is put back as soon as it was looked at.
VISIBILITY_SECONDS = 120
# Any wait at all asks every server of the queue, so that an empty answer means an empty queue:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
WAIT_SECONDS = 1
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
_BATCH = 10
_DISPATCH_EVENTS = ("Step Functions Execution Status Change", "Scheduled Event")
_WHY = ("arrival", "forced", "again", "release")


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A queue and where its given-up messages go."""

    name: str
    url: str
    dead_url: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a message is about.

    Attributes:
        kind: `object` (a file that arrived), `wake` (of a model), `event` (of EventBridge) or `unreadable`.
        model: The model it concerns, when it says so.
        key: The object.
        version_id: Its version, when the message names one.
        text: The same for people; of an unreadable one, why it is.
    """

    kind: str
    text: str
    model: str = ""
    key: str = ""
    version_id: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """Messages with one identity ask for the same; unreadable ones are told apart by their text."""
        return (self.kind, self.model, self.key, self.version_id, self.text)


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """One message of a dead-letter queue, as it was received."""

    queue: Queue
    message_id: str
    receipt: str = field(repr=False)
    body: str
    sent_at: datetime | None
    attributes: Mapping[str, Any] = field(default_factory=dict)


def queues(outputs: StackOutputs) -> list[Queue]:
    """The stack's queues that have dead letters."""
    found = [
        Queue(name=INTAKE, url=outputs.intake_queue_url, dead_url=outputs.intake_dead_letters_url),
        Queue(name=DISPATCH, url=outputs.dispatch_queue_url, dead_url=outputs.dispatch_dead_letters_url),
    ]
    return [queue for queue in found if queue.dead_url]


def receive(context: Clients, queue: Queue, wait_seconds: int = WAIT_SECONDS) -> Iterator[DeadLetter]:
    """Each message once, until the queue gives no more; the caller deletes it or puts it back."""
    sqs = context.client("sqs")
    seen: set[str] = set()
    while True:
        answer = sqs.receive_message(
            QueueUrl=queue.dead_url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=VISIBILITY_SECONDS,
            WaitTimeSeconds=wait_seconds,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        fresh = [item for item in answer.get("Messages", []) if item["MessageId"] not in seen]
        if not fresh:
            return
        for item in fresh:
            seen.add(item["MessageId"])
            yield _letter(queue, item)


def put_back(context: Clients, letter: DeadLetter) -> None:
    """Let others see a received message again at once.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
    """
    context.client("sqs").change_message_visibility(
        QueueUrl=letter.queue.dead_url, ReceiptHandle=letter.receipt, VisibilityTimeout=0
    )


def peek(context: Clients, queue: Queue, most: int, wait_seconds: int = WAIT_SECONDS) -> list[DeadLetter]:
    """The messages of a dead-letter queue, which all stay in it."""
    found: list[DeadLetter] = []
    try:
        for letter in receive(context, queue, wait_seconds):
            found.append(letter)
            if len(found) >= most:
                break
    finally:
        for letter in found:
            put_back(context, letter)
    return found


def subject(letter: DeadLetter, outputs: StackOutputs) -> Subject:
    """What a message is about; nothing in it is believed that does not fit this stack."""
    try:
        said = json.loads(letter.body)
    except ValueError:
        return Subject(kind=UNREADABLE, text=f"no JSON: {letter.body[:60]!r}")
    if not isinstance(said, dict):
        return Subject(kind=UNREADABLE, text=f"no JSON object: {letter.body[:60]!r}")
    return _of_intake(said, outputs) if letter.queue.name == INTAKE else _of_dispatch(said, outputs)


def _of_intake(said: Mapping[str, Any], outputs: StackOutputs) -> Subject:
    detail = _mapping(said.get("detail"))
    bucket = _mapping(detail.get("bucket")).get("name")
    found = _mapping(detail.get("object"))
    key = found.get("key")
    wrong = [
        f"{name}: found {value!r:.60}, expected {expected!r}"
        for name, value, expected in (
            ("source", said.get("source"), "aws.s3"),
            ("detail-type", said.get("detail-type"), "Object Created"),
            ("bucket", bucket, outputs.data_bucket),
        )
        if value != expected
    ]
    if not isinstance(key, str) or not key.startswith(INCOMING):
        wrong.append(f"key: found {key!r:.60}, expected one below {INCOMING}")
    if wrong:
        return Subject(kind=UNREADABLE, text="no event of this stack's data bucket: " + "; ".join(wrong))
    key, version_id = str(key), str(found.get("version-id") or "")
    folder, slash, _ = key.removeprefix(INCOMING).partition("/")
    return Subject(kind=OBJECT, text=key, model=folder if slash else "", key=key, version_id=version_id)


def _of_dispatch(said: Mapping[str, Any], outputs: StackOutputs) -> Subject:
    model, why = said.get("model"), said.get("why")
    if isinstance(model, str) and isinstance(why, str):
        if model not in outputs.models:
            known = ", ".join(sorted(outputs.models)) or "none"
            return Subject(kind=UNREADABLE, text=f"model: found {model!r:.60}, deployed: {known}")
        if why not in _WHY:
            return Subject(kind=UNREADABLE, text=f"why: found {why!r:.60}, expected one of {', '.join(_WHY)}")
        return Subject(kind=WAKE, text=f"{model}: {why}", model=model)
    if (kind := said.get("detail-type")) not in _DISPATCH_EVENTS:
        return Subject(kind=UNREADABLE, text=f"neither a wake of a model nor an event: {sorted(said)!r:.80}")
    execution = _mapping(said.get("detail")).get("executionArn")
    return Subject(kind=EVENT, text=f"{kind} {execution or ''}".strip())


def _letter(queue: Queue, item: Mapping[str, Any]) -> DeadLetter:
    sent = item.get("Attributes", {}).get("SentTimestamp")
    return DeadLetter(
        queue=queue,
        message_id=item["MessageId"],
        receipt=item["ReceiptHandle"],
        body=item.get("Body", ""),
        sent_at=None if sent is None else datetime.fromtimestamp(int(sent) / 1000, UTC),
        attributes=item.get("MessageAttributes") or {},
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
