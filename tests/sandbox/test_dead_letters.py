"""What rules deliver to queues, and what becomes of what they cannot deliver."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from sandbox.lifecycle import ACCOUNT, REGION
from tests.sandbox.conftest import Client, make_role
from tests.sandbox.test_seam import queue, received, run, sender

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("faked")]

RULES = f"arn:aws:events:{REGION}:{ACCOUNT}:rule"


def rule(faked: Client, name: str, target: dict[str, Any], pattern: dict[str, Any] | None = None) -> str:
    """A rule for events whose source is its name, or of the pattern, with one target; its ARN."""
    faked("events").put_rule(Name=name, EventPattern=json.dumps(pattern or {"source": [name]}))
    faked("events").put_targets(Rule=name, Targets=[{"Id": "t", **target}])
    return f"{RULES}/{name}"


def send(faked: Client, source: str) -> None:
    faked("events").put_events(Entries=[{"Source": source, "DetailType": "x", "Detail": '{"a": 1}'}])


def letters(faked: Client, address: str, wait: int = 5) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        faked("sqs")
        .receive_message(QueueUrl=address, WaitTimeSeconds=wait, MessageAttributeNames=["All"])
        .get("Messages", [])
    )
    return found


def test_an_event_that_its_target_does_not_take_becomes_a_dead_letter(faked: Client) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html."""
    name = "dead-closed"
    _, closed = queue(faked, f"{name}-target")
    address, dead = queue(faked, f"{name}-letters", sender("events.amazonaws.com", f"{RULES}/{name}"))
    arn = rule(faked, name, {"Arn": closed, "DeadLetterConfig": {"Arn": dead}})
    send(faked, name)
    (letter,) = letters(faked, address)
    event = json.loads(letter["Body"])
    assert (event["source"], event["detail"]) == (name, {"a": 1}), "the event as it was"
    said = {key: value["StringValue"] for key, value in letter["MessageAttributes"].items()}
    assert said["ERROR_CODE"] == "NO_PERMISSIONS"
    assert (said["RULE_ARN"], said["TARGET_ARN"]) == (arn, closed)
    assert "sqs:SendMessage" in said["ERROR_MESSAGE"]


@pytest.mark.parametrize(
    "target",
    [
        f"arn:aws:sqs:{REGION}:{ACCOUNT}:no-such-queue",
        f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:no-such-machine",
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:no-such-function",
    ],
)
def test_an_event_whose_target_is_gone_becomes_a_dead_letter(faked: Client, target: str) -> None:
    name = f"dead-gone-{target.split(':')[2]}"
    address, dead = queue(faked, f"{name}-letters", sender("events.amazonaws.com", f"{RULES}/{name}"))
    rule(faked, name, {"Arn": target, "DeadLetterConfig": {"Arn": dead}})
    send(faked, name)
    (letter,) = letters(faked, address)
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"


def test_a_dead_letter_queue_takes_only_what_its_policy_lets_in(faked: Client) -> None:
    name = "dead-shut"
    _, closed = queue(faked, f"{name}-target")
    address, dead = queue(faked, f"{name}-letters", sender("events.amazonaws.com", f"{RULES}/another"))
    rule(faked, name, {"Arn": closed, "DeadLetterConfig": {"Arn": dead}})
    send(faked, name)
    assert letters(faked, address, 1) == []


def test_what_is_delivered_is_no_dead_letter(faked: Client) -> None:
    name = "dead-none"
    let_in = sender("events.amazonaws.com", f"{RULES}/{name}")
    target, arn = queue(faked, f"{name}-target", let_in)
    address, dead = queue(faked, f"{name}-letters", let_in)
    rule(faked, name, {"Arn": arn, "DeadLetterConfig": {"Arn": dead}})
    send(faked, name)
    assert len(received(faked, target, 5)) == 1
    assert letters(faked, address, 0) == []


@pytest.mark.parametrize(("state", "status"), [("Succeed", "SUCCEEDED"), ("Fail", "FAILED")])
def test_the_end_of_an_execution_reaches_a_queue(faked: Client, state: str, status: str) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html."""
    name = f"ended-{state.lower()}"
    address, arn = queue(faked, name, sender("events.amazonaws.com", f"{RULES}/{name}"))
    role = make_role(faked, f"{name}-machine", "states.amazonaws.com")
    definition = json.dumps({"StartAt": "Only", "States": {"Only": {"Type": state}}})
    made = faked("stepfunctions").create_state_machine(name=name, definition=definition, roleArn=role)
    made = made["stateMachineArn"]
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"], "stateMachineArn": [made]},
    }
    rule(faked, name, {"Arn": arn}, pattern)
    run(faked, made)
    (message,) = received(faked, address, 10)
    detail = json.loads(message["Body"])["detail"]
    assert (detail["status"], detail["stateMachineArn"]) == (status, made)
    assert detail["executionArn"].startswith(made.replace(":stateMachine:", ":execution:"))
    assert received(faked, address, 0) == [], "its beginning is not asked for"


def test_a_message_is_delayed_for_as_long_as_it_says(faked: Client) -> None:
    address, _ = queue(faked, "delayed")
    faked("sqs").send_message(QueueUrl=address, MessageBody="later", DelaySeconds=2)
    faked("sqs").send_message(QueueUrl=address, MessageBody="now")
    started = time.monotonic()
    assert [m["Body"] for m in received(faked, address, 0)] == ["now"]
    assert [m["Body"] for m in received(faked, address, 10)] == ["later"]
    assert time.monotonic() - started >= 1.5
