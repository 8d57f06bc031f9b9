"""The release state machine in the Amazon States Language: from the approval to an updated endpoint."""

from __future__ import annotations

from typing import Any

from infra import asl
from infra.naming import VARIANT
from infra.release_endings import failure, verify
from infra.release_plan import (
    FIRST_LOOKS,
    FIRST_PAUSE_SECONDS,
    LATER_PAUSE_SECONDS,
    MAX_LOOKS,
    MAX_UPDATES,
    MOVING,
    SETTLING_LOOKS,
    TIMEOUT_SECONDS,
    ReleasePlan,
)
from infra.serving import data_capture, deployment_config, serving_environment


def release_definition(plan: ReleasePlan) -> dict[str, Any]:
    """The state machine in the Amazon States Language.

    Input: the event ``SageMaker Model Package State Change``. It may come more than once, and it comes again
    when the release marks the package as live: then there is nothing to do.
    """
    return {
        "Comment": f"Put an approved version of {plan.spec.name} behind its endpoint",
        "StartAt": "DescribePackage",
        "TimeoutSeconds": TIMEOUT_SECONDS,
        "States": _what_to_release(plan)
        | _what_serves(plan)
        | _update(plan)
        | _watch(plan)
        | verify(plan)
        | failure(plan),
    }


_PACKAGE_DATA = "$.package.InferenceSpecification.Containers[0].ModelDataUrl"


def _what_to_release(plan: ReleasePlan) -> dict[str, Any]:
    released = "$.package.CustomerMetadataProperties.release"
    # EventBridge names an execution <uuid>_<uuid>; the first eight digits are enough beside the version.
    part = "States.ArrayGetItem(States.StringSplit($$.Execution.Name, '-_'), 0)"
    name = f"{plan.names.model(plan.spec.name).base}-v{{}}-{{}}"
    return {
        "DescribePackage": asl.task(
            plan.names.integration("aws-sdk:sagemaker:describeModelPackage"),
            {"ModelPackageName.$": "$.detail.ModelPackageArn"},
            kind="sagemaker",
            then="IsThereAnythingToDo",
            on_error="PackageUnknown",
            result="$.package",
        ),
        "IsThereAnythingToDo": asl.choice(
            [
                {
                    "Not": {"Variable": "$.package.ModelApprovalStatus", "StringEquals": "Approved"},
                    "Next": "NothingToDo",
                },
                {
                    "And": [
                        {"Variable": released, "IsPresent": True},
                        {"Variable": released, "StringEquals": "live"},
                    ],
                    "Next": "NothingToDo",
                },
            ],
            default="Name",
        ),
        "NothingToDo": {
            "Type": "Succeed",
            "Comment": "No longer approved, or released before; events come more than once",
        },
        "Name": asl.assign(
            "$.release",
            {"name.$": f"States.Format('{name}', $.package.ModelPackageVersion, {part})"},
            "StartCounting",
        ),
        "StartCounting": asl.assign("$.looks", {"count": 0}, "StartTrying"),
        "StartTrying": asl.assign("$.updates", {"count": 0}, "FindEndpoint"),
    }


def _what_serves(plan: ReleasePlan) -> dict[str, Any]:
    return {
        "FindEndpoint": asl.find_endpoint(plan.names, plan.spec.name, then="IsTheEndpointFree"),
        "IsTheEndpointFree": asl.choice(
            [
                {"Variable": "$.endpoint.EndpointStatus", "StringEquals": "InService", "Next": "FindConfig"},
                _any_status(MOVING, "CountWait"),
            ],
            default="DoesTheEndpointSayWhy",
        ),
        "CountWait": asl.count("$.looks", "MayWait"),
        "MayWait": asl.choice(
            [{"Variable": "$.looks.count", "NumericGreaterThan": MAX_LOOKS, "Next": "TookTooLong"}],
            default="WaitForEndpoint",
        ),
        "WaitForEndpoint": {"Type": "Wait", "Seconds": LATER_PAUSE_SECONDS, "Next": "FindEndpoint"},
        **asl.find_served_model(plan.names, then="WhatServes"),
        "WhatServes": asl.choice(
            [
                {
                    "Variable": "$.serving.ModelDataUrl",
                    "StringEqualsPath": _PACKAGE_DATA,
                    "Next": "ServesAlready",
                },
                {"Variable": "$.created", "IsPresent": True, "Next": "UpdateEndpoint"},
            ],
            default="Remember",
        ),
        "ServesAlready": asl.assign("$.release", {"name.$": "$.config.ModelName"}, "Verify"),
        "Remember": asl.assign("$.previous", {"config.$": "$.endpoint.EndpointConfigName"}, "CreateModel"),
    }


