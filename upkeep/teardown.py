"""Deletes what the workflows created and Pulumi does not know: versions, releases, jobs, their logs.

`sweep` goes before the stack is destroyed (a registry group must be empty to be deleted), `sweep_after` goes
after it (what serves may be deleted only once the endpoint is gone). Both may be repeated; what is gone
already is no error.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from upkeep import outputs as stack_outputs
from upkeep.context import client
from upkeep.errors import is_gone
from upkeep.logbook import ENDPOINT_GROUP, TRAINING_GROUP
from upkeep.outputs import ModelOutputs, StackOutputs

if TYPE_CHECKING:
    import boto3

Report = Callable[[str], None]

STOP_SECONDS = 180.0
_NOTHING = StackOutputs(region="us-east-1", data_bucket="", artifacts_bucket="", models={})
_POLL_SECONDS = 0.5
# What follows a model's own name in those of its jobs and of its releases; see infra/naming.py.
_JOB = re.compile(r"[0-9a-f]{20}|seed-[0-9a-f]{10}")
_RELEASE = re.compile(r"v[0-9]+-[0-9A-Za-z]+")


@dataclass
class Sweeper:
    """One teardown: its clients, what it found, and how it waits."""

    session: boto3.Session
    outputs: StackOutputs
    report: Report
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    deleted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.sagemaker = client(self.session, "sagemaker", self.outputs.region)
        self.states = client(self.session, "stepfunctions", self.outputs.region)
        self.logs = client(self.session, "logs", self.outputs.region)

    def attempt(self, noun: str, call: Callable[..., Any], **arguments: Any) -> bool:
        """Make a deleting call; False when there was nothing to delete any more."""
        if not self._unless_gone(call, **arguments):
            return False
        self.deleted[noun] += 1
        return True

    def _unless_gone(self, call: Callable[..., Any], **arguments: Any) -> bool:
        try:
            call(**arguments)
        except self.sagemaker.exceptions.ClientError as error:
            if not is_gone(error):
                raise
            return False
        return True

    def pages(self, service: Any, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """The items of a listing; none when what they belong to is gone."""
        try:
            for page in service.get_paginator(operation).paginate(**arguments):
                yield from page[key]
        except service.exceptions.ClientError as error:
            if not is_gone(error):
                raise


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
        _delete_jobs(sweeper, model)
        _delete_packages(sweeper, model)
        serving = _serving(sweeper, model)
        _delete_releases(sweeper, model, keep=serving)
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


def _delete_jobs(sweeper: Sweeper, model: ModelOutputs) -> None:
    """Stop and delete the runs' training jobs; the seed's belongs to Pulumi."""
    jobs = [job for job in _jobs(sweeper, model) if job["TrainingJobName"] != model.seed_job]
    for job in jobs:
        if job["TrainingJobStatus"] == "InProgress":
            sweeper.attempt(
                "running training job",
                sweeper.sagemaker.stop_training_job,
                TrainingJobName=job["TrainingJobName"],
            )
    _await_stopped(sweeper, [job["TrainingJobName"] for job in jobs])
    for job in jobs:
        sweeper.attempt(
            "training job", sweeper.sagemaker.delete_training_job, TrainingJobName=job["TrainingJobName"]
        )


def _jobs(sweeper: Sweeper, model: ModelOutputs) -> list[dict[str, Any]]:
    found = sweeper.pages(
        sweeper.sagemaker, "list_training_jobs", "TrainingJobSummaries", NameContains=f"{model.endpoint}-"
    )
    return [job for job in found if _own(model, job["TrainingJobName"], _JOB)]


def _await_stopped(sweeper: Sweeper, names: list[str]) -> None:
    deadline = sweeper.clock() + STOP_SECONDS
    for name in names:
        while sweeper.clock() < deadline and _is_running(sweeper, name):
            sweeper.sleep(_POLL_SECONDS)


def _is_running(sweeper: Sweeper, name: str) -> bool:
    try:
        status = sweeper.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
    except sweeper.sagemaker.exceptions.ClientError as error:
        if not is_gone(error):
            raise
        return False
    return status in ("InProgress", "Stopping")


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
    streams = sweeper.pages(
        sweeper.logs,
        "describe_log_streams",
        "logStreams",
        logGroupName=TRAINING_GROUP,
        logStreamNamePrefix=f"{model.endpoint}-",
    )
    for stream in list(streams):
        if _own(model, stream["logStreamName"].partition("/")[0], _JOB):
            sweeper.attempt(
                "log stream",
                sweeper.logs.delete_log_stream,
                logGroupName=TRAINING_GROUP,
                logStreamName=stream["logStreamName"],
            )
    # The group is the account's, shared by all jobs; SageMaker makes it again when it is needed.
    left = sweeper.pages(sweeper.logs, "describe_log_streams", "logStreams", logGroupName=TRAINING_GROUP)
    if next(left, None) is None:
        sweeper.attempt("log group", sweeper.logs.delete_log_group, logGroupName=TRAINING_GROUP)
