"""Sessions of roles, and what they and their trust policies allow."""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import contextvars
import json
from collections.abc import Callable
from typing import Any, cast

from sandbox.authorization import Permission
from sandbox.lifecycle import ACCOUNT, HOST, REGION
from sandbox.seam import sessions
from sandbox.seam.internals import ministack


def in_account(function: Callable[[], Any]) -> Any:
    """Run outside any request, in the sandbox's account and region."""

    def scoped() -> Any:
        ministack("core.iam_evaluator").pin_request_origin(HOST, True)  # services call each other over TLS
        with ministack("core.responses").request_scope(ACCOUNT, REGION):
            return function()

    return contextvars.Context().run(scoped)


def denial(access_key: str, permission: Permission, service: str) -> str | None:
    """AWS's sentence when a caller may not, None when it may. Call in a request's or the account's scope."""
    evaluator = ministack("core.iam_evaluator")
    denied = evaluator.enforce(
        access_key, permission.action, service, REGION, permission.resource, dict(permission.context)
    )
    if denied is None:
        return None
    if isinstance(denied, evaluator.AuthError):
        return str(denied.message)
    explicit = denied.decision == "Deny"
    actions = ministack("core.iam_actions")
    return str(
        actions.identity_denial_message(
            permission.action, denied.principal_arn, permission.resource, explicit
        )
    )


def role_denial(role_arn: str, permission: Permission, service: str) -> str | None:
    """The same for a role, outside any request."""
    credentials = sessions.of_role(role_arn, "upkeep-check")
    return cast(
        "str | None", in_account(lambda: denial(credentials["AWS_ACCESS_KEY_ID"], permission, service))
    )


def trusts(role_arn: str, service: str, source_arn: str) -> bool:
    """Whether a role exists and its trust policy lets a service assume it for a resource of this account.

    MiniStack evaluates trust only for people and roles. Statements are matched with its evaluator, with the
    keys AWS sets for a service: aws:SourceAccount and aws:SourceArn.
    """
    return bool(in_account(lambda: _trusts(role_arn, service, source_arn)))


def _trusts(role_arn: str, service: str, source_arn: str) -> bool:
    role = ministack("services.iam")._roles.get(role_arn.rpartition("/")[2])
    if role is None or role.get("Arn") != role_arn:
        return False
    evaluator = ministack("core.iam_evaluator")
    context = evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=ACCOUNT,
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=REGION,
        service_context={"aws:sourceaccount": ACCOUNT, "aws:sourcearn": source_arn},
    )
    document = role["AssumeRolePolicyDocument"]
    statements = (json.loads(document) if isinstance(document, str) else document).get("Statement", [])
    effects = {
        statement.get("Effect")
        for statement in ([statements] if isinstance(statements, dict) else statements)
        if evaluator._service_principal_matches(statement.get("Principal"), service)
        and evaluator._action_matches("sts:AssumeRole", _listed(statement.get("Action")), [])
        and evaluator._conditions_met(statement.get("Condition", {}), context)
    }
    return effects == {"Allow"}


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])
