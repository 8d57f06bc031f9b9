"""Starts experiments, changes their shares and stops them; the release machine carries it out."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from models.spec import ModelSpec
from monitoring.losses import OF_TASK, LossName
from training.ledger.experiments import FAILED, STOPPED, ExperimentRecord
from training.outputs import OutputError, read_document
from training.registry.metadata import value as registry_value
from upkeep import models
from upkeep.errors import UpkeepError
from upkeep.ledger import OperatorLedger
from upkeep.model_details import account_of
from upkeep.models import Registry, Version
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients, Run

START, WEIGHTS, STOP = "experiment_start", "experiment_weights", "experiment_stop"
LEAST_WEIGHT, MOST_WEIGHT = 0.001, 0.999
MOST_ALPHA = 0.5


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What an experiment is to be.

    Attributes:
        weight: The treatment's share of the requests.
        loss: How answers are measured; the task's own by default.
        scale: For ``absolute``: the distance that is the whole loss; by default what training has seen.
        alpha: Chance of a false verdict, at most.
        minimum_effect: A difference no larger does not matter; 0 when every one does.
    """

    weight: float
    loss: str | None = None
    scale: float | None = None
    alpha: float = 0.05
    minimum_effect: float = 0.0


def check_weight(weight: float) -> None:
    """Refuse a share that is none.

    Raises:
        UpkeepError: It is outside what can be told apart from none and all.
    """
    if not LEAST_WEIGHT <= weight <= MOST_WEIGHT:
        raise UpkeepError(
            f"--weight: found {weight:g}, expected a share of the requests from {LEAST_WEIGHT:g} to "
            f"{MOST_WEIGHT:g}, such as 0.1 for a tenth."
        )


def check_wish(wish: Wish, spec: ModelSpec) -> LossName:
    """Refuse what no experiment can be, and choose the loss.

    Raises:
        UpkeepError: A value out of range, a loss that is not of the task, or no requests are recorded.
    """
    check_weight(wish.weight)
    if not 0 < wish.alpha <= MOST_ALPHA:
        raise UpkeepError(f"--alpha: found {wish.alpha:g}, expected more than 0 and {MOST_ALPHA:g} at most.")
    if not 0 <= wish.minimum_effect < 1:
        raise UpkeepError(f"--minimum-effect: found {wish.minimum_effect:g}, expected 0 or more, below 1.")
    allowed = OF_TASK[spec.task]
    loss = next((one for one in allowed if one == (wish.loss or allowed[0])), None)
    if loss is None:
        raise UpkeepError(
            f"--loss: found {wish.loss!r}, expected {' or '.join(allowed)}; {spec.name} is {spec.task}."
        )
    if wish.scale is not None and not wish.scale > 0:
        raise UpkeepError(f"--scale: found {wish.scale:g}, expected a distance above 0.")
    if wish.scale is not None and loss != "absolute":
        raise UpkeepError(f"--scale is for the loss `absolute`; {loss} lies between 0 and 1 by itself.")
    if spec.serving.capture_percent == 0:
        raise UpkeepError(
            f"Model {spec.name} records no requests (serving.capture_percent is 0), so no outcome could be "
            "told. Set it, and run `upkeep up`."
        )
    return loss


def check_version(registry: Registry, version: Version, *, approve: bool) -> None:
    """Refuse a version that cannot be tried.

    Raises:
        UpkeepError: It is the seed, serves, is not approved (and is not to be), or was taken back.
    """
    name, number = f"Version {version.label} of {version.model}", version.number
    if version.is_seed:
        raise UpkeepError(f"The seed of {version.model} is no version of the registry and cannot be tried.")
    if version.state == models.LIVE:
        raise UpkeepError(f"{name} serves already; an experiment needs another version. {registry.known()}")
    if version.state == models.PENDING and not approve:
        raise UpkeepError(
            f"{name} is not approved. `upkeep experiment start {number} --approve` approves it for the "
            f"experiment only; `upkeep models approve {number}` releases it."
        )
    if version.state in (models.ROLLED_BACK, models.FAILED, models.REFUSED, models.REJECTED):
        raise UpkeepError(
            f"{name} is {version.state}{f': {version.reason}' if version.reason else ''}. It is not tried."
        )
    if version.state == models.RELEASING:
        raise UpkeepError(f"{name} is being released; `upkeep status` shows how far it is.")


def check_free(registry: Registry, ledger: OperatorLedger) -> None:
    """Refuse to begin beside something else.

    Raises:
        UpkeepError: Another experiment has not ended, or the endpoint is being changed.
    """
    running = ledger.current_experiment(registry.model.name)
    if running is not None and reconcile(registry, ledger, running) is None:
        raise UpkeepError(
            f"Model {registry.model.name} has an experiment already: {running.id} tries version "
            f"{running.treatment_version} ({running.state}). `upkeep experiment stop` ends it."
        )
    check_idle(registry)


def check_idle(registry: Registry) -> None:
    """Refuse while the endpoint is being changed.

    Raises:
        UpkeepError: It is.
    """
    now, noted = registry.serving, registry.rollout
    if noted is not None and noted.owner:
        raise UpkeepError(
            f"Endpoint {now.endpoint} is busy: a {noted.operation.replace('_', ' ')} is under way. "
            "`upkeep status` shows how far it is."
        )
    if now.status != "InService":
        raise UpkeepError(f"Endpoint {now.endpoint} is {now.status}; an experiment needs it in service.")


