"""Follows pushed files, or a run a person asked for, until the last thing about it is known.

`Source` is what is asked; `aws_source.AwsSource` asks AWS, tests ask a script. `step` asks once more,
`conclude` says whether that settled it, `follow` repeats both with the clock it is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from upkeep import data, errors
from upkeep.data import Upload
from upkeep.render import iso
from upkeep.runs import Decision, Run, Step
from upkeep.serving import Package, Serving

DEFAULT_TIMEOUT_SECONDS = 3600.0
# How long, beyond the quiet period, to look for a run of files that had been accepted before.
GRACE_SECONDS = 20.0

RELEASED = "released"
REFUSED = "refused"
QUARANTINED = "quarantined"
FAILED = "failed"
UNCHANGED = "unchanged"
WAITING = "waiting for approval"
HELD = "held"
TIMEOUT = "timeout"

EXIT_CODES = {
    RELEASED: errors.RELEASED, UNCHANGED: errors.RELEASED, REFUSED: errors.REFUSED,
    QUARANTINED: errors.QUARANTINED, WAITING: errors.WAITING, HELD: errors.HELD, FAILED: errors.FAILED,
    TIMEOUT: errors.FAILED,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Hold:
    """What holds back the next run of a model.

    Attributes:
        rule: The limit: cooldown, max_per_day, max_usd_per_month or attempts.
        reason: What it says.
        until: When it ends by itself; None when only a person can let the run go on.
    """

    rule: str
    reason: str
    until: datetime | None = None

    def words(self) -> str:
        """The hold in words: `held by cooldown until 2026-11-21 12:00:00 UTC`."""
        return f"held by {self.rule} {_until(self.until)}"

    def to_json(self) -> dict[str, Any]:
        """The hold as `--json` prints it."""
        return {"rule": self.rule, "reason": self.reason, "until": iso(self.until)}


# Of several files none of which is accepted.
_WORST_FIRST = {
    data.DEAD: FAILED, data.QUARANTINED: QUARANTINED, data.GONE: FAILED, data.IGNORED: UNCHANGED,
}  # fmt: skip
_WORDS = {
    data.DEAD: "the intake has given it up", data.GONE: "it was deleted before the intake saw it",
    data.IGNORED: "the intake ignores it",
}  # fmt: skip


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


@dataclass(frozen=True, kw_only=True)
class Progress:
    """All that is known so far.

    Attributes:
        uploads: The files pushed; none when a person asked for a run.
        asked: Whether a person asked for a run, whatever is in it.
        wanted: Accepted objects of theirs that the next run is to read; None while that is not known.
        hold: What holds back the next run.
        run: The run that reads them.
        repeated: Whether that run had read them before the push.
        steps: The states it went through.
        package: The version it made.
        release: The release of that version.
        release_steps: The states that went through.
        serving: What the endpoint serves.
        answering: Whether a real request was answered by the new version.
        seconds: Since following began.
    """

    uploads: tuple[Upload, ...]
    asked: bool = False
    wanted: tuple[str, ...] | None = None
    hold: Hold | None = None
    run: Run | None = None
    repeated: bool = False
    steps: tuple[Step, ...] = ()
    package: Package | None = None
    release: Run | None = None
    release_steps: tuple[Step, ...] = ()
    serving: Serving | None = None
    answering: bool = False
    seconds: float = 0.0

    @property
    def accepted(self) -> list[Upload]:
        """The files the intake took."""
        return [upload for upload in self.uploads if upload.state == data.ACCEPTED]

    @property
    def quarantined(self) -> list[Upload]:
        """The files the intake refused."""
        return [upload for upload in self.uploads if upload.state == data.QUARANTINED]

    @property
    def arriving(self) -> list[Upload]:
        """The files nothing is known of yet."""
        return [upload for upload in self.uploads if upload.state == data.ARRIVED]

    def where(self) -> str:
        """What is being waited for, in a few words."""
        if self.arriving:
            return "the intake checks " + ", ".join(upload.name for upload in self.arriving)
        if self.run is None:
            return f"the retraining, {self.hold.words()}" if self.hold else "a retraining to start"
        if not self.run.ended:
            return _busy(self.steps) or "the retraining"
        if self.package is None:
            return "the new version in the registry"
        if self.release is None:
            return "the release to start"
        if not self.release.ended:
            return _busy(self.release_steps) or "the release"
        return "the new version to answer"


@dataclass(frozen=True, kw_only=True)
class Result:
    """How it ended."""

    outcome: str
    reason: str
    progress: Progress

    @property
    def exit_code(self) -> int:
        """The exit code of the outcome; lost or quarantined files count even when others were released."""
        code = EXIT_CODES[self.outcome]
        if any(upload.state in (data.DEAD, data.GONE) for upload in self.progress.uploads):
            return errors.FAILED
        if code != errors.FAILED and self.progress.quarantined:
            return errors.QUARANTINED
        return code

    def to_json(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        progress = self.progress
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "exit_code": self.exit_code,
            "seconds": round(progress.seconds, 2),
            "files": [upload.to_json() for upload in progress.uploads],
            "held": progress.hold.to_json() if progress.hold and progress.run is None else None,
            "run": progress.run.to_json() if progress.run else None,
            "version": progress.package.version if progress.package else None,
            "release": progress.release.to_json() if progress.release else None,
            "serving": progress.serving.to_json() if progress.serving else None,
        }


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
        progress = step(source, replace(progress, seconds=clock() - began))
        progress = replace(progress, seconds=clock() - began)
        show(progress)
        if (result := conclude(progress, quiet_seconds)) is not None:
            return result
        left = timeout_seconds - progress.seconds
        if (result := _conclude_held(progress, now() + timedelta(seconds=left))) is not None:
            return result
        if left <= 0:
            reason = f"Not done after {timeout_seconds:g} s; it was waiting for {progress.where()}."
            return Result(outcome=TIMEOUT, reason=reason, progress=progress)
        sleep(poll_seconds)


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


def conclude(progress: Progress, quiet_seconds: float = 0.0) -> Result | None:
    """The outcome, once nothing can change it any more."""
    if progress.arriving:
        return None
    if not progress.accepted and not progress.asked:
        return _conclude_files(progress)
    run = progress.run
    if run is None:
        return _conclude_nothing(progress, quiet_seconds)
    if progress.repeated and run.status == "SUCCEEDED":
        said = run.decision.reason if run.decision else "its decision is not recorded"
        return _result(
            progress, UNCHANGED, f"This very content was trained on before, by run {run.short}: {said}"
        )
    if not run.ended:
        return None
    if run.status != "SUCCEEDED":
        return _result(
            progress, FAILED, f"The retraining {_ended(run)}: {run.cause or run.error or 'no reason given'}"
        )
    if run.decision is None:
        return _result(progress, FAILED, f"Run {run.short} ended without a recorded decision.")
    if not run.decision.promoted:
        return _result(progress, REFUSED, run.decision.reason)
    return _conclude_release(progress, run.decision.reason)


def _conclude_files(progress: Progress) -> Result:
    """The outcome of files of which none was accepted; the worst of them names it."""
    for state, outcome in _WORST_FIRST.items():
        found = [upload for upload in progress.uploads if upload.state == state]
        if found:
            reason = "; ".join(f"{u.name}: {u.reason or _WORDS.get(state, state)}" for u in found)
            return _result(progress, outcome, reason)
    return _result(progress, UNCHANGED, "There was no file.")


def _conclude_nothing(progress: Progress, quiet_seconds: float) -> Result | None:
    """The outcome of accepted files that no run is going to read."""
    if progress.hold is not None or progress.asked:
        return None
    if progress.wanted is not None and not progress.wanted:
        return _result(
            progress,
            UNCHANGED,
            "The newest data version reads none of these rows: they are older than the model's "
            "training.window, or a person had them forgotten.",
        )
    if all(u.known for u in progress.accepted) and progress.seconds >= GRACE_SECONDS + quiet_seconds:
        return _result(
            progress, UNCHANGED, "These very files had been accepted before; nothing is new to train on."
        )
    return None


def _conclude_held(progress: Progress, deadline: datetime) -> Result | None:
    """The outcome when the next run is held back for longer than is waited."""
    hold = progress.hold
    if hold is None or progress.run is not None or (hold.until is not None and hold.until < deadline):
        return None
    return _result(
        progress,
        HELD,
        f"The data is kept and the retraining {hold.words()}: {hold.reason}. "
        "`upkeep runs start --force` starts it all the same.",
    )


def _conclude_release(progress: Progress, reason: str) -> Result | None:
    package, release = progress.package, progress.release
    if package is None:
        return None
    if package.approval == "PendingManualApproval":
        return _result(
            progress, WAITING, f"{reason} Version {package.version} waits for a person's approval."
        )
    if package.approval == "Rejected" and (release is None or release.ended):
        said = (release.cause if release else "") or package.note or "the registry does not say why"
        return _result(progress, FAILED, f"Version {package.version} was rejected on release: {said}")
    if release is None or not release.ended:
        return None
    if release.status != "SUCCEEDED":
        said = release.cause or release.error or package.note or "no reason given"
        return _result(
            progress, FAILED, f"The release of version {package.version} {_ended(release)}: {said}"
        )
    return _result(progress, RELEASED, reason) if progress.answering else None


def _step_run(source: Source, progress: Progress) -> Progress:
    run = progress.run
    if run is None:
        keys = [upload.accepted_key for upload in progress.accepted]
        all_known = bool(keys) and all(upload.known for upload in progress.accepted)
        wanted = source.wanted(keys)
        run = source.run_with(wanted or keys, new_only=not all_known)
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
        return progress
    serving = source.serving()
    return replace(
        progress, serving=serving, answering=serving.version == package.version and source.answers(run)
    )


def _until(until: datetime | None) -> str:
    if until is None:
        return "until a person starts it"
    return f"until {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _busy(steps: Sequence[Step]) -> str:
    running = [s.name for s in steps if s.status == "running"]
    return f"state {running[-1]}" if running else ""


def _ended(run: Run) -> str:
    return {"TIMED_OUT": "timed out", "ABORTED": "was stopped"}.get(run.status, "failed")


def _result(progress: Progress, outcome: str, reason: str) -> Result:
    return Result(outcome=outcome, reason=reason, progress=progress)
