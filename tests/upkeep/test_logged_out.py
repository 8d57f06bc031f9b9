"""Credentials that end while a command follows something: a clear sentence, and nothing half-done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError, CredentialRetrievalError, UnauthorizedSSOTokenError
from rich.console import Console

from tests.upkeep.fakes import refusal
from tests.upkeep.test_follow import RUN, UPLOAD, Script
from upkeep import cli, data, follow, releases
from upkeep.commands import push
from upkeep.data import ACCEPTED
from upkeep.deliveries import Delivery
from upkeep.errors import FAILED, UpkeepError, explain, is_logged_out

OVER = [refusal("ExpiredToken"), refusal("ExpiredTokenException"), UnauthorizedSSOTokenError()]


class _EndsAt(Script):
    """A push whose credentials end when one thing is asked."""

    def __init__(self, question: str, error: Exception, **known: object) -> None:
        super().__init__(**known)  # type: ignore[arg-type]

        def over(*_given: object, **_options: object) -> None:
            raise error

        setattr(self, question, over)


def _follow(source: Script, **options: object) -> UpkeepError:
    with pytest.raises(UpkeepError) as error:
        follow.follow(source, [UPLOAD], sleep=lambda _seconds: None, **options)  # type: ignore[arg-type]
    return error.value


@pytest.mark.parametrize("error", OVER)
def test_following_a_push_ends_with_what_goes_on_and_how_to_look_again(error):
    said = str(_follow(_EndsAt("run_with", error)))
    assert said == (
        "Your AWS credentials ended while this waited for the intake checks 2013-01.csv. That goes on "
        "without you. Log in again (`aws sso login`, or set new ones), then see `upkeep runs`, or push the "
        "same again with --wait: it is followed, not repeated."
    )


@pytest.mark.parametrize(
    "question",
    ["look", "wanted", "run_with", "describe", "decision", "steps", "package", "release", "serving"],
)
def test_it_does_so_whichever_call_is_the_first_to_be_refused(question):
    source = _EndsAt(question, OVER[0], run=replace(RUN, status="RUNNING"), state=ACCEPTED)
    if question not in ("look", "wanted", "run_with", "steps", "describe"):
        source = _EndsAt(question, OVER[0])
    assert "That goes on without you" in str(_follow(source))


def test_every_other_error_is_left_as_it_is():
    with pytest.raises(ClientError, match="AccessDenied"):
        follow.follow(_EndsAt("run_with", refusal("AccessDenied")), [UPLOAD], sleep=lambda _seconds: None)


def test_the_same_push_followed_again_after_logging_in_reaches_its_end():
    _follow(_EndsAt("run_with", OVER[0]))
    result = follow.follow(Script(), [UPLOAD], sleep=lambda _seconds: None)
    assert (result.outcome, result.exit_code) == (follow.RELEASED, 0)


def test_following_a_release_ends_with_what_goes_on_and_how_to_look_again():
    def find():
        raise OVER[0]

    with pytest.raises(UpkeepError, match=r"Release of 1\.2\.3\. It goes on without you\..*`upkeep status`"):
        releases.watch(SimpleNamespace(), SimpleNamespace(), "Release of 1.2.3", find)  # type: ignore[arg-type]


def test_an_upload_says_how_many_files_were_sent_and_completes_no_delivery(monkeypatch):
    sent, completed = [], []

    def send(_there, upload, _progress):
        if len(sent) == 2:
            raise OVER[0]
        sent.append(upload)
        return upload

    monkeypatch.setattr(data, "send", send)
    monkeypatch.setattr(push.deliveries, "complete", lambda *_given: completed.append(1))
    delivery = SimpleNamespace(uploads=[replace(UPLOAD, path=Path(f"{n}.csv")) for n in range(3)])
    with pytest.raises(UpkeepError, match=r"after 2 of 3 files were sent\..*not trained on twice") as error:
        push.send_all(SimpleNamespace(), _as_delivery(delivery), Console(quiet=True))  # type: ignore[arg-type]
    assert not completed
    assert explain(error.value) == str(error.value)


def _as_delivery(given: SimpleNamespace) -> Delivery:
    return given  # type: ignore[return-value]


def test_the_exit_code_is_that_of_a_failure(monkeypatch, capsys):
    def over(*_given: object, **_options: object) -> None:
        raise UpkeepError("Your AWS credentials ended while this waited for the retraining.")

    monkeypatch.setattr("upkeep.context.load", over)
    assert cli.run(["push", "a.csv", "--wait"]) == FAILED
    assert capsys.readouterr().err == (
        "Error: Your AWS credentials ended while this waited for the retraining.\n"
    )


def test_an_upload_in_parts_hides_the_code_and_is_recognised_all_the_same():
    def upload() -> None:
        try:
            raise refusal("ExpiredToken")
        except ClientError as inner:
            raise S3UploadFailedError(f"Failed to upload a.csv: {inner}")  # noqa: B904 - as boto3 does

    with pytest.raises(S3UploadFailedError) as error:
        upload()
    assert is_logged_out(error.value)
    assert not is_logged_out(S3UploadFailedError("Failed to upload a.csv: no space"))
    assert is_logged_out(CredentialRetrievalError(provider="sso", error_msg="over"))
    assert "aws sso login" in str(explain(CredentialRetrievalError(provider="sso", error_msg="over")))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("KMS.DisabledException", "{key} is disabled."),
        ("KMSDisabled", "{key} is disabled."),
        ("AccessDeniedException", "KMS key access denied error: {key} is disabled."),
    ],
)
def test_a_key_that_cannot_be_used_is_named_with_what_to_do(code, words):
    key = "arn:aws:kms:eu-central-1:123456789012:key/1"
    said = str(explain(refusal(code, words.format(key=key), "PutObject")))
    assert key in said
    assert "aws kms enable-key" in said
    assert "lacks this permission" not in said
    soon = str(explain(refusal("KMS.KMSInvalidStateException", f"{key} is pending deletion.", "PutObject")))
    assert "aws kms cancel-key-deletion" in soon
