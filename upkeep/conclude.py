"""Says whether what is known settles how a push, or a run, ends."""

from __future__ import annotations

from datetime import datetime

from upkeep import data
from upkeep.outcome import (
    CHECK_REFUSED,
    FAILED,
    HELD,
    QUARANTINED,
    REFUSED,
    RELEASED,
    ROLLED_BACK,
    UNCHANGED,
    WAITING,
    Progress,
    Result,
)
from upkeep.runs import Run
from upkeep.serving import Package

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


def release_failure(package: Package, release: Run | None) -> tuple[str, str]:
    """How a release ended that did not bring its version behind the endpoint, and why.

    The package knows better than the state machine: there the release has noted what became of it.
    """
    said = package.fact("release_reason") or (release.cause if release else "") or package.note
    said = said or (release.error if release else "") or "no reason was given"
    if package.release == "refused":
        return CHECK_REFUSED, f"{_capital(package.words)} got no traffic: {said}"
    if package.release == "rolled_back":
        return ROLLED_BACK, f"{_capital(package.words)} was taken back: {said.removeprefix('rolled back: ')}"
    if release is not None and release.ended and release.status != "SUCCEEDED":
        return FAILED, f"The release of {package.words} {_ended(release)}: {said}"
    return FAILED, f"{_capital(package.words)} was rejected on release: {said}"


def _conclude_release(progress: Progress, reason: str) -> Result | None:
    package, release = progress.package, progress.release
    if package is None:
        return None
    if package.approval == "PendingManualApproval":
        said = f"{reason} {_capital(package.words)} waits: `upkeep models approve {package.version}`."
        return _result(progress, WAITING, said)
    if package.approval == "Rejected" and (release is None or release.ended):
        return _result(progress, *release_failure(package, release))
    if release is None or not release.ended:
        return None
    if release.status != "SUCCEEDED":
        return _result(progress, *release_failure(package, release))
    return _result(progress, RELEASED, reason) if progress.answering else None


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _ended(run: Run) -> str:
    return {"TIMED_OUT": "timed out", "ABORTED": "was stopped"}.get(run.status, "failed")


def _result(progress: Progress, outcome: str, reason: str) -> Result:
    return Result(outcome=outcome, reason=reason, progress=progress)
