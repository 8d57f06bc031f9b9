"""Says whether what is known settles how a push, or a run, ends."""

from __future__ import annotations

from datetime import datetime

from upkeep import data
from upkeep.outcome import (
    FAILED,
    HELD,
    QUARANTINED,
    REFUSED,
    RELEASED,
    UNCHANGED,
    WAITING,
    Progress,
    Result,
)
from upkeep.runs import Run

# How long, beyond the quiet period, to look for a run of files that had been accepted before.
GRACE_SECONDS = 20.0
# Of several files none of which is accepted.
_WORST_FIRST = {
    data.DEAD: FAILED, data.QUARANTINED: QUARANTINED, data.GONE: FAILED, data.IGNORED: UNCHANGED,
}  # fmt: skip
_WORDS = {
    data.DEAD: "the intake has given it up", data.GONE: "it was deleted before the intake saw it",
    data.IGNORED: "the intake ignores it",
}  # fmt: skip


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


def conclude_held(progress: Progress, deadline: datetime) -> Result | None:
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


def _ended(run: Run) -> str:
    return {"TIMED_OUT": "timed out", "ABORTED": "was stopped"}.get(run.status, "failed")


def _result(progress: Progress, outcome: str, reason: str) -> Result:
    return Result(outcome=outcome, reason=reason, progress=progress)
