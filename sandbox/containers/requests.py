"""What the platform asks for when it runs a container."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ContainerRequest:
    """Any container.

    Attributes:
        tree: The folder that is /opt/ml to the container.
        environment: The job's or model's own variables.
        network_isolation: Whether to cut the container off.
        credentials: The role's AWS_* variables; not given to an isolated container.
        region: The region's name.
        endpoint_url: Where the container finds AWS.
    """

    tree: Path
    environment: dict[str, str]
    network_isolation: bool
    credentials: dict[str, str] | None
    region: str
    endpoint_url: str


@dataclass(frozen=True, kw_only=True)
class TrainingRequest(ContainerRequest):
    """One training job; the tree is empty but for the channels' data in input/data/<channel>.

    Attributes:
        job_name: The job's name.
        hyperparameters: As in CreateTrainingJob: all values are strings.
        channels: Channel name to its entry in inputdataconfig.json.
        instance_type: As asked for; the machine stays this one.
        instance_count: As asked for; the sandbox runs one.
        entrypoint: AlgorithmSpecification.ContainerEntrypoint.
        arguments: AlgorithmSpecification.ContainerArguments; `train` when there is neither.
    """

    job_name: str
    hyperparameters: dict[str, str]
    channels: dict[str, dict[str, Any]]
    instance_type: str
    instance_count: int
    entrypoint: list[str] | None = None
    arguments: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class ServingRequest(ContainerRequest):
    """One instance of a model server, its model's data already unpacked in model/; `name` is for messages."""

    name: str


@dataclass(frozen=True, kw_only=True)
class ProcessingRequest(ContainerRequest):
    """One processing job; /opt/ml/processing/... is processing/... in the tree."""

    job_name: str
    entrypoint: list[str]
    arguments: list[str]
