"""The check of a new version before its release: a processing job that a state machine runs and waits for."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from infra import asl
from infra.naming import Names
from infra.permissions import Permission, pass_role
from infra.storage import Storage

# What `inference.preflight.prepare.prepare` gives and the Step function puts at `$.result.check`.
PARAMETERS = (
    "ProcessingJobName",
    "RoleArn",
    "AppSpecification",
    "ProcessingResources",
    "ProcessingInputs",
    "ProcessingOutputConfig",
    "StoppingCondition",
    "Tags",
)
# The managed rule behind .sync. AWS's page names those of training and transform jobs, not this one:
# https://docs.aws.amazon.com/step-functions/latest/dg/sagemaker-iam.html
# It is in the policies of others who wait for processing jobs, such as
# https://github.com/A3Data/hermione/blob/master/hermione/module_templates/__IMPLEMENTED_SAGEMAKER__/README.tpl.md
# and not tried on AWS here; with another name, creating the state machine would fail and say so.
SYNC_RULE = "StepFunctionsGetEventsForSageMakerProcessingJobsRule"
# The job's own limit is shorter (`inference.preflight.prepare`); this one ends a wait for an instance.
TIMEOUT_SECONDS = 3600


def check_state(
    names: Names,
    then: str,
    on_error: str,
    timeout_seconds: int = TIMEOUT_SECONDS,
    path: str = "$.result.check",
) -> asl.State:
    """Run the job that the function described, and wait for its end; its answer is dropped.

    Args:
        names: Names of the stack.
        then: The next state; the result lies in S3.
        on_error: Where a job that failed or was refused leads.
        timeout_seconds: The longest the job may take, with its wait for an instance.
        path: Where the parameters are.
    """
    parameters = {f"{name}.$": f"{path}.{name}" for name in PARAMETERS}
    return asl.task(
        names.integration("sagemaker:createProcessingJob.sync"),
        # Whatever the function says, the job has no network.
        parameters | {"NetworkConfig": {"EnableNetworkIsolation": True}},
        kind="training",
        then=then,
        on_error=on_error,
        result=None,
        timeout_seconds=timeout_seconds,
        comment="Starts the new version's container and asks it recorded requests",
    )


def machine_permissions(names: Names, model: str, role_arn: pulumi.Input[str]) -> list[Permission]:
    """What the role of the state machine needs for ``check_state``.

    Args:
        names: Names of the stack.
        model: The model's name.
        role_arn: Role of the job.
    """
    return [
        Permission(
            sid="Check",
            actions=[
                "sagemaker:AddTags",
                "sagemaker:CreateProcessingJob",
                "sagemaker:DescribeProcessingJob",
                "sagemaker:ListTags",
                "sagemaker:StopProcessingJob",
            ],
            resources=[_jobs(names, model)],
        ),
        pass_role(role_arn, "sagemaker.amazonaws.com"),
        Permission(
            sid="WaitForTheCheck",
            actions=["events:DescribeRule", "events:PutRule", "events:PutTargets"],
            resources=[names.arn("events", f"rule/{SYNC_RULE}")],
        ),
    ]


def function_permissions(names: Names, storage: Storage, models: Sequence[str]) -> list[Permission]:
    """What the function needs for ``prepare`` and ``result``; the stack's key is decrypted elsewhere.

    Args:
        names: Names of the stack.
        storage: Its buckets.
        models: The models' names.
    """
    recorded = [f"capture/{model}/" for model in models]
    checks = [f"checks/{model}/" for model in models]
    trained = [f"training/{model}/" for model in models]
    return [
        storage.browse("ListRecorded", "data", *recorded, tell_missing=True),
        storage.read("ReadRecorded", "data", *(f"{prefix}*" for prefix in recorded)),
        storage.browse("ListChecks", "artifacts", *checks, *trained, tell_missing=True),
        storage.read("ReadChecks", "artifacts", *(f"{prefix}*" for prefix in (*checks, *trained))),
        storage.write("WriteChecks", "artifacts", *(f"{prefix}*" for prefix in checks)),
        Permission(
            sid="LookAtChecks",
            actions=["sagemaker:DescribeProcessingJob"],
            resources=[_jobs(names, model) for model in models],
        ),
    ]


def _jobs(names: Names, model: str) -> str:
    return names.sagemaker_arn("processing-job", f"{names.model(model).base}-check-*")
