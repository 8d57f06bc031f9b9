"""Goes back to a version that served before: decides to which, starts that, and says how it ended."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from training.outputs import split_uri
from upkeep import models, outcome, releases, runs, serving
from upkeep.errors import UpkeepError, is_gone
from upkeep.model_details import account_of
from upkeep.models import Registry, Version
from upkeep.outputs import ModelOutputs
from upkeep.releases import Ending, Watched
from upkeep.runs import Clients, Run

ROLLBACK = "rollback"
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
_MOST_NAME = 80
_NOT_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_FORBIDDEN = ("403", "AccessDenied", "Forbidden")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a rollback will do.

    Attributes:
        model: The model.
        target: What is to serve.
        leaves: The configuration to get away from: what serves, or the one that a rollout brings.
        served: What serves now; None for a model that the registry does not know.
        stops: The version whose rollout it stops; empty when none is under way.
        skipped: Versions that served later than the target and whose artefacts are gone.
    """

    model: ModelOutputs
    target: Version
    served: Version | None
    leaves: str = ""
    stops: str = ""
    skipped: tuple[Version, ...] = ()

    def words(self) -> str:
        """The plan in a sentence."""
        now = self.served.words if self.served else "a model the registry does not know"
        if self.stops and self.served and self.served.number == self.target.number:
            return f"Stop the rollout of {self.stops}, so that {now} serves on"
        if self.served and self.served.number == self.target.number:
            return f"End the experiment, so that {now} serves alone"
        stop = f"Stop the rollout of {self.stops} and go" if self.stops else "Go"
        return f"{stop} back from {now} to {self.target.words}"


def plan(context: Clients, registry: Registry, wanted: str = models.PREVIOUS) -> Plan:
    """Decide what to go back to.

    Raises:
        UpkeepError: There is nothing to go back to, the version was never live or was taken back, it serves
            already, or its artefact is gone.
    """
    stops, noted = _rollout_under_way(registry), registry.rollout
    leaves = noted.to_config if noted is not None and stops and noted.to_config else registry.serving.config
    known: dict[str, Any] = {
        "model": registry.model,
        "served": registry.live,
        "leaves": leaves,
        "stops": stops,
    }
    if wanted != models.PREVIOUS:
        target = registry.find(wanted)
        _check(registry, target, stopping=bool(stops))
        if not artifact_exists(context, registry.model, target):
            raise UpkeepError(f"{_gone(target)} {_others(_existing(context, registry, target))}")
        return Plan(target=target, **known)
    first = _previous(registry)
    candidates = {one.number: one for one in (first, *registry.targets)}
    found = next((one for one in candidates.values() if artifact_exists(context, registry.model, one)), None)
    if found is None:
        why = " ".join(map(_gone, candidates.values()))
        raise UpkeepError(f"Model {registry.model.name} has nothing to go back to. {why}")
    order = list(candidates)
    skipped = tuple(candidates[number] for number in order[: order.index(found.number)])
    return Plan(target=found, skipped=skipped, **known)


def start(context: Clients, plan: Plan, *, by: str, reason: str, at: datetime) -> Run:
    """Start the release machine; the same names and moment never start two."""
    target = plan.target.package.arn if plan.target.package else models.SEED
    given = {
        "operation": ROLLBACK,
        "model": plan.model.name,
        "to": target,
        "away_from": plan.leaves,
        "reason": reason or f"rollback to {plan.target.label}",
        "by": by,
    }
    states = context.client("stepfunctions")
    started = states.start_execution(
        stateMachineArn=plan.model.release_state_machine_arn,
        name=execution_name(plan.target, at),
        input=json.dumps(given),
    )
    return Run(
        id=str(started["executionArn"]).rpartition(":")[2],
        model=plan.model.name,
        arn=str(started["executionArn"]),
        status="RUNNING",
        started=started.get("startDate") or at,
    )


def execution_name(target: Version, at: datetime) -> str:
    """Name of the execution: what it goes back to, and when it was asked for."""
    name = f"{ROLLBACK}-{target.label}-{at:%Y%m%dT%H%M%S%f}"
    return _NOT_NAME.sub("-", name)[:_MOST_NAME]


