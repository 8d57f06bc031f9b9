"""The operations on endpoint configurations."""

from __future__ import annotations

from typing import Any

from sandbox.sagemaker import errors, models, s3_data, shapes
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.listing import Listing
from sandbox.sagemaker.store import Record, Store

KIND = "endpoint_config"
_LISTING = Listing("ListEndpointConfigs", "EndpointConfigs", "EndpointConfigName")
_REFUSED = {
    "AsyncInferenceConfig": "asynchronous endpoints",
    "ExplainerConfig": "explainers",
    "ShadowProductionVariants": "shadow variants",
}
_REFUSED_IN_VARIANT = {"ServerlessConfig": "serverless variants", "InstancePools": "instance pools"}


class EndpointConfigs:
    """CreateEndpointConfig and the rest."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """CreateEndpointConfig: its models must exist."""
        store, name = self._context.store, params["EndpointConfigName"]
        _check(params)
        with store.lock:
            if (taken := store.find(KIND, name)) is not None:
                raise errors.already_exists("endpoint configuration", taken.arn)
            for variant in params["ProductionVariants"]:
                models.find(store, variant["ModelName"])
            variants = [{"InitialVariantWeight": 1.0, **variant} for variant in params["ProductionVariants"]]
            record = store.add(
                KIND, name, {**params, "ProductionVariants": variants}, self._context.clock.now()
            )
            record.fields["EndpointConfigArn"] = record.arn
        return shapes.project("CreateEndpointConfig", {"EndpointConfigArn": record.arn})

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """DescribeEndpointConfig."""
        with self._context.store.lock:
            record = find(self._context.store, params["EndpointConfigName"])
            return shapes.project("DescribeEndpointConfig", record.values())

    def list_all(self, params: dict[str, Any]) -> dict[str, Any]:
        """ListEndpointConfigs."""
        with self._context.store.lock:
            return _LISTING.page(self._context.store.all(KIND), params)

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """DeleteEndpointConfig: AWS lets one delete a configuration in use.

        "You must not delete an EndpointConfig in use by an endpoint that is live" (API_DeleteEndpointConfig)
        is advice: the call succeeds and the endpoint's next update fails (hashicorp/terraform-provider-aws
        issue 48997).
        """
        with self._context.store.lock:
            self._context.store.remove(find(self._context.store, params["EndpointConfigName"]))
        return {}


def find(store: Store, name: str) -> Record:
    """The configuration of that name; raises ApiError."""
    record = store.find(KIND, name)
    if record is None:
        raise errors.could_not_find("endpoint configuration", store.arn(KIND, name))
    return record


def _check(params: dict[str, Any]) -> None:
    for member, what in _REFUSED.items():
        if params.get(member):
            raise errors.validation(f"The sandbox has no {what} ({member}); it serves real-time variants.")
    variants = params["ProductionVariants"]
    names = [variant["VariantName"] for variant in variants]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise errors.validation(f"Variant names must be unique; {', '.join(doubled)} appears more than once.")
    for variant in variants:
        for member, what in _REFUSED_IN_VARIANT.items():
            if variant.get(member):
                raise errors.validation(f"The sandbox has no {what} ({member} in {variant['VariantName']}).")
        if missing := [
            m for m in ("ModelName", "InstanceType", "InitialInstanceCount") if not variant.get(m)
        ]:
            raise errors.validation(f"Variant {variant['VariantName']} lacks {', '.join(missing)}.")
    capture = params.get("DataCaptureConfig")
    if capture:
        try:
            s3_data.split(capture["DestinationS3Uri"])
        except s3_data.DataError as error:
            raise errors.validation(f"DataCaptureConfig.DestinationS3Uri: {error}.") from error
