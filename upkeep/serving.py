"""What a model's endpoint serves, the versions in its registry, and predictions from it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from training.registry.metadata import NOTHING
from upkeep.errors import UpkeepError, is_gone
from upkeep.outputs import ModelOutputs
from upkeep.render import iso
from upkeep.runs import Clients

SEED_VERSION = 0
# What the numbers of served versions go on from.
SEED_LABEL = "1.0.0"
VARIANT = "AllTraffic"
CSV, JSON = "text/csv", "application/json"
_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Package:
    """A version in the model registry.

    Attributes:
        version: Its number, which is what people call the version.
        run_id: The run that made it.
        approval: Approved, PendingManualApproval or Rejected.
        release: What became of its release (`live`, `failed`, ...), as the release machine recorded it.
    """

    arn: str
    version: int
    created: datetime
    approval: str
    model_data_url: str
    run_id: str = ""
    release: str = ""
    note: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What people call the version: `1.2.3`, or `v7` when it was registered without one."""
        return self.fact("version") or f"v{self.version}"

    @property
    def words(self) -> str:
        """The version in a sentence: `version 1.2.3`, or `version 7`."""
        return f"version {self.fact('version') or self.version}"

    def fact(self, name: str) -> str:
        """One of its properties; empty when it has none."""
        found = self.metadata.get(name, "")
        return "" if found == NOTHING else found


@dataclass(frozen=True, kw_only=True)
class ServedVariant:
    """One of the models that share an endpoint's traffic.

    Attributes:
        name: The variant's name.
        share: Its share of the traffic, from 0 to 1.
        version: Package version; 0 for the seed, None when the registry does not know the artefact.
    """

    name: str
    share: float
    model_name: str
    model_data_url: str
    version: int | None = None


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What answers right now.

    Attributes:
        endpoint: Name of the endpoint.
        status: The endpoint's status, `Missing` when there is none.
        config: The endpoint config it serves.
        model_data_url: Where the serving model's artefact is.
        run_id: The run that made the model; the seed's job name for the first one.
        version: Package version; 0 for the seed, None when the registry does not know the artefact.
        since: When the endpoint last changed.
        failure: What the endpoint says about its last failed change.
        coming: The endpoint config that a running update brings.
        variants: All that answer; more than one during an experiment.
    """

    endpoint: str
    status: str
    config: str = ""
    model_name: str = ""
    model_data_url: str = ""
    run_id: str = ""
    version: int | None = None
    since: datetime | None = None
    failure: str = ""
    coming: str = ""
    variants: tuple[ServedVariant, ...] = ()

    @property
    def urls(self) -> dict[str, float]:
        """The artefacts that answer, with their shares of the traffic."""
        if not self.variants:
            return {self.model_data_url: 1.0} if self.model_data_url else {}
        return {variant.model_data_url: variant.share for variant in self.variants}

    def to_json(self) -> dict[str, Any]:
        """The state as `--json` prints it."""
        return {**asdict(self), "since": iso(self.since)}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the endpoint said: status, body, and which model said it."""

    status: int
    body: bytes
    content_type: str
    model: str = ""
    run: str = ""
    variant: str = ""

    @property
    def ok(self) -> bool:
        """Whether these are predictions."""
        return self.status < 400

    def predictions(self) -> list[Any]:
        """The predictions as data, one per row; the body says what it is when the content type does not."""
        said = self.body.decode("utf-8", "replace").strip()
        if self.content_type.startswith(CSV):
            return said.splitlines()
        try:
            data = json.loads(said)
        except ValueError:
            return [json.loads(line) for line in said.splitlines() if line]
        found = data.get("predictions", data) if isinstance(data, dict) else data
        return list(found) if isinstance(found, list) else [found]


