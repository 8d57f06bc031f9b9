"""Follows pushed files, or a run a person asked for, until the last thing about it is known.

`Source` is what is asked; `aws_source.AwsSource` asks AWS, tests ask a script. `step` asks once more,
`conclude.conclude` says whether that settled it, `follow` repeats both with the clock it is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from upkeep.conclude import GRACE_SECONDS, conclude, conclude_held
from upkeep.data import Upload
from upkeep.logged_out import LOG_IN, explained
from upkeep.outcome import (
    CHECK_REFUSED,
    EXIT_CODES,
    FAILED,
    HELD,
    QUARANTINED,
    REFUSED,
    RELEASED,
    ROLLED_BACK,
    TIMEOUT,
    UNCHANGED,
    WAITING,
    Hold,
    Progress,
    Result,
)
from upkeep.runs import Decision, Run, Step
from upkeep.serving import Package, Serving

__all__ = [
    "CHECK_REFUSED",
    "DEFAULT_TIMEOUT_SECONDS",
    "EXIT_CODES",
    "FAILED",
    "GRACE_SECONDS",
    "HELD",
    "QUARANTINED",
    "REFUSED",
    "RELEASED",
    "ROLLED_BACK",
    "TIMEOUT",
    "UNCHANGED",
    "WAITING",
    "Hold",
    "Progress",
    "Result",
    "Source",
    "follow",
    "step",
]

DEFAULT_TIMEOUT_SECONDS = 3600.0


class Source(Protocol):
    """What there is to ask while following."""

    def look(self, upload: Upload) -> Upload:
        """The upload as it is now."""

    def wanted(self, keys: Sequence[str]) -> list[str]:
        """Those of some accepted objects that the newest data version reads; older ones fall out of it."""

    def run_with(self, keys: Sequence[str], *, new_only: bool) -> Run | None:
        """The first run whose manifest lists all these keys; with `new_only` one begun after the push."""

    def held(self) -> Hold | None:
        """What holds back the next run."""

    def describe(self, run: Run) -> Run:
        """The run, or release, as it is now."""

    def decision(self, run: Run) -> Decision | None:
        """What the judge recorded about a run."""

    def steps(self, run: Run) -> list[Step]:
        """The states a run, or release, went through."""

    def package(self, run: Run) -> Package | None:
        """The registered version a run made."""

    def release(self, package: Package, run: Run) -> Run | None:
        """The release of a version."""

    def serving(self) -> Serving:
        """What the endpoint serves."""

    def answers(self, run: Run) -> bool:
        """Whether a real request is answered by the model of this run."""


def follow(
    source: Source,
    uploads: Sequence[Upload],
    *,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    poll_seconds: float = 1.0,
    quiet_seconds: float = 0.0,
    show: Callable[[Progress], None] = lambda _progress: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Result:
    """Ask until the outcome is known or the time is over.

    Args:
        source: What to ask.
        uploads: The files pushed; none to follow a run that a person asked for.
        timeout_seconds: When to give up.
        poll_seconds: Time between two rounds of questions.
        quiet_seconds: How long the model waits for more files before it trains.
        show: Told of all that is known after each round.
        clock: Seconds that only grow.
        sleep: Waits.
        now: The time of day, to tell whether a hold ends before the time is over.
    """
    began = clock()
    progress = Progress(uploads=tuple(uploads), asked=not uploads)
    while True:
        with explained(_goes_on(progress)):
            progress = step(source, replace(progress, seconds=clock() - began))
        progress = replace(progress, seconds=clock() - began)
        show(progress)
        if (result := conclude(progress, quiet_seconds)) is not None:
            return result
        left = timeout_seconds - progress.seconds
        if (result := conclude_held(progress, now() + timedelta(seconds=left))) is not None:
            return result
        if left <= 0:
            reason = f"Not done after {timeout_seconds:g} s; it was waiting for {progress.where()}."
            return Result(outcome=TIMEOUT, reason=reason, progress=progress)
        sleep(poll_seconds)


def _goes_on(progress: Progress) -> Callable[[], str]:
    def words() -> str:
        again = "" if progress.asked else ", or push the same again with --wait: it is followed, not repeated"
        return (
            f"while this waited for {progress.where()}. That goes on without you. {LOG_IN}, then see "
            f"`upkeep runs`{again}."
        )

    return words


def step(source: Source, progress: Progress) -> Progress:
    """Ask what is not known yet, in the order in which it happens."""
    progress = replace(progress, uploads=tuple(source.look(upload) for upload in progress.uploads))
    if progress.arriving or not (progress.accepted or progress.asked):
        return progress
    progress = _step_run(source, progress)
    run = progress.run
    if run is None or run.status != "SUCCEEDED" or run.decision is None or not run.decision.promoted:
        return progress
    if progress.release is None or progress.release.ended:
        progress = replace(progress, package=source.package(run))
    package = progress.package
    if package is None or package.approval != "Approved":
        return progress
    return _step_release(source, progress, package, run)


def _step_run(source: Source, progress: Progress) -> Progress:
    run = progress.run
    if run is None:
        keys = [upload.accepted_key for upload in progress.accepted]
        all_known = bool(keys) and all(upload.known for upload in progress.accepted)
        wanted = source.wanted(keys)
        run = source.run_with(wanted or keys, new_only=not all_known)
        if run is None and not all_known:
            # Other bytes, but the same rows: what they became was read by a run before the push.
            before = source.run_with(wanted or keys, new_only=False)
            if before is not None and before.status == "SUCCEEDED":
                run, all_known = before, True
        hold = source.held() if run is None else None
        repeated = all_known and run is not None and run.ended
        progress = replace(progress, wanted=tuple(wanted), hold=hold, repeated=repeated)
    elif run.ended:
        return progress
    else:
        run = source.describe(run)
    if run is None:
        return progress
    if run.status == "SUCCEEDED":
        run = run.judged(source.decision(run))
    return replace(progress, run=run, steps=() if progress.repeated else tuple(source.steps(run)))


def _step_release(source: Source, progress: Progress, package: Package, run: Run) -> Progress:
    release = progress.release
    if release is None or not release.ended:
        release = source.release(package, run) if release is None else source.describe(release)
        if release is None:
            return progress
        progress = replace(progress, release=release, release_steps=tuple(source.steps(release)))
    if release.status != "SUCCEEDED":
        # What became of the version is noted in the registry before the release ends.
        return replace(progress, package=source.package(run) or package) if release.ended else progress
    serving = source.serving()
    return replace(
        progress, serving=serving, answering=serving.version == package.version and source.answers(run)
    )
