import json

from infra.dispatch import ENDED, MODELS_PER_RULE, ended_pattern, ended_rules
from infra.naming import Names
from tests.infra.mocks import ACCOUNT, REGION, deploy, standard

MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:upkeep-test-flights"
DATA = f"arn:aws:s3:::upkeep-test-data-{ACCOUNT}"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:upkeep-test"
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
MAX_PATTERN = 2048


def test_the_end_of_every_run_and_release_of_this_stack_is_told() -> None:
    pattern = standard().one("EventRule", "dispatch-ended-rule").document("eventPattern")
    assert pattern["source"] == ["aws.states"]
    assert pattern["detail"]["status"] == sorted(ENDED)
    assert "RUNNING" not in ENDED
    assert pattern["detail"]["stateMachineArn"] == [f"{MACHINE}-release", f"{MACHINE}-retrain"]
    assert standard().one("EventTarget", "dispatch-ended-target")["arn"] == f"{QUEUE}-dispatch"


def test_every_five_minutes_it_looks_after_what_nobody_told_of() -> None:
    assert standard().one("EventRule", "dispatch-sweep-rule")["scheduleExpression"] == "rate(5 minutes)"
    assert standard().one("EventTarget", "dispatch-sweep-target")["arn"] == f"{QUEUE}-dispatch"


def test_a_stack_of_many_models_with_long_names_keeps_to_the_length_of_a_pattern() -> None:
    names = Names(stack="s" * 14, account_id=ACCOUNT, region="us-gov-west-1", partition="aws-us-gov")
    models = [f"{number:02}-{'m' * 17}" for number in range(20)]
    assert len(ended_rules(names, models)) == 3
    assert len(set(ended_rules(names, models))) == 3
    assert len(json.dumps(ended_pattern(names, models[:MODELS_PER_RULE]))) <= MAX_PATTERN


def test_the_dispatcher_starts_and_follows_runs_and_nothing_else() -> None:
    allowed = standard().allowed("dispatch-policy")
    assert allowed["states:StartExecution"] == [f"{MACHINE}-retrain"], "releases are started by an approval"
    assert allowed["states:DescribeExecution"] == [
        f"{MACHINE}-retrain:*".replace("stateMachine", "execution")
    ]
    assert allowed["s3:PutObject"] == [f"{DATA}/manifests/*"]
    assert sorted(allowed["sqs:SendMessage"]) == [f"{QUEUE}-dispatch", f"{QUEUE}-intake"]
    assert {action for action in allowed if action.startswith("sagemaker:")} == {
        "sagemaker:DescribeTrainingJob",
        "sagemaker:DescribeModelPackage",
    }
    assert not any(action.startswith(("iam:", "s3:Delete")) for action in allowed)


def test_the_dispatcher_sees_forgotten_versions_of_arrived_files_alone() -> None:
    (statement,) = [
        s for s in standard().policy("dispatch-policy")["Statement"] if "s3:ListBucketVersions" in s["Action"]
    ]
    assert statement["Condition"] == {"StringLike": {"s3:prefix": ["incoming/*"]}}


def test_the_function_knows_its_stack() -> None:
    function = standard().one("Function", "dispatch-function")
    assert function["handler"] == "training.dispatch.handler.handler"
    url = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/upkeep-test"
    assert function["environment"]["variables"] | {} == {
        "POWERTOOLS_SERVICE_NAME": "dispatch",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "PREFIX": "upkeep-test",
        "DATA_BUCKET": f"upkeep-test-data-{ACCOUNT}",
        "ARTIFACTS_BUCKET": f"upkeep-test-artifacts-{ACCOUNT}",
        "LEDGER_TABLE": "upkeep-test-ledger",
        "DISPATCH_QUEUE_URL": f"{url}-dispatch",
        "INTAKE_QUEUE_URL": f"{url}-intake",
        "ALERTS_TOPIC_ARN": f"arn:aws:sns:{REGION}:{ACCOUNT}:upkeep-test-alerts",
    }


def test_a_stack_without_models_has_nothing_that_ends_and_may_start_nothing() -> None:
    deployment = deploy({"models": []})
    assert [r.name for r in deployment.of("EventRule") if r.name.startswith("dispatch")] == [
        "dispatch-sweep-rule"
    ]
    assert "states:StartExecution" not in deployment.allowed("dispatch-policy")
