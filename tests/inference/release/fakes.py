"""An account in memory, as far as the release function asks: SageMaker, alarms and executions."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from inference.release.plan import Plan
from tests.training.examples import tar_bytes
from tests.training.lambdas import ACCOUNT, ARTIFACTS, DATA, REGION

BASE = "upkeep-test-toy"
GROUP = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/{BASE}"
EXECUTION = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{BASE}-release:first"
OTHER = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{BASE}-release:other"
SEED_CONFIG = f"{BASE}-v0-seed"
STOP = f"{BASE}-rollout-stop"
PLAN = Plan(
    model="toy",
    base=BASE,
    variant="AllTraffic",
    role_arn="arn:role",
    key_arn="arn:key",
    environment={"OMP_NUM_THREADS": "1"},
    instance_type="ml.m5.large",
    instance_count=2,
    capture={"EnableCapture": True},
    deployment={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "CANARY"}}},
    stop_alarm=STOP,
    alarms=(f"{BASE}-rollout-5xx", STOP),
    seed_config=SEED_CONFIG,
    check_requests=0,
    max_latency_milliseconds=250.0,
    features=("kind",),
    code_uri=f"s3://{ARTIFACTS}/code/x/code.tar.gz",
    data_bucket=DATA,
    artifacts_bucket=ARTIFACTS,
    patience_seconds=3600,
    tags={"project": "upkeep"},
)
SAMPLE = {
    "run_id": "run1",
    "instances": [{"kind": "a"}, {"kind": "b"}],
    "predictions": [{"score": 0.25, "label": 0}, {"score": 0.75, "label": 1}],
}


def refusal(
    operation: str, message: str, code: str = "ValidationException", status: int = 400
) -> ClientError:
    """An error answer."""
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)


@dataclass
class SageMaker:
    """One endpoint, its configurations and models, and a registry.

    Attributes:
        finishes: Whether an update comes into service; otherwise it is taken back.
        silent: Whether nothing says why it was.
        looks: How often the endpoint is seen updating.
        failing: Operation to the errors of its next calls.
        calls: What was asked for that changes something.
    """

    clock: Any
    packages: dict[str, dict[str, Any]] = field(default_factory=dict)
    configs: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoint: dict[str, Any] = field(default_factory=dict)
    pending: str = ""
    finishes: bool = True
    silent: bool = True
    looks: int = 1
    left: int = 0
    failing: dict[str, list[Exception]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=lambda: dict(SAMPLE))
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(ClientError=ClientError))

    def serve(self, config: str, url: str) -> None:
        """Have a configuration in service."""
        self.configs[config] = {"ProductionVariants": [{"ModelName": config}]}
        self.models[config] = {"PrimaryContainer": {"ModelDataUrl": url}}
        self.endpoint = {"EndpointStatus": "InService", "EndpointConfigName": config}
        self._touch()

    def called(self, name: str) -> list[dict[str, Any]]:
        """What was asked for."""
        return [arguments for called, arguments in self.calls if called == name]

    def describe_endpoint(self, *, EndpointName: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self._may("DescribeEndpoint")
        if not self.endpoint:
            raise refusal("DescribeEndpoint", f'Could not find endpoint "{EndpointName}".')
        if self.pending:
            if self.left:
                self.left -= 1
            else:
                done, self.pending = self.pending, ""
                self.endpoint["EndpointStatus"] = "InService"
                if self.finishes:
                    self.endpoint["EndpointConfigName"] = done
                elif not self.silent:
                    self.endpoint["FailureReason"] = "alarms are in state ALARM"
                self._touch()
        image = {"ResolvedImage": "repository@sha256:0123"}
        return {**self.endpoint, "ProductionVariants": [{"DeployedImages": [image]}]}

    def update_endpoint(self, **asked: Any) -> dict[str, Any]:
        self._may("UpdateEndpoint")
        if self.pending:
            raise refusal("UpdateEndpoint", "Cannot update in-progress endpoint")
        self.calls.append(("update_endpoint", asked))
        self.pending, self.left = asked["EndpointConfigName"], self.looks
        self.endpoint = {**self.endpoint, "EndpointStatus": "Updating"}
        self.endpoint.pop("FailureReason", None)
        self._touch()
        return {}

    def describe_model_package(self, *, ModelPackageName: str) -> dict[str, Any]:  # noqa: N803
        if ModelPackageName not in self.packages:
            raise refusal("DescribeModelPackage", f"ModelPackage {ModelPackageName} does not exist.")
        return dict(self.packages[ModelPackageName])

    def update_model_package(self, *, ModelPackageArn: str, **changes: Any) -> dict[str, Any]:  # noqa: N803
        self.calls.append(("update_model_package", {"ModelPackageArn": ModelPackageArn, **changes}))
        package = self.packages[ModelPackageArn]
        metadata = {**package["CustomerMetadataProperties"], **changes.pop("CustomerMetadataProperties", {})}
        package.update(changes, CustomerMetadataProperties=metadata)
        return {}

    def describe_endpoint_config(self, *, EndpointConfigName: str) -> dict[str, Any]:  # noqa: N803
        return self._find(self.configs, EndpointConfigName, "endpoint configuration")

    def create_endpoint_config(self, **asked: Any) -> dict[str, Any]:
        return self._create("create_endpoint_config", self.configs, asked["EndpointConfigName"], asked)

    def describe_model(self, *, ModelName: str) -> dict[str, Any]:  # noqa: N803
        return self._find(self.models, ModelName, "model")

    def create_model(self, **asked: Any) -> dict[str, Any]:
        return self._create("create_model", self.models, asked["ModelName"], asked)

    def describe_processing_job(self, *, ProcessingJobName: str) -> dict[str, Any]:  # noqa: N803
        return self._find(self.jobs, ProcessingJobName, "job")

    def invoke_endpoint(self, **_: Any) -> dict[str, Any]:
        found = self.answers
        if isinstance(found, Exception):
            raise found
        body = json.dumps({"predictions": found["predictions"], "model_version": found["run_id"]})
        return {"Body": io.BytesIO(body.encode())}

    def _create(self, name: str, there: dict[str, Any], key: str, asked: dict[str, Any]) -> dict[str, Any]:
        self._may(name)
        if key in there:
            raise refusal(name, f'Cannot create already existing thing "{key}".')
        self.calls.append((name, asked))
        there[key] = asked
        return {}

    @staticmethod
    def _find(there: dict[str, Any], name: str, what: str) -> dict[str, Any]:
        if name not in there:
            raise refusal("Describe", f'Could not find {what} "{name}".')
        found: dict[str, Any] = there[name]
        return found

    def _may(self, operation: str) -> None:
        if self.failing.get(operation):
            raise self.failing[operation].pop(0)

    def _touch(self) -> None:
        self.clock.at += 0.5
        self.endpoint["LastModifiedTime"] = datetime.fromtimestamp(self.clock.at, UTC)


@dataclass
class Alarms:
    """CloudWatch's alarms."""

    ringing: set[str] = field(default_factory=set)

    def describe_alarms(self, *, AlarmNames: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"MetricAlarms": [{"AlarmName": name} for name in AlarmNames if name in self.ringing]}

    def set_alarm_state(self, *, AlarmName: str, StateValue: str, **_: Any) -> None:  # noqa: N803
        (self.ringing.add if StateValue == "ALARM" else self.ringing.discard)(AlarmName)


