"""Permissions as data: the owner of a resource describes access to it, its user attaches it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.naming import Names

POLICY_VERSION = "2012-10-17"

# Actions without a resource level. Each line names the page that says so; nothing else may use resource `*`.
RESOURCELESS: dict[str, str] = {
    # Log delivery of a state machine.
    "logs:CreateLogDelivery": "https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
    "logs:DeleteLogDelivery": "https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
    "logs:DescribeLogGroups": "https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
    "logs:DescribeResourcePolicies": "https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
    "logs:GetLogDelivery": "https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
    "logs:ListLogDeliveries": "https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
    "logs:PutResourcePolicy": "https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
    "logs:UpdateLogDelivery": "https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
    "ecr:GetAuthorizationToken": "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html",
    "cloudwatch:PutMetricData": "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html",
}


@dataclass(frozen=True, kw_only=True)
class Permission:
    """One allowed access.

    Attributes:
        sid: What it is for, in letters and digits.
        actions: Such as ``s3:GetObject``; never with a ``*``.
        resources: ARNs; empty means the actions have no resource level, see ``RESOURCELESS``.
        conditions: IAM condition block.

    Raises:
        ValueError: For an action with a wildcard, or no resources where the actions have a resource level.
    """

    sid: str
    actions: Sequence[str]
    resources: Sequence[pulumi.Input[str]] = ()
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.actions or any("*" in action for action in self.actions):
            raise ValueError(
                f"permission {self.sid}: found actions {list(self.actions)}, expected names without *"
            )
        bare = [action for action in self.actions if action not in RESOURCELESS]
        if not self.resources and bare:
            raise ValueError(
                f"permission {self.sid}: no resources for {', '.join(bare)}; name them, or add the action to "
                "RESOURCELESS with the page that says it has none"
            )

    def statement(self) -> dict[str, Any]:
        """The statement of an IAM policy."""
        statement: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": list(self.resources) or ["*"],
        }
        if self.conditions:
            statement["Condition"] = {key: dict(value) for key, value in self.conditions.items()}
        return statement


def policy_document(permissions: Sequence[Permission]) -> pulumi.Output[str]:
    """An identity policy of the given permissions."""
    statements = [permission.statement() for permission in permissions]
    return pulumi.Output.json_dumps({"Version": POLICY_VERSION, "Statement": statements})


# Services that say for whom they take a role, each with the page that says so: with a condition on a key that
# it does not send, a service could not take the role at all.
TELLS_THE_ACCOUNT: dict[str, str] = {
    "events.amazonaws.com": "https://docs.aws.amazon.com/eventbridge/latest/userguide/cross-service-confused-deputy-prevention.html",
    "sagemaker.amazonaws.com": "https://docs.aws.amazon.com/sagemaker/latest/dg/security-confused-deputy-prevention.html",
    "states.amazonaws.com": "https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html",
}
# Lambda's guide knows these keys only where a function is the target, not for the role it takes. There is
# nothing to confuse either: a function's role is of its own account, and somebody was allowed to pass it.
# https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
SILENT = frozenset({"lambda.amazonaws.com"})


def on_behalf_of(account_id: str) -> dict[str, Any]:
    """AWS's remedy for the confused deputy: a service acts for this account alone.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    return {"StringEquals": {"aws:SourceAccount": account_id}}


def trust_policy(service: str, account_id: str) -> str:
    """Lets one AWS service take a role, where it says so on behalf of this account alone.

    Raises:
        ValueError: Nobody has looked up whether the service names the account.
    """
    if service not in TELLS_THE_ACCOUNT and service not in SILENT:
        raise ValueError(f"{service}: add it to TELLS_THE_ACCOUNT with the page that says so, or to SILENT")
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    if service in TELLS_THE_ACCOUNT:
        statement["Condition"] = on_behalf_of(account_id)
    return json.dumps({"Version": POLICY_VERSION, "Statement": [statement]})


def service_role(
    name: str,
    service: str,
    description: str,
    account_id: str,
    permissions: Sequence[Permission],
    opts: pulumi.ResourceOptions,
) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
    """A role that one service takes, and its one policy, which whoever uses the role at once waits for."""
    role = aws.iam.Role(
        f"{name}-role",
        description=description,
        assume_role_policy=trust_policy(service, account_id),
        opts=opts,
    )
    policy = aws.iam.RolePolicy(
        f"{name}-policy", role=role.id, policy=policy_document(permissions), opts=opts
    )
    return role, policy


def service_statement(
    sid: str,
    service: str,
    actions: Sequence[str],
    resource: pulumi.Input[str],
    condition: Mapping[str, Mapping[str, pulumi.Input[str]]],
) -> dict[str, Any]:
    """Statement of a resource policy that admits one AWS service under a condition."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": list(actions),
        "Resource": resource,
        "Condition": dict(condition),
    }


def tls_only_statement(actions: Sequence[str], resources: Sequence[pulumi.Input[str]]) -> dict[str, Any]:
    """Statement of a resource policy that refuses everything sent without TLS."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(actions),
        "Resource": list(resources),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def resource_policy(statements: Sequence[Mapping[str, Any]]) -> pulumi.Output[str]:
    """A policy that is attached to a resource."""
    return pulumi.Output.json_dumps({"Version": POLICY_VERSION, "Statement": list(statements)})


def pass_role(role_arn: pulumi.Input[str], service: str) -> Permission:
    """Hand a role to one service, and to no other."""
    return Permission(
        sid="PassRole",
        actions=["iam:PassRole"],
        resources=[role_arn],
        conditions={"StringEquals": {"iam:PassedToService": service}},
    )


def write_logs(names: Names, log_group: str) -> Permission:
    """Write to one log group, which exists already."""
    return Permission(
        sid="WriteLogs",
        actions=["logs:CreateLogStream", "logs:PutLogEvents"],
        resources=[names.arn("logs", f"log-group:{log_group}:*")],
    )


def deliver_logs() -> Permission:
    """What a state machine needs to send its history to a log group."""
    actions = sorted(action for action in RESOURCELESS if action.startswith("logs:"))
    return Permission(sid="DeliverLogs", actions=actions)
