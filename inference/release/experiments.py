"""Carries experiments out: reads the world, lets `trial` decide, changes one thing at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger

from inference.release import act, observe, trial
from inference.release.actions import Claim, Create, End, Note, RunCheck, Wait, note
from inference.release.tools import Tools, describe, is_passing, said
from inference.release.trial import Operation, Record, Seen, SetShare, Start, Stop, TrialAction, Weights
from inference.release.world import FAILED, MOVING, Check, Endpoint, Observation
from training.ledger.experiments import PROMOTED, ExperimentRecord
from training.ledger.rollouts import CLAIMED, RolloutRecord
from training.registry import passport

_log = Logger(service="release", child=True)
_SECONDS, _MAX_STEPS = 40, 60
_DECIMALS = 6


def step(tools: Tools, request: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Go on with an operation of an experiment; answers as ``handler.go_on`` does.

    Raises:
        ValueError: The request asks for nothing that is known.
    """
    operation = read_operation(request)
    again: dict[str, Any] = {"request": write_operation(operation, tools.plan.model)}
    until = tools.now() + _SECONDS
    for _ in range(_MAX_STEPS):
        seen = see(tools, operation)
        action = trial.next_action(seen, operation, tools.execution)
        _log.info(type(action).__name__, extra={"model": tools.plan.model, "action": str(action)})
        if isinstance(action, Wait):
            return {"do": "wait", "seconds": 1 if count < 30 else 10, "reason": action.why, **again}
        if isinstance(action, End):
            return _ended(tools, operation, action)
        job = carry_out(tools, seen, action)
        if job is not None:
            return {"do": "check", "check": job, **again}
        if tools.now() >= until:
            break
    return {"do": "again", **again}


def carry_on(tools: Tools, world: Observation) -> str | None:
    """One step of an experiment's change that another execution has left behind.

    Args:
        tools: Clients.
        world: What a release or a rollback saw, which wants the endpoint.

    Returns:
        What has to be waited for; None when something was done.
    """
    if world.rollout.owner != tools.execution:
        act.carry_out(tools, world, trial.take_over(world.rollout))
        return None
    seen = see(tools, None)
    action = trial.drive(seen)
    if isinstance(action, Wait):
        return action.why
    if isinstance(action, RunCheck):
        # It is being taken back; a check would lead nowhere.
        action = note(phase="ending", outcome=FAILED, failure="it was left behind before its check")
    carry_out(tools, seen, action)
    return None


def read_operation(request: Mapping[str, Any]) -> Operation:
    """What is asked for.

    Raises:
        ValueError: No operation of an experiment, or a weight that is no share.
    """
    kind, by = str(request.get("operation", "")), str(request.get("by") or "")
    experiment_id = str(request.get("experiment_id") or "")
    if not experiment_id:
        raise ValueError(f"{kind or 'no operation'}: experiment_id is missing")
    if kind == trial.STOP:
        return Stop(
            id=experiment_id,
            promote=bool(request.get("promote")),
            reason=str(request.get("reason") or ""),
            by=by,
        )
    weight = float(request.get("weight") or 0)
    if kind not in (trial.START, trial.WEIGHTS):
        raise ValueError(f"operation: found {kind}, expected {trial.START}, {trial.WEIGHTS} or {trial.STOP}")
    if not 0 < weight < 1:
        raise ValueError(f"{kind}: found weight {weight}, expected a share between 0 and 1")
    if kind == trial.WEIGHTS:
        return Weights(id=experiment_id, weight=weight, by=by)
    return Start(id=experiment_id, package_arn=str(request["package_arn"]), weight=weight, by=by)


def write_operation(operation: Operation, model: str) -> dict[str, Any]:
    """The request that `read_operation` reads back."""
    given = asdict(operation)
    kind = {Start: trial.START, Weights: trial.WEIGHTS, Stop: trial.STOP}[type(operation)]
    return {"operation": kind, "model": model, "experiment_id": given.pop("id"), **given}


