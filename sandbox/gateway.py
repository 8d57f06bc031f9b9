"""The ASGI application of the sandbox: health, strict validation, then the emulator."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Emulator(Protocol):
    """What serves the requests."""

    @property
    def services(self) -> list[str]:
        """The names of the services that are served."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

    async def open(self) -> None:
        """Get ready."""

    async def close(self) -> None:
        """End everything that was started."""


class Gateway:
    """Answers `/_upkeep/health` and passes everything else on."""

    def __init__(self, emulator: Emulator, pid: int) -> None:
        self._emulator = emulator
        self._pid = pid

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the life of the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and scope["path"] == "/_upkeep/health":
            await _answer(send, 200, self._health())
        else:
            await self._emulator(scope, receive, send)

    def _health(self) -> dict[str, Any]:
        return {
            "version": importlib.metadata.version("upkeep"),
            "pid": self._pid,
            "services": self._emulator.services,
        }

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._emulator.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._emulator.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _answer(send: Send, status: int, content: dict[str, Any]) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
