"""The retraining state machine in the Amazon States Language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra import asl
from infra.jobs import (
    INSTANCE_COUNT,
    channel_parameters,
    channels,
    hyperparameters,
    metric_definitions,
    spot_parameters,
    stopping_condition,
)
from infra.naming import Names
from infra.serving import CSV_TYPES, JSON_TYPES, serving_environment
from models.spec import ModelSpec
from training.registry.passport import PASSPORT_VARIABLE, VERSION_VARIABLE
from training.settings import NO_PASSPORT

# Waiting for an instance and moving data come on top of the time the script may take.
TRAINING_MARGIN_SECONDS = 3600
# Lambda's own limit is 15 minutes.
JUDGE_TIMEOUT_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class RetrainPlan:
    """What the definition is made from: plain values only.

    Attributes:
        names: Names of the stack.
        spec: The model.
        image: Container that trains and serves.
        role_arn: Role of the training job.
        key_arn: Key that the job's results are encrypted with.
        topic_arn: Where a failure is announced.
        judge_arn: The judging function.
        code_uri: S3 address of the code archive.
        spec_uri: S3 address of the spec.
        output_uri: S3 address below which each job writes.
        checkpoints_uri: S3 address below which a job on spot capacity keeps what it has fitted so far.
        tags: Put on the training job.
    """

    names: Names
    spec: ModelSpec
    image: str
    role_arn: str
    key_arn: str
    topic_arn: str
    judge_arn: str
    code_uri: str
    spec_uri: str
    output_uri: str
    checkpoints_uri: str
    tags: Mapping[str, str]


# What an execution is started with.
INPUT = (
    "model", "run_id", "manifest_uri", "rows", "files", "dropped", "trigger",
    "data_version", "data_version_uri", "contract_version",
)  # fmt: skip


def retrain_definition(plan: RetrainPlan) -> dict[str, Any]:
    """The state machine in the Amazon States Language.

    Input: the keys of ``INPUT``; dropped are the bad rows that were left out of the files, the data version
    is the immutable record of what the run reads. Output: decision and package.
    """
    limit = max(stopping_condition(plan.spec).values()) + TRAINING_MARGIN_SECONDS
    return {
        "Comment": f"Train a challenger of {plan.spec.name}, judge it against what serves, register it",
        "StartAt": "FindEndpoint",
        "TimeoutSeconds": limit + 2 * TRAINING_MARGIN_SECONDS,
        "States": {"FindEndpoint": asl.find_endpoint(plan.names, plan.spec.name, then="FindConfig")}
        | asl.find_served_model(plan.names, then="IsTheChampionSealed")
        | _champion()
        | {
            "Train": _train(plan, limit),
            "Judge": _judge(plan),
            "Register": _register(plan),
            **_announce(plan),
            "Report": {
                "Type": "Pass",
                "Parameters": {
                    "model.$": "$.model",
                    "run_id.$": "$.run_id",
                    "training_job.$": "$.training_job.TrainingJobName",
                    "decision.$": "$.judgement.Payload",
                    "model_package_arn.$": "$.registered.ModelPackageArn",
                },
                "End": True,
            },
        }
        | _failure(plan),
    }


def _champion() -> dict[str, asl.State]:
    """Which passport the champion was released with; the seed, which nobody registered, has none.

    The job reads the champion's pickle, and reading a pickle runs it: an archive that was exchanged in the
    bucket is refused instead.
    """
    registered = f"$.serving.Container.Environment.{PASSPORT_VARIABLE}"
    return {
        "IsTheChampionSealed": asl.choice(
            [{"Variable": registered, "IsPresent": True, "Next": "ExpectItsPassport"}],
            default="ExpectNoPassport",
        ),
        "ExpectItsPassport": asl.assign("$.champion", {"passport.$": registered}, "Train"),
        "ExpectNoPassport": asl.assign("$.champion", {"passport": NO_PASSPORT}, "Train"),
    }


def _train(plan: RetrainPlan, timeout_seconds: int) -> asl.State:
    spec, names = plan.spec, plan.names.model(plan.spec.name)
    inputs = channels(
        code=plan.code_uri,
        spec=plan.spec_uri,
        manifest="$.manifest_uri",
        champion="$.serving.ModelDataUrl",
    )
    parameters = {
        "TrainingJobName.$": f"States.Format('{names.training_job('{}')}', $.run_id)",
        "RoleArn": plan.role_arn,
        "EnableNetworkIsolation": True,
        "AlgorithmSpecification": {
            "TrainingImage": plan.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": name, "Regex": regex} for name, regex in metric_definitions(spec)],
        },
        "HyperParameters": hyperparameters(spec.name)
        | {"run_id.$": "$.run_id", "champion_passport.$": "$.champion.passport"},
        "InputDataConfig": [channel_parameters(channel) for channel in inputs],
        "OutputDataConfig": {"S3OutputPath": plan.output_uri, "KmsKeyId": plan.key_arn},
        "ResourceConfig": {
            "InstanceType": spec.training.instance_type,
            "InstanceCount": INSTANCE_COUNT,
            "VolumeSizeInGB": spec.training.volume_size_gb,
        },
        "StoppingCondition": stopping_condition(spec),
        "Tags": asl.tags(plan.tags),
        **spot_parameters(spec, f"States.Format('{plan.checkpoints_uri}/{{}}', $.run_id)"),
    }
    return asl.task(
        plan.names.integration("sagemaker:createTrainingJob.sync"),
        parameters,
        kind="training",
        then="Judge",
        on_error="WhyTrainingFailed",
        result="$.training_job",
        timeout_seconds=timeout_seconds,
        comment="Fits the challenger and scores the champion on the same fresh rows",
    )


def _judge(plan: RetrainPlan) -> asl.State:
    asked = {f"{key}.$": f"$.{key}" for key in (*INPUT, "training_job")}
    return asl.task(
        plan.names.integration("lambda:invoke"),
        {
            "FunctionName": plan.judge_arn,
            "Payload": asked | {"champion_url.$": "$.serving.ModelDataUrl"},
        },
        kind="lambda",
        then="Register",
        on_error="StepFailed",
        result="$.judgement",
        select={"Payload.$": "$.Payload"},
        timeout_seconds=JUDGE_TIMEOUT_SECONDS,
        comment="Decides by the spec's gate and says why",
    )


_JUDGED = "$.judgement.Payload"


def _register(plan: RetrainPlan) -> asl.State:
    # Whoever deploys the package by other means gets a container that verifies the model, too.
    sealed = {f"{name}.$": f"{_JUDGED}.environment.{name}" for name in (PASSPORT_VARIABLE, VERSION_VARIABLE)}
    container = {
        "Image": plan.image,
        "ModelDataUrl.$": f"{_JUDGED}.model_data_url",
        "Environment": {**serving_environment(plan.spec, plan.names.region), **sealed},
    }
    statistics = {"ContentType": "application/json", "S3Uri.$": f"{_JUDGED}.decision_uri"}
    report = {"ContentType": "text/html", "S3Uri.$": f"{_JUDGED}.report_uri"}
    parameters = {
        "ModelPackageGroupName": plan.names.model(plan.spec.name).base,
        "ModelPackageDescription.$": f"{_JUDGED}.reason",
        "ModelApprovalStatus.$": f"{_JUDGED}.approval",
        # The same run registers one version, however often the call is repeated.
        "ClientToken.$": "$.run_id",
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": [*CSV_TYPES, *JSON_TYPES],
            "SupportedResponseMIMETypes": [*JSON_TYPES[:2], *CSV_TYPES],
            "SupportedRealtimeInferenceInstanceTypes": [plan.spec.serving.instance_type],
        },
        # The decision holds the metrics of both models; the report shows them, and what the model looks at.
        "ModelMetrics": {"ModelQuality": {"Statistics": statistics}, "Explainability": {"Report": report}},
        "MetadataProperties": {"GeneratedBy.$": "$.training_job.TrainingJobArn"},
        "CustomerMetadataProperties.$": f"{_JUDGED}.metadata",
    }
    return asl.task(
        plan.names.integration("aws-sdk:sagemaker:createModelPackage"),
        parameters,
        kind="sagemaker",
        then="DoesItWait",
        on_error="StepFailed",
        result="$.registered",
        comment="A refused challenger is registered too, as Rejected and with the reason",
    )


def _announce(plan: RetrainPlan) -> dict[str, asl.State]:
    """Tell people of a version that waits for them, and of no other.

    Of a version that was released the release itself tells when it fails, and a refused one asks nothing of
    anybody: `upkeep push --wait`, `upkeep runs` and the dashboard have its reason. A topic that tells of
    every push is soon read by nobody.
    """
    return {
        "DoesItWait": asl.choice(
            [
                {
                    "Variable": f"{_JUDGED}.approval",
                    "StringEquals": "PendingManualApproval",
                    "Next": "AskForApproval",
                }
            ],
            default="Report",
        ),
        "AskForApproval": asl.task(
            plan.names.integration("sns:publish"),
            {
                "TopicArn": plan.topic_arn,
                "Subject.$": f"{_JUDGED}.notice.subject",
                "Message.$": f"{_JUDGED}.notice.message",
            },
            kind="sns",
            then="Report",
            # The version is registered and waits; a run that ended badly would be trained again.
            on_error="Report",
            result=None,
            comment="What the version is, where its report lies, and how it is approved",
        ),
    }


def _limits(spec: ModelSpec) -> dict[str, str]:
    """What to say of a job that SageMaker stopped at a limit, by its SecondaryStatus.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html
    """
    seconds = stopping_condition(spec)
    limits = {
        "MaxRuntimeExceeded": f"it ran for {seconds['MaxRuntimeInSeconds']} s, the limit that "
        "training.max_runtime_seconds of the model spec sets"
    }
    if "MaxWaitTimeInSeconds" in seconds:
        limits["MaxWaitTimeExceeded"] = (
            f"it got no spot instance for long enough within {seconds['MaxWaitTimeInSeconds']} s; set "
            "training.spot of the model spec to false when that happens often"
        )
    return limits


def _failure(plan: RetrainPlan) -> dict[str, Any]:
    """Ways into the one Fail state; what is known of the job comes before the integration's words."""
    job, limits = "$.failed.job", _limits(plan.spec)

    def ended(why: str) -> asl.State:
        words = (
            f"'Training job {{}} ended as {{}}: {{}}', {job}.TrainingJobName, {job}.TrainingJobStatus, {why}"
        )
        return asl.assign(
            "$.failure", {"error": "TrainingFailed", "cause.$": f"States.Format({words})"}, "Notify"
        )

    return {
        # A job that ended has its whole description as the cause; a call that failed has a sentence.
        "WhyTrainingFailed": asl.choice(
            [
                {
                    "And": [
                        {"Variable": "$.error.Cause", "IsPresent": True},
                        {"Variable": "$.error.Cause", "StringMatches": '{*"SecondaryStatus":*'},
                    ],
                    "Next": "ReadJob",
                }
            ],
            default="StepFailed",
        ),
        "ReadJob": asl.assign(
            "$.failed", {"job.$": "States.StringToJson($.error.Cause)"}, "DoesTheJobSayWhy"
        ),
        "DoesTheJobSayWhy": asl.choice(
            [
                {"Variable": f"{job}.FailureReason", "IsPresent": True, "Next": "TrainingFailed"},
                *(
                    {"Variable": f"{job}.SecondaryStatus", "StringEquals": status, "Next": status}
                    for status in limits
                ),
            ],
            default="TrainingStopped",
        ),
        **{status: ended(f"'{words}'") for status, words in limits.items()},
        "TrainingFailed": ended(f"{job}.FailureReason"),
        # By a person.
        "TrainingStopped": ended(f"{job}.SecondaryStatus"),
        "StepFailed": asl.assign(
            "$.failure", {"error.$": "$.error.Error", "cause.$": "$.error.Cause"}, "Notify"
        ),
    } | asl.announce_and_fail(
        plan.names,
        plan.topic_arn,
        f"{plan.names.model(plan.spec.name).base}: retraining failed; what served before serves on",
        {"Execution": "$$.Execution.Id"},
    )
