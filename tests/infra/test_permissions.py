import json

import pytest

from infra.permissions import (
    RESOURCELESS,
    TELLS_THE_ACCOUNT,
    Permission,
    tls_only_statement,
    trust_policy,
)


def test_an_action_with_a_wildcard_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"permission All: found actions \['s3:\*'\], expected names without"
    ):
        Permission(sid="All", actions=["s3:*"], resources=["arn:aws:s3:::b"])


def test_an_action_that_has_a_resource_level_must_name_its_resources() -> None:
    with pytest.raises(ValueError, match="no resources for s3:GetObject"):
        Permission(sid="Read", actions=["s3:GetObject", "ecr:GetAuthorizationToken"])


def test_only_actions_without_a_resource_level_get_resource_star() -> None:
    statement = Permission(sid="Login", actions=["ecr:GetAuthorizationToken"]).statement()
    assert statement["Resource"] == ["*"]


def test_every_action_without_a_resource_level_names_the_page_that_says_so() -> None:
    assert all(page.startswith("https://docs.aws.amazon.com/") for page in RESOURCELESS.values())


@pytest.mark.parametrize("service", sorted(TELLS_THE_ACCOUNT))
def test_a_role_is_taken_by_one_service_on_behalf_of_this_account_alone(service: str) -> None:
    (statement,) = json.loads(trust_policy(service, "123456789012"))["Statement"]
    assert statement["Principal"] == {"Service": service}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    assert TELLS_THE_ACCOUNT[service].startswith("https://docs.aws.amazon.com/")


def test_lambda_takes_its_role_without_a_condition_it_could_not_meet() -> None:
    (statement,) = json.loads(trust_policy("lambda.amazonaws.com", "123456789012"))["Statement"]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert "Condition" not in statement


def test_a_service_nobody_has_looked_up_takes_no_role() -> None:
    with pytest.raises(ValueError, match=r"scheduler\.amazonaws\.com: add it to TELLS_THE_ACCOUNT"):
        trust_policy("scheduler.amazonaws.com", "123456789012")


def test_the_refusal_of_plain_http_is_a_deny_with_a_condition() -> None:
    statement = tls_only_statement(["s3:*"], ["arn"])
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
