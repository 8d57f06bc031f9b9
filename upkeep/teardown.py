"""Deletes what the workflows created and Pulumi does not know: versions, releases, jobs, their logs.

`sweep` goes before the stack is destroyed (a registry group must be empty to be deleted), `sweep_after` goes
after it (what serves may be deleted only once the endpoint is gone). Both may be repeated; what is gone
already is no error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from training.ledger import rollouts
from upkeep import outputs as stack_outputs
from upkeep.context import client
from upkeep.errors import is_gone
from upkeep.logbook import ENDPOINT_GROUP
from upkeep.outputs import ModelOutputs, StackOutputs
from upkeep.sweep_jobs import delete_job_logs, delete_jobs
from upkeep.sweeper import Report, Sweeper

if TYPE_CHECKING:
    import boto3

_NOTHING = StackOutputs(region="us-east-1", data_bucket="", artifacts_bucket="", models={})
# What follows a model's own name in those of its releases and experiments; see infra/naming.py.
_RELEASE = re.compile(r"v[0-9]+-[0-9A-Za-z]+")


def sweep(
    session: boto3.Session,
    outputs: StackOutputs | Mapping[str, Any],
    report: Report = lambda _line: None,
    **how: Any,
) -> Counter[str]:
    """Delete what must go before the stack: running work, versions, jobs, and releases that do not serve.

    Args:
        session: Reaches the stack's account.
        outputs: The stack's outputs, as exported or parsed.
        report: Told one line about each kind of thing deleted.
        how: `sleep` and `clock`, for tests.

    Returns:
        How many of what were deleted.
    """
    sweeper = Sweeper(session, _parsed(outputs), report, **how)
    for model in sweeper.outputs.models.values():
        _stop_executions(sweeper, model)
        delete_jobs(sweeper, model)
        _delete_packages(sweeper, model)
        serving = _serving(sweeper, model)
        _delete_releases(sweeper, model, keep=serving)
        _forget_rollout(sweeper, model)
    _tell(sweeper)
    return sweeper.deleted


def sweep_after(
    session: boto3.Session,
    outputs: StackOutputs | Mapping[str, Any],
    report: Report = lambda _line: None,
    **how: Any,
) -> Counter[str]:
    """Delete what could go only after the endpoints: the release that served last, and the services' logs."""
    sweeper = Sweeper(session, _parsed(outputs), report, **how)
    for model in sweeper.outputs.models.values():
        _delete_releases(sweeper, model, keep=_serving(sweeper, model))
        _delete_logs(sweeper, model)
        delete_job_logs(sweeper, model)
    _tell(sweeper)
    return sweeper.deleted


def removed(outputs: Mapping[str, Any], declared: Iterable[str]) -> dict[str, Any]:
    """The outputs with only the models that are no longer declared; empty when there are none.

    Their registry groups are about to be deleted, and a group must be empty for that.
    """
    gone = {name: model for name, model in (outputs.get("models") or {}).items() if name not in set(declared)}
    return {**outputs, "models": gone} if gone else {}


def declared_models(root: Path, stack: str) -> list[str]:
    """The models a stack file lists, or those of the schema's default."""
    for path, key in ((root / f"Pulumi.{stack}.yaml", "upkeep:models"), (root / "Pulumi.yaml", "models")):
        config = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("config") or {}
        if key in config:
            found = config[key]
            return list(found["default"] if isinstance(found, Mapping) else found)
    return []


def _parsed(outputs: StackOutputs | Mapping[str, Any]) -> StackOutputs:
    """The outputs; a stack whose first deployment failed has none and so nothing to sweep."""
    if isinstance(outputs, StackOutputs):
        return outputs
    return stack_outputs.parse(outputs, "") if outputs.get("models") else _NOTHING


def _tell(sweeper: Sweeper) -> None:
    for noun, count in sorted(sweeper.deleted.items()):
        sweeper.report(f"deleted {count} {noun}{'' if count == 1 else 's'}")


def _own(model: ModelOutputs, name: str, form: re.Pattern[str]) -> bool:
    """Whether a name is one the workflows of this model give, not of a model whose name begins alike."""
    start = f"{model.endpoint}-"
    return name.startswith(start) and form.fullmatch(name.removeprefix(start)) is not None


def _stop_executions(sweeper: Sweeper, model: ModelOutputs) -> None:
    for arn in (model.retrain_state_machine_arn, model.release_state_machine_arn):
        running = sweeper.pages(
            sweeper.states, "list_executions", "executions", stateMachineArn=arn, statusFilter="RUNNING"
        )
        for item in list(running):
            sweeper.attempt(
                "running execution",
                sweeper.states.stop_execution,
                executionArn=item["executionArn"],
                error="TornDown",
                cause="The stack is being deleted.",
            )


def _delete_packages(sweeper: Sweeper, model: ModelOutputs) -> None:
    found = sweeper.pages(
        sweeper.sagemaker,
        "list_model_packages",
        "ModelPackageSummaryList",
        ModelPackageGroupName=model.package_group,
    )
    for item in list(found):
        sweeper.attempt(
            "model version", sweeper.sagemaker.delete_model_package, ModelPackageName=item["ModelPackageArn"]
        )


def _forget_rollout(sweeper: Sweeper, model: ModelOutputs) -> None:
    """Delete the record of what served: it is no way back for an endpoint that is made anew."""
    if sweeper.outputs.ledger_table:
        sweeper.unless_gone(
            client(sweeper.session, "dynamodb", sweeper.outputs.region).delete_item,
            TableName=sweeper.outputs.ledger_table,
            Key={"pk": {"S": model.name}, "sk": {"S": rollouts.SORT_KEY}},
        )


def _serving(sweeper: Sweeper, model: ModelOutputs) -> set[str]:
    """Names of the config and models behind the endpoint: they stay until it is gone."""
    try:
        endpoint = sweeper.sagemaker.describe_endpoint(EndpointName=model.endpoint)
        name = endpoint["EndpointConfigName"]
        config = sweeper.sagemaker.describe_endpoint_config(EndpointConfigName=name)
    except sweeper.sagemaker.exceptions.ClientError as error:
        if not is_gone(error):
            raise
        return set()
    return {name, *(variant["ModelName"] for variant in config["ProductionVariants"])}


def _delete_releases(sweeper: Sweeper, model: ModelOutputs, keep: set[str]) -> None:
    """Delete endpoint configs and models of releases; those Pulumi made are gone, or found gone, later."""
    prefix = f"{model.endpoint}-"
    kinds = (
        (
            "list_endpoint_configs",
            "EndpointConfigs",
            "EndpointConfigName",
            sweeper.sagemaker.delete_endpoint_config,
        ),
        ("list_models", "Models", "ModelName", sweeper.sagemaker.delete_model),
    )
    for operation, key, field_name, delete in kinds:
        found = list(sweeper.pages(sweeper.sagemaker, operation, key, NameContains=prefix))
        for item in found:
            name = item[field_name]
            if _own(model, name, _RELEASE) and name not in keep:
                noun = "endpoint config" if "Config" in field_name else "model"
                sweeper.attempt(noun, delete, **{field_name: name})


def _delete_logs(sweeper: Sweeper, model: ModelOutputs) -> None:
    group = f"{ENDPOINT_GROUP}{model.endpoint}"
    sweeper.attempt("log group", sweeper.logs.delete_log_group, logGroupName=group)
