"""One check from its start to its outcome."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from inference.preflight import judge, measure, places, rows, shadow
from inference.preflight.judge import RefusedError
from inference.preflight.outcome import Outcome
from inference.preflight.recorded import Recorded
from inference.preflight.rival import Rival, RivalError
from inference.preflight.server import Reply, Server, ServerError
from inference.preflight.settings import Folders, Settings
from inference.preflight.unpack import UnpackError, unpack

# What single requests may take of the time that is left, and the comparison.
_LATENCY_SHARE, _REPLAY_SHARE = 0.3, 0.6
# Requests for single rows are cut out of this many requests at most.
_SPLIT = 200


class _TooLongError(Exception):
    """The time for the whole check is over."""


def run(settings: Settings, folders: Folders) -> Outcome:
    """Check the challenger; whatever is wrong with it is the outcome and no exception.

    Everything that was started has ended when this returns or raises.
    """
    outcome, begun = Outcome(), time.monotonic()
    try:
        with _within(settings.check_seconds), ExitStack() as started:
            _check(settings, folders, outcome, started, begun + settings.check_seconds)
        outcome.passed = True
        outcome.reason = _summary(outcome, settings)
    except (RefusedError, ServerError, UnpackError) as error:
        outcome.reason = str(error)
    except _TooLongError:
        outcome.reason = f"the check was not finished within {settings.check_seconds:g} s"
    outcome.seconds = time.monotonic() - begun
    return outcome


def _check(
    settings: Settings, folders: Folders, outcome: Outcome, started: ExitStack, deadline: float
) -> None:
    unpack(folders.input / "challenger" / places.ARCHIVE, folders.model)
    server = Server(_environment(settings.challenger.environment, folders), folders.work / "server.log")
    started.callback(server.stop)
    server.start()
    # It answers while the server still starts, on another processor.
    rival = _rival(settings, folders, outcome, started)
    try:
        outcome.started_seconds = server.wait_until_ready(settings.start_seconds)
    except ServerError:
        outcome.log = server.last_lines()
        raise
    _check_sample(server, folders.model)
    before = _champions(rival, outcome, deadline)
    _ask(settings, server, before, outcome, deadline)


def _check_sample(server: Server, model: Path) -> None:
    kept = judge.sample_request(model)
    if kept is not None:
        judge.check_sample(server.ask(kept[0]), kept[1])


def _ask(
    settings: Settings, server: Server, before: list[Reply] | None, outcome: Outcome, deadline: float
) -> None:
    """Latency first: of a version that is too slow, the rest would take for ever."""
    asked = [rows.split(request, settings.features) for request in settings.requests]
    must = judge.counted(before, len(settings.requests))
    singles = [
        row.single
        for group, wanted in zip(asked[-_SPLIT:], must[-_SPLIT:], strict=True)
        if wanted
        for row in group
    ]
    limit = settings.max_latency_milliseconds
    outcome.latency = measure.latency(
        server, _spread(singles, measure.TIMED), limit, _LATENCY_SHARE * (deadline - time.monotonic())
    )
    judge.check_latency(outcome.latency, limit)
    replies = measure.replay(server, settings.requests, _REPLAY_SHARE * (deadline - time.monotonic()))
    outcome.requests, outcome.errors = len(replies), len(judge.failures(replies, must))
    if len(replies) < len(settings.requests):
        outcome.notes.append(f"only {len(replies)} of {len(settings.requests)} requests were asked")
    if before is not None:
        outcome.shadow = shadow.compare(shadow.pairs(asked, before, replies))
    wanted = [request for request, answered in zip(settings.requests, must, strict=True) if answered]
    crowd = measure.burst(server, _spread(singles, measure.BURST) or wanted, deadline - time.monotonic())
    if crowd:
        outcome.burst_milliseconds = measure.percentile([r.milliseconds for r in crowd], measure.SHARE)
    judge.check_answers(replies, crowd, before, must)


def _spread(found: Sequence[Recorded], count: int) -> list[Recorded]:
    """So many of them, from the first to the last, evenly."""
    if len(found) <= count:
        return list(found)
    return [found[i * len(found) // count] for i in range(count)]


def _rival(settings: Settings, folders: Folders, outcome: Outcome, started: ExitStack) -> Rival | None:
    if settings.champion is None or not settings.requests:
        return None
    model = folders.work / "champion" / "model"
    try:
        unpack(folders.input / "champion" / places.ARCHIVE, model)
    except UnpackError as error:
        outcome.notes.append(f"not compared with what serves now: {error}")
        return None
    rival = Rival(
        model,
        folders.input / "check" / places.REQUESTS,
        folders.work,
        _environment(settings.champion.environment, folders),
    )
    started.callback(rival.stop)
    return rival


def _champions(rival: Rival | None, outcome: Outcome, deadline: float) -> list[Reply] | None:
    if rival is None:
        return None
    try:
        return rival.replies((deadline - time.monotonic()) / 2)
    except RivalError as error:
        outcome.notes.append(f"not compared with what serves now: {error}")
        return None


def _environment(own: Mapping[str, str], folders: Folders) -> dict[str, str]:
    return dict(os.environ) | folders.moved(own)


def _summary(outcome: Outcome, settings: Settings) -> str:
    kind = "recorded requests" if settings.source == "recorded" else "requests of its own sample"
    parts = [f"started in {outcome.started_seconds:.1f} s", f"answered {outcome.requests} {kind}"]
    if outcome.latency is not None:
        parts.append(f"99 of 100 single rows within {outcome.latency.p99_milliseconds:.1f} ms")
    if outcome.shadow is not None:
        changed, compared = outcome.shadow["changed_labels"], outcome.shadow["compared"]
        if changed is not None:
            parts.append(f"{changed} of {compared} labels would change")
        else:
            parts.append(f"mean change of {outcome.shadow['mean_abs_difference']:.4g} over {compared} rows")
    return ", ".join(parts)


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Break off whatever runs when the time is over."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
