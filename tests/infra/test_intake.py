import json

from infra.intake import MAX_RECEIVES, TIMEOUT_SECONDS
from tests.infra.mocks import ACCOUNT, REGION, standard

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:upkeep-test-intake"
DATA = f"arn:aws:s3:::upkeep-test-data-{ACCOUNT}"


def test_only_files_below_incoming_reach_the_queue() -> None:
    rule = standard().one("EventRule", "intake-arrivals-rule").document("eventPattern")
    assert rule["detail-type"] == ["Object Created"]
    assert rule["detail"] == {
        "bucket": {"name": [f"upkeep-test-data-{ACCOUNT}"]},
        "object": {"key": [{"prefix": "incoming/"}]},
    }
    target = standard().one("EventTarget", "intake-arrivals-target")
    assert target["arn"] == QUEUE
    assert target["deadLetterConfig"]["arn"] == f"{QUEUE}-dead"


def test_only_this_rule_may_send_to_the_queues() -> None:
    for name in ("intake-queue-policy", "intake-dead-letters-policy"):
        allow, deny = standard().one("QueuePolicy", name).document("policy")["Statement"]
        assert allow["Principal"] == {"Service": "events.amazonaws.com"}
        (rule,) = allow["Condition"]["ArnEquals"].values()
        assert f":{ACCOUNT}:rule/" in rule
        assert list(allow["Condition"]) == ["ArnEquals"], "EventBridge is documented to name the rule"
        assert deny["Effect"] == "Deny"


def test_a_message_is_given_up_after_three_tries_and_never_handed_out_twice_at_once() -> None:
    queue = standard().one("Queue", "intake-queue")
    assert queue.document("redrivePolicy") == {
        "deadLetterTargetArn": f"{QUEUE}-dead",
        "maxReceiveCount": MAX_RECEIVES,
    }
    assert queue["visibilityTimeoutSeconds"] >= 6 * TIMEOUT_SECONDS
    dead = standard().one("Queue", "intake-dead-letters")
    assert json.loads(dead["redriveAllowPolicy"])["sourceQueueArns"] == [QUEUE]


def test_one_bad_message_does_not_bring_back_its_batch() -> None:
    mapping = standard().one("EventSourceMapping")
    assert mapping["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["scalingConfig"]["maximumConcurrency"] >= 2, "the least AWS takes"


def test_intake_may_sort_files_and_start_retrainings_and_nothing_else() -> None:
    allowed = standard().allowed("intake-intake-policy")
    assert allowed["s3:DeleteObject"] == [f"{DATA}/incoming/*"]
    assert set(allowed["s3:PutObject"]) == {f"{DATA}/{p}/*" for p in ("accepted", "quarantine", "manifests")}
    machines = [f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:upkeep-test-flights-retrain"]
    assert allowed["states:StartExecution"] == machines
    assert not any(action.startswith(("sagemaker:", "iam:")) for action in allowed)


def test_a_file_that_is_gone_already_is_told_from_one_that_may_not_be_read() -> None:
    for name in ("intake-intake-policy", "judge-policy", "release-policy"):
        for statement in standard().policy(name)["Statement"]:
            if "s3:ListBucket" in statement["Action"]:
                assert list(statement["Condition"]) == ["StringLikeIfExists"], name


def test_the_function_knows_its_stack() -> None:
    function = standard().one("Function", "intake-intake-function")
    assert function["handler"] == "training.intake.handler"
    assert function["environment"]["variables"] | {} == {
        "POWERTOOLS_SERVICE_NAME": "intake",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "PREFIX": "upkeep-test",
        "DATA_BUCKET": f"upkeep-test-data-{ACCOUNT}",
        "ARTIFACTS_BUCKET": f"upkeep-test-artifacts-{ACCOUNT}",
    }
