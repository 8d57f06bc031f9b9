"""Reads what comes as a stream again when the stream breaks off.

boto3 repeats a call that fails, not the reading of a body that has begun to arrive:
https://docs.aws.amazon.com/boto3/latest/guide/retries.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from training import clock

Found = TypeVar("Found")

ATTEMPTS = 3
_PAUSE_SECONDS = 1.0


def steadily(read: Callable[[], Found]) -> Found:
    """What a function makes of a stream that it opens itself; three attempts, each from the beginning."""
    from botocore.exceptions import BotoCoreError

    for attempt in range(1, ATTEMPTS):
        try:
            return read()
        except BotoCoreError:
            clock.sleep(_PAUSE_SECONDS * attempt)
    return read()
