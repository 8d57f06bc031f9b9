"""The release state machine: put an approved model package behind the endpoint, and prove that it serves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra import asl
from infra.alerts import Alerts
from infra.jobs import serving_environment
from infra.machine import StateMachine, StateMachineArgs
from infra.naming import MAX_RULE, VARIANT, Names, shorten
from infra.permissions import Permission, pass_role, policy_document, trust_policy
from models.spec import ModelSpec

# An update takes a few seconds in the sandbox and some minutes on AWS: look often at first, then seldom.
# 30 looks of 2 s and 360 of 10 s are an hour and some 5,000 of the 25,000 events an execution may have.
FIRST_PAUSE_SECONDS = 2
LATER_PAUSE_SECONDS = 10
FIRST_LOOKS = 30
MAX_LOOKS = 390
# Two releases may meet at UpdateEndpoint; the later one waits and tries again.
MAX_UPDATES = 3
# An endpoint that still names the old configuration so soon after the call may not have noticed yet.
SETTLING_LOOKS = 3
VERIFY_TIMEOUT_SECONDS = 300
TIMEOUT_SECONDS = 3 * 3600
MOVING = ("Updating", "SystemUpdating", "RollingBack", "Creating")
CSV_TYPES = ("text/csv",)
JSON_TYPES = ("application/json", "application/jsonlines", "application/x-jsonlines", "application/x-ndjson")


def data_capture(bucket: str, model: str, percent: int, key_arn: str) -> dict[str, Any] | None:
    """Data capture as the API takes it; None when the spec records nothing."""
    if percent == 0:
        return None
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": percent,
        "DestinationS3Uri": f"s3://{bucket}/capture/{model}",
        "KmsKeyId": key_arn,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        # Everything that is not listed is recorded as base64.
        "CaptureContentTypeHeader": {
            "CsvContentTypes": list(CSV_TYPES),
            "JsonContentTypes": list(JSON_TYPES),
        },
    }


def deployment_config(spec: ModelSpec) -> dict[str, Any] | None:  # noqa: ARG001 - the seam for canaries
    """How traffic moves to the new version; None is all at once, with SageMaker's own rollback."""
    return None