def current(registry: Registry, ledger: OperatorLedger) -> ExperimentRecord:
    """The experiment that is under way.

    Raises:
        UpkeepError: There is none.
    """
    name = registry.model.name
    found = ledger.current_experiment(name)
    if found is None or reconcile(registry, ledger, found) is not None:
        raise UpkeepError(
            f"Model {name} has no experiment under way. `upkeep experiment start VERSION` begins one."
        )
    return found


def reconcile(
    registry: Registry, ledger: OperatorLedger, record: ExperimentRecord
) -> ExperimentRecord | None:
    """End an experiment in the ledger that a rollback has ended at the endpoint; None when it goes on."""
    noted = registry.rollout
    if not record.config or noted is None or noted.owner or registry.serving.status != "InService":
        return None
    if noted.experiment == record.id or registry.serving.config == record.config:
        return None
    reason = record.reason or "a rollback took the endpoint back to one version"
    since = max(noted.serving_since, record.started_at) or None
    ledger.end_experiment(record.model, record.id, STOPPED, at=since, reason=reason)
    return ledger.experiment(record.model, record.id)


def start(context: Clients, registry: Registry, ledger: OperatorLedger, record: ExperimentRecord) -> Run:
    """Write the experiment down and have it begun.

    Raises:
        UpkeepError: Somebody else began one at the same moment.
    """
    if not ledger.begin_experiment(record):
        raise UpkeepError(f"Model {record.model} has an experiment already; somebody else has just begun it.")
    given = {"package_arn": record.treatment_package, "weight": record.wanted_weight}
    try:
        run = _execute(context, registry.model, START, record, given)
    except Exception:
        ledger.end_experiment(record.model, record.id, FAILED, reason="the release machine did not start")
        raise
    ledger.change_experiment(record.model, record.id, execution_arn=run.arn)
    return run


def change_weight(context: Clients, registry: Registry, record: ExperimentRecord, weight: float) -> Run:
    """Have the treatment's share changed."""
    check_weight(weight)
    return _execute(context, registry.model, WEIGHTS, record, {"weight": weight})


def stop(
    context: Clients, registry: Registry, record: ExperimentRecord, *, promote: bool, reason: str, by: str
) -> Run:
    """Have an experiment ended; promoting goes on as an ordinary release of the treatment."""
    given = {"promote": promote, "reason": reason, "by": by}
    return _execute(context, registry.model, STOP, record, given)


def new_record(
    version: Version, wish: Wish, loss: LossName, scale: float, by: str, at: datetime
) -> ExperimentRecord:
    """The record of an experiment that is to begin."""
    package = version.package
    return ExperimentRecord(
        model=version.model,
        id=f"x{secrets.token_hex(4)[:7]}",
        treatment_package=package.arn if package else "",
        treatment_version=version.label,
        loss=loss,
        scale=scale,
        alpha=wish.alpha,
        minimum_effect=wish.minimum_effect,
        wanted_weight=wish.weight,
        created_at=at.timestamp(),
        by=by,
    )


def approve(context: Clients, version: Version, *, by: str, comment: str) -> None:
    """Approve a version for an experiment: its mark keeps the event of the approval from releasing it.

    Both are one call, so there is no moment at which only one of them is true.
    """
    if version.package is None or version.state != models.PENDING:
        return
    at = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {"release": models.EXPERIMENT, "approver": by, "approved_at": at, "approval_comment": comment}
    context.client("sagemaker").update_model_package(
        ModelPackageArn=version.package.arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription=registry_value(f"Approved for an experiment by {by}"),
        CustomerMetadataProperties={name: registry_value(text) for name, text in facts.items()},
    )


def default_scale(context: Clients, registry: Registry) -> float:
    """The distance from the first to the last decile of what the serving model answers.

    Raises:
        UpkeepError: The serving model does not say; ``--scale`` does.
    """
    url, model = registry.serving.model_data_url, registry.model
    try:
        found = read_document(
            context.client("s3"),
            url,
            "reference.json",
            bucket=context.outputs.artifacts_bucket,
            owner=account_of(model),
        )
        edges = list(found["score"]["edges"])
        scale = float(edges[-1]) - float(edges[0])
    except (OutputError, KeyError, IndexError, TypeError, ValueError) as error:
        raise UpkeepError(
            f"{url} does not say in what range its answers lie ({error}). Say with --scale which distance "
            "from the truth is the whole loss."
        ) from error
    if scale <= 0:
        raise UpkeepError("The serving model answers the same to nearly everything; set --scale.")
    return scale


def _execute(
    context: Clients, model: ModelOutputs, operation: str, record: ExperimentRecord, given: dict[str, Any]
) -> Run:
    now = datetime.now(UTC)
    name = f"{operation.replace('_', '-')}-{record.id}-{now:%Y%m%dT%H%M%S%f}"
    body = {"operation": operation, "model": model.name, "experiment_id": record.id, "by": record.by, **given}
    started = context.client("stepfunctions").start_execution(
        stateMachineArn=model.release_state_machine_arn, name=name, input=json.dumps(body)
    )
    arn = str(started["executionArn"])
    return Run(
        id=arn.rpartition(":")[2],
        model=model.name,
        arn=arn,
        status="RUNNING",
        started=started.get("startDate") or now,
    )