def see(tools: Tools, operation: Operation | None) -> Seen:
    """Everything that `trial.next_action` needs now; without an operation what the claim is about."""
    record = tools.ledger.rollout(tools.plan.model)
    mine = record.owner == tools.execution
    # Of what another execution has left behind, the experiment is the one that it was about.
    wanted = operation.id if operation is not None and not (mine and record.adopted) else record.experiment
    experiment = tools.ledger.experiment(tools.plan.model, wanted) if wanted else None
    # One look for both: status and shares of two moments would not belong together.
    found = describe(tools.sagemaker.describe_endpoint, EndpointName=tools.plan.base)
    world = _world(tools, record, experiment, operation, observe.endpoint_of(found), mine=mine)
    return Seen(world=world, experiment=experiment, shares=_shares(found or {}))


def carry_out(tools: Tools, seen: Seen, action: TrialAction) -> dict[str, Any] | None:
    """Carry out an action; the parameters of the job when a check is to be run."""
    match action:
        case Record():
            _record(tools, seen, action)
        case SetShare(share=share):
            _set_share(tools, share)
        case Create():
            _or_end(tools, lambda: _create(tools, seen))
        case Claim() | Note():
            return act.carry_out(tools, seen.world, action)
        case Wait() | End():
            raise TypeError(f"{type(action).__name__} changes nothing, so there is nothing to carry out")
        case _:
            return act.carry_out(tools, seen.world, action)
    return None


def _world(
    tools: Tools,
    record: RolloutRecord,
    experiment: ExperimentRecord | None,
    operation: Operation | None,
    endpoint: Endpoint,
    *,
    mine: bool,
) -> Observation:
    arns = {record.package_arn, record.serving_package}
    if experiment is not None:
        arns.add(experiment.treatment_package)
    if isinstance(operation, Start):
        arns.add(operation.package_arn)
    described = {arn: found for arn in sorted(arns) if arn and (found := observe.read_package(tools, arn))}
    starting = mine and record.operation == trial.START
    preparing = starting and record.phase == CLAIMED
    coming = record.package_arn if starting else getattr(operation, "package_arn", "")
    to_config = record.to_config
    if coming in described and experiment is not None:
        to_config = config_name(tools, described[coming], experiment.id)
    rings = observe.ringing(tools) if preparing else frozenset()
    return Observation(
        rollout=record,
        endpoint=endpoint,
        packages=tuple(observe.package_of(found) for found in described.values()),
        to_config=to_config,
        prepared=preparing and observe.config_exists(tools, record.to_config),
        owner_gone=bool(record.owner) and not mine and observe.is_gone(tools, record),
        way_back=observe.problem_of(tools, endpoint.config)
        if preparing and endpoint.status not in MOVING
        else "",
        check=observe.read_check(tools, record) if preparing else Check(),
        check_wanted=tools.plan.check_requests > 0,
        stop_rings=tools.plan.stop_alarm in rings,
        ringing=tuple(sorted(rings - {tools.plan.stop_alarm})),
        overdue=mine and tools.now() > record.started_at + tools.plan.patience_seconds,
        now=tools.now(),
    )


def config_name(tools: Tools, package: Mapping[str, Any], experiment_id: str) -> str:
    """Name of the configuration with both versions; it begins as those of releases, so teardown finds it."""
    return f"{tools.plan.base}-v{package['ModelPackageVersion']}-{experiment_id}"


