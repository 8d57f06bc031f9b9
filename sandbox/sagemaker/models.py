"""The operations on models, and what a model means for a container."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.sagemaker import errors, events, s3_data, shapes
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.listing import Listing
from sandbox.sagemaker.store import Record, Store

KIND = "model"
_LISTING = Listing("ListModels", "Models", "ModelName")


@dataclass(frozen=True)
class ServedContainer:
    """What an endpoint runs for one model, references to model packages resolved."""

    image: str
    model_data_url: str | None
    compressed: bool
    """False when `model_data_url` is a prefix of plain files (ModelDataSource with CompressionType None)."""
    environment: dict[str, str]
    role_arn: str | None
    network_isolation: bool


class Models:
    """CreateModel and the rest."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """CreateModel: the role and, with its rights, the model data must be there."""
        store, name = self._context.store, params["ModelName"]
        containers = _containers(params)
        if len(containers) > 1:
            raise errors.validation(
                f"Model {name} has {len(containers)} containers; the sandbox serves models of one container."
            )
        with store.lock:
            if (taken := store.find(KIND, name)) is not None:
                raise errors.already_exists("model", taken.arn)
        role = params.get("ExecutionRoleArn")
        served = resolve(store, params)
        if role:
            credentials = self._context.platform.role_credentials(role, "SageMaker")
            self._check_data(served, role, credentials)
        with store.lock:
            if (taken := store.find(KIND, name)) is not None:
                raise errors.already_exists("model", taken.arn)
            record = store.add(KIND, name, params, self._context.clock.now())
            record.fields |= {
                "ModelArn": record.arn,
                "EnableNetworkIsolation": bool(params.get("EnableNetworkIsolation")),
            }
        self._publish(record)
        return shapes.project("CreateModel", {"ModelArn": record.arn})

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """DescribeModel."""
        with self._context.store.lock:
            return shapes.project("DescribeModel", find(self._context.store, params["ModelName"]).values())

    def list_all(self, params: dict[str, Any]) -> dict[str, Any]:
        """ListModels."""
        with self._context.store.lock:
            return _LISTING.page(self._context.store.all(KIND), params)

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """DeleteModel: also of a model that an endpoint serves; the endpoint runs on (API_DeleteModel)."""
        with self._context.store.lock:
            record = find(self._context.store, params["ModelName"])
            self._context.store.remove(record)
        self._publish(record)
        return {}

    def _publish(self, record: Record) -> None:
        detail = {
            "ModelName": record.name,
            "ModelArn": record.arn,
            "CreationTime": round(record.created * 1000),
            "ExecutionRoleArn": record.request.get("ExecutionRoleArn"),
            "Tags": self._context.store.tags_of(record),
        }
        self._context.events.emit(events.MODEL, detail, record.arn)

    def _check_data(self, served: ServedContainer, role: str, credentials: dict[str, str]) -> None:
        url = served.model_data_url
        if not url or not served.compressed:
            return
        try:
            bucket, key = s3_data.split(url)
            self._context.platform.s3_client(credentials).head_object(Bucket=bucket, Key=key)
        except s3_data.DataError as error:
            raise errors.validation(f"Invalid ModelDataUrl: {error}.") from error
        except (ClientError, BotoCoreError) as error:
            # [AWS] both texts; a missing object is 403 for a role without s3:ListBucket, as on AWS.
            if s3_data.code(error) in ("404", "NoSuchKey", "NotFound", "NoSuchBucket"):
                raise errors.validation(f"Could not find model data at {url}.") from error
            raise errors.validation(
                f'Could not access model data at {url}. Please ensure that the role "{role}" exists and '
                "that its "
                'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
                '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and '
                "that the "
                f"object is located in {self._context.platform.region}."
            ) from error


def find(store: Store, name: str) -> Record:
    """The model of that name; raises ApiError."""
    record = store.find(KIND, name)
    if record is None:
        raise errors.could_not_find("model", store.arn(KIND, name))
    return record


def _containers(model: dict[str, Any]) -> list[dict[str, Any]]:
    if model.get("PrimaryContainer") and model.get("Containers"):
        raise errors.validation("Give either PrimaryContainer or Containers, not both.")
    containers = (
        [model["PrimaryContainer"]] if model.get("PrimaryContainer") else model.get("Containers") or []
    )
    if not containers:
        raise errors.validation(
            f"Model {model.get('ModelName')} has no container: give a PrimaryContainer or Containers."
        )
    return list(containers)


def resolve(store: Store, model: dict[str, Any]) -> ServedContainer:
    """What a model's one container runs; raises ApiError when it names a model package that is not there."""
    container = _containers(model)[0]
    environment = dict(container.get("Environment") or {})
    package_name = container.get("ModelPackageName")
    if package_name:
        package = store.find_arn(package_name) or store.find("model_package", package_name)
        if package is None:
            raise errors.package_missing(package_name)
        specification = package.request.get("InferenceSpecification") or {}
        if not specification.get("Containers"):
            raise errors.validation(
                f"{package.arn} has no InferenceSpecification, so no model can be made of it."
            )
        container = specification["Containers"][0]
        environment = {**(container.get("Environment") or {}), **environment}
    url, compressed = container.get("ModelDataUrl"), True
    source = (container.get("ModelDataSource") or {}).get("S3DataSource")
    if source:
        url, compressed = source["S3Uri"], source["CompressionType"] == "Gzip"
    if not container.get("Image"):
        raise errors.validation(
            f"Model {model.get('ModelName')}: its container names neither Image nor ModelPackageName."
        )
    return ServedContainer(
        image=container["Image"],
        model_data_url=url,
        compressed=compressed,
        environment=environment,
        role_arn=model.get("ExecutionRoleArn"),
        network_isolation=bool(model.get("EnableNetworkIsolation")),
    )
