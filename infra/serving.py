"""What every served version of a model has in common: the seed's, made by Pulumi, and the releases'."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from models.spec import ModelSpec, SpecError

PROGRAM = "inference.serving"
CSV_TYPES = ("text/csv",)
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_BlueGreenUpdatePolicy.html
SHORTEST_DEPLOYMENT_SECONDS, LONGEST_DEPLOYMENT_SECONDS = 600, 28_800
# For instances that start, and for traffic that moves, on top of the waits.
DEPLOYMENT_MARGIN_SECONDS = 3600
# What an endpoint's alarms are watched for at most: ten of them, AutoRollbackConfig says.
MOST_ALARMS = 10
JSON_TYPES = ("application/json", "application/jsonlines", "application/x-jsonlines", "application/x-ndjson")


def serving_environment(spec: ModelSpec, region: str) -> dict[str, str]:
    """Variables of the serving container.

    The two PIP_ ones keep the container from downloading setuptools at every start, which it cannot without a
    network. One thread per worker, because the workers already share the CPUs.
    """
    return {
        "OMP_NUM_THREADS": "1",
        "PIP_NO_BUILD_ISOLATION": "false",
        "PIP_NO_INDEX": "1",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
        "SAGEMAKER_MODEL_SERVER_WORKERS": str(spec.serving.workers),
        "SAGEMAKER_PROGRAM": PROGRAM,
        "SAGEMAKER_REGION": region,
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }


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


def deployment_seconds(spec: ModelSpec) -> int:
    """How long SageMaker may take for a rollout: its waits, and time for the instances to start.

    Raises:
        SpecError: The waits alone are longer than AWS allows.
    """
    serving = spec.serving
    steps = {"canary": 1, "linear": math.ceil(100 / serving.step_percent) - 1, "all_at_once": 0}
    waits = (steps[serving.rollout] + 1) * serving.bake_seconds
    if waits >= LONGEST_DEPLOYMENT_SECONDS:
        found = (
            f"{spec.name}: serving: {serving.rollout} with step_percent {serving.step_percent} and "
            f"bake_seconds {serving.bake_seconds} waits {waits:,} s, expected less than "
            f"{LONGEST_DEPLOYMENT_SECONDS:,}; make bake_seconds smaller, or step_percent larger"
        )
        raise SpecError([found])
    wanted = max(waits + DEPLOYMENT_MARGIN_SECONDS, SHORTEST_DEPLOYMENT_SECONDS)
    return min(wanted, LONGEST_DEPLOYMENT_SECONDS)


def deployment_config(spec: ModelSpec, alarms: Sequence[str]) -> dict[str, Any]:
    """How traffic moves to a new version, and which alarms take it back.

    A share of the fleet is given in percent, because a number of instances would be wrong as soon as
    autoscaling changes how many there are. It is "less than or equal to 50% of the variant's total instance
    count", and AWS's pages do not say what that means for one instance: give an endpoint two, as the spec's
    default does, or ``all_at_once``. The sandbox splits the traffic then.

    The pages behind the values: deployment-guardrails-blue-green-canary (at most half of the fleet),
    deployment-guardrails-blue-green-linear (10 to 50 %) and deployment-guardrails-configuration (alarms) of
    https://docs.aws.amazon.com/sagemaker/latest/dg/, and
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TrafficRoutingConfig.html

    Args:
        spec: The model.
        alarms: Names.

    Raises:
        SpecError: The rollout would take longer than AWS allows.
    """
    serving = spec.serving
    share = {"Type": "CAPACITY_PERCENT", "Value": serving.step_percent}
    routing: dict[str, Any] = {
        "canary": {"Type": "CANARY", "CanarySize": share, "WaitIntervalInSeconds": serving.bake_seconds},
        "linear": {"Type": "LINEAR", "LinearStepSize": share, "WaitIntervalInSeconds": serving.bake_seconds},
        # The interval is required; without steps it means nothing.
        "all_at_once": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
    }[serving.rollout]
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            # The old fleet waits beside the new one for so long, ready to take over again.
            "TerminationWaitInSeconds": serving.bake_seconds,
            "MaximumExecutionTimeoutInSeconds": deployment_seconds(spec),
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms[:MOST_ALARMS]]},
    }
