"""A queue that a function works off, and the dead letters of what it gives up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.functions import LambdaFunction
from infra.naming import MAX_QUEUE, Names, shorten
from infra.permissions import Permission, resource_policy, service_statement, tls_only_statement

RETENTION_SECONDS = 14 * 24 * 3600  # 14 days, the longest there is
# AWS's advice, so that a message is not handed out again while the function still works on it:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_TIMES = 6


@dataclass(frozen=True, kw_only=True)
class DeadLettersArgs:
    """What `DeadLetters` needs.

    Attributes:
        names: Names of the stack.
        queue: Physical name.
        rules: Names of the EventBridge rules that send here what they cannot deliver.
        sources: ARNs of the queues that may give up messages to it.
    """

    names: Names
    queue: str
    rules: Sequence[str]
    sources: Sequence[str] = ()


class DeadLetters(pulumi.ComponentResource):
    """A queue that holds what nobody could work on, until a person looks at it.

    Attributes:
        queue_name: For the alarm.
        arn: For whoever gives something up.
        url: Where a person finds it.
        policy: In place before a rule can rely on it.
    """

    queue_name: str
    arn: pulumi.Output[str]
    url: pulumi.Output[str]
    policy: aws.sqs.QueuePolicy

    def __init__(self, name: str, args: DeadLettersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:queues:DeadLetters", name, {}, opts)
        self.queue_name = shorten(args.queue, MAX_QUEUE)
        # Queues that are not named here cannot put messages in; `denyAll` where there are none.
        allowed: dict[str, Any] = (
            {"redrivePermission": "byQueue", "sourceQueueArns": list(args.sources)}
            if args.sources
            else {"redrivePermission": "denyAll"}
        )
        queue = aws.sqs.Queue(
            f"{name}-queue",
            name=self.queue_name,
            message_retention_seconds=RETENTION_SECONDS,
            sqs_managed_sse_enabled=True,
            redrive_allow_policy=json.dumps(allowed),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn, self.url = queue.arn, queue.url
        self.policy = _admit(self, name, args.names, queue, args.rules)
        self.register_outputs({"arn": self.arn, "url": self.url})


@dataclass(frozen=True, kw_only=True)
class WorkQueueArgs:
    """What `WorkQueue` needs.

    Attributes:
        names: Names of the stack.
        role: Last part of its name, and of the function's: ``intake``.
        rules: Names of the EventBridge rules that may send to it.
        timeout_seconds: Of the function that works it off.
        max_receives: So many tries, then a message is given up.
    """

    names: Names
    role: str
    rules: Sequence[str]
    timeout_seconds: int
    max_receives: int


class WorkQueue(pulumi.ComponentResource):
    """Queue and dead letters.

    Attributes:
        queue_name: For the dashboard.
        arn: For rules.
        url: For those who send messages.
        dead_letters: What was given up.
        policies: In place before a rule can rely on them.
    """

    queue_name: str
    arn: pulumi.Output[str]
    url: pulumi.Output[str]
    dead_letters: DeadLetters
    policies: list[pulumi.Resource]

    def __init__(self, name: str, args: WorkQueueArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:queues:WorkQueue", name, {}, opts)
        self._name, self._args = name, args
        self.queue_name = shorten(args.names.named(args.role), MAX_QUEUE)
        self._planned_arn = args.names.arn("sqs", self.queue_name)
        self.dead_letters = DeadLetters(
            f"{name}-dead",
            DeadLettersArgs(
                names=args.names,
                queue=args.names.named(f"{args.role}-dead"),
                rules=args.rules,
                sources=[self._planned_arn],
            ),
            pulumi.ResourceOptions(parent=self),
        )
        queue = aws.sqs.Queue(
            f"{name}-queue",
            name=self.queue_name,
            visibility_timeout_seconds=VISIBILITY_TIMES * args.timeout_seconds,
            message_retention_seconds=RETENTION_SECONDS,
            sqs_managed_sse_enabled=True,
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": self.dead_letters.arn, "maxReceiveCount": args.max_receives}
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn, self.url = queue.arn, queue.url
        self.policies = [_admit(self, name, args.names, queue, args.rules), self.dead_letters.policy]
        self.register_outputs({"arn": self.arn, "url": self.url})

    def work_off(self, sid: str = "ReadQueue") -> Permission:
        """Take messages, and take them away."""
        actions = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
        return Permission(sid=sid, actions=actions, resources=[self._planned_arn])

    def defer(self, sid: str) -> Permission:
        """Say when a message that was taken comes again."""
        return Permission(sid=sid, actions=["sqs:ChangeMessageVisibility"], resources=[self._planned_arn])

    def send(self, sid: str) -> Permission:
        """Put messages in."""
        return Permission(sid=sid, actions=["sqs:SendMessage"], resources=[self._planned_arn])

    def receive(
        self, rule: aws.cloudwatch.EventRule, key: str, target_id: str, opts: pulumi.ResourceOptions
    ) -> aws.cloudwatch.EventTarget:
        """Make the queue the target of a rule; what cannot be delivered becomes a dead letter."""
        return aws.cloudwatch.EventTarget(
            key,
            rule=rule.name,
            target_id=target_id,
            arn=self.arn,
            dead_letter_config=aws.cloudwatch.EventTargetDeadLetterConfigArgs(arn=self.dead_letters.arn),
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=self.policies)),
        )

    def feed(
        self,
        key: str,
        function: LambdaFunction,
        *,
        batch_size: int,
        max_concurrency: int,
        opts: pulumi.ResourceOptions,
    ) -> aws.lambda_.EventSourceMapping:
        """Let a function work the queue off."""
        return aws.lambda_.EventSourceMapping(
            key,
            event_source_arn=self.arn,
            function_name=function.arn,
            batch_size=batch_size,
            # One bad message does not bring back the good ones of its batch.
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=aws.lambda_.EventSourceMappingScalingConfigArgs(
                maximum_concurrency=max_concurrency
            ),
            # The mapping is refused until the function's role may read the queue.
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[function])),
        )


def _admit(
    parent: pulumi.Resource, name: str, names: Names, queue: aws.sqs.Queue, rules: Sequence[str]
) -> aws.sqs.QueuePolicy:
    # A rule's ARN holds the account, and is known before the rule is there. This is the form EventBridge's
    # page has: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sqs-permissions
    admitted = [
        service_statement(
            "".join(part.capitalize() for part in rule.split("-")),
            "events.amazonaws.com",
            ["sqs:SendMessage"],
            queue.arn,
            {"ArnEquals": {"aws:SourceArn": names.arn("events", f"rule/{rule}")}},
        )
        for rule in rules
    ]
    tls = tls_only_statement(["sqs:SendMessage", "sqs:ReceiveMessage"], [queue.arn])
    return aws.sqs.QueuePolicy(
        f"{name}-queue-policy",
        queue_url=queue.url,
        policy=resource_policy([*admitted, tls]),
        opts=pulumi.ResourceOptions(parent=parent),
    )
