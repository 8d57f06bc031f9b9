"""State-change events on their way to EventBridge, in order, on one thread of their own.

A rule's target may call SageMaker again, so nothing is delivered from inside an operation.
Details follow "Events that Amazon SageMaker AI sends to Amazon EventBridge"
(https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html): times of jobs
and endpoints are epoch milliseconds, tags a map, and an endpoint's status is in capitals (IN_SERVICE).
"""

from __future__ import annotations

import logging
import queue
import re
import threading
from typing import TYPE_CHECKING, Any

from sandbox.sagemaker.shapes import service_model

if TYPE_CHECKING:
    from sandbox.sagemaker.platform import Platform

_log = logging.getLogger(__name__)

TRAINING_JOB = "SageMaker Training Job State Change"
PROCESSING_JOB = "SageMaker Processing Job State Change"
ENDPOINT = "SageMaker Endpoint State Change"
ENDPOINT_DEPLOYMENT = "SageMaker Endpoint Deployment State Change"
MODEL = "SageMaker Model State Change"
MODEL_PACKAGE = "SageMaker Model Package State Change"

_Item = tuple[str, dict[str, Any], str] | threading.Event | None


class Outbox:
    """Delivers events one after the other. A failed delivery is logged and does not hold back the next."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sagemaker-events", daemon=True)
        self._thread.start()

    def emit(self, detail_type: str, detail: dict[str, Any], arn: str) -> None:
        """Queue one event about the resource `arn`."""
        self._queue.put((detail_type, detail, arn))

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Wait until everything queued so far is delivered; False when that took too long."""
        done = threading.Event()
        self._queue.put(done)
        return done.wait(timeout_seconds)

    def close(self) -> None:
        """Deliver what is queued and end the thread."""
        self._queue.put(None)
        self._thread.join(5.0)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            detail_type, detail, arn = item
            try:
                self._platform.put_event(detail_type, detail, [arn])
            except Exception:  # noqa: BLE001 - one lost event must not hold back the next
                _log.exception("event %s of %s was not delivered", detail_type, arn)


def describe_detail(operation: str, answer: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    """An event's detail from a Describe answer: times in milliseconds, tags as a map."""
    shape = service_model().operation_model(operation).output_shape
    detail: dict[str, Any] = _milliseconds(shape, answer)
    return {**detail, "Tags": dict(tags)}


def capitals(status: str) -> str:
    """InService as IN_SERVICE, the form of an endpoint's status in events."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", status).upper()


def _milliseconds(shape: Any, value: Any) -> Any:
    kind = shape.type_name
    if kind == "structure":
        return {key: _milliseconds(shape.members[key], item) for key, item in value.items()}
    if kind == "list":
        return [_milliseconds(shape.member, item) for item in value]
    if kind == "map":
        return {key: _milliseconds(shape.value, item) for key, item in value.items()}
    if kind == "timestamp":
        return round(value * 1000)
    return value
