"""The protocol of experiments: a second version beside the serving one, with a share of the requests.

A pure function as in `protocol`, under the same claim, so that an endpoint has one change at a time. A
version that is tried takes the way of a release to the endpoint: passport, check, and the way back when it
does not serve. Three things differ:

- traffic moves all at once and without alarms, because for a deployment with alarms the "new endpoint
  configuration must have the same variant name as the old endpoint configuration"
  (https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html);
- the shares are set afterwards, until they are the ones wanted
  (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpointWeightsAndCapacities.html), and
  only then written down: an outcome counts by the share with which its request was drawn.
- what served before keeps serving, and stays what a rollback goes back to.

Promotion is the end of the experiment and an ordinary release after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from inference.release import history, protocol
from inference.release.actions import Action, Claim, End, Mark, Note, Update, Wait, note
from inference.release.rollback import MAX_TRIES, claim
from inference.release.world import (
    EXPERIMENT,
    FAILED,
    IN_SERVICE,
    LIVE,
    MOVING,
    RETRY,
    ROLLBACK_FAILED,
    ROLLED_BACK,
    WITHDRAWN,
    Observation,
)
from training.ledger import experiments as ledger
from training.ledger.experiments import ExperimentRecord
from training.ledger.rollouts import CLAIMED, ENDING, RESTORING, UPDATING, RolloutRecord, Served

PREFIX = "experiment_"
START, WEIGHTS, STOP = "experiment_start", "experiment_weights", "experiment_stop"
CONTROL, TREATMENT = "AllTraffic", "Challenger"
# The API keeps weights as single-precision numbers.
_TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Start:
    """Put a version beside the serving one."""

    id: str
    package_arn: str
    weight: float
    by: str = ""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Give the treatment another share."""

    id: str
    weight: float
    by: str = ""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Back to the control alone; with `promote` a release of the treatment follows."""

    id: str
    promote: bool = False
    reason: str = ""
    by: str = ""


Operation = Start | Weights | Stop


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a decision is made on.

    Attributes:
        world: As for a release; of a start, ``to_config`` is the configuration with both versions.
        experiment: What the ledger has of it.
        shares: The variants' shares of the requests, as the endpoint says.
    """

    world: Observation
    experiment: ExperimentRecord | None
    shares: tuple[tuple[str, float], ...] = ()

    @property
    def share(self) -> float | None:
        """The treatment's share; None while there is no such variant."""
        return dict(self.shares).get(TREATMENT)


@dataclass(frozen=True, kw_only=True)
class SetShare:
    """Ask SageMaker for another share of the treatment."""

    share: float


@dataclass(frozen=True, kw_only=True)
class Record:
    """Write into the experiment's record.

    Attributes:
        changes: Fields of it.
        share: A share that is in force from now on.
        leaving: Whether the share in force is about to change.
        end: The state it ends in; empty when it goes on.
        at: When it ended, if that was before now.
    """

    changes: tuple[tuple[str, Any], ...] = ()
    share: float | None = None
    leaving: bool = False
    end: str = ""
    at: float | None = None


TrialAction = Action | SetShare | Record


def next_action(seen: Seen, operation: Operation, me: str) -> TrialAction:
    """What to do now; see `protocol.next_action`."""
    record = seen.world.rollout
    if record.owner == me:
        return drive(seen)
    if record.owner and seen.world.owner_gone and record.operation.startswith(PREFIX):
        return take_over(record)
    if record.owner:
        if isinstance(operation, Stop):
            return Wait(why=f"another {record.operation} is under way: {record.owner.rpartition(':')[2]}")
        return _refuse(seen, operation, f"another {record.operation} is under way")
    if record.last_owner == me and record.last_operation.startswith(PREFIX):
        ok = record.last_outcome == LIVE
        return End(ok=ok, outcome=record.last_outcome, reason=record.last_reason)
    if seen.world.endpoint.status in MOVING:
        return Wait(why=f"the endpoint is {seen.world.endpoint.status}")
    match operation:
        case Start():
            return _begin(seen, operation)
        case Weights():
            return _reweigh(seen, operation)
    return _stop(seen, operation)


