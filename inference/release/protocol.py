"""The promotion and rollback protocol: a pure function from what is seen to the next action.

Nothing here reads, writes or asks for the time. The function is asked again and again with a fresh
observation, by any number of executions at once; it keeps no memory between two calls. What must be known
later is in the record of the rollout (``training.ledger.rollouts``), which one execution at a time holds a
claim on, and is written there before the step it is about:

- before an update is asked for, the time of the endpoint's last change is noted (``token``). While the
  endpoint still shows that time, the update was not asked for; when it shows another, it was, and an endpoint
  that is in service with its old configuration then has been rolled back, whether it says so or not
  (hashicorp/terraform-provider-aws issues 46663 and 48997).
- the mark ``live`` is the point of no return: from then on a rollout is only finished. Before it, one whose
  execution dies, that somebody stops or whose approval is withdrawn, is taken back.

Nothing is ever deleted. ``tests/inference/release/test_protocol.py`` explores all that can happen.
"""

from __future__ import annotations

from inference.release import history, rollback
from inference.release.actions import (
    Action,
    AskSample,
    Claim,
    Create,
    End,
    Mark,
    Note,
    Pin,
    RequestStop,
    RunCheck,
    SetStopAlarm,
    Update,
    VerifyPassport,
    Wait,
    note,
)
from inference.release.world import (
    ABSENT,
    BROKEN,
    FAILED,
    IN_SERVICE,
    LIVE,
    MARKS,
    MOVING,
    NOT_PASSED,
    PREVIOUS,
    REFUSED,
    ROLLBACK_FAILED,
    ROLLED_BACK,
    RUNNING,
    SUPERSEDED,
    UPDATING_STATUS,
    WITHDRAWN,
    Observation,
    Operation,
    Recover,
    Release,
    Rollback,
)
from training.ledger.rollouts import CLAIMED, ENDING, RESTORING, UPDATING, RolloutRecord

# Updates that SageMaker refuses or takes back although they go back to what served before.
MAX_TRIES = 3
# Jobs that broke without saying anything about the model.
MAX_CHECKS = 2
PASSPORT, CHECK, SAMPLE = "passport", "check", "sample"


def next_action(seen: Observation, operation: Operation, me: str) -> Action:
    """What to do now.

    Args:
        seen: The world, read after the last action was carried out.
        operation: What the execution is for.
        me: Its ARN.
    """
    record = seen.rollout
    if record.owner == me:
        return _drive(seen)
    if record.owner:
        return _beside(seen, operation)
    if record.last_owner == me and record.last_operation.startswith(_key(operation)):
        return _ended(record, operation)
    if isinstance(operation, Recover):
        return End(ok=True, outcome="nothing", reason="there is nothing left to recover", tell=False)
    if isinstance(operation, Rollback):
        return rollback.begin(seen, operation)
    return _begin(seen, operation)


def update_refused(record: RolloutRecord, why: str) -> Note:
    """What to note when SageMaker refuses an update for good."""
    if record.operation == "release" and record.phase == UPDATING:
        return note(phase=ENDING, outcome=FAILED, failure=why)
    if record.tries + 1 < MAX_TRIES:
        return note(tries=record.tries + 1)
    return note(phase=ENDING, outcome=record.outcome or FAILED, failure=_and(record.failure, why))


def passport_verified(record: RolloutRecord, problem: str) -> Note:
    """What to note after the passport was verified."""
    if problem:
        return note(phase=ENDING, outcome=REFUSED, failure=problem)
    return note(passed=(*record.passed, PASSPORT))


def sample_asked(seen: Observation, problem: str) -> Note:
    """What to note after the endpoint was asked the sample."""
    if problem:
        return take_back(seen, FAILED, problem)
    return note(passed=(*seen.rollout.passed, SAMPLE))


def _drive(seen: Observation) -> Action:
    """As the holder of the claim: whatever the record says is under way."""
    record = seen.rollout
    if record.operation == "rollback":
        return rollback.drive(seen)
    package = seen.package(record.package_arn)
    if package is not None and package.mark == LIVE and record.phase != CLAIMED:
        return _finish(seen)
    return {CLAIMED: prepare, UPDATING: _watch, RESTORING: restore, ENDING: _give_up}[record.phase](seen)


def _beside(seen: Observation, operation: Operation) -> Action:
    """While another execution holds the claim: wait, stop it when a rollback wants that, or inherit it."""
    record = seen.rollout
    if isinstance(operation, Rollback) and operation.to == PREVIOUS and not operation.away:
        # Whatever becomes of what is under way: this is what somebody wants to get away from.
        coming = record.operation in ("release", "experiment_start")
        return Pin(away=record.to_config if coming else record.from_config)
    if seen.owner_gone:
        own = isinstance(operation, Release) and operation.package_arn == record.package_arn
        left = f"its execution {record.owner.rpartition(':')[2]} ended without a word"
        abandoned = record.operation == "release" and not own and not record.stop
        changes = {"adopted": not own} | ({"stop": left} if abandoned else {})
        return Claim(was=record.owner, changes=tuple(sorted(changes.items())))
    if isinstance(operation, Rollback) and record.operation == "release":
        wanted = operation.to != PREVIOUS or operation.away == record.to_config
        if wanted and not record.stop:
            return RequestStop(owner=record.owner, reason=rollback.words(operation))
        if wanted and seen.endpoint.status == UPDATING_STATUS and not seen.stop_rings:
            return SetStopAlarm(ringing=True)
    return Wait(why=f"another {record.operation} is under way: {record.owner.rpartition(':')[2]}")


