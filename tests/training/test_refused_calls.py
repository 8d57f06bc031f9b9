"""A call that the role does not allow fails at once, with the words of AWS: the action and the resource."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from training import aws
from upkeep.errors import explain

WORDS = (
    "User: arn:aws:sts::123456789012:assumed-role/upkeep-dev-judge/judge is not authorized to perform: "
    "{action} on resource: {resource} because no identity-based policy allows the {action} action"
)
_XML = "<Error><Code>AccessDenied</Code><Message>{}</Message></Error>"
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "s3": ("s3:GetObject", "get_object", {"Bucket": "data", "Key": "a"}),
    "dynamodb": ("dynamodb:GetItem", "get_item", {"TableName": "ledger", "Key": {"pk": {"S": "m"}}}),
    "sqs": ("sqs:SendMessage", "send_message", {"QueueUrl": "https://q", "MessageBody": "m"}),
    "sns": ("sns:Publish", "publish", {"TopicArn": "arn:aws:sns:eu-central-1:1:t", "Message": "m"}),
    "sagemaker": (
        "sagemaker:UpdateEndpoint",
        "update_endpoint",
        {"EndpointName": "e", "EndpointConfigName": "c"},
    ),
    "sagemaker-runtime": ("sagemaker:InvokeEndpoint", "invoke_endpoint", {"EndpointName": "e", "Body": b"1"}),
    "cloudwatch": ("cloudwatch:DescribeAlarms", "describe_alarms", {}),
    "stepfunctions": (
        "states:StartExecution",
        "start_execution",
        {"stateMachineArn": "arn:aws:states:x:1:m"},
    ),
}


class _Raw:
    """What botocore reads an answer from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_options: Any) -> Iterator[bytes]:
        yield self._body


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes the functions' client of a service; all its calls are refused, and counted."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    aws.client.cache_clear()

    def make(service: str, action: str, code: str = "AccessDeniedException", status: int = 400) -> Any:
        words = WORDS.format(action=action, resource="arn:aws:thing")
        made, seen = aws.client(service), SimpleNamespace(calls=0, words=words)

        def refuse(request: Any, **_options: Any) -> AWSResponse:
            seen.calls += 1
            xml = service in ("s3", "sns", "cloudwatch") and request.headers.get("X-Amz-Target") is None
            body = _XML.format(words) if xml else json.dumps({"__type": code, "message": words})
            if xml and service != "s3":
                body = f"<ErrorResponse>{body}</ErrorResponse>"
            headers = {"x-amzn-errortype": code}
            return AWSResponse(request.url, status, headers, _Raw(body.encode()))

        made.meta.events.register("before-send", refuse)
        return made, seen

    yield make
    aws.client.cache_clear()


@pytest.mark.parametrize("service", CALLS)
def test_a_refused_call_is_made_once_and_names_action_and_resource(refusing: Any, service: str) -> None:
    action, method, parameters = CALLS[service]
    made, seen = refusing(service, action, status=403 if service == "s3" else 400)
    with pytest.raises(ClientError) as error:
        getattr(made, method)(**parameters)
    assert seen.calls == 1
    said = str(error.value)
    assert f"not authorized to perform: {action} on resource: arn:aws:thing" in said
    shown = str(explain(error.value))
    assert action in shown
    assert shown.endswith("The role or user you act as lacks this permission.")


def test_a_call_that_is_throttled_is_made_again(refusing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the counting above shows something."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    made, seen = refusing("sagemaker", "-", "ThrottlingException")
    with pytest.raises(ClientError):
        made.describe_endpoint(EndpointName="e")
    assert seen.calls == 4
