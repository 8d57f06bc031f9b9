"""How a deployment moves traffic: the steps of a DeploymentConfig, as plain numbers.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html and
API_BlueGreenUpdatePolicy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sandbox.sagemaker import errors


@dataclass(frozen=True)
class Step:
    """Give the new fleet `share` of the traffic, then watch it for `bake_seconds`; `label` says why."""

    share: float
    bake_seconds: float
    label: str


def steps(config: dict[str, Any] | None, instances: int) -> list[Step]:
    """The steps of a deployment of `instances` new instances; the last one has the share 1.0."""
    config = config or {}
    rolling = config.get("RollingUpdatePolicy")
    if rolling:
        size = _share(rolling["MaximumBatchSize"], instances)
        return _even(size, float(rolling["WaitIntervalInSeconds"]), 0.0, "WaitIntervalInSeconds")
    policy = config.get("BlueGreenUpdatePolicy")
    if not policy:
        return [Step(1.0, 0.0, "")]
    routing = policy["TrafficRoutingConfiguration"]
    wait = float(routing["WaitIntervalInSeconds"])
    last = float(policy.get("TerminationWaitInSeconds") or 0)
    if routing["Type"] == "CANARY":
        size = _share(routing["CanarySize"], instances)
        return [Step(size, wait, "WaitIntervalInSeconds"), Step(1.0, last, "TerminationWaitInSeconds")]
    if routing["Type"] == "LINEAR":
        return _even(_share(routing["LinearStepSize"], instances), wait, last, "WaitIntervalInSeconds")
    return [Step(1.0, last, "TerminationWaitInSeconds")]


def check(config: dict[str, Any] | None) -> None:
    """Refuse what AWS refuses; raises ApiError ValidationException."""
    config = config or {}
    if config.get("BlueGreenUpdatePolicy") and config.get("RollingUpdatePolicy"):
        raise errors.validation(
            "DeploymentConfig: give BlueGreenUpdatePolicy or RollingUpdatePolicy, not both."
        )
    routing = (config.get("BlueGreenUpdatePolicy") or {}).get("TrafficRoutingConfiguration") or {}
    needed = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}.get(routing.get("Type", ""))
    if needed is None:
        return
    size = routing.get(needed)
    if not size:
        raise errors.validation(
            f"DeploymentConfig: TrafficRoutingConfiguration of type {routing['Type']} needs {needed}."
        )
    low = 1 if needed == "CanarySize" else 10  # deployment-guardrails-blue-green-linear: 10 to 50 percent
    if size["Type"] == "CAPACITY_PERCENT" and not low <= size["Value"] <= 50:
        raise errors.validation(
            f"DeploymentConfig: {needed} is {size['Value']} percent; allowed are {low} to 50 percent."
        )


def _share(size: dict[str, Any], instances: int) -> float:
    """A capacity as a share of the fleet; part of an instance counts as a whole one."""
    count = size["Value"] if size["Type"] == "INSTANCE_COUNT" else math.ceil(instances * size["Value"] / 100)
    return min(1.0, max(1, count) / max(1, instances)) if instances > 1 else _single(size)


def _single(size: dict[str, Any]) -> float:
    # With one instance a share of capacity cannot be fewer instances; the sandbox splits the traffic instead.
    return min(1.0, size["Value"] / 100) if size["Type"] == "CAPACITY_PERCENT" else 1.0


def _even(size: float, wait: float, last: float, label: str) -> list[Step]:
    count = math.ceil(round(1.0 / size, 9))
    shares = [round(size * number, 9) for number in range(1, count)]
    return [Step(share, wait, label) for share in shares] + [Step(1.0, last, "TerminationWaitInSeconds")]