def _begin(seen: Observation, operation: Release) -> Action:
    """A release, with the claim free."""
    package = seen.package(operation.package_arn)
    if package is None:
        return End(ok=False, outcome=FAILED, reason=f"no such version: {operation.package_arn}")
    if package.approval != "Approved":
        return _nothing(f"version {package.version} is {package.approval}")
    if package.mark in MARKS:
        return _nothing(f"version {package.version} was released before: {package.mark}")
    if seen.rollout.experiment:
        reason = f"the experiment {seen.rollout.experiment} is running; stop it, then approve again"
        return End(ok=False, outcome=FAILED, reason=reason)
    if seen.endpoint.status in MOVING:
        return Wait(why=f"the endpoint is {seen.endpoint.status}")
    return rollback.claim(
        seen,
        operation="release",
        package_arn=package.arn,
        version=package.version,
        to_config=seen.to_config,
    )


def prepare(seen: Observation) -> Action:
    """Everything that can go wrong without touching the endpoint."""
    record, endpoint = seen.rollout, seen.endpoint
    off = called_off(seen)
    if off is not None:
        return off
    if endpoint.status in MOVING:
        return Wait(why=f"the endpoint is {endpoint.status}")
    if endpoint.status not in (IN_SERVICE, ROLLBACK_FAILED):
        return note(phase=ENDING, outcome=FAILED, failure=_state(seen))
    if endpoint.config != record.from_config:
        # Somebody else has updated it since the claim was made; what serves is the way back.
        return rollback.from_what_serves(seen)
    if seen.to_config != record.to_config:
        # The stack was deployed anew since the claim was made: another way to serve the same version.
        return note(to_config=seen.to_config, passed=(), checks=0)
    if PASSPORT not in record.passed:
        return VerifyPassport()
    if endpoint.config == record.to_config:
        return note(phase=UPDATING, token=endpoint.token)
    if seen.way_back:
        failure = f"there is no way back to what serves now, {endpoint.config}: {seen.way_back}"
        return note(phase=ENDING, outcome=REFUSED, failure=failure)
    if not seen.prepared:
        return Create()
    if seen.check_wanted and CHECK not in record.passed:
        return _check(seen)
    if seen.ringing:
        return Wait(why=f"alarms ring before the rollout: {', '.join(seen.ringing)}")
    return note(phase=UPDATING, token=endpoint.token)


def _check(seen: Observation) -> Action:
    record, check = seen.rollout, seen.check
    if check.state == RUNNING:
        return Wait(why="the check is running")
    if check.state in (ABSENT, BROKEN):
        if record.checks < MAX_CHECKS:
            return RunCheck(attempt=record.checks + 1)
        failure = f"the check could not be made: {check.reason or 'its job did not start'}"
        return note(phase=ENDING, outcome=REFUSED, failure=failure)
    if check.state == NOT_PASSED:
        return note(phase=ENDING, outcome=REFUSED, failure=check.reason)
    return note(passed=(*record.passed, CHECK))


def _watch(seen: Observation) -> Action:
    """From the decision to update until the new configuration has proved itself."""
    record, endpoint = seen.rollout, seen.endpoint
    off = called_off(seen)
    if endpoint.token == record.token and endpoint.config != record.to_config:
        if off is not None:
            return off
        if endpoint.status in MOVING:
            return Wait(why=f"the endpoint is {endpoint.status}")
        if seen.stop_rings:
            return SetStopAlarm(ringing=False)
        return Update(config=record.to_config, gradual=True, package_arn=record.package_arn)
    if endpoint.status in MOVING:
        if off is not None and endpoint.status == UPDATING_STATUS and not seen.stop_rings:
            return SetStopAlarm(ringing=True)
        return Wait(why=f"the endpoint is {endpoint.status}")
    if endpoint.status == ROLLBACK_FAILED:
        return take_back(seen, FAILED, _state(seen))
    if endpoint.status != IN_SERVICE:
        return note(phase=ENDING, outcome=FAILED, failure=_state(seen))
    if endpoint.config == record.to_config:
        if off is not None:
            outcome, why = dict(off.changes)["outcome"], dict(off.changes)["failure"]
            return take_back(seen, ROLLED_BACK if outcome == WITHDRAWN else outcome, why)
        if SAMPLE not in record.passed:
            return AskSample()
        return Mark(package_arn=record.package_arn, release=LIVE, config=record.to_config)
    if endpoint.config == record.from_config:
        asked = off is not None and not seen.overdue
        failure = dict(off.changes)["failure"] if off and asked else _rolled_back(seen)
        return note(phase=ENDING, outcome=ROLLED_BACK, failure=failure)
    failure = f"another update came between: the endpoint serves {endpoint.config}"
    return note(phase=ENDING, outcome=FAILED, failure=failure)


