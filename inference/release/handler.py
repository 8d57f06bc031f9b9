"""Lambda: takes an operation on an endpoint some steps further; a state machine asks again until it is over.

The function keeps nothing: each step reads the world anew, lets the protocol decide, and changes one thing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib import import_module
from typing import Any

from aws_lambda_powertools import Logger

from inference.release import act, words
from inference.release.actions import End, Pin, RunCheck, Wait
from inference.release.observe import observe, package_of, read_package
from inference.release.plan import Plan
from inference.release.protocol import next_action
from inference.release.tools import Tools, TransientError, is_passing
from inference.release.world import LIVE, Observation, Operation, Recover, Release, Rollback
from monitoring import metrics
from training import clock
from training.aws import Place, client, require
from training.ledger.table import Ledger

_log = Logger(service="release")
# After so long the function answers "again" instead of going on itself: its own time is limited.
SECONDS = 40
MAX_STEPS = 60
# Looks, and the pause after each of them until there were as many.
_PAUSES = ((30, 1), (60, 5), (300, 20), (float("inf"), 60))
# Operations of experiments have a module of their own: `step(tools, request, count)`, same answer as `go_on`.
EXPERIMENT, EXPERIMENTS = "experiment_", "inference.release.experiments"


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Go on with an operation; called by the release state machine.

    Args:
        event: ``execution`` (ARN), ``request`` (the event of an approval, or an ``operation`` with its
            details), ``count`` (how often the function was asked) and ``plan`` (see `Plan`).
        context: Lambda's context.

    Returns:
        ``do`` is again, wait, check, tell, done or failed; with ``seconds`` to wait, parameters of the job
        under ``check``, ``subject`` and ``message`` for people (an empty subject: nobody is told),
        ``error`` and ``reason``, ``outcome``, and ``request`` and ``count`` for the next call.

    Raises:
        TransientError: A service did not answer; the state machine tries again.
        ValueError: The request asks for nothing that is known.
    """
    (table,) = require(os.environ, "LEDGER_TABLE")
    plan, request = Plan.read(event["plan"]), event["request"]
    count = int(event.get("count") or 0) + 1
    tools = Tools(
        plan=plan,
        execution=str(event["execution"]),
        account=Place.of(context.invoked_function_arn).account,
        ledger=Ledger(client("dynamodb"), table),
        sagemaker=client("sagemaker"),
        runtime=client("sagemaker-runtime"),
        s3=client("s3"),
        cloudwatch=client("cloudwatch"),
        states=client("stepfunctions"),
        now=clock.now,
    )
    try:
        if str(request.get("operation", "")).startswith(EXPERIMENT):
            step = import_module(EXPERIMENTS).step
            return answer(step(tools, request, count), count)
        return answer(go_on(tools, read_operation(request), count), count)
    except Exception as error:
        if is_passing(error):
            raise TransientError(str(error)) from error
        raise


def read_operation(request: Mapping[str, Any]) -> Operation:
    """What is asked for: the event of an approval asks for a release.

    Raises:
        ValueError: Neither.
    """
    kind = request.get("operation")
    if kind is None and "ModelPackageArn" in request.get("detail", {}):
        return Release(package_arn=str(request["detail"]["ModelPackageArn"]))
    if kind == "release":
        return Release(package_arn=str(request["package_arn"]))
    if kind == "rollback":
        return Rollback(
            to=str(request.get("to") or "previous"),
            away=str(request.get("away_from") or ""),
            reason=str(request.get("reason") or ""),
            by=str(request.get("by") or ""),
        )
    if kind == "recover":
        return Recover()
    shown = json.dumps(dict(request), default=str)[:200]
    raise ValueError(f"found {shown}, expected an approval, or operation release, rollback or recover")


def write_operation(operation: Operation) -> dict[str, Any]:
    """The request that `read_operation` reads back."""
    if isinstance(operation, Release):
        return {"operation": "release", "package_arn": operation.package_arn}
    if isinstance(operation, Rollback):
        given = asdict(operation)
        return {"operation": "rollback", "away_from": given.pop("away"), **given}
    return {"operation": "recover"}


