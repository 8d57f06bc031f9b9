"""How versions of one model are served and released: data that the state machine hands to the function."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Plain values, made from the model spec and the stack when the stack is deployed.

    Attributes:
        model: The model's name.
        base: Name of endpoint and model package group, and the start of the names of what a release makes.
        variant: Name of the one variant.
        role_arn: Role of the serving container.
        key_arn: Key that requests and checks are encrypted with.
        environment: Variables of the serving container.
        instance_type: Of the endpoint.
        instance_count: Of a variant that nothing has scaled yet.
        capture: DataCaptureConfig; None records nothing.
        deployment: DeploymentConfig of a release; None moves all traffic at once.
        stop_alarm: The alarm that takes a rollout back when somebody sets it.
        alarms: All alarms that take a rollout back.
        seed_config: Configuration that the stack began with.
        check_requests: So many recorded requests are asked before the traffic moves; 0 makes no check.
        max_latency_milliseconds: 99 of 100 single rows must be answered within this time.
        features: Names of the inputs, in the order of rows without a header.
        code_uri: The stack's code archive, the program of the check.
        data_bucket: Where requests are recorded and manifests lie.
        artifacts_bucket: Where models and decisions lie.
        patience_seconds: How long a rollout may take.
        tags: Put on models, configurations and checks.
    """

    model: str
    base: str
    variant: str
    role_arn: str
    key_arn: str
    environment: Mapping[str, str]
    instance_type: str
    instance_count: int
    capture: Mapping[str, Any] | None
    deployment: Mapping[str, Any] | None
    stop_alarm: str
    alarms: tuple[str, ...]
    seed_config: str
    check_requests: int
    max_latency_milliseconds: float
    features: tuple[str, ...]
    code_uri: str
    data_bucket: str
    artifacts_bucket: str
    patience_seconds: int
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Plan:
        """Read what ``to_dict`` gave.

        Raises:
            TypeError: A value is missing, or one is unknown.
        """
        values = dict(data)
        for name in ("alarms", "features"):
            values[name] = tuple(values[name])
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """As JSON's types."""
        found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return found

    def container(self, package: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
        """The container of a version: image and archive of the package, settings of the stack."""
        given = package["InferenceSpecification"]["Containers"][0]
        return {
            "Image": given["Image"],
            "ModelDataUrl": given["ModelDataUrl"],
            "Environment": {**self.environment, **environment},
        }

    def variant_of(self, model_name: str) -> dict[str, Any]:
        """The one variant of a configuration."""
        return {
            "VariantName": self.variant,
            "ModelName": model_name,
            "InitialInstanceCount": self.instance_count,
            "InstanceType": self.instance_type,
            "InitialVariantWeight": 1,
        }

    def name(self, number: int, container: Mapping[str, Any]) -> str:
        """Name of model and configuration of a version: another content has another name."""
        parts = [container, self.variant_of(""), self.capture, self.role_arn]
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return f"{self.base}-v{number}-{digest[:8]}"

    def tag_list(self) -> list[dict[str, str]]:
        """Tags as the SageMaker API takes them."""
        return [{"Key": key, "Value": value} for key, value in sorted(self.tags.items())]
