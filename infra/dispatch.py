"""What starts trainings: a queue of occasions, and the function that decides about each model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.alerts import Alerts
from infra.functions import LambdaFunction, LambdaFunctionArgs
from infra.ledger import Ledger
from infra.naming import MAX_RULE, Names, shorten
from infra.permissions import Permission
from infra.queues import WorkQueue
from infra.storage import Storage

HANDLER = "training.dispatch.handler.handler"
TIMEOUT_SECONDS = 120
MEMORY_MB = 512
# A lost occasion is made up for by the next sweep, so a message may be given up; but a model whose lease is
# held makes several of them wait.
MAX_RECEIVES = 5
BATCH_SIZE = 10
# Two is the least AWS takes; a lease lets one of them work on a model.
MAX_CONCURRENCY = 2
SWEEP = "rate(5 minutes)"
# https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
ENDED = ("ABORTED", "FAILED", "SUCCEEDED", "TIMED_OUT")
# A pattern takes 2048 characters; two ARNs of the longest names take 232 of them:
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
MODELS_PER_RULE = 7


@dataclass(frozen=True, kw_only=True)
class DispatchArgs:
    """What `Dispatch` needs.

    Attributes:
        names: Names of the stack.
        storage: Key and buckets.
        ledger: What became of every object, and which runs there were.
        alerts: Where people are told.
        queue: Occasions to decide.
        intake_queue: Where a sweep puts objects that nobody was told about.
        archive: Path of the functions' zip.
        models: The models it decides about.
        log_retention_days: How long the function's log is kept.
    """

    names: Names
    storage: Storage
    ledger: Ledger
    alerts: Alerts
    queue: WorkQueue
    intake_queue: WorkQueue
    archive: Path
    models: Sequence[str]
    log_retention_days: int


class Dispatch(pulumi.ComponentResource):
    """Rules and function.

    Attributes:
        function: Decides, and starts trainings.
    """

    function: LambdaFunction

    def __init__(self, name: str, args: DispatchArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:dispatch:Dispatch", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        names, queue = args.names, args.queue
        for rule_name, models in zip(ended_rules(names, args.models), _groups(args.models), strict=True):
            role = rule_name.removeprefix(f"{names.prefix}-")
            rule = aws.cloudwatch.EventRule(
                f"{name}-{role}-rule",
                name=rule_name,
                description=f"A retraining or a release ended: {', '.join(models)}",
                event_pattern=json.dumps(ended_pattern(names, models)),
                opts=child,
            )
            queue.receive(rule, f"{name}-{role}-target", "dispatch", child)
        sweep = aws.cloudwatch.EventRule(
            f"{name}-sweep-rule",
            name=sweep_rule(names),
            description="Look after what no event has told of, or was waited for",
            schedule_expression=SWEEP,
            opts=child,
        )
        queue.receive(sweep, f"{name}-sweep-target", "dispatch", child)
        self.function = LambdaFunction(
            name,
            LambdaFunctionArgs(
                names=names,
                role="dispatch",
                handler=HANDLER,
                description="Starts one training at a time per model, on the newest data, within its limits",
                archive=args.archive,
                permissions=_permissions(args),
                environment={
                    "PREFIX": names.prefix,
                    "DATA_BUCKET": args.storage.data,
                    "ARTIFACTS_BUCKET": args.storage.artifacts,
                    "LEDGER_TABLE": args.ledger.table,
                    "DISPATCH_QUEUE_URL": queue.url,
                    "INTAKE_QUEUE_URL": args.intake_queue.url,
                    "ALERTS_TOPIC_ARN": args.alerts.topic_arn,
                },
                timeout_seconds=TIMEOUT_SECONDS,
                memory_mb=MEMORY_MB,
                log_retention_days=args.log_retention_days,
            ),
            child,
        )
        queue.feed(
            f"{name}-mapping",
            self.function,
            batch_size=BATCH_SIZE,
            max_concurrency=MAX_CONCURRENCY,
            opts=child,
        )
        self.register_outputs({"function_name": self.function.function_name})


def ended_rules(names: Names, models: Sequence[str]) -> list[str]:
    """Names of the rules for ended executions; as many as the length of a pattern asks for."""
    return [
        shorten(names.named("ended" if number == 1 else f"ended-{number}"), MAX_RULE)
        for number, _ in enumerate(_groups(models), start=1)
    ]


def sweep_rule(names: Names) -> str:
    """Name of the schedule."""
    return shorten(names.named("sweep"), MAX_RULE)


def ended_pattern(names: Names, models: Sequence[str]) -> dict[str, Any]:
    """The event of an execution's end, of these models' machines alone."""
    machines = [
        names.state_machine_arn(machine)
        for model in models
        for machine in (names.model(model).release, names.model(model).retrain)
    ]
    return {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": list(ENDED), "stateMachineArn": machines},
    }


def _groups(models: Sequence[str]) -> list[list[str]]:
    ordered = sorted(models)
    return [ordered[start : start + MODELS_PER_RULE] for start in range(0, len(ordered), MODELS_PER_RULE)]


def _permissions(args: DispatchArgs) -> list[Permission]:
    storage, names = args.storage, args.names
    permissions = [
        args.queue.work_off(),
        args.queue.send("WakeItselfLater"),
        args.intake_queue.send("TellOfForgottenFiles"),
        args.ledger.keep("Record"),
        storage.write("WriteManifests", "data", "manifests/*"),
        storage.read("ReadManifests", "data", "manifests/*"),
        storage.browse("ListManifests", "data", "manifests/", tell_missing=True),
        storage.browse_versions("FindForgottenFiles", "data", "incoming/"),
        storage.read("ReadSpecs", "artifacts", "specs/*"),
        storage.browse("ListSpecs", "artifacts", "specs/", tell_missing=True),
        storage.encrypt(),
        args.alerts.publish()[0],
    ]
    own = [names.model(model) for model in sorted(args.models)]
    if own:
        permissions += [
            Permission(
                sid="Retrain",
                actions=["states:StartExecution"],
                resources=[names.state_machine_arn(model.retrain) for model in own],
            ),
            Permission(
                sid="FollowRuns",
                actions=["states:DescribeExecution"],
                resources=[names.arn("states", f"execution:{model.retrain}:*") for model in own],
            ),
            Permission(
                sid="CountTheCost",
                actions=["sagemaker:DescribeTrainingJob"],
                resources=[names.sagemaker_arn("training-job", f"{model.base}-*") for model in own],
            ),
            Permission(
                sid="FollowReleases",
                actions=["sagemaker:DescribeModelPackage"],
                resources=[names.sagemaker_arn("model-package", f"{model.base}/*") for model in own],
            ),
        ]
    return permissions
