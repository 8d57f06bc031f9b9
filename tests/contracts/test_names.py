"""Names that other parts, people and the documentation rely on."""

from tests.infra.mocks import ACCOUNT, standard

EXPECTED = {
    "aws:s3/bucket:Bucket": ("bucket", [f"upkeep-test-{r}-{ACCOUNT}" for r in ("artifacts", "data", "logs")]),
    "aws:sqs/queue:Queue": (
        "name",
        [
            "upkeep-test-dispatch",
            "upkeep-test-dispatch-dead",
            "upkeep-test-flights-approved-dead",
            "upkeep-test-intake",
            "upkeep-test-intake-dead",
        ],
    ),
    "aws:dynamodb/table:Table": ("name", ["upkeep-test-ledger"]),
    "aws:sns/topic:Topic": ("name", ["upkeep-test-alerts"]),
    "aws:lambda/function:Function": (
        "name",
        ["upkeep-test-dispatch", "upkeep-test-intake", "upkeep-test-judge", "upkeep-test-release"],
    ),
    "aws:sfn/stateMachine:StateMachine": (
        "name",
        ["upkeep-test-flights-release", "upkeep-test-flights-retrain"],
    ),
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": ("modelPackageGroupName", ["upkeep-test-flights"]),
    "aws:sagemaker/endpoint:Endpoint": ("name", ["upkeep-test-flights"]),
    "aws:cloudwatch/dashboard:Dashboard": ("dashboardName", ["upkeep-test"]),
}


def test_physical_names_are_the_agreed_ones() -> None:
    for kind, (key, names) in EXPECTED.items():
        assert sorted(r[key] for r in standard().of(kind)) == names, kind


def test_handlers_exist() -> None:
    import importlib

    for function in standard().of("aws:lambda/function:Function"):
        module, _, name = function["handler"].rpartition(".")
        assert callable(getattr(importlib.import_module(module), name)), function["handler"]


def test_alarms_start_with_the_stacks_prefix() -> None:
    assert all(a["name"].startswith("upkeep-test-") for a in standard().of("MetricAlarm"))


def test_resources_without_a_physical_name_have_a_logical_one_that_leaves_room() -> None:
    # pulumi appends eight characters; an IAM role takes 64.
    for role in standard().of("aws:iam/role:Role"):
        assert "name" not in role.inputs
        assert len(role.name) <= 64 - 8