def go_on(tools: Tools, operation: Operation, count: int) -> dict[str, Any]:
    """Steps until something has to be waited for, is over, or the time is up."""
    until = tools.now() + SECONDS
    for _ in range(MAX_STEPS):
        seen = observe(tools, operation)
        action = next_action(seen, operation, tools.execution)
        _log.info(
            type(action).__name__, extra={"model": tools.plan.model, **_shown(seen), "action": str(action)}
        )
        again = {"request": write_operation(operation)}
        if isinstance(action, Pin):
            operation = replace(operation, away=action.away) if isinstance(operation, Rollback) else operation
        elif _has_experiment(tools, seen):
            why = import_module(EXPERIMENTS).carry_on(tools, seen)
            if why:
                return {"do": "wait", "seconds": pause(count), "reason": why, **again}
        elif isinstance(action, Wait):
            return {"do": "wait", "seconds": pause(count), "reason": action.why, **again}
        elif isinstance(action, End):
            return _end(tools, operation, action, seen)
        else:
            job = act.carry_out(tools, seen, action)
            if isinstance(action, RunCheck) and job is not None:
                return {"do": "check", "check": job, **again}
            told = _tell_of_adopted(tools, seen)
            if told:
                return {"do": "tell", **told, **again}
        if tools.now() >= until:
            break
    return {"do": "again", "request": write_operation(operation)}


def _has_experiment(tools: Tools, seen: Observation) -> bool:
    """Whether a change of an experiment was left behind, which has to be ended first."""
    left = seen.owner_gone or seen.rollout.owner == tools.execution
    return left and seen.rollout.operation.startswith(EXPERIMENT)


def answer(result: Mapping[str, Any], count: int) -> dict[str, Any]:
    """All keys, because a state machine fails on one that is absent."""
    empty: dict[str, Any] = {
        "do": "",
        "seconds": 0,
        "check": {},
        "subject": "",
        "message": "",
        "error": "",
        "reason": "",
        "outcome": "",
        "request": {},
    }
    return {**empty, **result, "count": count}


def _end(tools: Tools, operation: Operation, end: End, seen: Observation) -> dict[str, Any]:
    told = _told(tools, operation, end, seen) if end.tell else {}
    if end.outcome != "nothing":
        name = metrics.RELEASES_VERIFIED if end.outcome == LIVE else metrics.RELEASES_FAILED
        metrics.emit(tools.plan.base.removesuffix(f"-{tools.plan.model}"), tools.plan.model, {name: 1})
    return {
        "do": "done" if end.ok else "failed",
        "outcome": end.outcome,
        "error": "" if end.ok else _ERRORS.get(end.outcome, "ReleaseFailed"),
        "reason": end.reason,
        "request": write_operation(operation),
        **told,
    }


_ERRORS = {"rolled_back": "RolledBack", "refused": "Refused"}


def _told(tools: Tools, operation: Operation, end: End, seen: Observation) -> dict[str, str]:
    arn = operation.package_arn if isinstance(operation, Release) else seen.rollout.serving_package
    package = read_package(tools, arn) if arn else None
    subject, text = words.message(
        tools.plan.base, operation, end, seen.rollout, words.facts_of(package), tools.execution
    )
    return {"subject": subject, "message": text}


def _tell_of_adopted(tools: Tools, before: Observation) -> dict[str, str]:
    """What people are told when a rollout was ended that another execution had left."""
    if not before.rollout.adopted or before.rollout.owner != tools.execution:
        return {}
    record = tools.ledger.rollout(tools.plan.model)
    if record.owner or record.last_owner != tools.execution:
        return {}
    package = read_package(tools, before.rollout.package_arn) if before.rollout.package_arn else None
    version = package_of(package).version if package else before.rollout.version
    end = End(ok=record.last_outcome == LIVE, outcome=record.last_outcome, reason=record.last_reason)
    subject, text = words.message(
        tools.plan.base,
        Release(package_arn=before.rollout.package_arn),
        end,
        record,
        {"version": version},
        before.rollout.owner,
    )
    return {"subject": subject, "message": text}


def pause(count: int) -> int:
    """Seconds until the next look: short at first, because a sandbox or a rollback is quick.

    Long at last, because an execution has at most 25,000 events and a look makes nine.
    https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
    """
    return next(seconds for looks, seconds in _PAUSES if count < looks)


def _shown(seen: Observation) -> dict[str, Any]:
    """What a reader of the log wants to see of an observation."""
    record, endpoint = seen.rollout, seen.endpoint
    return {
        "phase": record.phase,
        "owner": record.owner.rpartition(":")[2],
        "status": endpoint.status,
        "config": endpoint.config,
        "to": record.to_config,
    }
