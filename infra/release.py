"""The release state machine and the rule that starts it: an approved package goes behind the endpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.alerts import Alerts
from infra.machine import StateMachine, StateMachineArgs
from infra.naming import MAX_RULE, Names, shorten
from infra.permissions import Permission, pass_role, service_role
from infra.queues import DeadLetters, DeadLettersArgs
from infra.release_plan import ReleasePlan
from infra.release_states import release_definition
from models.spec import ModelSpec


@dataclass(frozen=True, kw_only=True)
class ReleaseArgs:
    """What `ReleaseMachine` needs.

    Attributes:
        names: Names of the stack.
        spec: The model.
        role_arn: Role of the serving container.
        key_arn: Key that recorded requests are encrypted with.
        alerts: Where failures are announced.
        verify_arn: The verifying function.
        tags: Put on what the machine creates.
        log_retention_days: How long its history is kept as a log.
    """

    names: Names
    spec: ModelSpec
    role_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    alerts: Alerts
    verify_arn: pulumi.Input[str]
    tags: Mapping[str, str]
    log_retention_days: int


class ReleaseMachine(pulumi.ComponentResource):
    """The state machine, what it may do, and the rule that starts it.

    Attributes:
        arn: For alarms, the dashboard and people.
        dead_letters: Approvals that could not start a release.
    """

    arn: pulumi.Output[str]
    dead_letters: DeadLetters

    def __init__(self, name: str, args: ReleaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:release:ReleaseMachine", name, {}, opts)
        known: dict[str, Any] = {
            "names": args.names,
            "spec": args.spec,
            "data_bucket": args.names.bucket("data"),
            "tags": args.tags,
        }
        definition = pulumi.Output.all(
            role_arn=args.role_arn,
            key_arn=args.key_arn,
            topic_arn=args.alerts.topic_arn,
            verify_arn=args.verify_arn,
        ).apply(lambda later: release_definition(ReleasePlan(**known, **later)))
        self.machine = StateMachine(
            name,
            StateMachineArgs(
                names=args.names,
                machine=args.names.model(args.spec.name).release,
                definition=definition,
                permissions=_permissions(args),
                log_retention_days=args.log_retention_days,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.arn = self.machine.arn
        self._start_on_approval(name, args)
        self.register_outputs({"arn": self.arn})

    def _start_on_approval(self, name: str, args: ReleaseArgs) -> None:
        child = pulumi.ResourceOptions(parent=self)
        group = args.names.model(args.spec.name).base
        rule_name = shorten(f"{group}-approved", MAX_RULE)
        self.dead_letters = DeadLetters(
            f"{name}-dead",
            DeadLettersArgs(names=args.names, queue=f"{group}-approved-dead", rules=[rule_name]),
            child,
        )
        rule = aws.cloudwatch.EventRule(
            f"{name}-approved-rule",
            name=rule_name,
            description=f"An approved version of {args.spec.name} is released",
            event_pattern=json.dumps(approval_pattern(group)),
            opts=child,
        )
        role, policy = service_role(
            f"{name}-starter",
            "events.amazonaws.com",
            f"Lets EventBridge start the release of {group}",
            args.names.account_id,
            [Permission(sid="Start", actions=["states:StartExecution"], resources=[self.arn])],
            child,
        )
        aws.cloudwatch.EventTarget(
            f"{name}-approved-target",
            rule=rule.name,
            target_id="release",
            arn=self.arn,
            role_arn=role.arn,
            dead_letter_config=aws.cloudwatch.EventTargetDeadLetterConfigArgs(arn=self.dead_letters.arn),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy, self.dead_letters.policy]),
        )


def approval_pattern(group: str) -> dict[str, Any]:
    """The event of an approval; every state change raises one, so the status is matched."""
    return {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group], "ModelApprovalStatus": ["Approved"]},
    }


def _permissions(args: ReleaseArgs) -> list[Permission]:
    names, own = args.names, args.names.model(args.spec.name)
    models = names.sagemaker_arn("model", f"{own.base}-*")
    configs = names.sagemaker_arn("endpoint-config", f"{own.base}-*")
    endpoint = names.sagemaker_arn("endpoint", own.base)
    return [
        Permission(
            sid="Package",
            actions=["sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage"],
            resources=[names.sagemaker_arn("model-package", f"{own.base}/*")],
        ),
        Permission(
            sid="Models",
            actions=["sagemaker:AddTags", "sagemaker:CreateModel", "sagemaker:DescribeModel"],
            resources=[models],
        ),
        Permission(
            sid="Configs",
            actions=[
                "sagemaker:AddTags",
                "sagemaker:CreateEndpointConfig",
                "sagemaker:DescribeEndpointConfig",
            ],
            resources=[configs],
        ),
        Permission(
            sid="Endpoint",
            actions=["sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpoint"],
            resources=[endpoint, configs],
        ),
        pass_role(args.role_arn, "sagemaker.amazonaws.com"),
        Permission(sid="Verify", actions=["lambda:InvokeFunction"], resources=[args.verify_arn]),
        *args.alerts.publish(),
    ]
