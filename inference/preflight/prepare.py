"""Describes the processing job of one check; called in the release Lambda, standard library only.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateProcessingJob.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inference.preflight import captures, places, samples
from inference.preflight.places import INPUT, OUTPUT, WORK, Served
from inference.preflight.recorded import Recorded
from training.aws import is_missing
from training.outputs import split_uri

# 256 characters at most. The job's own code comes from the stack and never from the model that it checks.
_START = (
    f"import sys,tarfile;tarfile.open('{INPUT}/code/code.tar.gz').extractall('{WORK}/code',filter='data');"
    f"sys.path.insert(0,'{WORK}/code');from inference.preflight.main import main;sys.exit(main())"
)
ENTRYPOINT = ("python3", "-c", _START)
VOLUME_GB = 20
# An endpoint waits longer for a container, "during the 8 minutes after startup", which a model of ours does
# not need: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
START_SECONDS = 240
CHECK_SECONDS = 900
# For what comes before and after the container runs: MaxRuntimeInSeconds does not say what it counts.
MARGIN_SECONDS = 900
# Families that endpoints have and ProcessingClusterConfig lists too (botocore 1.43):
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingClusterConfig.html
_FAMILIES = frozenset(
    {"c4", "c5", "c6i", "c7i", "c8i", "g4dn", "g5", "g6", "g6e", "m4", "m5", "m6i", "m7i", "m8i", "p3"}
    | {"r5", "r5d", "r6i", "r7i", "r8i"}
)
USUAL_INSTANCE = "ml.m5.large"


@dataclass(frozen=True, kw_only=True)
class CheckPlan:
    """What one check is about.

    Attributes:
        model: The model's name.
        run_id: The challenger's run.
        job_name: From ``places.job_name``; another attempt has another name.
        endpoint: Whose recorded requests are asked again.
        variant: Its variant that serves.
        challenger: The version to check, with the environment that its container will have.
        champion: What serves now; None when there is nothing to compare with.
        image: Container image of the challenger.
        role_arn: Role of the job.
        key_arn: Key that the results are encrypted with; empty for the bucket's own.
        instance_type: Of the endpoint.
        features: Names of the inputs, in the order of rows without a header.
        check_requests: So many recorded requests are asked, at most.
        max_latency_milliseconds: 99 of 100 single rows must be answered within this time.
        code_uri: ``s3://…/code.tar.gz`` of the stack: the job's own program.
        data_bucket: Where requests are recorded.
        artifacts_bucket: Where models are, and the check is written.
        owner: Account that owns both.
        tags: Put on the job.
        start_seconds: How long the challenger's server may take to answer its first ping.
        check_seconds: How long the whole check may take in the job.
    """

    model: str
    run_id: str
    job_name: str
    endpoint: str
    variant: str
    challenger: Served
    champion: Served | None
    image: str
    role_arn: str
    key_arn: str
    instance_type: str
    features: Sequence[str]
    check_requests: int
    max_latency_milliseconds: float
    code_uri: str
    data_bucket: str
    artifacts_bucket: str
    owner: str
    tags: Mapping[str, str] = field(default_factory=dict)
    start_seconds: int = START_SECONDS
    check_seconds: int = CHECK_SECONDS


def prepare(s3: Any, plan: CheckPlan) -> dict[str, Any]:
    """Write what the job reads, and describe the job.

    Calling it again with the same plan writes the same keys and gives the same description.

    Args:
        s3: boto3 client.
        plan: What to check.

    Returns:
        The parameters of CreateProcessingJob.
    """
    champion = plan.champion
    if champion is not None and not _exists(s3, champion.model_data_url, plan):
        champion = None
    requests, source = _requests(s3, plan)
    prefix = places.folder(plan.model, plan.run_id, plan.job_name)
    _put(s3, plan, f"{prefix}input/{places.REQUESTS}", "".join(request.line() for request in requests))
    _put(s3, plan, f"{prefix}input/{places.PLAN}", json.dumps(_job_plan(plan, champion, source), indent=1))
    return _parameters(plan, champion, f"s3://{plan.artifacts_bucket}/{prefix}")


def _requests(s3: Any, plan: CheckPlan) -> tuple[list[Recorded], str]:
    """The requests to ask, and where they come from in words."""
    prefix = f"capture/{plan.model}/{plan.endpoint}/{plan.variant}/"
    found = captures.newest(s3, plan.data_bucket, prefix, plan.check_requests, plan.owner)
    if found:
        return found, "recorded"
    return samples.requests(s3, plan.challenger.model_data_url, plan.artifacts_bucket, plan.owner), "sample"


def _job_plan(plan: CheckPlan, champion: Served | None, source: str) -> dict[str, Any]:
    """What the job has to know beside its files."""
    return {
        "schema": places.SCHEMA,
        "model": plan.model,
        "run_id": plan.run_id,
        "job_name": plan.job_name,
        "endpoint": plan.endpoint,
        "source": source,
        "features": list(plan.features),
        "max_latency_milliseconds": plan.max_latency_milliseconds,
        "start_seconds": plan.start_seconds,
        "check_seconds": plan.check_seconds,
        "challenger": _side(plan.challenger),
        "champion": _side(champion) if champion else None,
    }


def _side(served: Served) -> dict[str, Any]:
    return {"environment": dict(served.environment), "name": served.name, "url": served.model_data_url}


def _parameters(plan: CheckPlan, champion: Served | None, uri: str) -> dict[str, Any]:
    inputs = [
        _input("code", plan.code_uri),
        _input("check", f"{uri}input/"),
        _input("challenger", plan.challenger.model_data_url),
    ]
    if champion is not None:
        inputs.append(_input("champion", champion.model_data_url))
    output = {
        "OutputName": "check",
        "S3Output": {"S3Uri": uri.rstrip("/"), "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"},
    }
    encrypted = {"KmsKeyId": plan.key_arn} if plan.key_arn else {}
    cluster = {
        "InstanceCount": 1,
        "InstanceType": instance_type(plan.instance_type),
        "VolumeSizeInGB": VOLUME_GB,
    }
    return {
        "ProcessingJobName": plan.job_name,
        "RoleArn": plan.role_arn,
        "AppSpecification": {"ImageUri": plan.image, "ContainerEntrypoint": list(ENTRYPOINT)},
        "ProcessingResources": {"ClusterConfig": cluster},
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {"Outputs": [output], **encrypted},
        "NetworkConfig": {"EnableNetworkIsolation": True},
        "StoppingCondition": {"MaxRuntimeInSeconds": plan.check_seconds + MARGIN_SECONDS},
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(plan.tags.items())],
    }


def _input(name: str, uri: str) -> dict[str, Any]:
    source = {
        "S3Uri": uri,
        "LocalPath": f"{INPUT}/{name}",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"InputName": name, "S3Input": source}


def instance_type(serving: str) -> str:
    """The endpoint's own instance type, or the usual one where processing jobs do not have its family."""
    family = serving.split(".")[1]
    return serving if family in _FAMILIES else USUAL_INSTANCE


def _exists(s3: Any, uri: str, plan: CheckPlan) -> bool:
    bucket, key = split_uri(uri)
    try:
        s3.head_object(Bucket=bucket, Key=key, ExpectedBucketOwner=plan.owner)
    except s3.exceptions.ClientError as error:
        if is_missing(error, s3, bucket, key, plan.owner):
            return False
        raise
    return True


def _put(s3: Any, plan: CheckPlan, key: str, text: str) -> None:
    s3.put_object(
        Bucket=plan.artifacts_bucket,
        Key=key,
        Body=text.encode(),
        ContentType="application/json",
        ExpectedBucketOwner=plan.owner,
    )
