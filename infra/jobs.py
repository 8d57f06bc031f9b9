"""What every training job of a model has in common: the seed's, made by Pulumi, and the retrainings'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.spec import METRICS, ModelSpec

# Why a channel and not an S3 address: the container has no network.
CODE_IN_CONTAINER = "/opt/ml/input/data/code/code.tar.gz"
PROGRAM = "training/train.py"
INSTANCE_COUNT = 1
# How long a job on spot capacity may wait for it, on top of its running time.
SPOT_WAIT_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One input of a training job.

    Attributes:
        name: Folder below /opt/ml/input/data.
        uri: S3 address; in a state machine also a path such as ``$.manifest_uri``.
        data_type: ``S3Prefix`` or ``ManifestFile``.
    """

    name: str
    uri: str
    data_type: str = "S3Prefix"


def channels(*, code: str, spec: str, manifest: str, champion: str | None = None) -> tuple[Channel, ...]:
    """Inputs of a job; the first model of a stack has no champion to be compared with."""
    found = [Channel(name="code", uri=code), Channel(name="spec", uri=spec)]
    found.append(Channel(name="data", uri=manifest, data_type="ManifestFile"))
    if champion is not None:
        found.append(Channel(name="champion", uri=champion))
    return tuple(found)


def hyperparameters(model: str) -> dict[str, str]:
    """Hyperparameters, but for the run id."""
    return {
        "sagemaker_program": PROGRAM,
        "sagemaker_submit_directory": CODE_IN_CONTAINER,
        "model": model,
    }


def metric_definitions(spec: ModelSpec) -> list[tuple[str, str]]:
    """Name and regular expression of every metric that the script prints and CloudWatch shows."""
    return [
        (f"{who}:{metric}", f"{who}_{metric}=([-+0-9.eE]+);")
        for who in ("challenger", "champion")
        for metric in METRICS[spec.task]
    ]


def channel_parameters(channel: Channel) -> dict[str, Any]:
    """The channel as CreateTrainingJob takes it from a state machine."""
    key = "S3Uri.$" if channel.uri.startswith("$") else "S3Uri"
    source = {
        "S3DataType": channel.data_type,
        key: channel.uri,
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": channel.name, "InputMode": "File", "DataSource": {"S3DataSource": source}}


def stopping_condition(spec: ModelSpec) -> dict[str, int]:
    """How long a job may run, and on spot capacity also how long it may take with all waiting.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html
    """
    limit = spec.training.max_runtime_seconds
    waiting = {"MaxWaitTimeInSeconds": limit + SPOT_WAIT_SECONDS} if spec.training.spot else {}
    return {"MaxRuntimeInSeconds": limit, **waiting}


def spot_parameters(spec: ModelSpec, checkpoints: str) -> dict[str, Any]:
    """What makes a job one on spot capacity, with the place of its checkpoints; nothing for other jobs.

    https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html

    Args:
        spec: Says whether.
        checkpoints: S3 address of this job's own; in a state machine an intrinsic function.
    """
    if not spec.training.spot:
        return {}
    key = "S3Uri.$" if checkpoints.startswith("States.") else "S3Uri"
    return {"EnableManagedSpotTraining": True, "CheckpointConfig": {key: checkpoints}}
