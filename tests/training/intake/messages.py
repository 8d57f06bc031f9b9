"""Messages of the intake queue, and what the function answers and sends."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from tests.training.lambdas import ACCOUNT, DATA, ENVIRONMENT, PREFIX, REGION, Store
from tests.training.lambdas import CONTEXT as CONTEXT
from training.aws import client
from training.intake import handler

_SENDING = "provide-client-params.sqs.SendMessage"


def message(
    key: str, version: str = "", number: object = 1, receives: int = 1, **changes: Any
) -> dict[str, Any]:
    """A record of the Lambda event: SQS around EventBridge around S3."""
    told: dict[str, Any] = {"key": key, "size": 999} | ({"version-id": version} if version else {})
    event = {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "account": ACCOUNT,
        "detail": {"bucket": {"name": DATA}, "object": told},
    } | changes
    return {
        "messageId": str(number),
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{PREFIX}-intake",
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "body": json.dumps(event),
    }


def deliver(*messages: dict[str, Any], seconds: float = 600) -> list[str]:
    """Call the function; the messages it wants again."""
    context = SimpleNamespace(
        **{**vars(CONTEXT), "get_remaining_time_in_millis": lambda: int(seconds * 1000)}
    )
    result = handler.handler({"Records": list(messages)}, context)
    return [item["itemIdentifier"] for item in result["batchItemFailures"]]


def push(store: Store, key: str, content: str | bytes) -> tuple[str, list[str]]:
    """Upload a file and deliver its message; the version and what is wanted again."""
    version = store.put(key, content)
    return version, deliver(message(key, version, version))


class Wakes:
    """Records the messages sent to the dispatcher; moto hides those that are delayed."""

    def __init__(self) -> None:
        self._sent: list[tuple[dict[str, Any], int]] = []
        client("sqs").meta.events.register(_SENDING, self._record)

    def _record(self, params: dict[str, Any], **_: object) -> None:
        if params["QueueUrl"] == ENVIRONMENT["DISPATCH_QUEUE_URL"]:
            self._sent.append((json.loads(params["MessageBody"]), params["DelaySeconds"]))

    def close(self) -> None:
        client("sqs").meta.events.unregister(_SENDING, self._record)

    def __call__(self) -> list[tuple[dict[str, Any], int]]:
        """Bodies and delays of all so far."""
        return list(self._sent)
