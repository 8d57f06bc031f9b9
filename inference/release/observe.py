"""Reads the world for the protocol: each time anew, and only what the next decision depends on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.preflight import places, result
from inference.release import history
from inference.release.tools import Tools, describe
from inference.release.world import (
    ABSENT,
    BROKEN,
    MOVING,
    NOT_PASSED,
    PASSED,
    PREVIOUS,
    RUNNING,
    SEED,
    Check,
    Endpoint,
    Observation,
    Operation,
    Package,
    Release,
    Rollback,
    Target,
)
from training.aws import code, is_missing
from training.ledger.rollouts import CLAIMED, UPDATING, RolloutRecord
from training.outputs import OutputError, split_uri
from training.registry.passport import container_environment

# How long the last call of an execution that has ended may still go on: the function's own time limit.
LAST_CALL_SECONDS = 150
# DescribeExecution is eventually consistent; one that is not known so long after its start does not exist.
UNKNOWN_SECONDS = 150
_NOTHING = ("", "none")
_SHOWN_TARGETS = 5


def observe(tools: Tools, operation: Operation) -> Observation:
    """Everything that `protocol.next_action` needs now."""
    record = tools.ledger.rollout(tools.plan.model)
    endpoint = read_endpoint(tools)
    mine = record.owner == tools.execution
    releasing = mine and record.operation == "release"
    targets = () if record.owner else _targets(tools, operation, record, endpoint)
    wanted = {record.package_arn, record.serving_package, *(one.package_arn for one in targets)}
    if isinstance(operation, Release):
        wanted.add(operation.package_arn)
    described = {arn: found for arn in sorted(wanted) if arn and (found := read_package(tools, arn))}
    coming = record.package_arn if releasing else getattr(operation, "package_arn", "")
    to_config = serving_name(tools, described[coming]) if coming in described else record.to_config
    preparing = releasing and record.phase == CLAIMED
    rings = ringing(tools) if mine or record.stop else frozenset()
    return Observation(
        rollout=record,
        endpoint=endpoint,
        packages=tuple(package_of(found) for found in described.values()),
        to_config=to_config,
        prepared=preparing and config_exists(tools, record.to_config),
        owner_gone=bool(record.owner) and not mine and is_gone(tools, record),
        way_back=problem_of(tools, endpoint.config) if preparing and endpoint.status not in MOVING else "",
        ahead=problem_of(tools, record.to_config)
        if mine and record.operation == "rollback" and record.phase in (CLAIMED, UPDATING)
        else "",
        check=read_check(tools, record) if preparing else Check(),
        check_wanted=tools.plan.check_requests > 0,
        stop_rings=tools.plan.stop_alarm in rings,
        ringing=tuple(sorted(rings - {tools.plan.stop_alarm})),
        targets=targets,
        overdue=mine and tools.now() > record.started_at + tools.plan.patience_seconds,
        now=tools.now(),
    )


def read_endpoint(tools: Tools) -> Endpoint:
    """The endpoint as it is described."""
    return endpoint_of(describe(tools.sagemaker.describe_endpoint, EndpointName=tools.plan.base))


def endpoint_of(found: Mapping[str, Any] | None) -> Endpoint:
    """A described endpoint, as far as the protocol asks; None for one that is not there."""
    if found is None:
        return Endpoint(status="Missing")
    return Endpoint(
        status=found["EndpointStatus"],
        config=found.get("EndpointConfigName", ""),
        failure=found.get("FailureReason", ""),
        token=f"{found['LastModifiedTime'].timestamp():.6f}",
    )


def read_package(tools: Tools, arn: str) -> dict[str, Any] | None:
    """A version as the registry describes it; None when it is not there."""
    return describe(tools.sagemaker.describe_model_package, ModelPackageName=arn)


def package_of(found: Mapping[str, Any]) -> Package:
    """A described version, as far as the protocol asks."""
    metadata = found.get("CustomerMetadataProperties") or {}
    return Package(
        arn=found["ModelPackageArn"],
        version=version_of(found),
        approval=found.get("ModelApprovalStatus", ""),
        mark=metadata.get("release", ""),
    )


def version_of(found: Mapping[str, Any]) -> str:
    """What people call a version: its semantic version, or its number in the registry."""
    version = (found.get("CustomerMetadataProperties") or {}).get("version", "")
    return str(found.get("ModelPackageVersion", "")) if version in _NOTHING else version


def serving_name(tools: Tools, found: Mapping[str, Any]) -> str:
    """Name of the model and the configuration that a version is served from."""
    environment = container_environment(found.get("CustomerMetadataProperties") or {})
    return tools.plan.name(found["ModelPackageVersion"], tools.plan.container(found, environment))


def config_exists(tools: Tools, config: str) -> bool:
    """Whether there is a configuration of that name."""
    return describe(tools.sagemaker.describe_endpoint_config, EndpointConfigName=config) is not None


def archives_of(tools: Tools, config: str) -> dict[str, str]:
    """The models of a configuration and their archives; an empty archive where the model is gone."""
    found = describe(tools.sagemaker.describe_endpoint_config, EndpointConfigName=config)
    names = [variant["ModelName"] for variant in found["ProductionVariants"]] if found else []
    archives = {}
    for name in names:
        model = describe(tools.sagemaker.describe_model, ModelName=name) or {}
        archives[name] = _archive(tools, model)
    return archives


def problem_of(tools: Tools, config: str) -> str:
    """Why a configuration could not be brought into service; empty when all of it is there."""
    archives = archives_of(tools, config)
    if not archives:
        return f"the configuration {config} is gone"
    for model, url in archives.items():
        if not url:
            return f"the model {model} is gone"
        try:
            bucket, key = split_uri(url)
        except OutputError as error:
            return str(error)
        try:
            tools.s3.head_object(Bucket=bucket, Key=key, ExpectedBucketOwner=tools.account)
        except tools.s3.exceptions.ClientError as error:
            if is_missing(error, tools.s3, bucket, key, tools.account):
                return f"the artifact {url} is gone"
            raise
    return ""


def ringing(tools: Tools) -> frozenset[str]:
    """Rollback alarms in state ALARM, as far as they are on one metric.

    Composite alarms are shown only to who may see every alarm there is; SageMaker watches them all the same.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
    """
    names = list(dict.fromkeys((tools.plan.stop_alarm, *tools.plan.alarms)))
    answer = tools.cloudwatch.describe_alarms(
        AlarmNames=names, AlarmTypes=["MetricAlarm"], StateValue="ALARM"
    )
    return frozenset(alarm["AlarmName"] for alarm in answer.get("MetricAlarms", []))


def attempt_name(tools: Tools, record: RolloutRecord, run_id: str, attempt: int) -> str:
    """Name of the job of a check: one per rollout and attempt, whichever execution carries it on."""
    about = f"{record.package_arn} {record.started_at} {record.to_config} {attempt}"
    return places.job_name(tools.plan.base, run_id, about)


def run_of(found: Mapping[str, Any]) -> str:
    """The run that a version comes from."""
    return str((found.get("CustomerMetadataProperties") or {}).get("run_id", "")) or "unknown"


def read_check(tools: Tools, record: RolloutRecord) -> Check:
    """What became of the check of the rollout under way."""
    found = read_package(tools, record.package_arn)
    if record.checks == 0 or found is None:
        return Check()
    run_id = run_of(found)
    job = attempt_name(tools, record, run_id, record.checks)
    try:
        read = result.read(
            tools.s3,
            bucket=tools.plan.artifacts_bucket,
            model=tools.plan.model,
            run_id=run_id,
            job_name=job,
            owner=tools.account,
        )
    except result.ResultError as error:
        return Check(state=BROKEN, reason=str(error))
    if read is not None:
        return Check(state=PASSED if read.passed else NOT_PASSED, reason=read.reason)
    described = describe(tools.sagemaker.describe_processing_job, ProcessingJobName=job)
    if described is None:
        return Check(state=ABSENT)
    if described["ProcessingJobStatus"] in ("InProgress", "Stopping"):
        return Check(state=RUNNING)
    why = described.get("FailureReason") or described.get("ExitMessage") or "no reason given"
    return Check(state=BROKEN, reason=f"job {job} ended as {described['ProcessingJobStatus']}: {why}")


def _targets(
    tools: Tools, operation: Operation, record: RolloutRecord, endpoint: Endpoint
) -> tuple[Target, ...]:
    """What a rollback could go back to."""
    if not isinstance(operation, Rollback) or endpoint.status in MOVING:
        return ()
    if operation.to == SEED:
        seed = tools.plan.seed_config
        return (Target(config=seed, version="seed", problem=problem_of(tools, seed)),)
    if operation.to == PREVIOUS:
        before = history.candidates(record, endpoint.config, tools.plan.seed_config)[:_SHOWN_TARGETS]
        return tuple(
            Target(
                config=one.config,
                package_arn=one.package_arn,
                version=one.version,
                problem=problem_of(tools, one.config),
            )
            for one in before
        )
    found = read_package(tools, operation.to)
    metadata = (found or {}).get("CustomerMetadataProperties") or {}
    config = metadata.get("endpoint_config", "")
    problem = "it never served; approve it to have it released" if found else "there is no such version"
    return (
        Target(
            config=config or operation.to,
            package_arn=operation.to,
            version=version_of(found) if found else operation.to,
            problem=problem_of(tools, config) if config not in _NOTHING else problem,
        ),
    )


def is_gone(tools: Tools, record: RolloutRecord) -> bool:
    """Whether an execution has ended for good, with the last call it made."""
    try:
        found = tools.states.describe_execution(executionArn=record.owner)
    except tools.states.exceptions.ClientError as error:
        if code(error) not in ("ExecutionDoesNotExist", "InvalidArn"):
            raise
        return tools.now() > record.started_at + UNKNOWN_SECONDS
    stopped = found.get("stopDate")
    if found["status"] == "RUNNING" or stopped is None:
        return False
    return bool(tools.now() > stopped.timestamp() + LAST_CALL_SECONDS)


def _archive(tools: Tools, model: Mapping[str, Any]) -> str:
    """The archive of a model, also of one that was made from a package."""
    containers: list[dict[str, Any]] = model.get("Containers", [])
    container = model.get("PrimaryContainer") or (containers[0] if containers else {})
    url = container.get("ModelDataUrl", "")
    if url or not container.get("ModelPackageName"):
        return str(url)
    package = read_package(tools, container["ModelPackageName"]) or {}
    given = package.get("InferenceSpecification", {}).get("Containers", [{}])
    return str(given[0].get("ModelDataUrl", ""))
