"""One state machine with its own role and a log group that holds every step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.naming import MAX_STATE_MACHINE, Names, shorten
from infra.permissions import Permission, deliver_logs, service_role


@dataclass(frozen=True, kw_only=True)
class StateMachineArgs:
    """What `StateMachine` needs.

    Attributes:
        names: Names of the stack.
        machine: Its physical name.
        definition: In the Amazon States Language.
        permissions: What its steps need.
        log_retention_days: How long its history is kept as a log.
    """

    names: Names
    machine: str
    definition: pulumi.Input[Mapping[str, Any]]
    permissions: Sequence[Permission]
    log_retention_days: int


class StateMachine(pulumi.ComponentResource):
    """State machine, role, log group.

    Attributes:
        arn: For those who start it, for alarms and the dashboard.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: StateMachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:machines:StateMachine", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        machine = shorten(args.machine, MAX_STATE_MACHINE)
        # The prefix keeps the log group's resource policy short:
        # https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/vendedlogs/states/{machine}",
            retention_in_days=args.log_retention_days,
            opts=child,
        )
        role, policy = service_role(
            name,
            "states.amazonaws.com",
            f"Runs {machine}",
            args.names.account_id,
            [deliver_logs(), *args.permissions],
            child,
        )
        self.machine = aws.sfn.StateMachine(
            f"{name}-machine",
            name=machine,
            type="STANDARD",
            role_arn=role.arn,
            definition=pulumi.Output.from_input(args.definition).apply(lambda asl: json.dumps(asl, indent=1)),
            logging_configuration=aws.sfn.StateMachineLoggingConfigurationArgs(
                level="ALL",
                include_execution_data=True,
                log_destination=logs.arn.apply(lambda arn: f"{arn.removesuffix(':*')}:*"),
            ),
            # CreateStateMachine checks that the role may deliver logs.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.arn = self.machine.arn
        self.register_outputs({"arn": self.arn})