def _shares(described: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """The shares that are in force; of an endpoint that is being changed there are none."""
    variants = described.get("ProductionVariants") or []
    weights = {one["VariantName"]: float(one.get("CurrentWeight", 0.0)) for one in variants}
    return trial.shares_of(weights)


def _record(tools: Tools, seen: Seen, action: Record) -> None:
    experiment = seen.experiment
    if experiment is None:
        return
    ledger, model, changes = tools.ledger, tools.plan.model, dict(action.changes)
    if action.end:
        ledger.end_experiment(model, experiment.id, action.end, at=action.at, **changes)
        return
    if action.leaving and not ledger.leave_experiment_weight(experiment, tools.now()):
        return
    if action.share is not None:
        share = round(action.share, _DECIMALS)
        if not ledger.set_experiment_weight(experiment, share, tools.now()):
            return
    if changes:
        ledger.change_experiment(model, experiment.id, **changes)


def _create(tools: Tools, seen: Seen) -> None:
    """Make the treatment's model, and the configuration with both versions.

    The control's variant is the one that serves, as it is.
    """
    plan, record = tools.plan, seen.world.rollout
    package = observe.read_package(tools, record.package_arn)
    serving = describe(tools.sagemaker.describe_endpoint_config, EndpointConfigName=record.from_config)
    if package is None or serving is None or seen.experiment is None:
        return
    name = observe.serving_name(tools, package)
    environment = passport.container_environment(package.get("CustomerMetadataProperties") or {})
    act.unless_taken(
        tools.sagemaker.create_model,
        ModelName=name,
        ExecutionRoleArn=plan.role_arn,
        EnableNetworkIsolation=True,
        PrimaryContainer=plan.container(package, environment),
        Tags=plan.tag_list(),
    )
    share = seen.experiment.wanted_weight
    control = {**serving["ProductionVariants"][0], "InitialVariantWeight": 1 - share}
    treatment = {
        **plan.variant_of(name),
        "VariantName": trial.TREATMENT,
        "InitialInstanceCount": 1,
        "InitialVariantWeight": share,
    }
    capture = {"DataCaptureConfig": plan.capture} if plan.capture else {}
    act.unless_taken(
        tools.sagemaker.create_endpoint_config,
        EndpointConfigName=record.to_config,
        ProductionVariants=[control, treatment],
        Tags=plan.tag_list(),
        **capture,
    )


def _set_share(tools: Tools, share: float) -> None:
    wanted = {trial.CONTROL: 1 - share, trial.TREATMENT: share}
    weights = [{"VariantName": name, "DesiredWeight": weight} for name, weight in wanted.items()]
    if not tools.ledger.holds_rollout(tools.plan.model, tools.execution):
        return
    try:
        tools.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=tools.plan.base, DesiredWeightsAndCapacities=weights
        )
    except tools.sagemaker.exceptions.ClientError as error:
        if is_passing(error):
            raise
        if act.IN_PROGRESS not in str(error):
            act.write(tools, note(phase="ending", outcome=FAILED, failure=said(error)))


def _or_end(tools: Tools, call: Any) -> None:
    try:
        call()
    except tools.sagemaker.exceptions.ClientError as error:
        if is_passing(error):
            raise
        act.write(tools, note(phase="ending", outcome=FAILED, failure=said(error)))


def _ended(tools: Tools, operation: Operation, end: End) -> dict[str, Any]:
    """The end of an operation; a promotion goes on as an ordinary release, in the same execution."""
    request = write_operation(operation, tools.plan.model)
    experiment = tools.ledger.experiment(tools.plan.model, operation.id)
    if isinstance(operation, Stop) and operation.promote and experiment and experiment.state == PROMOTED:
        release = {
            "operation": "release",
            "model": tools.plan.model,
            "package_arn": experiment.treatment_package,
        }
        return {"do": "again", "reason": end.reason, "request": release}
    what = request["operation"].replace("_", " ")
    subject = f"{tools.plan.base}: {what} {'done' if end.ok else 'failed'}" if end.tell else ""
    return {
        "do": "done" if end.ok else "failed",
        "outcome": end.outcome,
        "error": "" if end.ok else "ExperimentFailed",
        "reason": end.reason,
        "request": request,
        "subject": subject[:99],
        "message": f"{end.reason}\n\nExperiment: {operation.id}\nExecution: {tools.execution}"
        if subject
        else "",
    }