def restore(seen: Observation) -> Action:
    """Back to what served before, all at once."""
    record, endpoint = seen.rollout, seen.endpoint
    if endpoint.status in MOVING:
        return Wait(why=f"the endpoint is {endpoint.status}")
    if endpoint.status == IN_SERVICE and endpoint.config != record.to_config:
        return note(phase=ENDING)
    if endpoint.status not in (IN_SERVICE, ROLLBACK_FAILED):
        return note(phase=ENDING, failure=_and(record.failure, _state(seen)))
    if endpoint.token == record.token:
        return Update(config=record.from_config)
    if record.tries + 1 < MAX_TRIES:
        return note(tries=record.tries + 1, token=endpoint.token)
    stays = f"it could not be taken back to {record.from_config}: {endpoint.failure or 'no reason given'}"
    return note(phase=ENDING, failure=_and(record.failure, stays))


def _give_up(seen: Observation) -> Action:
    """Write down how a rollout failed: in the registry first, then in the record."""
    record = seen.rollout
    if seen.stop_rings:
        return SetStopAlarm(ringing=False)
    package = seen.package(record.package_arn)
    if record.outcome != WITHDRAWN and package is not None and package.mark != record.outcome:
        return Mark(package_arn=package.arn, release=record.outcome, reason=record.failure, reject=True)
    if seen.endpoint.config == record.to_config and _replaced(seen):
        # It could not be taken back: whatever it is worth, it is what serves.
        return Mark(package_arn=record.serving_package, release=SUPERSEDED)
    return history.freed(record, seen.endpoint.config, record.outcome, record.failure, seen.now)


def _finish(seen: Observation) -> Action:
    """The version is live: what it replaced is marked, and the claim is free."""
    record = seen.rollout
    if _replaced(seen):
        return Mark(package_arn=record.serving_package, release=SUPERSEDED)
    reason = f"version {record.version} serves"
    return history.freed(record, seen.endpoint.config, LIVE, reason, seen.now)


def _replaced(seen: Observation) -> bool:
    """Whether the version that served before still has the mark of what serves."""
    old = seen.package(seen.rollout.serving_package)
    return old is not None and old.arn != seen.rollout.package_arn and old.mark == LIVE


def called_off(seen: Observation) -> Note | None:
    """Why a release must not go on: stopped, no longer approved, or too slow."""
    record = seen.rollout
    if record.from_config == record.to_config == seen.endpoint.config:
        return None  # it serves already, and all that is left is to write that down
    if record.stop:
        return note(phase=ENDING, outcome=ROLLED_BACK, failure=record.stop)
    if not seen.approved(record.package_arn):
        package = seen.package(record.package_arn)
        now = package.approval if package else "no longer registered"
        return note(phase=ENDING, outcome=WITHDRAWN, failure=f"its approval was withdrawn: it is {now}")
    if seen.overdue:
        waited = f" ({', '.join(seen.ringing)} ring)" if seen.ringing else ""
        return note(phase=ENDING, outcome=FAILED, failure=f"the rollout took longer than it may{waited}")
    return None


def take_back(seen: Observation, outcome: str, why: str) -> Note:
    """Go back to what served before; where that is the same configuration there is nothing to go back to."""
    record = seen.rollout
    if record.from_config == record.to_config:
        stays = f"{record.to_config} served before already, so there is nothing to go back to"
        return note(phase=ENDING, outcome=outcome, failure=_and(why, stays))
    return note(phase=RESTORING, outcome=outcome, failure=why, token=seen.endpoint.token, tries=0)


def _ended(record: RolloutRecord, operation: Operation) -> End:
    # What a recovery has ended was told as what it was: the end of somebody else's rollout.
    recovered = isinstance(operation, Recover)
    return End(
        ok=recovered or record.last_outcome in (LIVE, WITHDRAWN),
        outcome=record.last_outcome,
        reason=record.last_reason,
        tell=not recovered and record.last_outcome != WITHDRAWN,
    )


def _nothing(reason: str) -> End:
    """Events come more than once, and approvals are withdrawn: then there is nothing to do."""
    return End(ok=True, outcome="nothing", reason=reason, tell=False)


def _key(operation: Operation) -> str:
    """How the record names what an operation of this kind has ended."""
    if isinstance(operation, Release):
        return f"release:{operation.package_arn}"
    return "rollback:" if isinstance(operation, Rollback) else ""


def _rolled_back(seen: Observation) -> str:
    """A silent rollback is told as what it is."""
    silent = "the endpoint was updated and is back with its old configuration; SageMaker gives no reason"
    return seen.endpoint.failure or silent


def _state(seen: Observation) -> str:
    endpoint = seen.endpoint
    return f"the endpoint is {endpoint.status} with configuration {endpoint.config}: " + (
        endpoint.failure or "it gives no reason"
    )


def _and(first: str, second: str) -> str:
    return f"{first}; {second}" if first else second