@dataclass
class Executions:
    """Step Functions, as far as it knows who lives."""

    ended: dict[str, datetime] = field(default_factory=dict)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(ClientError=ClientError))

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        if executionArn in self.ended:
            return {"status": "ABORTED", "stopDate": self.ended[executionArn]}
        return {"status": "RUNNING"}


def register(store: Any, sagemaker: SageMaker, number: int, **changes: Any) -> str:
    """A version with everything that was registered with it; its ARN."""
    run, arn = f"run{number}", f"{GROUP}/{number}"
    folder = f"training/toy/{run}/output"
    model = tar_bytes({"model.joblib": run.encode()})
    store.put(f"{folder}/model.tar.gz", model, ARTIFACTS)
    sample = json.dumps({**SAMPLE, "run_id": run}).encode()
    store.put(f"{folder}/output.tar.gz", tar_bytes({"sample.json": sample}), ARTIFACTS)
    url, manifest = f"s3://{ARTIFACTS}/{folder}/model.tar.gz", b"[]"
    store.put(f"manifests/toy/{run}.json", manifest, DATA)
    facts = {
        "run_id": run,
        "version": f"1.{number}.0",
        "decision": "promote",
        "artifact_sha256": hashlib.sha256(model).hexdigest(),
        "passport_sha256": "ab12",
        "model_digest": "cd34",
        "manifest_uri": f"s3://{DATA}/manifests/toy/{run}.json",
        "manifest_sha256": hashlib.sha256(manifest).hexdigest(),
    }
    decision = json.dumps({**facts, "model_data_url": url}).encode()
    store.put(f"decisions/toy/{run}.json", decision, ARTIFACTS)
    metadata = {
        **facts,
        "decision_uri": f"s3://{ARTIFACTS}/decisions/toy/{run}.json",
        "decision_sha256": hashlib.sha256(decision).hexdigest(),
        "metric": "roc_auc",
        "challenger": "0.64",
        "champion": "0.58",
        **changes.pop("metadata", {}),
    }
    sagemaker.packages[arn] = {
        "ModelPackageArn": arn,
        "ModelPackageVersion": number,
        "ModelApprovalStatus": "Approved",
        "InferenceSpecification": {"Containers": [{"Image": "image", "ModelDataUrl": url}]},
        "CustomerMetadataProperties": metadata,
        **changes,
    }
    return arn
