"""What services may deliver to: targets of rules and schedules, topics of alarms, queues of functions.

MiniStack checks the policies of queues for S3 and SNS only. Sources: "Resource-based policies for
EventBridge" (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html), "Using
Lambda with Amazon SQS" (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html).
"""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import functools
import logging
from typing import Any

from sandbox.authorization import Permission
from sandbox.calls import Call
from sandbox.lifecycle import ACCOUNT, REGION
from sandbox.seam import dead_letters, encryption, key_states
from sandbox.seam.dead_letters import Failure
from sandbox.seam.internals import ministack
from sandbox.seam.roles import role_denial

_log = logging.getLogger(__name__)

_ACTIONS = {
    "sqs": "sqs:SendMessage",
    "sns": "sns:Publish",
    "lambda": "lambda:InvokeFunction",
    "states": "states:StartExecution",
    "events": "events:PutEvents",
}
_POLLING = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
_DEFAULT_TIMEOUT_SECONDS = 3
_ACTION_FIELDS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}


def service_may(principal: str, action: str, resource: str, source: str) -> bool:
    """Whether a resource's own policy lets a service act for another. Call in the account's scope."""
    evaluator = ministack("core.iam_evaluator")
    found = evaluator._resource_policy(action.partition(":")[0], resource)
    if found is None:
        return True  # there is no such resource, which whoever delivers will say
    context = evaluator.EvalContext(
        principal_arn=principal,
        principal_type="Service",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=resource,
        region=REGION,
        secure_transport=True,
        service_context={
            "aws:sourceaccount": ACCOUNT,
            "aws:sourceowner": ACCOUNT,
            "aws:sourcearn": source,
            "aws:principalisawsservice": "true",
        },
    )
    allowed = evaluator.evaluate_resource_policy(found[0], context, service=principal).decision == "Allow"
    return allowed and _may_use_key(principal, resource, source)


def _may_use_key(principal: str, resource: str, source: str) -> bool:
    """Whether a service may use the key a topic or queue is encrypted with; never one that AWS manages."""
    key = encryption.resource_key(resource)
    if key is None:
        return True
    arn = encryption.key_arn(key)
    if arn is None or key_states.problem(arn) is not None:
        return False
    return all(service_may(principal, action, arn, source) for action in encryption.USE)


def check_deliveries() -> None:
    """Make rules, schedules and alarms deliver only where they may."""
    events, cloudwatch = ministack("services.eventbridge"), ministack("services.cloudwatch")
    invoke, act = events._invoke_target, cloudwatch._dispatch_alarm_actions

    @functools.wraps(invoke)
    def where_allowed(target: dict[str, Any], event: Any, rule: dict[str, Any], view: Any = None) -> None:
        failure = dead_letters.missing(str(target.get("Arn", ""))) or _refused(target, rule)
        if failure is None:
            invoke(target, event, rule, view)
            return
        _log.warning("%s was not delivered to %s: %s", rule.get("Name"), target.get("Arn"), failure.reason)
        dimensions = {"RuleName": str(rule.get("Name"))}
        view = view or events._pattern_event_view(event)
        metric = _give_up(target, view.event_with_detail(), rule, failure)
        for name in ("FailedInvocations", *metric):
            cloudwatch.record_metric("AWS/Events", name, 1, "Count", dimensions)

    @functools.wraps(act)
    def to_allowed_topics(alarm: dict[str, Any], old: str, new: str, reason: str) -> None:
        field = _ACTION_FIELDS.get(new, "")
        allowed = [topic for topic in alarm.get(field) or [] if _alarm_may(topic, alarm)]
        act({**alarm, field: allowed}, old, new, reason)

    events._invoke_target = where_allowed
    cloudwatch._dispatch_alarm_actions = to_allowed_topics


def _give_up(
    target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], failure: Failure
) -> tuple[str, ...]:
    """Send what cannot be delivered to the target's dead-letter queue; the metric that AWS counts of it."""
    queue = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not queue:
        return ()
    source = _rule_arn(rule)
    allowed = service_may("events.amazonaws.com", "sqs:SendMessage", queue, source)
    if allowed and dead_letters.put(queue, event, source, str(target.get("Arn", "")), failure):
        return ("InvocationsSentToDlq",)
    _log.warning("%s took no dead letter of %s", queue, rule.get("Name"))
    return ("InvocationsFailedToBeSentToDlq",)


def _refused(target: dict[str, Any], rule: dict[str, Any]) -> Failure | None:
    """Why a target may not be invoked: by its own policy, or by the role the rule or schedule gives it."""
    reason = _refusal(target, rule)
    return None if reason is None else Failure(dead_letters.NO_PERMISSIONS, reason)


def _refusal(target: dict[str, Any], rule: dict[str, Any]) -> str | None:
    arn = str(target.get("Arn", ""))
    service = arn.split(":")[2] if arn.count(":") >= 5 else ""
    action = _ACTIONS.get(service)
    if action is None:
        return None
    role = target.get("RoleArn")
    if role:
        return role_denial(role, Permission(action, arn), service)
    if service in ("states", "events"):
        return "the target has no role" if service == "states" else None
    if service_may("events.amazonaws.com", action, arn, _rule_arn(rule)):
        return None
    return f"its policy does not let events.amazonaws.com {action} for {_rule_arn(rule)}"


def _rule_arn(rule: dict[str, Any]) -> str:
    bus = str(rule.get("EventBusName") or "default").rpartition("/")[2]
    path = rule.get("Name") if bus == "default" else f"{bus}/{rule.get('Name')}"
    return f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{path}"


def _alarm_may(topic: str, alarm: dict[str, Any]) -> bool:
    """Whether an alarm may publish to a topic; a topic is born with a policy that lets it."""
    found = ministack("services.sns").topic_policy_for_arn(topic) if ":sns:" in topic else None
    if found is None or not found[0]:
        return True
    if service_may("cloudwatch.amazonaws.com", "sns:Publish", topic, alarm["AlarmArn"]):
        return True
    _log.warning(
        "%s was not told of %s: its policy does not let CloudWatch publish", topic, alarm["AlarmName"]
    )
    return False


def polling_problem(call: Call) -> str | None:
    """Why Lambda refuses to poll a queue for a function, in its words. Call in a request's scope."""
    queue_arn = str(call.params.get("EventSourceArn", ""))
    function = str(call.params.get("FunctionName", "")).rpartition(":function:")[2].partition(":")[0]
    record = ministack("services.lambda_svc")._functions.get(function)
    queue = ministack("services.sqs")._queue_by_arn(queue_arn) if ":sqs:" in queue_arn else None
    if record is None or queue is None:
        return None
    config = record["config"]
    for action in _POLLING:
        if role_denial(config["Role"], Permission(f"sqs:{action}", queue_arn), "sqs") is not None:
            return f"The provided execution role does not have permissions to call {action} on SQS"
    visible, timeout = (
        int(queue["attributes"]["VisibilityTimeout"]),
        int(config.get("Timeout") or _DEFAULT_TIMEOUT_SECONDS),
    )
    if visible < timeout:
        return f"Queue visibility timeout: {visible} seconds is less than Function timeout: {timeout} seconds"
    return None
