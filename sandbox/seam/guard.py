"""The IAM checks MiniStack does not make: further resources, condition keys, roles handed over."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, cast

from sandbox import authorization, calls
from sandbox.calls import Call
from sandbox.lifecycle import ACCOUNT, REGION
from sandbox.seam import encryption
from sandbox.seam.deliveries import polling_problem
from sandbox.seam.internals import ministack
from sandbox.seam.roles import denial, role_denial, trusts
from sandbox.seam.sagemaker import Answer, Handler, error_answer


def _current(service: str) -> Call | None:
    """The call being served, when it is of this service (botocore's name)."""
    call = calls.current.get()
    return call if call is not None and call.service == service else None


def teach_resources() -> None:
    """Give MiniStack's policy check the resources, condition keys and wording it lacks."""
    actions = ministack("core.iam_actions")
    resource_arn, tag_context = actions.extract_resource_arn, actions.request_tag_context
    refuse = actions.access_denied_response

    @functools.wraps(resource_arn)
    def as_on_aws(service: str, *arguments: Any, **options: Any) -> str:
        call = calls.current.get()
        ours = authorization.resource(call, REGION, ACCOUNT) if call is not None else None
        return ours or str(resource_arn(service, *arguments, **options))

    @functools.wraps(tag_context)
    def with_keys(service: str, *arguments: Any, **options: Any) -> dict[str, Any]:
        call = calls.current.get()
        ours = authorization.condition_keys(call) if call is not None else {}
        return {**tag_context(service, *arguments, **options), **ours}

    @functools.wraps(refuse)
    def naming_the_resource(
        service: str, action: str, principal: str, request_id: str, **options: Any
    ) -> Any:
        resource = options.get("resource_arn", "*")
        plain = not any(options.get(name) for name in ("error_code", "message", "resource_policy_arn"))
        if plain and resource != "*":
            explicit = bool(options.get("explicit_deny"))
            options["message"] = actions.identity_denial_message(action, principal, resource, explicit)
        return refuse(service, action, principal, request_id, **options)

    actions.extract_resource_arn = as_on_aws
    actions.request_tag_context = with_keys
    actions.access_denied_response = naming_the_resource


def guard(service: str, handler: Handler) -> Handler:
    """Check what MiniStack does not: further resources of SageMaker calls, and roles handed over."""

    async def guarded(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Answer:
        call = _current(calls.botocore_name(service, path))
        if call is not None:
            access_key = ministack("core.router").extract_access_key_id(headers, query)
            refused = (
                _forbidden(service, call, access_key, headers)
                or encryption.message_refusal(call, headers, query)
                or _unassumable(call)
            )
            if refused is not None:
                return refused
        return await handler(method, path, headers, body, query)

    return guarded


def _forbidden(service: str, call: Call, access_key: str, headers: Mapping[str, str]) -> Answer | None:
    """A denial of what the call needs beside its action on its own resource."""
    needed = [(role.permission, "iam") for role in authorization.passed_roles(call)]
    if call.service == "sagemaker":
        more = authorization.sagemaker_permissions(call, REGION, ACCOUNT)[1:]
        needed = [(permission, "sagemaker") for permission in more] + needed
    for permission, owner in needed:
        message = denial(access_key, permission, owner)
        if message is not None:
            refuse = ministack("core.iam_actions").access_denied_response
            return cast(
                "Answer", refuse(service, permission.action, "", "", message=message, headers=dict(headers))
            )
    return None


def _unassumable(call: Call) -> Answer | None:
    """A refusal when a role the call hands over does not exist, or does not trust the service."""
    for role in authorization.passed_roles(call):
        if not trusts(role.role_arn, role.service, authorization.source_arn(call, REGION, ACCOUNT)):
            return error_answer(role.error_code, authorization.cannot_assume(role))
    if (call.service, call.operation) == ("lambda", "CreateEventSourceMapping"):
        problem = polling_problem(call)
        if problem is not None:
            return error_answer("InvalidParameterValueException", problem)
    if call.service == "stepfunctions" and "definition" in call.params and "roleArn" in call.params:
        role_arn = str(call.params["roleArn"])
        for permission in authorization.managed_rule_permissions(
            str(call.params["definition"]), REGION, ACCOUNT
        ):
            if role_denial(role_arn, permission, "events") is not None:
                return error_answer(
                    "AccessDeniedException", f"'{role_arn}' is not authorized to create managed-rule."
                )
    return None
