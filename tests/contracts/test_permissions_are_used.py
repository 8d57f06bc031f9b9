"""Every permission of a function or a state machine is used by it, and everything it calls is permitted.

A permission less fails something; one more is a risk for nothing. The role of models and training jobs is
used by SageMaker itself; the tests that train and serve in the sandbox need all of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts.calls import reached
from tests.infra.mocks import standard

HANDLERS = {
    "intake": "training.intake.handler",
    "dispatch": "training.dispatch.handler",
    "judge": "training.judge",
    "release": "inference.release.handler",
}
FED_BY_A_QUEUE = {"intake", "dispatch"}
# What the names find though it is not called: `known` of the ledger is the intake's, `scan` is DuckDB's.
NOT_CALLED = {
    "dispatch": {"dynamodb.batch_get_item"},
    "judge": {"dynamodb.batch_get_item"},
    "release": {"dynamodb.batch_get_item"},
    "intake": {"dynamodb.scan"},
}

_PREFIXES = {"stepfunctions": "states", "sagemaker-runtime": "sagemaker"}
# Where a call is not simply an action of its own name: what it needs, each group one of its members.
_NEEDED: dict[str, list[set[str]]] = {
    "s3.head_object": [{"s3:GetObject", "s3:GetObjectVersion"}],
    "s3.list_objects_v2": [{"s3:ListBucket"}],
    "s3.list_object_versions": [{"s3:ListBucketVersions"}],
    "s3.get_object": [{"s3:GetObject", "s3:GetObjectVersion"}],
    "s3.delete_object": [{"s3:DeleteObject", "s3:DeleteObjectVersion"}],
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
    "s3.copy_object": [{"s3:GetObject", "s3:GetObjectVersion"}, {"s3:PutObject"}],
    "sqs.send_message_batch": [{"sqs:SendMessage"}],
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
    "dynamodb.transact_write_items": [{"dynamodb:PutItem"}, {"dynamodb:UpdateItem"}],
    "sagemaker.create_model": [{"sagemaker:CreateModel"}, {"sagemaker:AddTags"}, {"iam:PassRole"}],
    "sagemaker.create_endpoint_config": [{"sagemaker:CreateEndpointConfig"}, {"sagemaker:AddTags"}],
}
# What a call may make use of besides.
_USEFUL = {
    "s3.copy_object": {
        "s3:GetObjectTagging",
        "s3:GetObjectVersionTagging",
        "s3:PutObjectTagging",
        "s3:AbortMultipartUpload",  # boto3 copies what is large in parts
    },
    # The alarms of a deployment are looked at in the name of whoever updates the endpoint.
    "sagemaker.update_endpoint": {"cloudwatch:DescribeAlarms"},
}
_LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
_POLLING = {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
# Everything that is stored or sent is encrypted with the stack's key.
_KEY = {"kms:Decrypt", "kms:GenerateDataKey"}

# https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
_DELIVERY = {
    f"logs:{action}"
    for action in (
        *("CreateLogDelivery", "DeleteLogDelivery", "DescribeLogGroups", "DescribeResourcePolicies"),
        *("GetLogDelivery", "ListLogDeliveries", "PutResourcePolicy", "UpdateLogDelivery"),
    )
}
# https://docs.aws.amazon.com/step-functions/latest/dg/sagemaker-iam.html
_RULE = {"events:DescribeRule", "events:PutRule", "events:PutTargets"}


def _granted(role: str) -> set[str]:
    (policy,) = [item for item in standard().of("RolePolicy") if item.name == f"{role}-policy"]
    return {
        action for statement in json.loads(policy["policy"])["Statement"] for action in statement["Action"]
    }


def _action(operation: str) -> str:
    service, _, method = operation.partition(".")
    name = "".join(part.capitalize() for part in method.split("_"))
    return f"{_PREFIXES.get(service, service)}:{name}"


def _needed(operation: str) -> list[set[str]]:
    return _NEEDED.get(operation, [{_action(operation)}])


def _refused(calls: set[str], granted: set[str]) -> dict[str, set[str]]:
    """The calls that are refused with these permissions, and one of what each lacks."""
    return {call: group for call in sorted(calls) for group in _needed(call) if not group & granted}


@pytest.mark.parametrize("role", HANDLERS)
def test_a_function_may_make_every_call_that_its_code_makes(role: str) -> None:
    calls = reached(HANDLERS[role]) - NOT_CALLED[role]
    assert len(calls) >= 5, "the calls are found"
    assert _refused(calls, _granted(role)) == {}


@pytest.mark.parametrize("role", HANDLERS)
def test_without_any_one_permission_some_call_of_the_function_is_refused(role: str) -> None:
    calls, granted = reached(HANDLERS[role]) - NOT_CALLED[role], _granted(role)
    useful = _LOGS | _KEY | _POLLING | set().union(*_USEFUL.values())
    # A version of an object is another permission than the object; either may be what a call needs.
    versions = {action for action in granted if action.startswith("s3:GetObject")}
    spare = [a for a in sorted(granted - useful - versions) if not _refused(calls, granted - {a})]
    assert spare == []


@pytest.mark.parametrize("role", HANDLERS)
def test_a_function_has_no_permission_that_nothing_in_its_code_uses(role: str) -> None:
    calls = reached(HANDLERS[role]) - NOT_CALLED[role]
    used = _LOGS | _KEY | (_POLLING if role in FED_BY_A_QUEUE else set())
    for call in calls:
        used |= set().union(*_needed(call)) | _USEFUL.get(call, set())
    assert sorted(_granted(role) - used) == []


@pytest.mark.parametrize("role", HANDLERS)
def test_what_is_said_to_be_found_without_being_called_is_found(role: str) -> None:
    assert NOT_CALLED[role] <= reached(HANDLERS[role])


def _tasks(definition: dict[str, Any]) -> Iterator[str]:
    for state in definition["States"].values():
        if state["Type"] == "Task":
            yield state["Resource"].partition(":states:::")[2]


def _of_task(resource: str) -> set[str]:
    """What a machine's role needs for a task.

    https://docs.aws.amazon.com/step-functions/latest/dg/service-integration-iam-templates.html
    """
    service, call, wait = re.fullmatch(r"(?:aws-sdk:)?(\w+):(\w+?)(\.sync)?", resource).groups()  # type: ignore[union-attr]
    if (service, call) == ("lambda", "invoke"):
        return {"lambda:InvokeFunction"}
    if service == "sns":
        return {"sns:Publish"} | _KEY
    found = {f"{service}:{call[0].upper()}{call[1:]}"}
    if wait:
        job = call.removeprefix("create")
        found |= {
            f"sagemaker:Describe{job}",
            f"sagemaker:Stop{job}",
            "sagemaker:AddTags",
            "sagemaker:ListTags",
        }
        found |= _RULE | {"iam:PassRole"}
    if call == "createModelPackage":  # it looks at the model's file in the name of its caller
        found |= {"s3:GetObject", "kms:Decrypt"}
    return found


@pytest.mark.parametrize("machine", ["retrain", "release"])
def test_a_state_machine_may_do_what_its_states_do_and_nothing_else(machine: str) -> None:
    name = f"flights-{machine}"
    states = standard().one("aws:sfn/stateMachine:StateMachine", f"{name}-machine").document("definition")
    needed = _DELIVERY.union(*(_of_task(resource) for resource in _tasks(states)))
    assert sorted(_granted(name)) == sorted(needed)


def test_no_other_role_has_a_policy_that_nobody_looked_at() -> None:
    known = {*HANDLERS, "flights-retrain", "flights-release"}
    # These start a machine and nothing else, or are used by SageMaker and by the schedules.
    others = {item.name.removesuffix("-policy") for item in standard().of("RolePolicy")} - known
    plain = {name for name in others if _granted(name) <= {"states:StartExecution", "sqs:SendMessage"} | _KEY}
    assert len(others - plain) == 1, "the role of models and jobs"
