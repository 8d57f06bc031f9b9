"""A second sandbox whose SageMaker runs nothing, for the tests of what surrounds it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox import lifecycle
from tests.conftest import free_port

Client = Callable[..., Any]
PREFIX = f"arn:aws:sagemaker:{lifecycle.REGION}:{lifecycle.ACCOUNT}:"


@pytest.fixture(scope="session")
def faked() -> Iterator[Client]:
    """Makes boto3 clients of a sandbox with the fake SageMaker."""
    with served_by("tests.sandbox.fake_sagemaker") as info:
        yield lambda service, **keys: client(info.url, service, **keys)


@contextmanager
def served_by(module: str) -> Iterator[lifecycle.SandboxInfo]:
    """Run a sandbox of the tests' own for a while."""
    port = free_port()
    command = [sys.executable, "-m", module, "--port", str(port), "--wait-scale", "0.01"]
    directory = lifecycle.run_dir(port)
    directory.mkdir(parents=True, mode=0o700)
    directory.parent.chmod(0o700)
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen([*command, "--run-dir", str(directory)], cwd=root, stderr=subprocess.PIPE)
    info = lifecycle.SandboxInfo(process.pid, port, f"http://127.0.0.1:{port}", directory)
    try:
        await_health(info)
        yield info
    finally:
        process.terminate()
        process.wait(timeout=20)


def await_health(info: lifecycle.SandboxInfo) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            lifecycle.health(info)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def client(url: str, service: str, key: str = "test", secret: str = "test") -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name=lifecycle.REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )


def allow(action: str | list[str], resource: str | list[str], **condition: Any) -> dict[str, Any]:
    """A policy statement; `condition` is operator to keys."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(service: str, **condition: Any) -> str:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    return policy(statement | ({"Condition": condition} if condition else {}))


def make_role(faked: Client, name: str, service: str, *statements: dict[str, Any]) -> str:
    """A role the service may assume, with one policy; made anew when it is there."""
    iam = faked("iam")
    try:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(service))
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust(service))
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(*statements))
    return f"arn:aws:iam::{lifecycle.ACCOUNT}:role/{name}"


@pytest.fixture
def user(faked: Client, request: pytest.FixtureRequest) -> Callable[..., Client]:
    """Gives clients of a new user that may do what the statements say."""
    iam = faked("iam")
    name = f"u{abs(hash(request.node.nodeid)) % 10**12}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]

    def may(*statements: dict[str, Any]) -> Client:
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(*statements))
        return lambda service: faked(service, key=key["AccessKeyId"], secret=key["SecretAccessKey"])

    return may