def read_serving(context: Clients, model: ModelOutputs, packages: list[Package] | None = None) -> Serving:
    """Read back from AWS what serves: endpoint, its config, the config's model, the model's artefact."""
    sagemaker = context.client("sagemaker")
    try:
        endpoint = sagemaker.describe_endpoint(EndpointName=model.endpoint)
    except sagemaker.exceptions.ClientError as error:
        if is_gone(error):
            return Serving(endpoint=model.endpoint, status="Missing")
        raise
    config_name = endpoint["EndpointConfigName"]
    config = sagemaker.describe_endpoint_config(EndpointConfigName=config_name)
    known = list_packages(context, model) if packages is None else packages
    variants = _variants(context, model, endpoint, config["ProductionVariants"], known)
    main = next((variant for variant in variants if variant.name == VARIANT), variants[0])
    package = next((p for p in known if p.model_data_url == main.model_data_url), None)
    pending = endpoint.get("PendingDeploymentSummary") or {}
    return Serving(
        endpoint=model.endpoint,
        status=endpoint["EndpointStatus"],
        config=config_name,
        model_name=main.model_name,
        model_data_url=main.model_data_url,
        run_id=package.run_id if package and package.run_id else run_of(main.model_data_url, model.endpoint),
        version=main.version,
        since=endpoint["LastModifiedTime"],
        failure=endpoint.get("FailureReason", ""),
        coming=pending.get("EndpointConfigName", ""),
        variants=variants,
    )


def movement(context: Clients, model: ModelOutputs) -> str:
    """How far a running update of the endpoint is, in SageMaker's words; empty when none runs.

    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_PendingDeploymentSummary.html
    """
    sagemaker = context.client("sagemaker")
    try:
        endpoint = sagemaker.describe_endpoint(EndpointName=model.endpoint)
    except sagemaker.exceptions.ClientError as error:
        if is_gone(error):
            return ""
        raise
    if endpoint["EndpointStatus"] == "RollingBack":
        return "SageMaker takes the update back"
    pending = endpoint.get("PendingDeploymentSummary") or {}
    for variant in pending.get("ProductionVariants") or []:
        for status in reversed(variant.get("VariantStatus") or []):
            return str(status.get("StatusMessage") or _STAGES.get(status["Status"], status["Status"]))
    return "new servers start" if endpoint["EndpointStatus"] == "Updating" else ""


_STAGES = {
    "Creating": "new servers start", "Updating": "capacity changes", "Deleting": "old servers stop",
    "ActivatingTraffic": "traffic moves", "Baking": "baking: the alarms are watched",
}  # fmt: skip


def run_of(model_data_url: str, prefix: str) -> str:
    """The run id inside an artefact's address: `.../training/<model>/<job>/output/model.tar.gz`."""
    parts = model_data_url.split("/")
    if len(parts) < 3 or parts[-2] != "output":
        return ""
    return parts[-3].removeprefix(f"{prefix}-")


def list_packages(context: Clients, model: ModelOutputs, limit: int = 50) -> list[Package]:
    """The newest versions in the registry, newest first."""
    sagemaker = context.client("sagemaker")
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=model.package_group,
        SortBy="CreationTime",
        SortOrder="Descending",
        PaginationConfig={"MaxItems": limit},
    )
    arns = [item["ModelPackageArn"] for page in pages for item in page["ModelPackageSummaryList"]]
    # One after the other they take as many round trips: seconds, when somebody wants to go back.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(
            pool.map(lambda arn: parse_package(sagemaker.describe_model_package(ModelPackageName=arn)), arns)
        )


def parse_package(described: Mapping[str, Any]) -> Package:
    """A version from the answer of DescribeModelPackage."""
    metadata = dict(described.get("CustomerMetadataProperties") or {})
    containers = (described.get("InferenceSpecification") or {}).get("Containers") or [{}]
    return Package(
        arn=described["ModelPackageArn"],
        version=int(described.get("ModelPackageVersion") or 0),
        created=described["CreationTime"],
        approval=described.get("ModelApprovalStatus", ""),
        model_data_url=containers[0].get("ModelDataUrl", ""),
        run_id=metadata.get("run_id", ""),
        release=metadata.get("release", ""),
        note=described.get("ApprovalDescription", ""),
        metadata=metadata,
    )


