"""What every test starts from: no AWS account or profile, and one shared sandbox for those that want it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import localstack_client.session
import pytest

from sandbox import lifecycle

AwsFactory = Callable[..., Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--live", action="store_true", help="also run the tests that need a real AWS account")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the person's AWS out, before anything imports boto3."""
    if config.getoption("--live"):
        return
    for name in [
        name for name in os.environ if name.startswith(("AWS_", "UPKEEP_STACK", "LOCALSTACK_", "PULUMI_"))
    ]:
        del os.environ[name]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": lifecycle.REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Send all tests that drive the sandbox to one worker, which starts one; skip live tests unless asked."""
    skip_live = pytest.mark.skip(reason="needs a real AWS account: run with --live")
    for item in items:
        if item.get_closest_marker("sandbox"):
            item.add_marker(pytest.mark.xdist_group("sandbox"))
        if item.get_closest_marker("live") and not config.getoption("--live"):
            item.add_marker(skip_live)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[lifecycle.SandboxInfo]:
    """The running sandbox of this test session. Tests name their resources so that they do not meet."""
    info = lifecycle.start(free_port(), detach=False)
    yield info
    lifecycle.stop(info.port)


@pytest.fixture
def aws(sandbox: lifecycle.SandboxInfo) -> AwsFactory:
    """Make boto3 clients of the sandbox: `aws("s3")`, or with `access_key`, `secret_key` and `token`."""

    def client(
        service: str,
        access_key: str = "test",
        secret_key: str = "test",
        token: str | None = None,
        **options: Any,
    ) -> Any:
        session = localstack_client.session.Session(
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            aws_session_token=token,
            region_name=lifecycle.REGION,
            localstack_host=f"localhost:{sandbox.port}",
        )
        if token is not None:
            options["aws_session_token"] = token
        return session.client(service, **options)

    return client


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((lifecycle.HOST, 0))
        port: int = probe.getsockname()[1]
    return port
