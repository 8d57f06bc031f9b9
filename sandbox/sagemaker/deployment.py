"""Bringing an endpoint up, and replacing its fleets without a gap.

An update that fails (a server does not come up, a rollback alarm rings) leaves the old configuration in
service: the endpoint is InService again under the old EndpointConfigName, with FailureReason set
(aws-controllers-k8s/sagemaker-controller pull request 7; hashicorp/terraform-provider-aws issues 39099 and
48997).
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sandbox.sagemaker import events, traffic
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.fleet import Fleet, FleetError
from sandbox.sagemaker.jobs import Job
from sandbox.sagemaker.live import LiveEndpoint
from sandbox.sagemaker.models import ServedContainer
from sandbox.sagemaker.routing import Variant

_log = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 14_400  # API_BlueGreenUpdatePolicy: MaximumExecutionTimeoutInSeconds, at most 4 hours


@dataclass(frozen=True)
class Planned:
    """A variant to bring up."""

    config: dict[str, Any]
    served: ServedContainer
    weight: float
    count: int


@dataclass(frozen=True)
class Plan:
    """A configuration to bring into service."""

    config_name: str
    variants: list[Planned]
    capture: dict[str, Any] | None
    deployment: dict[str, Any] | None


class Deployer:
    """Carries plans out. Each method runs on the endpoint's job thread."""

    def __init__(self, context: Context, pool: ThreadPoolExecutor) -> None:
        self._context = context
        self._pool = pool

    def create(self, live: LiveEndpoint, plan: Plan, _job: Job) -> None:
        """Creating → InService, or Failed with the reason."""
        try:
            variants = self._launch(live, plan)
        except Exception as error:
            live.set_status("Failed", FailureReason=_reason(error))
            if isinstance(error, FleetError):
                return
            raise
        live.capture = plan.capture
        live.router.promote(variants)
        live.set_status("InService")

    def update(self, live: LiveEndpoint, plan: Plan, _job: Job) -> None:
        """Updating → InService under the new configuration, or back under the old one."""
        live.pending_config, live.pending_since = plan.config_name, self._context.clock.now()
        variants: list[Variant] = []
        try:
            self._watch_alarms(plan.deployment)
            variants = self._launch(live, plan)
            self._shift(live, plan, variants)
        except Exception as error:
            self._roll_back(live, variants, _reason(error))
            if isinstance(error, FleetError):
                return
            raise
        finally:
            live.pending_config = None
        live.capture = plan.capture
        old = live.router.promote(variants)
        for variant in variants:
            variant.status = []
        live.set_status(
            "InService",
            EndpointConfigName=plan.config_name,
            LastDeploymentConfig=plan.deployment,
            FailureReason=None,
        )
        for variant in old:
            variant.fleet.drain()

    def rescale(self, live: LiveEndpoint, wanted: dict[str, dict[str, Any]], _job: Job) -> None:
        """Apply DesiredWeight and DesiredInstanceCount; a scale-out that fails rolls back."""
        variants = live.router.current()
        before = {variant.name: variant.desired_count for variant in variants}
        try:
            for variant in variants:
                if count := wanted.get(variant.name, {}).get("DesiredInstanceCount"):
                    variant.desired_count = count
                    variant.fleet.scale(count, live.cancel)
        except Exception as error:
            live.set_status("RollingBack")
            for variant in variants:
                variant.desired_count = before[variant.name]
                variant.fleet.scale(min(before[variant.name], variant.fleet.size), live.cancel)
            live.set_status("InService", FailureReason=_reason(error))
            if isinstance(error, FleetError):
                return
            raise
        for variant in variants:
            weight = wanted.get(variant.name, {}).get("DesiredWeight")
            if weight is not None:
                variant.weight = float(weight)
        live.set_status("InService", FailureReason=None)

    def _launch(self, live: LiveEndpoint, plan: Plan) -> list[Variant]:
        """Start all fleets of a plan; raises FleetError, leaving none of them."""
        variants: list[Variant] = []
        try:
            for planned in plan.variants:
                fleet = Fleet(self._context, self._pool, live.name, planned.config, planned.served)
                fleet.start(planned.count, live.cancel)
                variants.append(Variant(planned.config, fleet, planned.weight, planned.count))
        except BaseException:
            for variant in variants:
                variant.fleet.stop(grace_seconds=1.0)
            raise
        return variants

    def _shift(self, live: LiveEndpoint, plan: Plan, variants: list[Variant]) -> None:
        """Move the traffic step by step; raises FleetError when an alarm rings or the time is over."""
        clock, scale = self._context.clock, self._context.settings.time_scale
        policy = plan.deployment or {}
        limit = (policy.get("BlueGreenUpdatePolicy") or policy.get("RollingUpdatePolicy") or {}).get(
            "MaximumExecutionTimeoutInSeconds"
        ) or _TIMEOUT_SECONDS
        deadline = clock.now() + limit
        instances = sum(planned.count for planned in plan.variants)
        for step in traffic.steps(plan.deployment, instances):
            live.router.set_pending(variants, step.share)
            if step.bake_seconds:
                self._announce(live, variants, step)
            baked = clock.now() + step.bake_seconds * scale
            while True:
                self._watch_alarms(plan.deployment)
                if live.cancel.is_set():
                    raise FleetError("The sandbox is stopping.")
                if clock.now() >= deadline:
                    raise FleetError(
                        f"The deployment took longer than MaximumExecutionTimeoutInSeconds ({limit} s)."
                    )
                left = baked - clock.now()
                if left <= 0:
                    break
                clock.wait(live.cancel, min(left, self._context.settings.alarm_poll_seconds))

    def _announce(self, live: LiveEndpoint, variants: list[Variant], step: traffic.Step) -> None:
        for variant in variants:
            capacity = "full" if step.share >= 1.0 else "canary"
            message = (
                f"Baking for {step.bake_seconds:.0f} seconds ({step.label}) with traffic enabled on "
                f"{capacity} "
                f"capacity of {variant.desired_count} instance(s)."
            )
            variant.status = [
                {"Status": "Baking", "StatusMessage": message, "StartTime": self._context.clock.now()}
            ]
        live.publish(events.ENDPOINT_DEPLOYMENT)

    def _watch_alarms(self, deployment: dict[str, Any] | None) -> None:
        alarms = ((deployment or {}).get("AutoRollbackConfiguration") or {}).get("Alarms") or []
        names = [alarm["AlarmName"] for alarm in alarms if alarm.get("AlarmName")]
        if not names:
            return
        states = self._context.platform.alarm_states(names)
        if missing := [name for name in names if name not in states]:
            raise FleetError(f"The auto-rollback alarms do not exist: {', '.join(missing)}.")
        if ringing := [name for name in names if states[name] == "ALARM"]:
            raise FleetError(
                f"One or more auto-rollback alarms are in ALARM state: {', '.join(ringing)}. "
                "The endpoint was rolled back to the previous configuration."
            )

    def _roll_back(self, live: LiveEndpoint, variants: list[Variant], reason: str) -> None:
        _log.info("update of %s rolled back: %s", live.name, reason)
        if variants:
            live.set_status("RollingBack")
        live.router.set_pending([], 0.0)
        live.set_status("InService", FailureReason=reason)
        for variant in variants:
            variant.fleet.drain()


def _reason(error: Exception) -> str:
    """What DescribeEndpoint says of a failure: a fleet's own words, or that the sandbox itself failed."""
    return str(error) if isinstance(error, FleetError) else f"InternalServerError: {error}"
