"""The topic that alarms and state machines speak to, and who listens."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.naming import Names
from infra.permissions import (
    Permission,
    on_behalf_of,
    resource_policy,
    service_statement,
    tls_only_statement,
)


@dataclass(frozen=True, kw_only=True)
class AlertsArgs:
    """What `Alerts` needs.

    Attributes:
        names: Names of the stack.
        key_arn: Key the messages are encrypted with.
        email: Address that gets them; it has to confirm the subscription once. None for nobody.
    """

    names: Names
    key_arn: pulumi.Input[str]
    email: str | None


class Alerts(pulumi.ComponentResource):
    """Topic with its policy.

    Attributes:
        topic_arn: Where to publish.
    """

    topic_arn: pulumi.Output[str]

    def __init__(self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:alerts:Alerts", name, {}, opts)
        self._key_arn = args.key_arn
        child = pulumi.ResourceOptions(parent=self)
        topic = aws.sns.Topic(
            f"{name}-topic",
            name=args.names.named("alerts"),
            kms_master_key_id=args.key_arn,
            opts=child,
        )
        statements = [
            # State machines publish with their own roles.
            service_statement(
                "Alarms",
                "cloudwatch.amazonaws.com",
                ["sns:Publish"],
                topic.arn,
                on_behalf_of(args.names.account_id),
            ),
            tls_only_statement(["sns:Publish"], [topic.arn]),
        ]
        aws.sns.TopicPolicy(f"{name}-policy", arn=topic.arn, policy=resource_policy(statements), opts=child)
        if args.email:
            aws.sns.TopicSubscription(
                f"{name}-email", topic=topic.arn, protocol="email", endpoint=args.email, opts=child
            )
        self.topic_arn = topic.arn
        self.register_outputs({"topic_arn": self.topic_arn})

    def publish(self) -> list[Permission]:
        """Send a message to the topic, which is encrypted."""
        return [
            Permission(sid="Publish", actions=["sns:Publish"], resources=[self.topic_arn]),
            Permission(
                sid="EncryptMessages",
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=[self._key_arn],
            ),
        ]
