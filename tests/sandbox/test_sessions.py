"""Credentials that run out, in a sandbox whose sessions last two seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox import lifecycle
from sandbox.lifecycle import ACCOUNT
from sandbox.seam import sessions
from tests.sandbox.conftest import allow, client, make_role, policy, served_by

# Its sandbox is another one than the shared, so it runs beside the files that use that.
pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sessions")]

SECONDS = 2.0
# One call of every service the stack uses, and how the service says that a session is over.
CALLS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "s3": (lambda c: c.list_buckets(), "ExpiredToken"),
    "sqs": (lambda c: c.list_queues(), "ExpiredToken"),
    "sns": (lambda c: c.list_topics(), "ExpiredToken"),
    "iam": (lambda c: c.list_roles(), "ExpiredToken"),
    "sts": (lambda c: c.get_caller_identity(), "ExpiredToken"),
    "kms": (lambda c: c.list_keys(), "ExpiredTokenException"),
    "dynamodb": (lambda c: c.list_tables(), "ExpiredTokenException"),
    "lambda": (lambda c: c.list_functions(), "ExpiredTokenException"),
    "stepfunctions": (lambda c: c.list_state_machines(), "ExpiredTokenException"),
    "sagemaker": (lambda c: c.list_training_jobs(), "ExpiredTokenException"),
    "logs": (lambda c: c.describe_log_groups(), "ExpiredTokenException"),
}


@pytest.fixture(scope="module")
def hasty() -> Iterator[lifecycle.SandboxInfo]:
    """A sandbox whose sessions last two seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(sessions.VARIABLE, str(SECONDS))
        with served_by("tests.sandbox.fake_sagemaker") as info:
            yield info


def assumed(info: lifecycle.SandboxInfo, name: str) -> tuple[boto3.Session, Any]:
    """A person who has taken a role that may do everything, and until when."""
    iam = client(info.url, "iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(allow("*", "*")))
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    given = client(info.url, "sts").assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
    session = boto3.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        region_name=lifecycle.REGION,
    )
    return session, given["Expiration"]


def test_every_service_refuses_credentials_that_are_over(hasty: lifecycle.SandboxInfo) -> None:
    session, until = assumed(hasty, "person")
    assert until.timestamp() - time.time() <= SECONDS + 1, "AssumeRole says when it ends"
    clients = {service: session.client(service, endpoint_url=hasty.url) for service in CALLS}
    clients["s3"].list_buckets()
    time.sleep(max(0.0, until.timestamp() - time.time()) + 1.1)
    assumed(hasty, "another-person")  # beginning another session does not make this one unknown
    for service, (call, code) in CALLS.items():
        with pytest.raises(ClientError) as refused:
            call(clients[service])
        assert refused.value.response["Error"]["Code"] == code, service


def test_an_execution_outlasts_the_session_of_its_role(hasty: lifecycle.SandboxInfo) -> None:
    """Step Functions takes the role anew; so do the calls after a wait longer than a session."""
    connect: Callable[..., Any] = lambda service, **keys: client(hasty.url, service, **keys)  # noqa: E731
    role = make_role(connect, "machine", "states.amazonaws.com", allow("sagemaker:DescribeEndpoint", "*"))
    look = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint",
        "Parameters": {"EndpointName": "there"},
    }
    # This sandbox counts a second of a wait as a hundredth.
    wait = {"Type": "Wait", "Seconds": int(SECONDS * 150), "Next": "Last"}
    states = {"First": {**look, "Next": "Wait"}, "Wait": wait, "Last": {**look, "End": True}}
    machines = connect("stepfunctions")
    machine = machines.create_state_machine(
        name="outlasts", roleArn=role, definition=json.dumps({"StartAt": "First", "States": states})
    )["stateMachineArn"]
    execution = machines.start_execution(stateMachineArn=machine)["executionArn"]
    deadline = time.monotonic() + 30
    while (found := machines.describe_execution(executionArn=execution))["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert found["status"] == "SUCCEEDED", found.get("cause")
    assert (found["stopDate"] - found["startDate"]).total_seconds() > SECONDS
