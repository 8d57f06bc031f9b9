"""What EventBridge cannot deliver goes to the target's dead-letter queue, which MiniStack takes and ignores.

Targets that are gone, or may not be reached, are not tried again:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
"""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

from sandbox.seam.internals import ministack

NO_PERMISSIONS, NO_RESOURCE = "NO_PERMISSIONS", "NO_RESOURCE"


@dataclass(frozen=True)
class Failure:
    """Why an event was not delivered, as the message in the queue says it."""

    code: str
    reason: str


def missing(arn: str) -> Failure | None:
    """A failure when a target is not there. Call in the account's scope."""
    lookup = {
        "sqs": lambda: ministack("services.sqs")._queue_by_arn(arn),
        "sns": lambda: ministack("services.sns")._topic_by_arn_any_scope(arn),
        "lambda": lambda: ministack("services.lambda_svc")._functions.get(_function(arn)),
        "states": lambda: ministack("services.stepfunctions")._resolve_state_machine_arn(arn),
    }.get(arn.split(":")[2] if arn.count(":") >= 5 else "")
    if lookup is None or lookup() is not None:
        return None
    return Failure(NO_RESOURCE, f"The specified target does not exist: {arn}")


def _function(arn: str) -> str:
    return arn.rpartition(":function:")[2].partition(":")[0]


def put(queue_arn: str, event: dict[str, Any], rule_arn: str, target_arn: str, failure: Failure) -> bool:
    """Put an event into a dead-letter queue, with what AWS says about it; False when there is no such."""
    sqs = ministack("services.sqs")
    queue = sqs._queue_by_arn(queue_arn)
    if queue is None:
        return False
    said = {
        "RULE_ARN": rule_arn,
        "TARGET_ARN": target_arn,
        "ERROR_CODE": failure.code,
        "ERROR_MESSAGE": failure.reason,
        "RETRY_ATTEMPTS": "0",
    }
    now = time.time()
    message = {
        "id": str(uuid.uuid4()),
        "body": json.dumps(event),
        "sent_at": now,
        "visible_at": now + sqs.queue_delay(queue),
        "message_attributes": {
            name: {"DataType": "String", "StringValue": text} for name, text in said.items()
        },
    }
    sqs._ensure_msg_fields(message)
    queue["messages"].append(message)
    return True
