import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, NoRegionError, ProfileNotFound

from models.spec import SpecError
from sandbox.lifecycle import SandboxError
from tests.upkeep.fakes import missing, refusal
from upkeep.errors import UpkeepError, explain, is_gone


@pytest.mark.parametrize("error", [UpkeepError("said"), SandboxError("said")])
def test_our_own_errors_are_shown_as_they_are(error):
    assert explain(error) == "said"


def test_a_spec_error_shows_every_error_of_the_file():
    assert "one\n  two" in str(explain(SpecError(["one", "two"])))


def test_a_bug_has_no_friendly_words():
    assert explain(KeyError("x")) is None


def test_an_aws_refusal_names_the_operation_and_the_code():
    said = str(explain(refusal("AccessDenied", "User may not.", "PutObject")))
    assert said.startswith("AWS refused PutObject: AccessDenied: User may not. The role or user you act as")


def test_an_expired_session_says_how_to_log_in():
    assert "aws sso login" in str(explain(refusal("ExpiredToken", "expired")))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoCredentialsError(), "No AWS credentials"),
        (NoRegionError(), "AWS_REGION"),
        (ProfileNotFound(profile="p"), "aws configure list-profiles"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), "upkeep sandbox status"),
    ],
)
def test_client_errors_say_what_to_do(error, words):
    assert words in str(explain(error))


def test_a_missing_file_is_named():
    error = FileNotFoundError(2, "No such file or directory", "rows.csv")
    assert explain(error) == "rows.csv: No such file or directory."


def test_sagemaker_says_missing_with_a_validation_error():
    assert is_gone(missing("endpoint"))


def test_a_wrong_request_is_not_taken_for_something_missing():
    assert not is_gone(refusal("ValidationException", "1 validation error detected"))


@pytest.mark.parametrize("code", ["NoSuchKey", "404", "ResourceNotFoundException", "ExecutionDoesNotExist"])
def test_what_other_services_call_missing_is_missing(code):
    assert is_gone(refusal(code))