def drive(seen: Seen) -> TrialAction:
    """As the holder of the claim: whatever the record says is under way."""
    record = seen.world.rollout
    if seen.experiment is None:
        return _free(seen, FAILED, f"the experiment {record.experiment} is not in the ledger")
    if record.phase == ENDING:
        return _give_up(seen, seen.experiment)
    if record.operation == START:
        return _start(seen, seen.experiment)
    if seen.world.overdue:
        return note(phase=ENDING, outcome=FAILED, failure="it took longer than it may")
    if record.operation == WEIGHTS:
        return _weigh(seen, seen.experiment)
    return _end(seen, seen.experiment)


def take_over(record: RolloutRecord) -> Claim:
    """Take the claim of an execution that died: a start is taken back, all else is finished."""
    left = f"its execution {record.owner.rpartition(':')[2]} ended without a word"
    stop = {"stop": left} if record.operation == START and not record.stop else {}
    return Claim(was=record.owner, changes=tuple(sorted({"adopted": True, **stop}.items())))


def _begin(seen: Seen, operation: Start) -> TrialAction:
    world, experiment = seen.world, seen.experiment
    package = world.package(operation.package_arn)
    if experiment is not None and experiment.state == ledger.FAILED:
        return End(ok=False, outcome=FAILED, reason=experiment.reason)
    if experiment is None or experiment.state != ledger.STARTING:
        state = experiment.state if experiment else "unknown"
        return _nothing(f"the experiment {operation.id} is {state}")
    if package is None:
        return _refuse(seen, operation, f"no such version: {operation.package_arn}")
    if not world.approved(package.arn):
        return _refuse(seen, operation, f"version {package.version} is {package.approval}")
    if package.arn == world.rollout.serving_package and world.endpoint.config == world.rollout.config:
        return _refuse(seen, operation, f"version {package.version} serves already")
    if world.rollout.experiment:
        return _refuse(seen, operation, f"the experiment {world.rollout.experiment} is running")
    if world.endpoint.status != IN_SERVICE:
        return _refuse(seen, operation, f"the endpoint is {world.endpoint.status}")
    return claim(
        world,
        operation=START,
        package_arn=package.arn,
        version=package.version,
        to_config=world.to_config,
        experiment=operation.id,
        by=operation.by,
    )


def _reweigh(seen: Seen, operation: Weights) -> TrialAction:
    if problem := _not_running(seen, operation.id):
        return End(ok=False, outcome=FAILED, reason=problem)
    experiment = seen.experiment
    if experiment is not None and experiment.wanted_weight != operation.weight:
        return Record(changes=(("wanted_weight", operation.weight),))
    return _claim_beside(seen, WEIGHTS, seen.world.endpoint.config, operation.by)


def _stop(seen: Seen, operation: Stop) -> TrialAction:
    experiment = seen.experiment
    if experiment is None or not experiment.under_way:
        return _nothing(f"the experiment {operation.id} has ended")
    if _not_running(seen, operation.id):
        # A rollback came before, or it never got so far.
        reason = experiment.reason or "the endpoint served one version again before it was stopped"
        since = max(seen.world.rollout.serving_since, experiment.started_at) or None
        return Record(changes=(("reason", reason),), end=ledger.STOPPED, at=since)
    promised = (("reason", operation.reason), ("state", ledger.STOPPING), ("promote", operation.promote))
    if any(getattr(experiment, name) != value for name, value in promised):
        return Record(changes=promised)
    return _claim_beside(seen, STOP, experiment.control_config, operation.by)


def _claim_beside(seen: Seen, operation: str, to_config: str, by: str) -> TrialAction:
    """A claim for a change after which the control serves on."""
    record = seen.world.rollout
    return claim(
        seen.world,
        operation=operation,
        package_arn=record.serving_package,
        version=record.serving_version,
        to_config=to_config,
        by=by,
    )


