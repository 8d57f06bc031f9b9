"""How a release ends: verified and live, or taken back, rejected and announced."""

from __future__ import annotations

from typing import Any

from infra import asl
from infra.release_plan import MAX_LOOKS, VERIFY_TIMEOUT_SECONDS, ReleasePlan


def verify(plan: ReleasePlan) -> dict[str, Any]:
    """Ask the endpoint itself; what does not answer as in training is taken back."""
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


def failure(plan: ReleasePlan) -> dict[str, Any]:
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
    } | asl.announce_and_fail(
        plan.names,
        plan.topic_arn,
        f"{plan.names.model(plan.spec.name).base}: release failed",
        {"Package": "$.detail.ModelPackageArn", "Execution": "$$.Execution.Id"},
    )
