"""The release state machine, and what starts it: an approval, or an execution that was cut off."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra import preflight
from infra.alerts import Alerts
from infra.machine import StateMachine, StateMachineArgs
from infra.naming import MAX_RULE, Names, shorten
from infra.permissions import Permission, service_role
from infra.queues import DeadLetters, DeadLettersArgs
from infra.release_plan import ReleasePlan
from infra.release_states import release_definition
from models.spec import ModelSpec

# Ends that say nothing about what was left behind. A failed execution has ended its rollout itself.
CUT_OFF = ("ABORTED", "TIMED_OUT")


@dataclass(frozen=True, kw_only=True)
class ReleaseArgs:
    """What `ReleaseMachine` needs.

    Attributes:
        names: Names of the stack.
        spec: The model.
        role_arn: Role of the serving container.
        key_arn: Key that recorded requests are encrypted with.
        seed_config: Endpoint configuration that the stack began with.
        code_key: Key of the stack's code archive in the artifacts bucket.
        alerts: Where people are told.
        function_arn: The release function.
        tags: Put on what a release creates.
        log_retention_days: How long its history is kept as a log.
    """

    names: Names
    spec: ModelSpec
    role_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    seed_config: pulumi.Input[str]
    code_key: str
    alerts: Alerts
    function_arn: pulumi.Input[str]
    tags: Mapping[str, str]
    log_retention_days: int


class ReleaseMachine(pulumi.ComponentResource):
    """The state machine, what it may do, and the rules that start it.

    Attributes:
        arn: For alarms, the dashboard and people.
        dead_letters: Events that could not start it.
    """

    arn: pulumi.Output[str]
    dead_letters: DeadLetters

    def __init__(self, name: str, args: ReleaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:release:ReleaseMachine", name, {}, opts)
        known: dict[str, Any] = {
            "names": args.names,
            "spec": args.spec,
            "code_key": args.code_key,
            "tags": args.tags,
        }
        definition = pulumi.Output.all(
            role_arn=args.role_arn,
            key_arn=args.key_arn,
            topic_arn=args.alerts.topic_arn,
            function_arn=args.function_arn,
            seed_config=args.seed_config,
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
        self._start_by_itself(name, args)
        self.register_outputs({"arn": self.arn})

    def _start_by_itself(self, name: str, args: ReleaseArgs) -> None:
        child = pulumi.ResourceOptions(parent=self)
        own = args.names.model(args.spec.name)
        rules = {key: shorten(f"{own.base}-{key}", MAX_RULE) for key in ("approved", "cut-off")}
        self.dead_letters = DeadLetters(
            f"{name}-dead",
            DeadLettersArgs(names=args.names, queue=f"{own.base}-approved-dead", rules=list(rules.values())),
            child,
        )
        self._starter, self._policy = service_role(
            f"{name}-starter",
            "events.amazonaws.com",
            f"Lets EventBridge start the release of {own.base}",
            args.names.account_id,
            [Permission(sid="Start", actions=["states:StartExecution"], resources=[self.arn])],
            child,
        )
        self._rule(
            f"{name}-approved",
            rules["approved"],
            f"An approved version of {args.spec.name} is released",
            approval_pattern(own.base),
        )
        self._rule(
            f"{name}-cut-off",
            rules["cut-off"],
            f"What an aborted release of {args.spec.name} has left behind is ended",
            cut_off_pattern(args.names, args.spec.name),
            json.dumps({"operation": "recover", "model": args.spec.name}),
        )

    def _rule(
        self, name: str, rule: str, description: str, pattern: Mapping[str, Any], given: str | None = None
    ) -> None:
        declared = aws.cloudwatch.EventRule(
            f"{name}-rule",
            name=rule,
            description=description,
            event_pattern=json.dumps(pattern),
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.cloudwatch.EventTarget(
            f"{name}-target",
            rule=declared.name,
            target_id="release",
            arn=self.arn,
            role_arn=self._starter.arn,
            input=given,
            dead_letter_config=aws.cloudwatch.EventTargetDeadLetterConfigArgs(arn=self.dead_letters.arn),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._policy, self.dead_letters.policy]),
        )


def approval_pattern(group: str) -> dict[str, Any]:
    """The event of an approval; every state change raises one, so the status is matched."""
    return {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group], "ModelApprovalStatus": ["Approved"]},
    }


def cut_off_pattern(names: Names, model: str, ends: Sequence[str] = CUT_OFF) -> dict[str, Any]:
    """The event of an execution that somebody aborted, or that took too long."""
    machine = names.state_machine_arn(names.model(model).release)
    return {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": list(ends), "stateMachineArn": [machine]},
    }


def _permissions(args: ReleaseArgs) -> list[Permission]:
    return [
        Permission(sid="Step", actions=["lambda:InvokeFunction"], resources=[args.function_arn]),
        *preflight.machine_permissions(args.names, args.spec.name, args.role_arn),
        *args.alerts.publish(),
    ]
