"""What a model's endpoint serves, the versions in its registry, and predictions from it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from upkeep.errors import UpkeepError, is_gone
from upkeep.outputs import ModelOutputs
from upkeep.render import iso
from upkeep.runs import Clients

SEED_VERSION = 0
VARIANT = "AllTraffic"
CSV, JSON = "text/csv", "application/json"


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
    model_name = config["ProductionVariants"][0]["ModelName"]
    url = _artifact(context, sagemaker.describe_model(ModelName=model_name))
    known = list_packages(context, model) if packages is None else packages
    package = next((p for p in known if p.model_data_url == url), None)
    return Serving(
        endpoint=model.endpoint,
        status=endpoint["EndpointStatus"],
        config=config_name,
        model_name=model_name,
        model_data_url=url,
        run_id=package.run_id if package and package.run_id else run_of(url, model.endpoint),
        version=package.version if package else _seed_version(url, model),
        since=endpoint["LastModifiedTime"],
        failure=endpoint.get("FailureReason", ""),
    )


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
    return [parse_package(sagemaker.describe_model_package(ModelPackageName=arn)) for arn in arns]


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
    context: Clients, model: ModelOutputs, body: bytes, content_type: str, accept: str = JSON
) -> Answer:
    """Ask the endpoint; a container's own 4xx or 5xx is an answer too.

    Raises:
        UpkeepError: The endpoint does not exist or is not in service.
    """
    runtime = context.client("sagemaker-runtime")
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=model.endpoint, Body=body, ContentType=content_type, Accept=accept
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


def _seed_version(url: str, model: ModelOutputs) -> int | None:
    return SEED_VERSION if model.seed_job and f"/{model.seed_job}/" in url else None