def _start(seen: Seen, experiment: ExperimentRecord) -> TrialAction:
    world, record = seen.world, seen.world.rollout
    facts = {
        "config": record.to_config,
        "control_config": record.from_config,
        "control_package": record.serving_package,
        "control_version": record.serving_version,
    }
    if any(getattr(experiment, name) != value for name, value in facts.items()):
        return Record(changes=tuple(facts.items()))
    if record.phase == CLAIMED:
        return protocol.prepare(world)
    if record.phase == RESTORING:
        return protocol.restore(world)
    endpoint, off = world.endpoint, protocol.called_off(world)
    if endpoint.token == record.token and endpoint.config != record.to_config:
        if off is not None:
            return off
        if endpoint.status in MOVING:
            return Wait(why=f"the endpoint is {endpoint.status}")
        return Update(config=record.to_config, package_arn=record.package_arn)
    if endpoint.status in MOVING:
        return Wait(why=f"the endpoint is {endpoint.status}")
    if endpoint.status not in (IN_SERVICE, ROLLBACK_FAILED):
        return note(phase=ENDING, outcome=FAILED, failure=_state(seen))
    if endpoint.config != record.to_config or endpoint.status == ROLLBACK_FAILED:
        why = endpoint.failure or "the endpoint is back with its old configuration and gives no reason"
        return note(phase=ENDING, outcome=FAILED, failure=why)
    if off is not None:
        outcome = dict(off.changes)["outcome"]
        return protocol.take_back(
            world, ROLLED_BACK if outcome == WITHDRAWN else outcome, dict(off.changes)["failure"]
        )
    return _serve(seen, experiment)


def _serve(seen: Seen, experiment: ExperimentRecord) -> TrialAction:
    """Both versions serve: give them their shares, and write it down."""
    record = seen.world.rollout
    if not _is(seen.share, experiment.wanted_weight):
        return SetShare(share=experiment.wanted_weight)
    package = seen.world.package(record.package_arn)
    if package is not None and package.mark != EXPERIMENT:
        reason = f"tried beside version {record.serving_version or 'of the seed'} in {experiment.id}"
        # Without the configuration: a rollback to this version must not bring both back.
        return Mark(package_arn=package.arn, release=EXPERIMENT, reason=reason)
    if experiment.state == ledger.STARTING:
        running = (("state", ledger.RUNNING), ("started_at", seen.world.now))
        return Record(changes=running, share=experiment.wanted_weight)
    return _free(
        seen, LIVE, f"version {record.version} answers {experiment.wanted_weight:.1%} of the requests"
    )


def _weigh(seen: Seen, experiment: ExperimentRecord) -> TrialAction:
    record, endpoint = seen.world.rollout, seen.world.endpoint
    if endpoint.status in MOVING:
        return Wait(why=f"the endpoint is {endpoint.status}")
    if endpoint.status != IN_SERVICE or endpoint.config != record.to_config:
        return note(phase=ENDING, outcome=FAILED, failure=_state(seen))
    if not _is(seen.share, experiment.wanted_weight):
        if experiment.open_weight is not None:
            return Record(leaving=True)
        return SetShare(share=experiment.wanted_weight)
    if experiment.open_weight != experiment.wanted_weight:
        return Record(share=experiment.wanted_weight)
    return _free(seen, LIVE, f"the treatment answers {experiment.wanted_weight:.1%} of the requests")


def _end(seen: Seen, experiment: ExperimentRecord) -> TrialAction:
    """Back to the control alone."""
    world, record, endpoint = seen.world, seen.world.rollout, seen.world.endpoint
    if endpoint.status in MOVING:
        return Wait(why=f"the endpoint is {endpoint.status}")
    if endpoint.status == IN_SERVICE and endpoint.config == record.to_config:
        treatment = world.package(experiment.treatment_package)
        if experiment.promote and treatment is not None and treatment.mark == EXPERIMENT:
            reason = f"promoted after the experiment {experiment.id}"
            return Mark(package_arn=treatment.arn, release=RETRY, reason=reason)
        if experiment.under_way:
            return Record(end=ledger.PROMOTED if experiment.promote else ledger.STOPPED)
        return _free(seen, LIVE, f"version {record.version or 'of the seed'} serves alone")
    if endpoint.status not in (IN_SERVICE, ROLLBACK_FAILED):
        return note(phase=ENDING, outcome=FAILED, failure=_state(seen))
    if record.phase == CLAIMED:
        if experiment.open_weight is not None:
            return Record(leaving=True)
        return note(phase=UPDATING, token=endpoint.token)
    if endpoint.token == record.token:
        return Update(config=record.to_config)
    if record.tries + 1 < MAX_TRIES:
        return note(tries=record.tries + 1, token=endpoint.token)
    return note(phase=ENDING, outcome=FAILED, failure=_state(seen))


