"""MiniStack with everything of ours plugged in."""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import asyncio
from typing import Any

from sandbox import calls
from sandbox.seam.account import Account
from sandbox.seam.alarms import Watch
from sandbox.seam.buckets import complete_buckets
from sandbox.seam.deliveries import check_deliveries
from sandbox.seam.encryption import guard_objects, guard_polling
from sandbox.seam.functions import share_processors
from sandbox.seam.guard import guard, teach_resources
from sandbox.seam.internals import check, ministack
from sandbox.seam.logs import complete_logs
from sandbox.seam.machines import extend_state_machines
from sandbox.seam.sagemaker import SageMakerHandler, route_sagemaker
from sandbox.seam.sessions import limit_sessions


class Emulator:
    """MiniStack with SageMaker beside it, behind an ASGI interface, its life tied to ours."""

    def __init__(self, sagemaker: Any, watch: Watch) -> None:
        self._app = ministack("app")
        self._sagemaker = sagemaker
        self._watch = watch
        self._lifespan: asyncio.Task[None] | None = None

    @property
    def services(self) -> list[str]:
        """The names of the services that are served."""
        return sorted(self._app.SERVICE_HANDLERS)

    @property
    def sagemaker(self) -> dict[str, int]:
        """How many of each thing SageMaker holds."""
        counts: dict[str, int] = self._sagemaker.counts()
        return counts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            # What arrives on 127.0.0.1 counts as sent over TLS: a bucket that refuses anything else, as every
            # well-kept one does, would be of no use here.
            secure = (b"x-forwarded-proto", b"https")
            scope = {**scope, "headers": [*scope["headers"], secure]}
        await self._app.app(scope, receive, send)

    def service_of(self, request: calls.Request) -> str:
        """MiniStack's name for the service a request is for."""
        router = ministack("core.router")
        return str(
            router.detect_service(request.method, request.path, dict(request.headers), dict(request.query))
        )

    def s3_path(self, host: str, path: str) -> str:
        """A request's path with the bucket in front, also when the bucket is in the host name."""
        bucket = self._app._extract_s3_vhost_bucket(host)
        return f"/{bucket}{path}" if bucket else path

    async def open(self) -> None:
        """Run MiniStack's start-up: worker threads and schedulers. Raises RuntimeError when it fails."""
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
        ready = asyncio.create_task(started.wait())
        await asyncio.wait({ready, self._lifespan}, return_when=asyncio.FIRST_COMPLETED)
        if not started.is_set():
            ready.cancel()
            raise RuntimeError("MiniStack's start-up failed") from self._lifespan.exception()
        self._watch.open()

    async def close(self) -> None:
        """End jobs, endpoints and Lambda workers; MiniStack's own shutdown imports much that never ran."""
        if self._lifespan is not None:
            self._lifespan.cancel()
        self._watch.close()
        await self._sagemaker.close()
        await asyncio.to_thread(ministack("core.lambda_runtime").reset)


def connect(account: Account, sagemaker: Any) -> Emulator:
    """MiniStack with everything of ours plugged in. Raises RuntimeError when it does not fit (`check`)."""
    check()
    app = ministack("app")
    # Start scripts of other emulators' containers are none of ours.
    app._collect_scripts = lambda *_directories: []
    route_sagemaker()
    teach_resources()
    extend_state_machines(account.endpoint_url)
    check_deliveries()
    share_processors()
    limit_sessions()
    guard_objects()
    guard_polling()
    complete_buckets()
    complete_logs(account)
    app.SERVICE_HANDLERS["sagemaker"] = SageMakerHandler(sagemaker)
    for service in ("sagemaker", "lambda", "states", "events", "scheduler", "sns", "sqs", "dynamodb"):
        app.SERVICE_HANDLERS[service] = guard(service, app.SERVICE_HANDLERS[service])
    return Emulator(sagemaker, Watch())
