"""Rules of SQS.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html,
…API_ReceiveMessage.html,
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.rules.rule import Broken, Params, Rule

_QUEUE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")
_QUEUE_ATTRIBUTES = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}
_MESSAGE_LIMITS = {
    "DelaySeconds": (0, 900),
    "MaxNumberOfMessages": (1, 10),
    "VisibilityTimeout": (0, 43_200),
    "WaitTimeSeconds": (0, 20),
}
_MAX_RECEIVES = 1000


def _create_queue(params: Params) -> Broken:
    if not _QUEUE_NAME.fullmatch(str(params.get("QueueName", ""))):
        return (
            "InvalidParameterValue",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        )
    return _queue_attributes(params)


def _queue_attributes(params: Params) -> Broken:
    attributes = params.get("Attributes") or {}
    for name, (low, high) in _QUEUE_ATTRIBUTES.items():
        value = attributes.get(name)
        if value is not None and not _within(value, low, high):
            return "InvalidAttributeValue", f"Invalid value for the parameter {name}."
    return _redrive(attributes.get("RedrivePolicy"))


def _redrive(policy: str | None) -> Broken:
    if not policy:
        return None
    try:
        receives = json.loads(policy)["maxReceiveCount"]
    except (ValueError, KeyError, TypeError):
        receives = None
    if receives is not None and _within(receives, 1, _MAX_RECEIVES):
        return None
    return (
        "InvalidParameterValue",
        (
            f"Value {policy} for parameter RedrivePolicy is invalid. Reason: Invalid value for "
            f"maxReceiveCount: {receives}, valid values are from 1 to {_MAX_RECEIVES} both inclusive."
        ),
    )


def _messages(params: Params) -> Broken:
    for name, (low, high) in _MESSAGE_LIMITS.items():
        value = params.get(name)
        if value is not None and not _within(value, low, high):
            return (
                "InvalidParameterValue",
                (
                    f"Value {value} for parameter {name} is invalid. "
                    f"Reason: Must be between {low} and {high}, if provided."
                ),
            )
    return None


def _batch(code: str) -> Callable[[Params], Broken]:
    def rule(params: Params) -> Broken:
        entries = params.get("Entries") or []
        if not entries:
            return f"{code}.EmptyBatchRequest", "There should be at least one entry in the request."
        if len(entries) > 10:
            return (
                f"{code}.TooManyEntriesInBatchRequest",
                f"Maximum number of entries per request are 10. You have sent {len(entries)}.",
            )
        return None

    return rule


def _within(value: Any, low: int, high: int) -> bool:
    try:
        return low <= int(value) <= high
    except (ValueError, TypeError):
        return False


RULES: Mapping[str, Rule] = {
    "CreateQueue": _create_queue,
    "SetQueueAttributes": _queue_attributes,
    "SendMessage": _messages,
    "ReceiveMessage": _messages,
    "ChangeMessageVisibility": _messages,
    "SendMessageBatch": _batch("AWS.SimpleQueueService"),
    "DeleteMessageBatch": _batch("AWS.SimpleQueueService"),
}