def _give_up(seen: Seen, experiment: ExperimentRecord) -> TrialAction:
    """Write down how it failed: in the registry first, then in the ledger, then free the claim."""
    record = seen.world.rollout
    if record.operation != START:
        if experiment.state == ledger.STOPPING:
            return Record(changes=(("state", ledger.RUNNING),))
        if experiment.open_weight is None and seen.share is not None and experiment.weights:
            # Requests are drawn by some share all the time; it is known, though not the one wanted.
            return Record(share=seen.share)
        return _free(seen, record.outcome, record.failure)
    package = seen.world.package(record.package_arn)
    if record.outcome != WITHDRAWN and package is not None and package.mark != record.outcome:
        return Mark(package_arn=package.arn, release=record.outcome, reason=record.failure, reject=True)
    if experiment.under_way:
        return Record(changes=(("reason", record.failure),), end=ledger.FAILED)
    return _free(seen, record.outcome, record.failure)


def _free(seen: Seen, outcome: str, reason: str) -> Note:
    """Free the claim; the control is what serves, and what was left for it may be gone back to."""
    record, found = seen.world.rollout, seen.world.endpoint.config
    changes = dict(history.freed(record, found, outcome, reason, seen.world.now).changes)
    both = seen.experiment is not None and found == seen.experiment.config
    changes |= {
        "experiment": record.experiment if both else "",
        "config": found,
        "serving_package": record.serving_package,
        "serving_version": record.serving_version,
        "serving_since": record.serving_since,
    }
    kept = [one for one in changes["history"] if one.config != found]
    if both and record.operation == START:
        kept = [replace(one, sound=True) if one.config == record.from_config else one for one in kept]
    else:
        kept = [one for one in kept if seen.experiment is None or one.config != seen.experiment.config]
    previous = next((one for one in kept if one.sound), Served(config=""))
    changes |= {
        "history": tuple(kept),
        "previous_config": previous.config,
        "previous_package": previous.package_arn,
    }
    return note(**changes)


def _not_running(seen: Seen, experiment_id: str) -> str:
    """Why the endpoint does not serve the experiment; empty when it does."""
    record, endpoint, experiment = seen.world.rollout, seen.world.endpoint, seen.experiment
    if experiment is None:
        return f"no such experiment: {experiment_id}"
    if record.experiment != experiment_id or endpoint.config != experiment.config:
        return f"the endpoint serves {endpoint.config}, and not the experiment {experiment_id}"
    return ""


def _refuse(seen: Seen, operation: Start | Weights, reason: str) -> TrialAction:
    """Nothing was changed; a start that never began ends in the ledger too."""
    begun = seen.experiment is not None and seen.experiment.state == ledger.STARTING
    mine = seen.world.rollout.experiment != operation.id
    if isinstance(operation, Start) and begun and mine:
        return Record(changes=(("reason", reason),), end=ledger.FAILED)
    return End(ok=False, outcome=FAILED, reason=reason)


def _nothing(reason: str) -> End:
    return End(ok=True, outcome="nothing", reason=reason, tell=False)


def _is(share: float | None, wanted: float) -> bool:
    return share is not None and abs(share - wanted) <= _TOLERANCE


def _state(seen: Seen) -> str:
    endpoint = seen.world.endpoint
    said = endpoint.failure or "it gives no reason"
    return f"the endpoint is {endpoint.status} with configuration {endpoint.config}: {said}"


def shares_of(variants: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Shares from weights; a request is drawn by a variant's weight among all weights.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
    """
    total = sum(variants.values())
    return tuple((name, weight / total if total else 0.0) for name, weight in sorted(variants.items()))
