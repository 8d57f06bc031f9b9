from models.spec import Contract
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


def test_intake_may_sort_files_and_tell_the_dispatcher_and_nothing_else() -> None:
    allowed = standard().allowed("intake-policy")
    assert set(allowed["s3:PutObject"]) == {f"{DATA}/{p}/*" for p in ("accepted", "quarantine", "rejected")}
    assert allowed["s3:GetObjectVersion"] == [f"{DATA}/incoming/*"]
    assert allowed["sqs:SendMessage"] == [f"arn:aws:sqs:{REGION}:{ACCOUNT}:upkeep-test-dispatch"]
    assert not any(action.startswith(("states:", "sagemaker:", "iam:", "sns:")) for action in allowed)


def test_intake_takes_away_exact_versions_and_never_makes_a_delete_marker() -> None:
    allowed = standard().allowed("intake-policy")
    assert allowed["s3:DeleteObjectVersion"] == [f"{DATA}/incoming/*"]
    assert "s3:DeleteObject" not in allowed, "a delete marker means that the owner withdrew the file"


def test_a_file_of_the_largest_size_fits_into_one_call() -> None:
    function = standard().one("Function", "intake-function")
    assert function["timeout"] == 900
    largest = Contract.__dataclass_fields__["max_file_mb"].metadata["maximum"] * 1_000_000
    assert function["ephemeralStorage"]["size"] * 1024**2 > 2 * largest, "the file, and what is made of it"


def test_a_file_that_is_gone_already_is_told_from_one_that_may_not_be_read() -> None:
    for name in ("intake-policy", "dispatch-policy", "judge-policy", "release-policy"):
        for statement in standard().policy(name)["Statement"]:
            if "s3:ListBucket" in statement["Action"]:
                assert list(statement["Condition"]) == ["StringLikeIfExists"], name


def test_the_function_knows_its_stack() -> None:
    function = standard().one("Function", "intake-function")
    assert function["handler"] == "training.intake.handler.handler"
    assert function["environment"]["variables"] | {} == {
        "POWERTOOLS_SERVICE_NAME": "intake",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "PREFIX": "upkeep-test",
        "DATA_BUCKET": f"upkeep-test-data-{ACCOUNT}",
        "ARTIFACTS_BUCKET": f"upkeep-test-artifacts-{ACCOUNT}",
        "LEDGER_TABLE": "upkeep-test-ledger",
        "INTAKE_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/upkeep-test-intake",
        "DISPATCH_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/upkeep-test-dispatch",
        "MAX_RECEIVES": str(
            standard().one("Queue", "intake-queue").document("redrivePolicy")["maxReceiveCount"]
        ),
    }
