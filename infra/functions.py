"""One Lambda function with its own role and its own log group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_aws as aws

from infra.naming import MAX_FUNCTION, Names, shorten
from infra.permissions import Permission, service_role, write_logs

# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
RUNTIME = "python3.12"


@dataclass(frozen=True, kw_only=True)
class LambdaFunctionArgs:
    """What `LambdaFunction` needs.

    Attributes:
        names: Names of the stack.
        role: What it does, the last part of its name: ``intake``.
        handler: Dotted path below the archive's root.
        description: One sentence for people.
        archive: Path of the zip.
        permissions: Beyond writing its own log.
        environment: Variables.
        timeout_seconds: The longest a call may take, 900 at most.
        memory_mb: Memory, and with it the share of a CPU: 1769 MB is one.
        ephemeral_storage_mb: Size of /tmp.
        log_retention_days: How long its log is kept.
    """

    names: Names
    role: str
    handler: str
    description: str
    archive: Path
    permissions: Sequence[Permission]
    environment: Mapping[str, pulumi.Input[str]]
    timeout_seconds: int
    memory_mb: int
    ephemeral_storage_mb: int = 512
    log_retention_days: int


class LambdaFunction(pulumi.ComponentResource):
    """Function, role, log group.

    Attributes:
        function_name: For alarms and the dashboard.
        arn: For those who call it.
    """

    function_name: str
    arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: LambdaFunctionArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("upkeep:functions:LambdaFunction", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.function_name = shorten(args.names.named(args.role), MAX_FUNCTION)
        log_group = f"/aws/lambda/{self.function_name}"
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs", name=log_group, retention_in_days=args.log_retention_days, opts=child
        )
        role, policy = service_role(
            name,
            "lambda.amazonaws.com",
            f"Runs {self.function_name}",
            args.names.account_id,
            [write_logs(args.names, log_group), *args.permissions],
            child,
        )
        self.function = aws.lambda_.Function(
            f"{name}-function",
            name=self.function_name,
            description=args.description,
            role=role.arn,
            runtime=RUNTIME,
            architectures=["x86_64"],
            handler=args.handler,
            code=pulumi.FileArchive(str(args.archive)),
            timeout=args.timeout_seconds,
            memory_size=args.memory_mb,
            ephemeral_storage=aws.lambda_.FunctionEphemeralStorageArgs(size=args.ephemeral_storage_mb),
            environment=aws.lambda_.FunctionEnvironmentArgs(
                variables={
                    "POWERTOOLS_SERVICE_NAME": args.role,
                    "POWERTOOLS_LOG_LEVEL": "INFO",
                    **args.environment,
                }
            ),
            # Without the role's policy the first call would fail; without the log group Lambda would make one
            # that keeps everything for ever.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy, logs]),
        )
        self.arn = self.function.arn
        self.register_outputs({"function_name": self.function_name, "arn": self.arn})
