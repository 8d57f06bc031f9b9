"""What is known while something is followed, and how it ends: plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from upkeep import data, errors
from upkeep.data import Upload
from upkeep.phases import PHASE
from upkeep.render import iso
from upkeep.runs import Run, Step
from upkeep.serving import Package, Serving

RELEASED = "released"
REFUSED = "refused"
CHECK_REFUSED = "refused by the check"
ROLLED_BACK = "rolled back"
QUARANTINED = "quarantined"
FAILED = "failed"
UNCHANGED = "unchanged"
WAITING = "waiting for approval"
HELD = "held"
TIMEOUT = "timeout"

EXIT_CODES = {
    RELEASED: errors.RELEASED, UNCHANGED: errors.RELEASED, REFUSED: errors.REFUSED,
    CHECK_REFUSED: errors.REFUSED, ROLLED_BACK: errors.ROLLED_BACK,
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
        release_steps: The phases it went through.
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
            "semver": progress.package.label if progress.package else None,
            "release": progress.release.to_json() if progress.release else None,
            "serving": progress.serving.to_json() if progress.serving else None,
        }


def _until(until: datetime | None) -> str:
    if until is None:
        return "until a person starts it"
    return f"until {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _busy(steps: Sequence[Step]) -> str:
    running = [step for step in steps if step.status == "running"]
    if not running:
        return ""
    newest = running[-1]
    return f"the release: {newest.words()}" if newest.kind == PHASE else f"state {newest.name}"
