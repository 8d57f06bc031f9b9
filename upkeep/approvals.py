"""Approves or rejects a version as a person, with who did it, when and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from training.registry.metadata import value as registry_value
from training.words import MAX_DESCRIPTION, cut
from upkeep import models, serving
from upkeep.errors import UpkeepError
from upkeep.models import Registry, Version
from upkeep.runs import Clients
from upkeep.serving import Package

APPROVED, REJECTED, PENDING = "Approved", "Rejected", "PendingManualApproval"
RETRY = "retry"


def check_approval(
    registry: Registry, version: Version, *, comment: str, override: bool, again: bool
) -> None:
    """Say no to an approval that would do nothing, or harm.

    Raises:
        UpkeepError: The version is the seed, serves, is being released, was refused by the gate (without
            `override` and a comment), or was released before (without `again`).
    """
    package = _package_of(version, "approved")
    name, number = f"Version {version.label} of {version.model}", version.number
    if version.state == models.LIVE:
        raise UpkeepError(f"{name} serves already.")
    if version.state == models.EXPERIMENT:
        raise UpkeepError(f"{name} is part of an experiment. `upkeep experiment stop --promote` releases it.")
    if version.state == models.RELEASING:
        raise UpkeepError(f"{name} is being released; `upkeep status` shows how far it is.")
    if package.fact("decision") == "refuse" and not (override and comment):
        raise UpkeepError(
            f"{name} was refused by the gate: {package.fact('reason') or 'no reason recorded'}. To release "
            f'it all the same: `upkeep models approve {number} --override --comment "why"`.'
        )
    if version.state == models.SUPERSEDED and not again:
        raise UpkeepError(
            f"{name} served before. `upkeep rollback {number}` brings it back at once; "
            "--again releases it anew, with the check and the baking."
        )
    if version.state == models.TRIED and not again:
        raise UpkeepError(
            f"{name} was part of an experiment: {version.reason or 'no reason recorded'}. "
            f"`upkeep models approve {number} --again` releases it."
        )
    if package.release in models.TAKEN_BACK and not again:
        raise UpkeepError(
            f"{name} was tried and {version.state}: {version.reason or 'no reason recorded'}. It is not "
            f"tried again by itself; `upkeep models approve {number} --again` does."
        )
    if package.approval == APPROVED and not again:
        raise UpkeepError(
            f"{name} is approved already, and its release has not begun: `upkeep status` shows what holds it "
            f"up. `upkeep models approve {number} --again` starts it once more."
        )
    if registry.serving.status == "Missing":
        raise UpkeepError(f"{name}: there is no endpoint {registry.serving.endpoint}; run `upkeep up` first.")


def check_rejection(version: Version) -> None:
    """Say no to a rejection that would not change what serves.

    Raises:
        UpkeepError: The version is the seed, serves, is being released, or is rejected already.
    """
    package = _package_of(version, "rejected")
    name = f"Version {version.label} of {version.model}"
    if version.state == models.LIVE:
        raise UpkeepError(f"{name} serves. `upkeep rollback` takes it back.")
    if version.state == models.EXPERIMENT:
        raise UpkeepError(f"{name} is part of an experiment. `upkeep experiment stop` ends it.")
    if version.state == models.RELEASING:
        raise UpkeepError(f"{name} is being released. `upkeep rollback` stops that.")
    if package.approval == REJECTED:
        raise UpkeepError(f"{name} is rejected already: {version.reason or 'no reason recorded'}.")


def approve(
    context: Clients, version: Version, *, by: str, at: datetime, comment: str, override: bool, again: bool
) -> None:
    """Approve a version; the event of that starts its release.

    Only a change of the status raises an event, so one that is approved already waits for approval first:
    https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
    """
    package = _package_of(version, "approved")
    _check_unchanged(context, package)
    facts = _facts(by, at, comment)
    if override:
        facts["overridden"] = "gate"
    if again and package.release:
        facts["release"] = RETRY
    if package.approval == APPROVED:
        _update(context, package, PENDING, f"Is approved anew by {by}", {})
    _update(context, package, APPROVED, _sentence("Approved", by, comment), facts)


def reject(context: Clients, version: Version, *, by: str, at: datetime, reason: str) -> None:
    """Reject a version; nothing releases it any more."""
    package = _package_of(version, "rejected")
    _check_unchanged(context, package)
    _update(context, package, REJECTED, _sentence("Rejected", by, reason), _facts(by, at, reason))


def _package_of(version: Version, verb: str) -> Package:
    if version.package is None:
        raise UpkeepError(
            f"The seed of {version.model} is no version of the registry and cannot be {verb}. "
            "`upkeep rollback seed` brings it back."
        )
    return version.package


def _check_unchanged(context: Clients, package: Package) -> None:
    """Look once more right before the change: the registry has no conditional writes."""
    described = context.client("sagemaker").describe_model_package(ModelPackageName=package.arn)
    now = serving.parse_package(described)
    if (now.approval, now.release) != (package.approval, package.release):
        raise UpkeepError(
            f"Version {package.label} changed in the meantime: it is {now.approval}"
            f"{f', {now.release}' if now.release else ''} now. Look at it again: "
            f"`upkeep models show {package.version}`."
        )


def _facts(by: str, at: datetime, comment: str) -> dict[str, str]:
    found = {"approver": by, "approved_at": at.isoformat(timespec="seconds"), "approval_comment": comment}
    return {name: registry_value(text) for name, text in found.items()}


def _sentence(verb: str, by: str, comment: str) -> str:
    said = f"{verb} by {by}" + (f": {comment}" if comment else "")
    return cut(" ".join(said.split()), MAX_DESCRIPTION)


def _update(context: Clients, package: Package, status: str, note: str, facts: dict[str, str]) -> None:
    asked: dict[str, Any] = {
        "ModelPackageArn": package.arn,
        "ModelApprovalStatus": status,
        "ApprovalDescription": note,
    }
    if facts:
        asked["CustomerMetadataProperties"] = facts
    context.client("sagemaker").update_model_package(**asked)