@dataclass(frozen=True, kw_only=True)
class ReleasePlan:
    """What the definition is made from: plain values only.

    Attributes:
        names: Names of the stack.
        spec: The model.
        role_arn: Role of the serving container.
        key_arn: Key that recorded requests are encrypted with.
        topic_arn: Where a failure is announced.
        verify_arn: The verifying function.
        data_bucket: Bucket that requests are recorded in.
        tags: Put on models and endpoint configurations.
    """

    names: Names
    spec: ModelSpec
    role_arn: str
    key_arn: str
    topic_arn: str
    verify_arn: str
    data_bucket: str
    tags: Mapping[str, str]


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
        | _verify(plan)
        | _failure(plan),
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
    sdk = plan.names.integration("aws-sdk:sagemaker:")
    return {
        "FindEndpoint": asl.task(
            f"{sdk}describeEndpoint",
            {"EndpointName": plan.names.model(plan.spec.name).base},
            kind="sagemaker",
            then="IsTheEndpointFree",
            on_error="StepFailed",
            result="$.endpoint",
        ),
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
        "FindConfig": asl.task(
            f"{sdk}describeEndpointConfig",
            {"EndpointConfigName.$": "$.endpoint.EndpointConfigName"},
            kind="sagemaker",
            then="FindModel",
            on_error="StepFailed",
            result="$.config",
            select={"ModelName.$": "$.ProductionVariants[0].ModelName"},
        ),
        "FindModel": asl.task(
            f"{sdk}describeModel",
            {"ModelName.$": "$.config.ModelName"},
            kind="sagemaker",
            then="WhatServes",
            on_error="StepFailed",
            result="$.serving",
            select={"ModelDataUrl.$": "$.PrimaryContainer.ModelDataUrl"},
        ),
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
        "Look": asl.task(
            plan.names.integration("aws-sdk:sagemaker:describeEndpoint"),
            {"EndpointName": plan.names.model(plan.spec.name).base},
            kind="sagemaker",
            then="CountLook",
            on_error="StepFailed",
            result="$.endpoint",
        ),
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


def _verify(plan: ReleasePlan) -> dict[str, Any]:
    sdk = plan.names.integration("aws-sdk:sagemaker:")
    endpoint = plan.names.model(plan.spec.name).base
    return {
        "Verify": asl.task(
            plan.names.integration("lambda:invoke"),
            {
                "FunctionName": plan.verify_arn,
                "Payload": {
                    "model": plan.spec.name,
                    "endpoint": endpoint,
                    "expected_config.$": "$.endpoint.EndpointConfigName",
                    "model_package_arn.$": "$.package.ModelPackageArn",
                    "model_name.$": "$.release.name",
                },
            },
            kind="lambda",
            then="IsItVerified",
            on_error="VerifyFailed",
            result="$.verification",
            select={"Payload.$": "$.Payload"},
            timeout_seconds=VERIFY_TIMEOUT_SECONDS,
            comment="Reads back what serves and sends it a real request",
        ),
        "IsItVerified": asl.choice(
            [{"Variable": "$.verification.Payload.verified", "BooleanEquals": True, "Next": "MarkLive"}],
            default="NotVerified",
        ),
        "MarkLive": asl.task(
            f"{sdk}updateModelPackage",
            {
                "ModelPackageArn.$": "$.package.ModelPackageArn",
                "CustomerMetadataProperties": {
                    "release": "live",
                    "released_at.$": "$$.State.EnteredTime",
                    "endpoint_config.$": "$.endpoint.EndpointConfigName",
                },
            },
            kind="sagemaker",
            then="Released",
            on_error="StepFailed",
            result=None,
        ),
        "Released": {
            "Type": "Pass",
            "Parameters": {
                "model": plan.spec.name,
                "endpoint": endpoint,
                "endpoint_config.$": "$.endpoint.EndpointConfigName",
                "model_package_arn.$": "$.package.ModelPackageArn",
                "verification.$": "$.verification.Payload",
            },
            "End": True,
        },
        "NotVerified": asl.assign(
            "$.failure",
            {
                "error": "NotVerified",
                "reason.$": "$.verification.Payload.reason",
                "cause.$": "$.verification.Payload.reason",
            },
            "IsThereAWayBack",
        ),
        "VerifyFailed": asl.assign("$.failure", _short_failure(), "IsThereAWayBack"),
        "IsThereAWayBack": asl.choice(
            [{"Variable": "$.previous", "IsPresent": True, "Next": "Restore"}], default="Reject"
        ),
        "Restore": asl.task(
            f"{sdk}updateEndpoint",
            {
                "EndpointName": endpoint,
                "EndpointConfigName.$": "$.previous.config",
                "RetainAllVariantProperties": True,
            },
            kind="sagemaker",
            then="Reject",
            on_error="Reject",
            result=None,
            comment="Back to what served before",
        ),
    }


def _short_failure() -> dict[str, Any]:
    """A cause may be longer than an ApprovalDescription's 1,024 characters, so the reason points to it."""
    return {
        "error.$": "$.error.Error",
        "reason.$": "States.Format('The release failed with {}; see execution {}', "
        "$.error.Error, $$.Execution.Id)",
        "cause.$": "$.error.Cause",
    }


def _failure(plan: ReleasePlan) -> dict[str, Any]:
    """Ways into the one Fail state: say why, reject the package, tell people."""
    sdk = plan.names.integration("aws-sdk:sagemaker:")
    slow = f"the endpoint was not in service after {MAX_LOOKS} looks"
    return {
        "DoesTheEndpointSayWhy": asl.choice(
            [{"Variable": "$.endpoint.FailureReason", "IsPresent": True, "Next": "EndpointSays"}],
            default="EndpointSilent",
        ),
        "EndpointSays": asl.assign(
            "$.failure",
            {
                "error": "EndpointNotUpdated",
                "reason.$": "$.endpoint.FailureReason",
                "cause.$": "$.endpoint.FailureReason",
            },
            "Reject",
        ),
        "EndpointSilent": asl.assign(
            "$.failure",
            {
                "error": "EndpointNotUpdated",
                "reason.$": "States.Format('The endpoint is {} with configuration {} and gives no reason', "
                "$.endpoint.EndpointStatus, $.endpoint.EndpointConfigName)",
                "cause.$": "States.Format('The endpoint is {} with configuration {} and gives no reason', "
                "$.endpoint.EndpointStatus, $.endpoint.EndpointConfigName)",
            },
            "Reject",
        ),
        "TookTooLong": asl.assign(
            "$.failure", {"error": "EndpointNotUpdated", "reason": slow, "cause": slow}, "Reject"
        ),
        "StepFailed": asl.assign("$.failure", _short_failure(), "Reject"),
        "Reject": asl.task(
            f"{sdk}updateModelPackage",
            {
                "ModelPackageArn.$": "$.package.ModelPackageArn",
                "ModelApprovalStatus": "Rejected",
                "ApprovalDescription.$": "$.failure.reason",
            },
            kind="sagemaker",
            then="Notify",
            on_error="Notify",
            result=None,
        ),
        "PackageUnknown": asl.assign(
            "$.failure", {"error.$": "$.error.Error", "cause.$": "$.error.Cause"}, "Notify"
        ),
        "Notify": asl.task(
            plan.names.integration("sns:publish"),
            {
                "TopicArn": plan.topic_arn,
                "Subject": f"{plan.names.model(plan.spec.name).base}: release failed"[:100],
                "Message.$": "States.Format('{}\n{}\n\nPackage: {}\nExecution: {}', $.failure.error, "
                "$.failure.cause, $.detail.ModelPackageArn, $$.Execution.Id)",
            },
            kind="sns",
            then="Failed",
            on_error="Failed",
            result=None,
        ),
        "Failed": {"Type": "Fail", "ErrorPath": "$.failure.error", "CausePath": "$.failure.cause"},
    }


@dataclass(frozen=True, kw_only=True)
class ReleaseArgs:
    """What `ReleaseMachine` needs.

    Attributes:
        names: Names of the stack.
        spec: The model.
        role_arn: Role of the serving container.
        key_arn: Key that recorded requests are encrypted with.
        alerts: Where failures are announced.
        verify_arn: The verifying function.
        tags: Put on what the machine creates.
        log_retention_days: How long its history is kept as a log.
    """

    names: Names
    spec: ModelSpec
    role_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    alerts: Alerts
    verify_arn: pulumi.Input[str]
    tags: Mapping[str, str]
    log_retention_days: int


class ReleaseMachine(pulumi.ComponentResource):
    """The state machine, what it may do, and the rule that starts it.

    Attributes:
        arn: For alarms, the dashboard and people.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: ReleaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:release:ReleaseMachine", name, {}, opts)
        known: dict[str, Any] = {
            "names": args.names,
            "spec": args.spec,
            "data_bucket": args.names.bucket("data"),
            "tags": args.tags,
        }
        definition = pulumi.Output.all(
            role_arn=args.role_arn,
            key_arn=args.key_arn,
            topic_arn=args.alerts.topic_arn,
            verify_arn=args.verify_arn,
        ).apply(lambda later: release_definition(ReleasePlan(**known, **later)))
        self.machine = StateMachine(
            name,
            StateMachineArgs(
                names=args.names,
                machine=args.names.model(args.spec.name).release,
                definition=definition,
                permissions=_permissions(args),
                log_retention_days=args.log_retention_days,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.arn = self.machine.arn
        self._start_on_approval(name, args)
        self.register_outputs({"arn": self.arn})

    def _start_on_approval(self, name: str, args: ReleaseArgs) -> None:
        child = pulumi.ResourceOptions(parent=self)
        group = args.names.model(args.spec.name).base
        rule = aws.cloudwatch.EventRule(
            f"{name}-approved-rule",
            name=shorten(f"{group}-approved", MAX_RULE),
            description=f"An approved version of {args.spec.name} is released",
            event_pattern=json.dumps(approval_pattern(group)),
            opts=child,
        )
        role = aws.iam.Role(
            f"{name}-starter-role",
            description=f"Lets EventBridge start the release of {group}",
            assume_role_policy=trust_policy("events.amazonaws.com", args.names.account_id),
            opts=child,
        )
        start = Permission(sid="Start", actions=["states:StartExecution"], resources=[self.arn])
        policy = aws.iam.RolePolicy(
            f"{name}-starter-policy", role=role.id, policy=policy_document([start]), opts=child
        )
        aws.cloudwatch.EventTarget(
            f"{name}-approved-target",
            rule=rule.name,
            target_id="release",
            arn=self.arn,
            role_arn=role.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )


def approval_pattern(group: str) -> dict[str, Any]:
    """The event of an approval; every state change raises one, so the status is matched."""
    return {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group], "ModelApprovalStatus": ["Approved"]},
    }


def _permissions(args: ReleaseArgs) -> list[Permission]:
    names, own = args.names, args.names.model(args.spec.name)
    models = names.sagemaker_arn("model", f"{own.base}-*")
    configs = names.sagemaker_arn("endpoint-config", f"{own.base}-*")
    endpoint = names.sagemaker_arn("endpoint", own.base)
    return [
        Permission(
            sid="Package",
            actions=["sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage"],
            resources=[names.sagemaker_arn("model-package", f"{own.base}/*")],
        ),
        Permission(
            sid="Models",
            actions=["sagemaker:AddTags", "sagemaker:CreateModel", "sagemaker:DescribeModel"],
            resources=[models],
        ),
        Permission(
            sid="Configs",
            actions=[
                "sagemaker:AddTags",
                "sagemaker:CreateEndpointConfig",
                "sagemaker:DescribeEndpointConfig",
            ],
            resources=[configs],
        ),
        Permission(
            sid="Endpoint",
            actions=["sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpoint"],
            resources=[endpoint, configs],
        ),
        pass_role(args.role_arn, "sagemaker.amazonaws.com"),
        Permission(sid="Verify", actions=["lambda:InvokeFunction"], resources=[args.verify_arn]),
        *args.alerts.publish(),
    ]
