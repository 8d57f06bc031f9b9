"""The service under test, with every answer checked against botocore's output shape."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.validate import ParamValidator

from sandbox.sagemaker.clock import SystemClock
from sandbox.sagemaker.errors import ApiError
from sandbox.sagemaker.service import SageMaker
from sandbox.sagemaker.settings import Settings
from sandbox.sagemaker.shapes import service_model
from tests.sandbox.sagemaker.fakes import IMAGE, ROLE, FakeContainers, FakePlatform, tarball

FAST = Settings(
    time_scale=0.001,
    startup_timeout_seconds=0.2,
    ping_interval_seconds=0.01,
    stop_grace_seconds=1.0,
    drain_grace_seconds=0.1,
    poll_seconds=0.005,
    alarm_poll_seconds=0.005,
    health_seconds=0.02,
    capture_flush_seconds=0.05,
)


class Service:
    """Calls the service as the gateway does: JSON in, JSON out, and no other error than ApiError."""

    def __init__(self, root: Path, settings: Settings = FAST, clock: Any = None) -> None:
        self.platform = FakePlatform(root)
        self.containers = FakeContainers()
        self.sagemaker = SageMaker(
            self.platform, settings=settings, containers=self.containers, clock=clock or SystemClock()
        )
        self._loop = asyncio.new_event_loop()

    def __call__(self, operation: str, **params: Any) -> dict[str, Any]:
        request = json.loads(json.dumps(params))
        model = service_model().operation_model(operation)
        report = ParamValidator().validate(request, model.input_shape)
        assert not report.has_errors(), f"the test's request is not one: {report.generate_report()}"
        answer = self._loop.run_until_complete(self.sagemaker.handle(operation, request))
        wire: dict[str, Any] = json.loads(json.dumps(answer))
        if model.output_shape is None:
            assert wire == {}
        else:
            report = ParamValidator().validate(wire, model.output_shape)
            assert not report.has_errors(), f"{operation}: {report.generate_report()}"
        return wire

    def error(self, operation: str, **params: Any) -> ApiError:
        with pytest.raises(ApiError) as raised:
            self(operation, **params)
        return raised.value

    def invoke(self, name: str, body: bytes = b"x", **headers: str) -> tuple[int, dict[str, str], bytes]:
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        return self._loop.run_until_complete(self.sagemaker.invoke_endpoint(name, body, sent))

    def until(
        self, operation: str, field: str, *wanted: str, seconds: float = 5.0, **params: Any
    ) -> dict[str, Any]:
        """Poll a Describe operation until a field has one of the values."""
        deadline = time.monotonic() + seconds
        while (answer := self(operation, **params))[field] not in wanted:
            assert time.monotonic() < deadline, f"{field} is still {answer[field]}: {answer}"
            time.sleep(0.005)
        return answer

    def close(self) -> None:
        self._loop.run_until_complete(self.sagemaker.close())
        self._loop.close()

    def endpoint_status(self, name: str, *wanted: str) -> dict[str, Any]:
        return self.until("DescribeEndpoint", "EndpointStatus", *wanted, EndpointName=name)

    def model(self, name: str, **environment: str) -> None:
        """Create a model whose server answers with the model's own name."""
        self.platform.s3.objects["models", f"{name}.tar.gz"] = tarball({"name.txt": name.encode()})
        self(
            "CreateModel",
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={
                "Image": IMAGE,
                "ModelDataUrl": f"s3://models/{name}.tar.gz",
                "Environment": environment,
            },
        )

    def config(self, name: str, *variants: dict[str, Any], **more: Any) -> None:
        """Create an endpoint configuration; a variant needs only the model's name."""
        whole = [
            {
                "VariantName": "AllTraffic",
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "InitialVariantWeight": 1.0,
                **variant,
            }
            for variant in variants
        ]
        self("CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=whole, **more)

    def endpoint(self, name: str = "shop", model: str = "one", **environment: str) -> None:
        """A model, its configuration and an endpoint in service, all of them of one variant."""
        self.model(model, **environment)
        self.config(f"{model}-config", {"ModelName": model})
        self("CreateEndpoint", EndpointName=name, EndpointConfigName=f"{model}-config")
        self.endpoint_status(name, "InService")
