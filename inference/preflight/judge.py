"""Whether a challenger passes: one sentence says why not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inference.preflight import answers
from inference.preflight.answers import AnswerError
from inference.preflight.measure import Latency
from inference.preflight.recorded import Recorded
from inference.preflight.server import Reply

SAMPLE = "sample.json"
# The same rows in another process of the same image give the same numbers.
TOLERANCE = 1e-6


class RefusedError(Exception):
    """The challenger does not pass; the text says why."""


def counted(before: Sequence[Reply] | None, count: int) -> list[bool]:
    """Which requests must be answered: those that what serves now answers, or all when that is not known."""
    if before is None:
        return [True] * count
    return [reply.status == 200 for reply in before] + [True] * (count - len(before))


def failures(replies: Sequence[Reply], must: Sequence[bool]) -> list[Reply]:
    """Replies that should have been 200 and are not."""
    return [reply for reply, wanted in zip(replies, must, strict=False) if wanted and reply.status != 200]


def check_answers(
    replies: Sequence[Reply], burst: Sequence[Reply], before: Sequence[Reply] | None, must: Sequence[bool]
) -> None:
    """Every request is answered, readably, with a number for every row.

    Args:
        replies: To the requests one after the other.
        burst: To several at the same moment.
        before: What serves now answers to the same requests; None when that is not known.
        must: Which requests have to be answered.

    Raises:
        RefusedError: Says how many are not, and what the first one was answered.
    """
    if bad := failures(replies, must):
        asked = sum(must[: len(replies)])
        raise RefusedError(
            f"{len(bad)} of {asked} requests are not answered with 200 any more; the first: {bad[0].words}"
        )
    for number, reply in enumerate(replies):
        if reply.status != 200:
            continue
        try:
            found = answers.read(reply)
        except AnswerError as error:
            raise RefusedError(f"request {number + 1}: {error}") from error
        expected = _count(before[number]) if before is not None else None
        if expected is not None and len(found) != expected:
            raise RefusedError(
                f"request {number + 1}: {len(found)} predictions are answered, {expected} by what serves now"
            )
    if lost := [reply for reply in burst if reply.status == 0 or reply.status >= 500]:
        raise RefusedError(
            f"{len(lost)} of {len(burst)} requests fail when several come at the same moment; the first: "
            f"{lost[0].words}"
        )


def _count(reply: Reply) -> int | None:
    try:
        return len(answers.read(reply)) if reply.status == 200 else None
    except AnswerError:
        return None  # what serves now is not on trial


def check_latency(found: Latency | None, limit_milliseconds: float) -> None:
    """99 of 100 single rows are answered in time.

    Raises:
        RefusedError: With the time and the limit.
    """
    if found is not None and found.p99_milliseconds > limit_milliseconds:
        raise RefusedError(
            f"99 of 100 single rows take up to {found.p99_milliseconds:.1f} ms, allowed are "
            f"{limit_milliseconds:g} ms (gate.max_latency_milliseconds)"
        )


def sample_request(model: Path) -> tuple[Recorded, list[dict[str, Any]]] | None:
    """The rows its training kept, as a request, and the answers expected; None when there are none."""
    try:
        data = json.loads((model / SAMPLE).read_text(encoding="utf-8"))
        rows, expected = data["instances"], data["predictions"]
        if not rows or len(rows) != len(expected):
            return None
        return Recorded(json.dumps({"instances": rows}).encode()), list(expected)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_sample(reply: Reply, expected: Sequence[Mapping[str, Any]]) -> None:
    """It answers the rows of its own sample as it did in its training.

    Raises:
        RefusedError: Names the first row that differs, and both answers.
    """
    if reply.status != 200:
        raise RefusedError(f"it does not answer the sample of its own training; {reply.words}")
    try:
        found = answers.read(reply)
    except AnswerError as error:
        raise RefusedError(f"the sample of its own training: {error}") from error
    if len(found) != len(expected):
        raise RefusedError(
            f"the sample of its own training has {len(expected)} rows, {len(found)} predictions were answered"
        )
    for number, (got, want) in enumerate(zip(found, expected, strict=True), 1):
        score, label = float(want["score"]), want.get("label")
        near = abs(got.score - score) <= TOLERANCE * max(1.0, abs(score))
        if not near or got.label != (None if label is None else str(label)):
            raise RefusedError(
                f"row {number} of the sample of its own training: found score {got.score} and label "
                f"{got.label}, expected {score} and {label}"
            )
