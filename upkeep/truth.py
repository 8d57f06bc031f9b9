"""Whether an endpoint serves what it should: SageMaker may take an update back without an error anywhere.

The providers of Pulumi and Terraform wait until an endpoint is in service again and report success, also when
what is in service is the configuration from before:
https://github.com/hashicorp/terraform-provider-aws/issues/48997. The endpoint's FailureReason says why until
the next update, https://github.com/aws-controllers-k8s/sagemaker-controller/pull/7, but it may be empty:
https://github.com/hashicorp/terraform-provider-aws/pull/49020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from training.ledger.rollouts import RolloutRecord
from upkeep import runs, serving
from upkeep.ledger import OperatorLedger
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients
from upkeep.serving import Package, Serving

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
MOVING = ("Creating", "Updating", "SystemUpdating", "RollingBack")
IN_SERVICE = "InService"
_TAKEN_BACK = ("rolled_back", "failed")


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What an endpoint serves beside what it should.

    Attributes:
        model: The model.
        endpoint: Its endpoint.
        serves: The configuration in service.
        expected: The one that the releases have noted; empty when none was released yet.
        moving: Whether an update runs, so that nothing can be said yet.
        problem: What is wrong, with the reason; empty when all is well.
        note: What is worth knowing and known to the releases.
    """

    model: str
    endpoint: str
    serves: str
    expected: str = ""
    moving: bool = False
    problem: str = ""
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong, as far as one can say now."""
        return not self.problem

    def to_json(self) -> dict[str, Any]:
        """The finding as `--json` prints it."""
        return {**asdict(self), "ok": self.ok}


def read_all(context: Clients, ledger: OperatorLedger) -> list[Truth]:
    """The finding for every model of a stack."""
    return [
        read(context, model, ledger.rollout(model.name), serving.list_packages(context, model))
        for model in context.outputs.models.values()
    ]


def read(
    context: Clients, model: ModelOutputs, rollout: RolloutRecord | None, packages: list[Package]
) -> Truth:
    """Ask AWS what serves, and compare it."""
    now = serving.read_serving(context, model, packages)
    return check(model.name, now, rollout, packages, alive=is_alive(context, model, rollout))


def is_alive(context: Clients, model: ModelOutputs, rollout: RolloutRecord | None) -> bool:
    """Whether the execution that has the endpoint to itself still runs."""
    if rollout is None or not rollout.owner:
        return False
    found = runs.find_described(context, model, rollout.owner)
    return found is not None and not found.ended


def check(
    model: str,
    now: Serving,
    rollout: RolloutRecord | None,
    packages: Sequence[Package],
    *,
    alive: bool = True,
) -> Truth:
    """Compare what serves with what the releases have noted, and with what the endpoint says itself.

    Args:
        model: The model's name.
        now: What its endpoint serves.
        rollout: What its releases have noted.
        packages: Its registered versions.
        alive: Whether the execution that has the endpoint to itself runs.
    """
    expected = expected_config(rollout, packages)
    found = Truth(model=model, endpoint=now.endpoint, serves=now.config, expected=expected)
    if now.status == "Missing":
        return replace(found, problem=f"endpoint {now.endpoint} does not exist; `upkeep up` makes it again")
    if now.status in MOVING or (rollout is not None and rollout.owner and alive):
        return replace(found, moving=True, note=_moving(now, rollout))
    if rollout is not None and rollout.owner:
        what = f"{rollout.operation or 'rollout'} of {rollout.version or 'a version'}"
        said = f"the {what} stopped in the middle ({rollout.phase or 'no phase noted'})"
        return replace(found, problem=f"{said}; `upkeep rollback` or the next release takes it up")
    if now.status != IN_SERVICE:
        return replace(found, problem=f"endpoint {now.endpoint} is {now.status}: {_said(now)}")
    if (expected and now.config != expected) or (not expected and now.version is None):
        return replace(found, problem=_other(now, expected))
    if now.failure and not _known(rollout, packages):
        return replace(
            found,
            problem=f"an update of endpoint {now.endpoint} was taken back and {now.config} serves on: "
            f"{_said(now)}",
        )
    if now.failure:
        return replace(found, note=f"the last update was taken back: {_said(now)}")
    return found


def expected_config(rollout: RolloutRecord | None, packages: Sequence[Package]) -> str:
    """The configuration that the releases have noted last; empty when there was no release."""
    if rollout is not None and rollout.config:
        return rollout.config
    live = [package for package in packages if package.release == "live"]
    newest = max(live, key=lambda package: package.fact("released_at"), default=None)
    return newest.fact("endpoint_config") if newest else ""


def _other(now: Serving, expected: str) -> str:
    meant = f"{expected}, which was released last" if expected else "the seed, since nothing was released"
    return (
        f"endpoint {now.endpoint} serves {now.config}, not {meant}: {_said(now)}; "
        "`upkeep models approve VERSION --again` or `upkeep rollback VERSION` settles it"
    )


def _said(now: Serving) -> str:
    return now.failure.rstrip(".") or "SageMaker gives no reason"


def _known(rollout: RolloutRecord | None, packages: Sequence[Package]) -> bool:
    """Whether a release has noted that its update was taken back, so that the endpoint tells nothing new."""
    if rollout is not None and rollout.config:
        return rollout.last_outcome not in ("", "live")
    newest = max(packages, key=lambda package: package.version, default=None)
    return newest is not None and (newest.release in _TAKEN_BACK or newest.approval == "Rejected")


def _moving(now: Serving, rollout: RolloutRecord | None) -> str:
    if rollout is not None and rollout.owner:
        about = f"{rollout.operation or 'rollout'} of {rollout.version}".removesuffix(" of ")
        return f"{about} is under way{f' ({rollout.phase})' if rollout.phase else ''}"
    return f"endpoint {now.endpoint} is {now.status}"
