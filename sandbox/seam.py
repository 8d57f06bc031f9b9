"""The seam to MiniStack: the only file that knows its internals.

MiniStack publishes no interface for what is done here, so `check()` names everything relied on and fails first when a
new version moves it.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
from pathlib import Path
from typing import Any

from sandbox.lifecycle import ACCOUNT, HOST, REGION

SERVICES = (
    "s3",
    "sqs",
    "sns",
    "iam",
    "sts",
    "kms",
    "lambda",
    "logs",
    "monitoring",
    "events",
    "scheduler",
    "states",
    "tagging",
    "ssm",
    "secretsmanager",
    "dynamodb",
)


def prepare(*, port: int, run_dir: Path, wait_scale: float) -> None:
    """Set the environment MiniStack reads when it is imported; call before anything imports it."""
    temporary = run_dir / "tmp"
    temporary.mkdir(mode=0o700, exist_ok=True)
    os.environ.update(
        {
            "AUTH": "true",
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(port),
            "SERVICES": ",".join(SERVICES),
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "0",
            "S3_PERSIST": "0",
            "STATE_DIR": str(run_dir / "state"),
            "S3_DATA_DIR": str(run_dir / "s3"),
            "LAMBDA_EXECUTOR": "local",
            "DOCKER_HOST": f"unix://{run_dir}/no-docker.sock",
            "SFN_WAIT_SCALE": str(wait_scale),
            "TMPDIR": str(temporary),
        }
    )
    # Lambda workers inherit the environment and must find their code in their bundle, not in this checkout.
    os.environ.pop("PYTHONPATH", None)


class Emulator:
    """MiniStack behind an ASGI interface, with its life tied to ours."""

    def __init__(self, port: int, run_dir: Path) -> None:
        from ministack import app

        self._app = app
        self._port = port
        self._run_dir = run_dir
        self._lifespan: asyncio.Task[None] | None = None
        # Start scripts of other emulators' containers are none of ours.
        app._collect_scripts = lambda *_directories: []

    @property
    def services(self) -> list[str]:
        """The names of the services that are served."""
        return sorted(self._app.SERVICE_HANDLERS)

    @property
    def version(self) -> str:
        """MiniStack's version."""
        return importlib.metadata.version("ministack")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        await self._app.app(scope, receive, send)

    async def open(self) -> None:
        """Run MiniStack's start-up: worker threads and schedulers."""
        started: asyncio.Event = asyncio.Event()
        asked = [{"type": "lifespan.startup"}]

        async def receive() -> dict[str, str]:
            if asked:
                return asked.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "lifespan.startup.complete":
                started.set()

        self._lifespan = asyncio.create_task(self._app.app({"type": "lifespan"}, receive, send))
        await started.wait()

    async def close(self) -> None:
        """End the Lambda workers. MiniStack's own shutdown would import services that never ran."""
        from ministack.core import lambda_runtime

        if self._lifespan is not None:
            self._lifespan.cancel()
        await asyncio.to_thread(lambda_runtime.reset)


def connect(*, port: int, run_dir: Path) -> Emulator:
    """MiniStack with everything of ours plugged in."""
    return Emulator(port, run_dir)
