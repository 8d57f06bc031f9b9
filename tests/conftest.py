"""What every test starts from: no AWS account or profile, and one shared sandbox for those that want it."""

from __future__ import annotations

import functools
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need a real account, unless asked for them."""
    if config.getoption("--live"):
        return
    for item in items:
        if item.get_closest_marker("live"):
            item.add_marker(pytest.mark.skip(reason="needs a real AWS account: run with --live"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Send the files that drive the sandbox to one worker, which starts one; keep each container file whole.

    xdist's own groups travel in an attribute of the test item that pytest 9.2 no longer reads.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped]

    class OneSandbox(LoadGroupScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return _group(config.rootpath / path, path) or str(super()._split_scope(nodeid))

    return OneSandbox(config, log)


@functools.cache
def _group(path: Path, name: str) -> str | None:
    """The group a whole file goes into: the one it names, the shared sandbox's, its own, or none."""
    text = path.read_text(encoding="utf-8")
    if named := re.search(r'^pytestmark = .*xdist_group\("(\w+)"\)', text, re.MULTILINE):
        return named[1]
    if "mark.sandbox" in text:
        # The loop has a sandbox of its own, and takes as long as all others together.
        return "loop" if path.parent.name == "loop" else "sandbox"
    return name if "mark.image" in text else None


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
