"""The way in: files below incoming/ become events, events a queue, the queue calls the intake function."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.functions import LambdaFunction, LambdaFunctionArgs
from infra.naming import MAX_QUEUE, MAX_RULE, Names, shorten
from infra.permissions import Permission, resource_policy, service_statement, tls_only_statement
from infra.storage import Storage

HANDLER = "training.intake.handler"
TIMEOUT_SECONDS = 120
# AWS's advice, so that a message is not handed out again while the function still works on it:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_SECONDS = 6 * TIMEOUT_SECONDS
MAX_RECEIVES = 3
RETENTION_SECONDS = 14 * 24 * 3600  # 14 days, the longest there is
BATCH_SIZE = 10
# Two is the least AWS takes; more would only find one another's manifests.
MAX_CONCURRENCY = 2
# DuckDB spills what does not fit into memory to /tmp.
MEMORY_MB = 1769
EPHEMERAL_STORAGE_MB = 4096


@dataclass(frozen=True, kw_only=True)
class IntakeArgs:
    """What `Intake` needs.

    Attributes:
        names: Names of the stack.
        storage: Key and buckets.
        archive: Path of the functions' zip.
        models: The models files may be meant for.
        log_retention_days: How long the function's log is kept.
    """

    names: Names
    storage: Storage
    archive: Path
    models: Sequence[str]
    log_retention_days: int


class Intake(pulumi.ComponentResource):
    """Rule, queue, dead letters, function.

    Attributes:
        queue_url: Where requests to retrain go.
        dead_letters_url: What could not be worked on.
        dead_letters_name: For the alarm.
        function: Checks files and starts retrainings.
    """

    queue_url: pulumi.Output[str]
    dead_letters_url: pulumi.Output[str]
    dead_letters_name: str
    function: LambdaFunction

    def __init__(self, name: str, args: IntakeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:intake:Intake", name, {}, opts)
        self._name, self._args = name, args
        self.queue_name = shorten(args.names.named("intake"), MAX_QUEUE)
        self.dead_letters_name = shorten(args.names.named("intake-dead"), MAX_QUEUE)
        self.dead_letters, self.queue = self._create_queues()
        self._create_rule()
        self.function = self._create_function()
        aws.lambda_.EventSourceMapping(
            f"{name}-mapping",
            event_source_arn=self.queue.arn,
            function_name=self.function.arn,
            batch_size=BATCH_SIZE,
            # One bad message does not bring back the good ones of its batch.
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=aws.lambda_.EventSourceMappingScalingConfigArgs(
                maximum_concurrency=MAX_CONCURRENCY
            ),
            # The mapping is refused until the function's role may read the queue.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.function]),
        )
        self.queue_url = self.queue.url
        self.dead_letters_url = self.dead_letters.url
        self.register_outputs({"queue_url": self.queue_url, "dead_letters_url": self.dead_letters_url})

    def _create_queues(self) -> tuple[aws.sqs.Queue, aws.sqs.Queue]:
        child = pulumi.ResourceOptions(parent=self)
        queue_arn = self._args.names.arn("sqs", self.queue_name)
        dead = aws.sqs.Queue(
            f"{self._name}-dead-letters",
            name=self.dead_letters_name,
            message_retention_seconds=RETENTION_SECONDS,
            sqs_managed_sse_enabled=True,
            redrive_allow_policy=json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [queue_arn]}),
            opts=child,
        )
        queue = aws.sqs.Queue(
            f"{self._name}-queue",
            name=self.queue_name,
            visibility_timeout_seconds=VISIBILITY_SECONDS,
            message_retention_seconds=RETENTION_SECONDS,
            sqs_managed_sse_enabled=True,
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": dead.arn, "maxReceiveCount": MAX_RECEIVES}
            ),
            opts=child,
        )
        return dead, queue

    def _create_rule(self) -> None:
        names, name = self._args.names, self._name
        child = pulumi.ResourceOptions(parent=self)
        rule = aws.cloudwatch.EventRule(
            f"{name}-arrivals-rule",
            name=shorten(names.named("arrivals"), MAX_RULE),
            description="A file arrived below incoming/",
            event_pattern=json.dumps(arrival_pattern(names.bucket("data"))),
            opts=child,
        )
        policies = [
            aws.sqs.QueuePolicy(
                f"{name}-{role}-policy",
                queue_url=queue.url,
                policy=resource_policy(_queue_statements(queue.arn, rule.arn)),
                opts=child,
            )
            for role, queue in (("queue", self.queue), ("dead-letters", self.dead_letters))
        ]
        aws.cloudwatch.EventTarget(
            f"{name}-arrivals-target",
            rule=rule.name,
            target_id="intake",
            arn=self.queue.arn,
            dead_letter_config=aws.cloudwatch.EventTargetDeadLetterConfigArgs(arn=self.dead_letters.arn),
            opts=pulumi.ResourceOptions(parent=self, depends_on=policies),
        )

    def _create_function(self) -> LambdaFunction:
        args, names, storage = self._args, self._args.names, self._args.storage
        return LambdaFunction(
            f"{self._name}-intake",
            LambdaFunctionArgs(
                names=names,
                role="intake",
                handler=HANDLER,
                description="Checks arriving files and starts one retraining per distinct data set",
                archive=args.archive,
                permissions=self._permissions(),
                environment={
                    "PREFIX": names.prefix,
                    "DATA_BUCKET": storage.data,
                    "ARTIFACTS_BUCKET": storage.artifacts,
                },
                timeout_seconds=TIMEOUT_SECONDS,
                memory_mb=MEMORY_MB,
                ephemeral_storage_mb=EPHEMERAL_STORAGE_MB,
                log_retention_days=args.log_retention_days,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _permissions(self) -> list[Permission]:
        storage, names = self._args.storage, self._args.names
        machines = [names.model(model).retrain for model in sorted(self._args.models)]
        permissions = [
            Permission(
                sid="ReadQueue",
                actions=["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
                resources=[names.arn("sqs", self.queue_name)],
            ),
            storage.read_versions("ReadFiles", "data", "incoming/*", "accepted/*"),
            storage.receive_copies("SortFiles", "data", "accepted/*", "quarantine/*"),
            storage.write("WriteManifest", "data", "manifests/*"),
            storage.remove("TakeFilesAway", "data", "incoming/*"),
            storage.browse("ListFiles", "data", "incoming/", "accepted/", tell_missing=True),
            storage.read("ReadSpecs", "artifacts", "specs/*"),
            storage.browse("ListSpecs", "artifacts", "specs/", tell_missing=True),
            storage.encrypt(),
        ]
        if machines:
            permissions += [
                Permission(
                    sid="Retrain",
                    actions=["states:StartExecution"],
                    resources=[names.state_machine_arn(machine) for machine in machines],
                ),
                Permission(
                    sid="TryAgain",
                    actions=["states:DescribeExecution"],
                    resources=[names.arn("states", f"execution:{machine}:*") for machine in machines],
                ),
            ]
        return permissions


def arrival_pattern(bucket: str) -> dict[str, Any]:
    """The event of a finished upload below incoming/."""
    return {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": "incoming/"}]}},
    }


def _queue_statements(queue_arn: pulumi.Input[str], rule_arn: pulumi.Input[str]) -> list[dict[str, Any]]:
    # The rule's ARN holds the account. This is the form EventBridge's page has:
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sqs-permissions
    this_rule = {"ArnEquals": {"aws:SourceArn": rule_arn}}
    arrivals = service_statement(
        "Arrivals", "events.amazonaws.com", ["sqs:SendMessage"], queue_arn, this_rule
    )
    return [arrivals, tls_only_statement(["sqs:SendMessage", "sqs:ReceiveMessage"], [queue_arn])]
