"""When messages that failed come again: soon at first, then ever later, so that an outage is outlived.

Without this a message comes again when its visibility ends, which the function's own timeout makes long.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aws_lambda_powertools import Logger

from training.aws import code

_log = Logger(service="intake", child=True)
FIRST_SECONDS = 60
FACTOR = 5
# What the queue does by itself: its visibility, six times the function's timeout.
LONGEST_SECONDS = 5400


def delay_seconds(receives: int, max_receives: int) -> int:
    """How long a message rests after a failure; none after the last, so that it is given up at once.

    Args:
        receives: How often it has been delivered, this time included.
        max_receives: How often it is delivered before it becomes a dead letter.
    """
    if receives >= max_receives:
        return 0
    # Beyond a few steps the power is out of all proportion.
    return min(FIRST_SECONDS * int(FACTOR ** min(receives - 1, 9)), LONGEST_SECONDS)


def hasten(
    sqs: Any, queue_url: str, records: Iterable[Mapping[str, Any]], failed: Iterable[str], max_receives: int
) -> None:
    """Say when each failed message comes again; where that fails, its visibility ends by itself.

    Args:
        sqs: Client.
        queue_url: The queue the records come from.
        records: Of the Lambda event.
        failed: Ids of those to deliver again.
        max_receives: As in `delay_seconds`.
    """
    wanted = set(failed)
    for record in records:
        if record["messageId"] not in wanted:
            continue
        receives = int(record.get("attributes", {}).get("ApproximateReceiveCount", "1"))
        try:
            sqs.change_message_visibility(
                QueueUrl=queue_url,
                ReceiptHandle=record["receiptHandle"],
                VisibilityTimeout=delay_seconds(receives, max_receives),
            )
        except Exception as error:  # noqa: BLE001 - it comes again in any case, only later
            _log.warning("a message comes again late", extra={"error": code(error) or type(error).__name__})