def conclude(context: Clients, plan: Plan, watched: Watched, timeout_seconds: float) -> Ending:
    """How the rollback ended: what the endpoint serves counts."""
    now = serving.read_serving(context, plan.model)
    label = plan.target.words
    if now.model_data_url == plan.target.model_data_url and watched.ended and now.status == "InService":
        return Ending(outcome=outcome.RELEASED, reason=f"{label} serves", watched=watched, serving=now)
    if not watched.ended:
        reason = f"Not done after {timeout_seconds:g} s; it was waiting for {watched.where()}."
        return Ending(outcome=outcome.TIMEOUT, reason=reason, watched=watched, serving=now)
    run = watched.run
    said = (run.cause or run.error if run else "") or "the endpoint still serves another version"
    reason = f"The rollback to {label} failed: {said}"
    return Ending(outcome=outcome.FAILED, reason=reason, watched=watched, serving=now)


def artifact_exists(context: Clients, model: ModelOutputs, version: Version) -> bool:
    """Whether a version's artefact is there; one that may not be looked at counts as there.

    Without s3:ListBucket a missing object is answered with 403 too:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    """
    bucket, key = split_uri(version.model_data_url)
    pinned = version.package.fact("artifact_version_id") if version.package else ""
    asked: dict[str, Any] = {"Bucket": bucket, "Key": key, "ExpectedBucketOwner": account_of(model)}
    s3 = context.client("s3")
    try:
        s3.head_object(**asked, **({"VersionId": pinned} if pinned else {}))
    except s3.exceptions.ClientError as error:
        if is_gone(error):
            return False
        if error.response["Error"]["Code"] in _FORBIDDEN:
            return True
        raise
    return True


def watch(context: Clients, plan: Plan, run: Run, **options: Any) -> Watched:
    """Follow the execution until it has ended."""
    title = f"Rollback to {plan.target.label}"

    def look() -> Run | None:
        return runs.find_described(context, plan.model, run.arn) or run

    return releases.watch(context, plan.model, title, look, **options)


def _previous(registry: Registry) -> Version:
    found = registry.previous
    if found is None:
        raise UpkeepError(
            f"Model {registry.model.name} has nothing to go back to: no other version has served and may "
            f"serve again. {registry.known()}"
        )
    return found


def _check(registry: Registry, target: Version, *, stopping: bool) -> None:
    name = f"{target.words[:1].upper()}{target.words[1:]} of {registry.model.name}"
    others = _others([one for one in registry.targets if one.number != target.number])
    if target.state == models.LIVE:
        if stopping:
            return
        raise UpkeepError(f"{name} serves already. {others}")
    if target.state == models.RELEASING:
        raise UpkeepError(f"{name} is what is being released. {others}")
    if target.state in (models.ROLLED_BACK, models.FAILED):
        raise UpkeepError(
            f"{name} is no way back: it was tried and {target.state}"
            f"{f' ({target.reason})' if target.reason else ''}. {others}"
        )
    if target.state == models.EXPERIMENT:
        raise UpkeepError(
            f"{name} has a part of the traffic in an experiment; `upkeep experiment stop --promote` makes it "
            f"serve alone. {others}"
        )
    if target.number not in [one.number for one in registry.targets] and target.state != models.SUPERSEDED:
        raise UpkeepError(
            f"{name} is {target.state} and has never served; `upkeep models approve {target.number}` "
            f"releases it. {others}"
        )


def _others(targets: list[Version]) -> str:
    if not targets:
        return "There is no other version to go back to."
    shown = ", ".join(f"{one.label} ({'seed' if one.is_seed else one.number})" for one in targets[:10])
    return f"One can go back to: {shown}."


def _rollout_under_way(registry: Registry) -> str:
    noted = registry.rollout
    if noted is None or not noted.owner or noted.operation == ROLLBACK:
        return ""
    return noted.version or "a version"


def _existing(context: Clients, registry: Registry, but: Version) -> list[Version]:
    others = [one for one in registry.targets if one.number != but.number]
    return [one for one in others if artifact_exists(context, registry.model, one)]


def _gone(target: Version) -> str:
    name = f"{target.words[:1].upper()}{target.words[1:]}"
    return f"{name} cannot serve again: its artefact is gone, nothing lies at {target.model_data_url}."
