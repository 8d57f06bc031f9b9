"""The operations on endpoints; deployment.py does the work."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from sandbox.sagemaker import endpoint_configs, errors, models, shapes, traffic
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.deployment import Deployer, Plan, Planned
from sandbox.sagemaker.fleet import in_parallel
from sandbox.sagemaker.jobs import Job, Jobs
from sandbox.sagemaker.listing import Listing
from sandbox.sagemaker.live import LiveEndpoint
from sandbox.sagemaker.routing import Variant
from sandbox.sagemaker.store import Record

KIND = "endpoint"
_LISTING = Listing("ListEndpoints", "Endpoints", "EndpointName", "EndpointStatus")
_BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


class Endpoints:
    """CreateEndpoint and the rest."""

    def __init__(self, context: Context) -> None:
        self._context = context
        # Its threads live until the end: servers may be tied to the thread that started them.
        self._pool = ThreadPoolExecutor(context.settings.max_parallel_starts, "sagemaker-serve")
        self._deployer = Deployer(context, self._pool)
        self._jobs = Jobs("endpoint", max_parallel=64)
        self._numbers = itertools.count(1)
        self._live: dict[str, LiveEndpoint] = {}

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """CreateEndpoint: starts every variant's servers."""
        store, name = self._context.store, params["EndpointName"]
        traffic.check(params.get("DeploymentConfig"))
        with store.lock:
            if (taken := store.find(KIND, name)) is not None:
                raise errors.already_exists("endpoint", taken.arn)
            config = endpoint_configs.find(store, params["EndpointConfigName"])
            plan = self._plan(config, params.get("DeploymentConfig"), [], retained=set())
            record = store.add(KIND, name, params, self._context.clock.now())
            record.fields["EndpointArn"] = record.arn
            record.fields["EndpointStatus"] = "Creating"
            live = self._live[name] = LiveEndpoint(self._context, record)
        live.set_status("Creating", LastDeploymentConfig=params.get("DeploymentConfig"))
        self._start(name, partial(self._deployer.create, live, plan))
        return shapes.project("CreateEndpoint", {"EndpointArn": record.arn})

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """DescribeEndpoint."""
        return self._find(params["EndpointName"]).describe()

    def list_all(self, params: dict[str, Any]) -> dict[str, Any]:
        """ListEndpoints."""
        with self._context.store.lock:
            return _LISTING.page(self._context.store.all(KIND), params)

    def update(self, params: dict[str, Any]) -> dict[str, Any]:
        """UpdateEndpoint: a new fleet beside the old one, then the traffic, then the end of the old one.

        The configuration in service must still exist, as on AWS: after its deletion every update fails with
        "Could not find endpoint configuration" (hashicorp/terraform-provider-aws issue 48997).
        """
        store = self._context.store
        with store.lock:
            live = self._find(params["EndpointName"])
            self._must_be_idle(live)
            if live.status != "InService":
                raise errors.validation(
                    f'Cannot update endpoint "{live.record.arn}" in status {live.status}; '
                    "DeleteEndpoint is the only operation that can be performed on it."
                )
            endpoint_configs.find(store, live.record.values()["EndpointConfigName"])
            config = endpoint_configs.find(store, params["EndpointConfigName"])
            deployment = params.get("DeploymentConfig")
            if params.get("RetainDeploymentConfig") and not deployment:
                deployment = live.record.fields.get("LastDeploymentConfig")
            traffic.check(deployment)
            current = live.router.current()
            plan = self._plan(config, deployment, current, _retained(params), capture=live.capture)
            if deployment and {v.name for v in current} != {p.config["VariantName"] for p in plan.variants}:
                raise errors.validation(
                    "With a DeploymentConfig the variants must keep their names: the endpoint has "
                    f"{sorted(v.name for v in current)}, {config.name} has "
                    f"{sorted(p.config['VariantName'] for p in plan.variants)}."
                )
            live.record.fields["EndpointStatus"] = "Updating"
        live.set_status("Updating", FailureReason=None)
        self._start(live.name, partial(self._deployer.update, live, plan))
        return shapes.project("UpdateEndpoint", {"EndpointArn": live.record.arn})

    def update_weights(self, params: dict[str, Any]) -> dict[str, Any]:
        """UpdateEndpointWeightsAndCapacities."""
        with self._context.store.lock:
            live = self._find(params["EndpointName"])
            self._must_be_idle(live)
            wanted = {entry["VariantName"]: entry for entry in params["DesiredWeightsAndCapacities"]}
            known = sorted(variant.name for variant in live.router.current())
            if unknown := sorted(set(wanted) - set(known)):
                raise errors.validation(
                    f"The variant name(s) {', '.join(unknown)} is/are not present within endpoint "
                    "configuration "
                    f'"{live.record.values()["EndpointConfigName"]}"; it has {", ".join(known) or "none"}.'
                )
            live.record.fields["EndpointStatus"] = "Updating"
        live.set_status("Updating", FailureReason=None)
        self._start(live.name, partial(self._deployer.rescale, live, wanted))
        return shapes.project("UpdateEndpointWeightsAndCapacities", {"EndpointArn": live.record.arn})

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """DeleteEndpoint: the endpoint is Deleting until its servers have stopped, then it is gone."""
        with self._context.store.lock:
            live = self._find(params["EndpointName"])
            self._must_be_idle(live)
            live.record.fields["EndpointStatus"] = "Deleting"
        live.set_status("Deleting")
        self._start(live.name, partial(self._remove, live))
        return {}

    def live(self, name: str) -> LiveEndpoint | None:
        """The running endpoint of that name, for invocations."""
        return self._live.get(name)

    def heal(self) -> None:
        """Restart servers that died."""
        for live in list(self._live.values()):
            for variant in live.router.current():
                variant.fleet.heal()

    def close(self) -> None:
        """Stop every server."""
        for live in list(self._live.values()):
            live.cancel.set()
        self._jobs.close()
        variants = [
            variant
            for live in list(self._live.values())
            for variant in [*live.router.current(), *live.router.pending()]
        ]
        in_parallel(lambda variant: variant.fleet.stop(grace_seconds=1.0), variants)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _start(self, name: str, work: Callable[[Job], None]) -> None:
        # An update's drain may still run when the next operation begins, so a name can have two jobs.
        self._jobs.start(f"{name}-{next(self._numbers)}", work)

    def _remove(self, live: LiveEndpoint, _job: Job) -> None:
        try:
            for variant in live.router.promote([]):
                variant.fleet.drain()
        finally:
            with self._context.store.lock:
                self._context.store.remove(live.record)
                self._live.pop(live.name, None)

    def _find(self, name: str) -> LiveEndpoint:
        live = self._live.get(name)
        if live is None:
            raise errors.could_not_find("endpoint", self._context.store.arn(KIND, name))
        return live

    @staticmethod
    def _must_be_idle(live: LiveEndpoint) -> None:
        if live.status in _BUSY:
            raise errors.endpoint_in_progress(live.record.arn)

    def _plan(
        self,
        config: Record,
        deployment: dict[str, Any] | None,
        current: list[Variant],
        retained: set[str],
        capture: dict[str, Any] | None = None,
    ) -> Plan:
        """What a configuration asks for, with the properties the update retains from the running variants."""
        running = {variant.name: variant for variant in current}
        planned = []
        for variant in config.request["ProductionVariants"]:
            model = models.find(self._context.store, variant["ModelName"])
            weight, count = float(variant["InitialVariantWeight"]), int(variant["InitialInstanceCount"])
            kept = running.get(variant["VariantName"])
            if kept is not None and "DesiredWeight" in retained:
                weight = kept.weight
            if kept is not None and "DesiredInstanceCount" in retained:
                count = kept.desired_count
            planned.append(
                Planned(variant, models.resolve(self._context.store, model.values()), weight, count)
            )
        wanted = capture if "DataCaptureConfig" in retained else config.request.get("DataCaptureConfig")
        return Plan(config.name, planned, wanted, deployment)


def _retained(params: dict[str, Any]) -> set[str]:
    """The properties kept from the running variants (API_UpdateEndpoint, RetainAllVariantProperties)."""
    if not params.get("RetainAllVariantProperties"):
        return set()
    excluded = {p["VariantPropertyType"] for p in params.get("ExcludeRetainedVariantProperties") or []}
    return {"DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig"} - excluded
