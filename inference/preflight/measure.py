"""Asks the challenger: all requests in order, single rows for their time, some at the same moment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from inference.preflight.recorded import Recorded
from inference.preflight.server import REQUEST_SECONDS, Reply

# So many single rows are timed, the same ones again where there are fewer. With a hundred, two slow answers
# make the 99th percentile slow.
TIMED = 100
SHARE = 0.99
# A machine's hiccup is not the model's: a version is too slow if it is so each time.
ROUNDS = 3
BURST, AT_ONCE = 40, 4
# After so many failures in a row nothing new is learned.
MAX_FAILURES_IN_A_ROW = 20


class Asked(Protocol):
    """A server that answers requests."""

    def ask(self, request: Recorded, seconds: float) -> Reply:
        """Send one request."""
        ...


@dataclass(frozen=True)
class Latency:
    """Times of single rows, one after the other.

    Attributes:
        requests: How many were timed.
        p50_milliseconds: Half of them took no longer.
        p99_milliseconds: 99 of 100 took no longer.
        complete: False when it was broken off, being too slow already.
    """

    requests: int
    p50_milliseconds: float
    p99_milliseconds: float
    complete: bool = True


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 1)  # rounded up
    return ordered[max(int(rank) - 1, 0)]


def replay(server: Asked, requests: Sequence[Recorded], seconds: float) -> list[Reply]:
    """Ask every request once, one after the other, as long as the time lasts."""
    deadline = time.monotonic() + seconds
    replies: list[Reply] = []
    failed = 0
    for request in requests:
        left = deadline - time.monotonic()
        if left <= 0 or failed >= MAX_FAILURES_IN_A_ROW:
            break
        reply = server.ask(request, min(REQUEST_SECONDS, left))
        failed = 0 if reply.status == 200 else failed + 1
        replies.append(reply)
    return replies


def burst(server: Asked, requests: Sequence[Recorded], seconds: float) -> list[Reply]:
    """Ask up to ``BURST`` of the requests, ``AT_ONCE`` at the same moment."""
    deadline = time.monotonic() + seconds
    chosen = [requests[i % len(requests)] for i in range(BURST)] if requests else []

    def ask(request: Recorded) -> Reply:
        return server.ask(request, min(REQUEST_SECONDS, deadline - time.monotonic()))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(ask, chosen))


def latency(
    server: Asked, singles: Sequence[Recorded], limit_milliseconds: float, seconds: float
) -> Latency | None:
    """Time single rows: up to ``ROUNDS`` times, until one round is within the limit.

    Args:
        server: Runs and has loaded its model.
        singles: Requests for one row each.
        limit_milliseconds: What 99 of 100 must not exceed.
        seconds: When to break off.

    Returns:
        The quickest round; None when there was nothing to time.
    """
    if not singles:
        return None
    deadline = time.monotonic() + seconds
    rounds: list[Latency] = []
    while len(rounds) < ROUNDS and (not rounds or time.monotonic() < deadline):
        rounds.append(_round(server, singles, limit_milliseconds, deadline))
        if rounds[-1].p99_milliseconds <= limit_milliseconds:
            break
    return min(rounds, key=lambda found: found.p99_milliseconds)


def _round(server: Asked, singles: Sequence[Recorded], limit_milliseconds: float, deadline: float) -> Latency:
    times: list[float] = []
    slow = 0
    allowed = TIMED - int(TIMED * SHARE)
    for number in range(TIMED):
        left = max(deadline - time.monotonic(), 0.001)
        times.append(server.ask(singles[number % len(singles)], min(REQUEST_SECONDS, left)).milliseconds)
        slow += times[-1] > limit_milliseconds
        if slow > allowed or time.monotonic() >= deadline:
            return Latency(len(times), percentile(times, 0.5), max(times), complete=False)
    return Latency(len(times), percentile(times, 0.5), percentile(times, SHARE))
