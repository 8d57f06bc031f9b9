"""The controls of AWS Foundational Security Best Practices that our templates decide, each held by default.

https://docs.aws.amazon.com/securityhub/latest/userguide/fsbp-standard.html
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from inference.release.plan import Plan
from infra.permissions import RESOURCELESS, SILENT, TELLS_THE_ACCOUNT
from tests.infra.mocks import ACCOUNT, IMAGE, Resource, deploy, standard

BUCKETS = ("storage-data", "storage-artifacts", "storage-logs")
# The policies that are attached to resources, and the input that holds them.
RESOURCE_POLICIES = {
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:kms/key:Key": "policy",
}
RUNTIMES = ("python3.12", "python3.13", "python3.14")


def _statements(resource: Resource, key: str) -> list[dict[str, Any]]:
    return list(json.loads(resource[key])["Statement"])


def _resource_policies() -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, key in RESOURCE_POLICIES.items():
        for resource in standard().of(kind):
            for statement in _statements(resource, key):
                yield resource.name, statement


def _identity_statements() -> Iterator[tuple[str, dict[str, Any]]]:
    for resource in standard().of("RolePolicy"):
        for statement in _statements(resource, "policy"):
            yield resource.name, statement


def test_sagemaker_4_endpoint_variants_start_with_more_than_one_instance() -> None:
    for variant in standard().one("EndpointConfiguration")["productionVariants"]:
        assert variant["initialInstanceCount"] > 1
    definition = (
        standard().one("aws:sfn/stateMachine:StateMachine", "flights-release-machine").document("definition")
    )
    plan = Plan.read(definition["States"]["Step"]["Parameters"]["Payload"]["plan"])
    assert plan.variant_of("m")["InitialInstanceCount"] > 1


def test_sagemaker_5_models_have_network_isolation() -> None:
    assert standard().one("aws:sagemaker/model:Model")["enableNetworkIsolation"] is True
    assert standard().one("TrainingJob")["enableNetworkIsolation"] is True
    release, retrain = (
        standard().one("aws:sfn/stateMachine:StateMachine", name).document("definition")["States"]
        for name in ("flights-release-machine", "flights-retrain-machine")
    )
    # The model of a release is made by the function: tests/inference/release/test_handler.py.
    assert release["Check"]["Parameters"]["NetworkConfig"]["EnableNetworkIsolation"] is True
    assert retrain["Train"]["Parameters"]["EnableNetworkIsolation"] is True


@pytest.mark.parametrize("bucket", BUCKETS)
def test_s3_5_buckets_refuse_what_is_not_sent_over_tls(bucket: str) -> None:
    policy = standard().one("BucketPolicy", f"{bucket}-policy")
    (deny,) = [s for s in _statements(policy, "policy") if s["Effect"] == "Deny"]
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert deny["Principal"] == "*"
    assert len(deny["Resource"]) == 2, "the bucket and its objects"


@pytest.mark.parametrize("bucket", BUCKETS)
def test_s3_8_buckets_block_public_access(bucket: str) -> None:
    block = standard().one("BucketPublicAccessBlock", f"{bucket}-private")
    for setting in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
        assert block[setting] is True


@pytest.mark.parametrize("bucket", BUCKETS[:2])
def test_s3_9_access_to_buckets_is_logged(bucket: str) -> None:
    # The log bucket itself is exempt: logging it into itself never ends.
    assert standard().one("BucketLogging", f"{bucket}-logging")["targetBucket"]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_s3_12_buckets_have_no_access_control_lists(bucket: str) -> None:
    rule = standard().one("BucketOwnershipControls", f"{bucket}-ownership")["rule"]
    assert rule["objectOwnership"] == "BucketOwnerEnforced"


@pytest.mark.parametrize("bucket", BUCKETS)
def test_s3_10_and_13_buckets_have_a_lifecycle(bucket: str) -> None:
    rules = standard().one("BucketLifecycleConfiguration", f"{bucket}-lifecycle")["rules"]
    assert all(rule["status"] == "Enabled" for rule in rules)
    assert any("noncurrentVersionExpiration" in rule for rule in rules)
    assert any("abortIncompleteMultipartUpload" in rule for rule in rules)


@pytest.mark.parametrize("bucket", BUCKETS)
def test_s3_14_buckets_keep_versions(bucket: str) -> None:
    versioning = standard().one("BucketVersioning", f"{bucket}-versioning")
    assert versioning["versioningConfiguration"]["status"] == "Enabled"


@pytest.mark.parametrize("bucket", BUCKETS)
def test_s3_17_buckets_are_encrypted_with_our_own_key(bucket: str) -> None:
    (rule,) = standard().one("BucketServerSideEncryptionConfiguration", f"{bucket}-encryption")["rules"]
    default = rule["applyServerSideEncryptionByDefault"]
    if bucket == "storage-logs":
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
        assert default["sseAlgorithm"] == "AES256", "access logs cannot be delivered to a bucket with SSE-KMS"
    else:
        assert default["sseAlgorithm"] == "aws:kms"
        assert default["kmsMasterKeyId"].startswith("arn:aws:kms:")
        assert rule["bucketKeyEnabled"] is True


def test_lambda_1_functions_have_no_policy_that_lets_others_in() -> None:
    assert not standard().of("aws:lambda/permission:Permission")


def test_lambda_2_functions_use_a_supported_runtime() -> None:
    for function in standard().of("aws:lambda/function:Function"):
        assert function["runtime"] in RUNTIMES


def test_kms_1_and_2_nobody_may_decrypt_with_every_key() -> None:
    for name, statement in _identity_statements():
        if any(action.startswith("kms:") for action in statement["Action"]):
            assert all(":key/" in r and not r.endswith("*") for r in statement["Resource"]), name


def test_kms_4_the_key_is_rotated() -> None:
    assert all(key["enableKeyRotation"] is True for key in standard().of("aws:kms/key:Key"))


def test_kms_5_sns_4_sqs_3_and_cis_2_21_no_resource_policy_lets_everybody_in() -> None:
    seen = 0
    for name, statement in _resource_policies():
        seen += 1
        if statement["Effect"] == "Allow":
            assert "*" not in json.dumps(statement["Principal"]), name
            if "Service" in statement["Principal"]:
                conditions = [list(entry.values()) for entry in statement["Condition"].values()]
                assert all(ACCOUNT in value for (value,) in conditions), f"{name}: on behalf of this account"
    assert seen >= 8


def test_sns_1_the_topic_is_encrypted() -> None:
    assert standard().one("aws:sns/topic:Topic")["kmsMasterKeyId"].startswith("arn:aws:kms:")


def test_sqs_1_queues_are_encrypted() -> None:
    assert all(queue["sqsManagedSseEnabled"] is True for queue in standard().of("aws:sqs/queue:Queue"))


@pytest.mark.parametrize("machine", ["flights-retrain-machine", "flights-release-machine"])
def test_stepfunctions_1_state_machines_log_every_step(machine: str) -> None:
    logging = standard().one("aws:sfn/stateMachine:StateMachine", machine)["loggingConfiguration"]
    assert logging["level"] == "ALL"
    assert logging["logDestination"].endswith(":*")


def test_eventbridge_3_no_custom_bus_without_a_policy() -> None:
    assert not [r for r in standard().resources if "eventBus:" in r.type], "only the default bus is used"
    assert not [r for r in standard().of("EventRule") if "eventBusName" in r.inputs]


# What these count has been told to the same topic by the function that counts it, with names and reasons.
# An action would add two messages without either to each of its messages.
WITHOUT_ACTION = {"flights-quarantine", "flights-held", "stack-quarantine"}
# SageMaker acts on these, and the release that they end tells of them.
WITHOUT_ACTION |= {f"flights-rollout-{kind}" for kind in ("5xx", "latency", "quality", "stop")}


def test_cloudwatch_15_and_17_alarms_have_actions_that_are_switched_on() -> None:
    for alarm in standard().of("MetricAlarm"):
        assert alarm["actionsEnabled"] is True
        assert bool(alarm["alarmActions"]) is (alarm.name not in WITHOUT_ACTION)


def test_dynamodb_1_tables_scale_with_demand() -> None:
    assert {t["billingMode"] for t in standard().of("aws:dynamodb/table:Table")} == {"PAY_PER_REQUEST"}


def test_dynamodb_2_tables_have_point_in_time_recovery() -> None:
    assert all(t["pointInTimeRecovery"]["enabled"] is True for t in standard().of("aws:dynamodb/table:Table"))


def test_dynamodb_6_tables_of_a_protected_stack_have_deletion_protection() -> None:
    # A stack that is not protected is one that can be torn down.
    protected = deploy({"protect": True}).of("aws:dynamodb/table:Table")
    assert [t["deletionProtectionEnabled"] for t in protected] == [True]


def test_cloudwatch_16_log_groups_are_kept_for_a_set_time() -> None:
    groups = standard().of("LogGroup")
    assert all(group["retentionInDays"] == 90 for group in groups)
    named = {group["name"] for group in groups}
    for function in standard().of("aws:lambda/function:Function"):
        assert f"/aws/lambda/{function['name']}" in named
    for machine in standard().of("aws:sfn/stateMachine:StateMachine"):
        assert f"/aws/vendedlogs/states/{machine['name']}" in named
    assert "/aws/sagemaker/Endpoints/upkeep-test-flights" in named


def test_iam_1_and_21_no_policy_has_a_wildcard_action() -> None:
    for name, statement in _identity_statements():
        assert not [a for a in statement["Action"] if "*" in a], name


def test_resource_star_is_used_only_where_aws_has_no_resource_level() -> None:
    for name, statement in _identity_statements():
        if "*" in statement["Resource"]:
            assert statement["Resource"] == ["*"]
            assert set(statement["Action"]) <= set(RESOURCELESS), name


def test_every_role_is_taken_on_behalf_of_this_account_alone() -> None:
    roles = standard().of("aws:iam/role:Role")
    for role in roles:
        (statement,) = _statements(role, "assumeRolePolicy")
        assert set(statement["Principal"]) == {"Service"}, role.name
        if statement["Principal"]["Service"] in TELLS_THE_ACCOUNT:
            assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT
        else:
            assert statement["Principal"]["Service"] in SILENT
    assert len(roles) == len(standard().of("RolePolicy")), "one policy per role"


def test_a_role_is_handed_to_sagemaker_alone() -> None:
    passing = [(n, s) for n, s in _identity_statements() if "iam:PassRole" in s["Action"]]
    assert {name for name, _ in passing} == {
        "flights-retrain-policy",  # the training job
        "flights-release-policy",  # the check
        "release-policy",  # the model
    }
    for name, statement in passing:
        assert statement["Condition"] == {
            "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}
        }, name
        assert statement["Resource"] == [f"arn:aws:iam::{ACCOUNT}:role/flights-role"], name


def test_no_function_or_machine_shares_its_role() -> None:
    users = [r["role"] for r in standard().of("aws:lambda/function:Function")]
    users += [r["roleArn"] for r in standard().of("aws:sfn/stateMachine:StateMachine")]
    users += [standard().one("TrainingJob")["roleArn"]]
    assert len(users) == len(set(users))


def test_mlsec_every_registered_version_names_data_code_and_metrics() -> None:
    machine = standard().one("aws:sfn/stateMachine:StateMachine", "flights-retrain-machine")
    register = machine.document("definition")["States"]["Register"]["Parameters"]
    assert "GeneratedBy.$" in register["MetadataProperties"], (
        "the job, and through it the code and its digest"
    )
    assert register["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri.$"]
    assert register["CustomerMetadataProperties.$"] == "$.judgement.Payload.metadata"
    assert register["InferenceSpecification"]["Containers"][0]["Image"] == IMAGE


def test_secrets_never_stand_in_an_environment() -> None:
    for function in standard().of("aws:lambda/function:Function"):
        for key in function["environment"]["variables"]:
            assert not any(word in key.lower() for word in ("secret", "password", "token", "key"))