def predict(
    context: Clients,
    model: ModelOutputs,
    body: bytes,
    content_type: str,
    accept: str = JSON,
    *,
    inference_id: str = "",
    target_variant: str = "",
) -> Answer:
    """Ask the endpoint; a container's own 4xx or 5xx is an answer too.

    Args:
        context: The stack.
        model: Whose endpoint.
        body: The rows.
        content_type: Of the body.
        accept: Of the answer.
        inference_id: Under which the request is captured, so that a label can be brought for it later.
        target_variant: The variant that is to answer; by default the weights decide.

    Raises:
        UpkeepError: The endpoint does not exist or is not in service.
    """
    runtime = context.client("sagemaker-runtime")
    wanted = {"InferenceId": inference_id, "TargetVariant": target_variant}
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=model.endpoint,
            Body=body,
            ContentType=content_type,
            Accept=accept,
            **{name: value for name, value in wanted.items() if value},
        )
    except runtime.exceptions.ModelError as error:
        said = error.response.get("OriginalMessage", "") or error.response["Error"].get("Message", "")
        status = int(error.response.get("OriginalStatusCode") or 500)
        return Answer(status=status, body=said.encode(), content_type="text/plain")
    except runtime.exceptions.ClientError as error:
        if error.response["Error"]["Code"] in ("ValidationError", "ValidationException"):
            said = error.response["Error"].get("Message", "")
            raise UpkeepError(
                f"Endpoint {model.endpoint} does not answer: {said.rstrip('.')}. See `upkeep status`."
            ) from error
        raise
    attributes = parse_attributes(answer.get("CustomAttributes", ""))
    return Answer(
        status=answer["ResponseMetadata"]["HTTPStatusCode"],
        body=answer["Body"].read(),
        content_type=answer.get("ContentType", accept),
        model=attributes.get("model", ""),
        run=attributes.get("run", ""),
        variant=answer.get("InvokedProductionVariant", ""),
    )


def parse_attributes(said: str) -> dict[str, str]:
    """The serving code's custom attributes: `model=flights;run=0123abcd`."""
    pairs = (part.partition("=") for part in said.split(";") if "=" in part)
    return {name.strip(): value.strip() for name, _, value in pairs}


def error_text(answer: Answer) -> str:
    """What a refused request's answer says, without the wrapping."""
    said = answer.body.decode("utf-8", "replace").strip()
    try:
        data = json.loads(said)
    except ValueError:
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", said)).strip() or f"HTTP {answer.status}"
    if isinstance(data, dict):
        for key in ("error", "message", "detail"):
            if data.get(key):
                found = data[key]
                return str(found.get("message", found) if isinstance(found, dict) else found)
    return said


def _artifact(context: Clients, described: Mapping[str, Any]) -> str:
    """Where a model's artefact is, also for a model made from a package."""
    containers = [described.get("PrimaryContainer") or {}, *(described.get("Containers") or [])]
    container: Mapping[str, Any] = next((c for c in containers if c), {})
    if url := container.get("ModelDataUrl"):
        return str(url)
    source = ((container.get("ModelDataSource") or {}).get("S3DataSource") or {}).get("S3Uri", "")
    if source or not container.get("ModelPackageName"):
        return str(source)
    package = context.client("sagemaker").describe_model_package(
        ModelPackageName=container["ModelPackageName"]
    )
    return parse_package(package).model_data_url


def _variants(
    context: Clients,
    model: ModelOutputs,
    endpoint: Mapping[str, Any],
    configured: Sequence[Mapping[str, Any]],
    known: Sequence[Package],
) -> tuple[ServedVariant, ...]:
    """The variants of a configuration with the shares they have now.

    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantSummary.html
    """
    now = {one["VariantName"]: one for one in endpoint.get("ProductionVariants", [])}
    numbers = {package.model_data_url: package.version for package in known}
    weights: list[float] = []
    for one in configured:
        current = now.get(one.get("VariantName", VARIANT), {}).get("CurrentWeight")
        weights.append(float(one.get("InitialVariantWeight", 1.0) if current is None else current))
    total = sum(weights)
    found = []
    for one, weight in zip(configured, weights, strict=True):
        url = _artifact(context, context.client("sagemaker").describe_model(ModelName=one["ModelName"]))
        found.append(
            ServedVariant(
                name=one.get("VariantName", VARIANT),
                share=weight / total if total else 0.0,
                model_name=one["ModelName"],
                model_data_url=url,
                version=numbers.get(url, _seed_version(url, model)),
            )
        )
    return tuple(found)


def _seed_version(url: str, model: ModelOutputs) -> int | None:
    return SEED_VERSION if model.seed_job and f"/{model.seed_job}/" in url else None
