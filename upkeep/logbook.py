"""Log lines from CloudWatch Logs."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from upkeep.errors import UpkeepError
from upkeep.render import iso
from upkeep.runs import Clients

TRAINING_GROUP = "/aws/sagemaker/TrainingJobs"
PROCESSING_GROUP = "/aws/sagemaker/ProcessingJobs"
ENDPOINT_GROUP = "/aws/sagemaker/Endpoints/"
FUNCTION_GROUP = "/aws/lambda/"
_REMEMBERED = 5000
_LOOK_BACK = (timedelta(hours=1), timedelta(days=1), timedelta(days=7))


@dataclass(frozen=True)
class Line:
    """One log line: when, from which stream, what."""

    at: datetime
    stream: str
    message: str
    id: str = ""

    def to_json(self) -> dict[str, Any]:
        """The line as `--json` prints it, one object per line."""
        return {"at": iso(self.at), "stream": self.stream, "message": self.message}


@dataclass(frozen=True)
class Entry:
    """What a line says: its words, its level, and the last line of its traceback."""

    message: str
    level: str = ""
    error: str = ""


@dataclass(frozen=True)
class Place:
    """Where log lines are: a group, and what the names of its streams begin with."""

    group: str
    streams: str = ""

    def __str__(self) -> str:
        return f"{self.group} {self.streams}".strip()


def read(context: Clients, place: Place, last: int, since: datetime | None = None) -> list[Line]:
    """The last lines of a place, oldest first.

    CloudWatch Logs reads forwards only. So that months of an endpoint's log are not read for its last lines,
    ever longer times before now are asked for until there are enough.

    Raises:
        UpkeepError: The log group does not exist: nothing has been written yet, or the name is wrong.
    """
    if since is not None or place.streams:
        return _read(context, place, last, since)
    for before in _LOOK_BACK:
        lines = _read(context, place, last, datetime.now(UTC) - before)
        if len(lines) >= last:
            return lines
    return _read(context, place, last, None)


def _read(context: Clients, place: Place, last: int, since: datetime | None) -> list[Line]:
    logs = context.client("logs")
    arguments: dict[str, Any] = {"logGroupName": place.group}
    if place.streams:
        arguments["logStreamNamePrefix"] = place.streams
    if since is not None:
        arguments["startTime"] = int(since.timestamp() * 1000)
    lines: deque[Line] = deque(maxlen=last)
    try:
        for page in logs.get_paginator("filter_log_events").paginate(**arguments):
            lines.extend(_line(event) for event in page["events"])
    except logs.exceptions.ResourceNotFoundException as error:
        raise UpkeepError(f"No logs at {place} yet: the log group does not exist.") from error
    return sorted(lines, key=lambda line: line.at)


def follow(
    context: Clients,
    place: Place,
    last: int,
    poll_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Line]:
    """The last lines of a place, then every new one, until the caller stops."""
    before = read(context, place, last)
    yield from before
    seen = deque(before, maxlen=_REMEMBERED)
    since = before[-1].at if before else None
    while True:
        sleep(poll_seconds)
        for line in read(context, place, _REMEMBERED, since):
            if line not in seen:
                seen.append(line)
                since = max(since or line.at, line.at)
                yield line


def readable(message: str) -> Entry:
    """A line for people: of the JSON that functions write, the level, the message and the error."""
    try:
        data = json.loads(message)
    except ValueError:
        return Entry(message)
    if isinstance(data, dict) and "_aws" in data:
        return _metrics(data)
    if not isinstance(data, dict) or not isinstance(data.get("message"), str):
        return Entry(message)
    extra = {name: value for name, value in data.items() if name not in _ROUTINE}
    said = " ".join([data["message"], *(f"{name}={_short(value)}" for name, value in extra.items())])
    error = str(data.get("exception") or "").strip().rpartition("\n")[2]
    return Entry(said, str(data.get("level") or ""), error)


_ROUTINE = {
    "level", "location", "message", "timestamp", "service", "exception", "exception_name", "stack_trace",
    "function_name", "function_memory_size", "function_arn", "function_request_id", "cold_start",
    "xray_trace_id",
}  # fmt: skip


def _metrics(data: dict[str, Any]) -> Entry:
    """What a line in the embedded metric format counts.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format.html
    """
    values = {name: value for name, value in data.items() if name != "_aws"}
    said = (
        f"{name}={_short(value[0] if isinstance(value, list) and len(value) == 1 else value)}"
        for name, value in values.items()
    )
    return Entry(" ".join(said), "METRICS")


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _line(event: dict[str, Any]) -> Line:
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    return Line(
        at, event.get("logStreamName", ""), event["message"].rstrip("\n"), str(event.get("eventId", ""))
    )
