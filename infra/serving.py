"""What every served version of a model has in common: the seed's, made by Pulumi, and the releases'."""

from __future__ import annotations

from typing import Any

from models.spec import ModelSpec

PROGRAM = "inference.serving"
CSV_TYPES = ("text/csv",)
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


def deployment_config(spec: ModelSpec) -> dict[str, Any] | None:  # noqa: ARG001 - the seam for canaries
    """How traffic moves to the new version; None is all at once, with SageMaker's own rollback."""
    return None
