import json
from typing import Any

import pytest

from tests.infra.mocks import ACCOUNT, REGION, deploy, standard

QUEUES = ("intake", "dispatch")
DEAD = {"intake-dead": ["intake"], "dispatch-dead": ["dispatch"], "flights-release-dead": []}


def _arn(name: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:upkeep-test-{name}"


def _rules(queue: str) -> list[str]:
    """The rules that a queue's policy lets in."""
    *allowed, deny = standard().one("QueuePolicy", f"{queue}-queue-policy").document("policy")["Statement"]
    assert deny["Effect"] == "Deny"
    found = []
    for statement in allowed:
        assert statement["Principal"] == {"Service": "events.amazonaws.com"}
        assert list(statement["Condition"]) == ["ArnEquals"], "EventBridge is documented to name the rule"
        found.extend(statement["Condition"]["ArnEquals"].values())
    return found


@pytest.mark.parametrize("queue", [*QUEUES, *DEAD])
def test_only_the_rules_that_have_a_queue_as_target_may_send_to_it(queue: str) -> None:
    arn = (
        standard().one("QueuePolicy", f"{queue}-queue-policy").document("policy")["Statement"][0]["Resource"]
    )
    names = {
        target["rule"]
        for target in standard().of("EventTarget")
        if arn in (target["arn"], target["deadLetterConfig"]["arn"])
    }
    assert sorted(_rules(queue)) == sorted(f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}" for name in names)


@pytest.mark.parametrize("target", standard().of("EventTarget"), ids=lambda target: target.name)
def test_what_a_rule_cannot_deliver_becomes_a_dead_letter(target: Any) -> None:
    dead = {f"{queue['name']}" for queue in standard().of("Queue") if queue["name"].endswith("-dead")}
    assert target["deadLetterConfig"]["arn"].rpartition(":")[2] in dead


@pytest.mark.parametrize("queue", QUEUES)
def test_a_message_is_given_up_after_some_tries_and_never_handed_out_twice_at_once(queue: str) -> None:
    found = standard().one("Queue", f"{queue}-queue")
    policy = found.document("redrivePolicy")
    assert policy["deadLetterTargetArn"] == _arn(f"{queue}-dead")
    assert 3 <= policy["maxReceiveCount"] <= 5
    function = standard().one("Function", f"{queue}-function")
    assert found["visibilityTimeoutSeconds"] >= 6 * function["timeout"]


@pytest.mark.parametrize(("dead", "sources"), DEAD.items())
def test_dead_letters_come_from_their_own_queue_alone(dead: str, sources: list[str]) -> None:
    allowed = json.loads(standard().one("Queue", f"{dead}-queue")["redriveAllowPolicy"])
    assert allowed.get("sourceQueueArns", []) == [_arn(source) for source in sources]
    assert allowed["redrivePermission"] == ("byQueue" if sources else "denyAll")


@pytest.mark.parametrize("queue", standard().of("Queue"), ids=lambda queue: queue.name)
def test_messages_and_dead_letters_are_kept_for_as_long_as_there_is(queue: Any) -> None:
    assert queue["messageRetentionSeconds"] == 14 * 24 * 3600


@pytest.mark.parametrize("queue", QUEUES)
def test_one_bad_message_does_not_bring_back_its_batch(queue: str) -> None:
    mapping = standard().one("EventSourceMapping", f"{queue}-mapping")
    assert mapping["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["scalingConfig"]["maximumConcurrency"] >= 2, "the least AWS takes"


def test_a_stack_with_a_long_name_has_queues_of_its_own() -> None:
    names = {queue["name"] for queue in deploy(stack="a-name-much-too-long-for-aws").of("Queue")}
    assert len(names) == 5
    assert all(len(name) <= 80 for name in names)
