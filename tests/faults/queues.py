"""SQS standard queues in memory: delays, visibility, receive counts, dead letters; SNS as a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.account import ACCOUNT, REGION, Clock, RefusedError

MAX_DELAY_SECONDS = 900


@dataclass
class Message:
    """One message.

    Attributes:
        visible_at: From when it can be received.
        receives: How often it has been.
    """

    message_id: str
    body: str
    sent_at: float
    visible_at: float
    receives: int = 0


@dataclass
class Queue:
    """A queue.

    Attributes:
        dead: Where a message goes that was received too often.
        all: Every message ever sent to it, for the checker.
    """

    name: str
    visibility_seconds: float
    max_receives: int = 0
    dead: Queue | None = None
    messages: list[Message] = field(default_factory=list)
    all: dict[str, Message] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{self.name}"

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name}"

    def add(self, message: Message) -> None:
        """Put a message into the queue."""
        self.messages.append(message)
        self.all[message.message_id] = message

    def receive(self, message: Message, now: float) -> bool:
        """Hand out a message; False when it went to the dead letters instead."""
        message.receives += 1
        if self.dead is not None and message.receives > self.max_receives:
            self.messages.remove(message)
            self.dead.add(message)
            return False
        message.visible_at = now + self.visibility_seconds
        return True

    def record(self, message: Message) -> dict[str, Any]:
        """The message as a Lambda event has it."""
        return {
            "messageId": message.message_id,
            "receiptHandle": f"{message.message_id}-{message.receives}",
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": str(message.receives),
                "SentTimestamp": str(int(message.sent_at * 1000)),
                "SenderId": "AIDAEXAMPLE",
                "ApproximateFirstReceiveTimestamp": str(int(message.sent_at * 1000)),
            },
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": self.arn,
            "awsRegion": REGION,
        }


class SQS:
    """All queues.

    Attributes:
        sent: Called with queue and message after each was sent by a function.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.queues: dict[str, Queue] = {}
        self.sent: Callable[[Queue, Message], None] = lambda queue, message: queue.add(message)
        self._count = 0

    def message(self, body: str, delay_seconds: float = 0.0) -> Message:
        """A new message, in no queue yet."""
        self._count += 1
        now = self._clock.now
        return Message(f"m{self._count:05d}", body, now, now + delay_seconds)

    def perform(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a call."""
        queue = self.queues.get(params["QueueUrl"])
        if queue is None:
            raise RefusedError("AWS.SimpleQueueService.NonExistentQueue", 400)
        if operation == "SendMessage":
            return {"MessageId": self._send(queue, params), "MD5OfMessageBody": ""}
        if operation == "SendMessageBatch":
            if len(params["Entries"]) > 10:
                raise RefusedError("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", 400)
            done = [
                {"Id": entry["Id"], "MessageId": self._send(queue, entry), "MD5OfMessageBody": ""}
                for entry in params["Entries"]
            ]
            return {"Successful": done, "Failed": []}
        if operation == "GetQueueAttributes":
            return {"Attributes": {"ApproximateNumberOfMessages": str(len(queue.messages))}}
        if operation == "ReceiveMessage":
            return self._receive(queue, params)
        if operation == "DeleteMessage":
            gone = params["ReceiptHandle"].partition("-")[0]
            queue.messages = [message for message in queue.messages if message.message_id != gone]
            return {}
        if operation == "ChangeMessageVisibility":
            held = params["ReceiptHandle"].partition("-")[0]
            for message in queue.messages:
                if message.message_id == held:
                    message.visible_at = self._clock.now + params["VisibilityTimeout"]
            return {}
        raise NotImplementedError(operation)

    def _send(self, queue: Queue, params: Mapping[str, Any]) -> str:
        delay = params.get("DelaySeconds", 0)
        if not 0 <= delay <= MAX_DELAY_SECONDS:
            raise RefusedError(
                "InvalidParameterValue", 400, f"Value {delay} for parameter DelaySeconds is invalid"
            )
        message = self.message(params["MessageBody"], delay)
        self.sent(queue, message)
        return message.message_id

    def _receive(self, queue: Queue, params: Mapping[str, Any]) -> dict[str, Any]:
        ready = [message for message in queue.messages if message.visible_at <= self._clock.now]
        found = []
        for message in ready[: params.get("MaxNumberOfMessages", 1)]:
            if queue.receive(message, self._clock.now):
                record = queue.record(message)
                found.append(
                    {
                        "MessageId": message.message_id,
                        "ReceiptHandle": record["receiptHandle"],
                        "Body": message.body,
                        "Attributes": record["attributes"],
                    }
                )
        return {"Messages": found} if found else {}


class SNS:
    """Topics whose messages are kept.

    Attributes:
        published: (time, subject, message), in order.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.published: list[tuple[float, str, str]] = []

    def perform(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a call."""
        if operation != "Publish":
            raise NotImplementedError(operation)
        subject = params.get("Subject", "")
        # https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
        if len(subject) > 100 or not subject.isascii() or "\n" in subject:
            raise RefusedError("InvalidParameter", 400, "Invalid parameter: Subject")
        if len(params["Message"].encode()) > 262_144:
            raise RefusedError("InvalidParameter", 400, "Invalid parameter: Message too long")
        self.published.append((self._clock.now, subject, params["Message"]))
        return {"MessageId": str(len(self.published))}