def _update(plan: ReleasePlan) -> dict[str, Any]:
    spec, sdk = plan.spec, plan.names.integration("aws-sdk:sagemaker:")
    tagged = asl.tags(plan.tags)
    variant = {
        "VariantName": VARIANT,
        "ModelName.$": "$.release.name",
        "InitialInstanceCount": spec.serving.instance_count,
        "InstanceType": spec.serving.instance_type,
        "InitialVariantWeight": 1,
    }
    config: dict[str, Any] = {
        "EndpointConfigName.$": "$.release.name",
        "ProductionVariants": [variant],
        "Tags": tagged,
    }
    capture = data_capture(plan.data_bucket, spec.name, spec.serving.capture_percent, plan.key_arn)
    if capture:
        config["DataCaptureConfig"] = capture
    update: dict[str, Any] = {
        "EndpointName": plan.names.model(spec.name).base,
        "EndpointConfigName.$": "$.release.name",
        # Or the update would set an autoscaled endpoint back to its first instance count.
        "RetainAllVariantProperties": True,
    }
    deployment = deployment_config(spec)
    if deployment:
        update["DeploymentConfig"] = deployment
    return {
        "CreateModel": asl.task(
            f"{sdk}createModel",
            {
                "ModelName.$": "$.release.name",
                "ExecutionRoleArn": plan.role_arn,
                "EnableNetworkIsolation": True,
                "PrimaryContainer": {
                    "Image.$": "$.package.InferenceSpecification.Containers[0].Image",
                    "ModelDataUrl.$": _PACKAGE_DATA,
                    "Environment": serving_environment(spec, plan.names.region),
                },
                "Tags": tagged,
            },
            kind="sagemaker",
            then="CreateConfig",
            on_error="StepFailed",
            result=None,
        ),
        "CreateConfig": asl.task(
            f"{sdk}createEndpointConfig",
            config,
            kind="sagemaker",
            then="UpdateEndpoint",
            on_error="StepFailed",
            result="$.created",
        ),
        "UpdateEndpoint": asl.task(
            f"{sdk}updateEndpoint",
            update,
            kind="sagemaker",
            then="StartWatching",
            on_error="CountUpdate",
            result=None,
        ),
        "CountUpdate": asl.count("$.updates", "MayUpdateAgain"),
        "MayUpdateAgain": asl.choice(
            [{"Variable": "$.updates.count", "NumericLessThan": MAX_UPDATES, "Next": "FindEndpoint"}],
            default="StepFailed",
        ),
    }


def _watch(plan: ReleasePlan) -> dict[str, Any]:
    status, count = "$.endpoint.EndpointStatus", "$.looks.count"
    in_service = {"Variable": status, "StringEquals": "InService"}
    return {
        "StartWatching": asl.assign("$.looks", {"count": 0}, "Pause"),
        "Pause": {"Type": "Wait", "Seconds": FIRST_PAUSE_SECONDS, "Next": "Look"},
        "LongPause": {"Type": "Wait", "Seconds": LATER_PAUSE_SECONDS, "Next": "Look"},
        "Look": asl.find_endpoint(plan.names, plan.spec.name, then="CountLook"),
        "CountLook": asl.count("$.looks", "HowIsTheEndpoint"),
        "HowIsTheEndpoint": asl.choice(
            [
                {
                    "And": [
                        in_service,
                        {"Variable": "$.endpoint.EndpointConfigName", "StringEqualsPath": "$.release.name"},
                    ],
                    "Next": "Verify",
                },
                {
                    "And": [in_service, {"Variable": count, "NumericLessThan": SETTLING_LOOKS}],
                    "Next": "Pause",
                },
                in_service | {"Next": "DoesTheEndpointSayWhy"},
                {"Variable": count, "NumericGreaterThan": MAX_LOOKS, "Next": "TookTooLong"},
                {
                    "And": [_any_status(MOVING), {"Variable": count, "NumericLessThan": FIRST_LOOKS}],
                    "Next": "Pause",
                },
                _any_status(MOVING, "LongPause"),
            ],
            default="DoesTheEndpointSayWhy",
        ),
    }


def _any_status(statuses: tuple[str, ...], then: str = "") -> asl.State:
    rule: asl.State = {
        "Or": [{"Variable": "$.endpoint.EndpointStatus", "StringEquals": status} for status in statuses]
    }
    return rule | {"Next": then} if then else rule
