"""Going back: to what served before, to a version, or to the seed.

A rollback needs neither the version it leaves nor its artifact. It moves all traffic at once, makes no check
of what served already, and ends after a bounded number of updates.
"""

from __future__ import annotations

from typing import Any

from inference.release import history
from inference.release.actions import Action, Claim, End, Mark, Note, Pin, Update, Wait, note
from inference.release.world import (
    FAILED,
    IN_SERVICE,
    LIVE,
    MOVING,
    PREVIOUS,
    ROLLBACK_FAILED,
    ROLLED_BACK,
    Observation,
    Rollback,
    Target,
)
from training.ledger.rollouts import CLAIMED, ENDING, UPDATING

MAX_TRIES = 3


def begin(seen: Observation, operation: Rollback) -> Action:
    """With the claim free: choose the target, or find that there is nothing to do."""
    endpoint = seen.endpoint
    if endpoint.status in MOVING:
        return Wait(why=f"the endpoint is {endpoint.status}")
    if operation.to == PREVIOUS and not operation.away:
        return Pin(away=endpoint.config)
    settled = endpoint.status == IN_SERVICE
    if settled and operation.to == PREVIOUS and endpoint.config != operation.away:
        return _done(f"{operation.away} does not serve; {endpoint.config} does")
    wanted = [one for one in seen.targets if operation.to != PREVIOUS or one.config != operation.away]
    if settled and operation.to != PREVIOUS and wanted and wanted[0].config == endpoint.config:
        return _done(f"{endpoint.config} serves already")
    target, problems = _choose(seen, wanted)
    if target is None:
        found = "; ".join(problems) or "nothing served before"
        return End(ok=False, outcome=FAILED, reason=f"there is nothing to go back to: {found}")
    return claim(
        seen,
        operation="rollback",
        package_arn=target.package_arn,
        version=target.version,
        to_config=target.config,
        reason=words(operation),
        by=operation.by,
    )


def claim(seen: Observation, **fields: Any) -> Claim:
    """Take the free claim; what serves now is the way back."""
    clean: dict[str, Any] = {
        **dict(from_what_serves(seen).changes),
        "phase": CLAIMED,
        "passed": (),
        "token": "",
        "tries": 0,
        "checks": 0,
        "adopted": False,
        "outcome": "",
        "failure": "",
        "reason": "",
        "by": "",
        "stop": "",
        "started_at": seen.now,
    }
    return Claim(was="", changes=tuple(sorted({**clean, **fields}.items())))


def from_what_serves(seen: Observation) -> Note:
    """What serves now is the way back; the record may know of it from before."""
    found = history.served(seen.rollout, seen.endpoint.config)
    return note(
        from_config=found.config,
        config=found.config,
        serving_package=found.package_arn,
        serving_version=found.version,
        serving_since=found.since,
    )


def drive(seen: Observation) -> Action:
    """As the holder of the claim."""
    record, endpoint = seen.rollout, seen.endpoint
    if record.phase == ENDING:
        return history.freed(record, endpoint.config, record.outcome, record.failure, seen.now)
    if endpoint.status in MOVING and not seen.overdue:
        return Wait(why=f"the endpoint is {endpoint.status}")
    if endpoint.status == IN_SERVICE and endpoint.config == record.to_config:
        return _settle(seen)
    if endpoint.status not in (IN_SERVICE, ROLLBACK_FAILED) or seen.overdue:
        return _fail(f"the endpoint is {endpoint.status}: {endpoint.failure or 'no reason given'}")
    if record.phase == CLAIMED:
        return note(phase=UPDATING, token=endpoint.token)
    if endpoint.token == record.token:
        if seen.ahead:
            return _fail(f"{record.to_config} cannot serve: {seen.ahead}")
        if not seen.approved(record.package_arn):
            return _fail(f"version {record.version} is not approved any more")
        return Update(config=record.to_config, package_arn=record.package_arn)
    if record.tries + 1 < MAX_TRIES:
        return note(tries=record.tries + 1, token=endpoint.token)
    return _fail(f"SageMaker did not take it: {endpoint.failure or 'it gives no reason'}")


def words(operation: Rollback) -> str:
    """Why, and who."""
    why = f"rolled back: {operation.reason}" if operation.reason else "rolled back"
    return f"{why} (by {operation.by})" if operation.by else why


def _settle(seen: Observation) -> Action:
    """The target serves: the registry says what was left, and what is live."""
    record = seen.rollout
    left = seen.package(record.serving_package)
    if left is not None and left.arn != record.package_arn and left.mark != ROLLED_BACK:
        return Mark(package_arn=left.arn, release=ROLLED_BACK, reason=record.reason, reject=True)
    back = seen.package(record.package_arn)
    if back is not None and back.mark != LIVE:
        return Mark(package_arn=back.arn, release=LIVE, config=record.to_config)
    return history.freed(record, seen.endpoint.config, LIVE, record.reason, seen.now)


def _choose(seen: Observation, wanted: list[Target]) -> tuple[Target | None, list[str]]:
    problems = []
    for one in wanted:
        name = f"version {one.version}" if one.package_arn else "the seed"
        if one.problem:
            problems.append(f"{name}: {one.problem}")
        elif not seen.approved(one.package_arn):
            problems.append(f"{name} is not approved")
        elif one.config != seen.endpoint.config:
            return one, problems
    return None, problems


def _fail(why: str) -> Action:
    return note(phase=ENDING, outcome=FAILED, failure=why)


def _done(reason: str) -> End:
    return End(ok=True, outcome="nothing", reason=reason)
