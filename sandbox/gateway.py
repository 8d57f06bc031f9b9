"""The ASGI application of the sandbox: health, strict validation, then the emulator."""

from __future__ import annotations

import gzip
import importlib.metadata
import json
import uuid
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from botocore.exceptions import UnknownServiceError

from sandbox import calls, strict
from sandbox.calls import Call, Request
from sandbox.strict import Refusal

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# The emulator's own pages that would change its state behind the back of the rest.
_CLOSED = ("/_ministack/reset", "/_ministack/config")
_OWN_HOSTS = ("localhost", "127.0.0.1")
_OWN_SUFFIXES = (".localhost", ".localhost.localstack.cloud", ".amazonaws.com")


class Emulator(Protocol):
    """What serves the requests."""

    @property
    def services(self) -> list[str]:
        """The names of the services that are served."""

    @property
    def sagemaker(self) -> dict[str, int]:
        """How many of each thing SageMaker holds."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

    def service_of(self, request: Request) -> str:
        """The emulator's name for the service a request is for."""

    def s3_path(self, host: str, path: str) -> str:
        """A request's path with the bucket in front."""

    async def open(self) -> None:
        """Get ready."""

    async def close(self) -> None:
        """End everything that was started."""


class Gateway:
    """Answers `/_upkeep/health`, refuses malformed calls, and passes everything else on."""

    def __init__(self, emulator: Emulator, pid: int) -> None:
        self._emulator = emulator
        self._pid = pid

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the life of the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close"})  # none of the services speaks it

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        if not _is_ours(headers.get("host", "")):
            # A web page that rebinds its own name to 127.0.0.1 must not reach the sandbox.
            await _answer(send, 403, {"error": f"{headers.get('host')} is not a name of the sandbox."})
        elif _is_from_elsewhere(headers):
            await _answer(send, 403, {"error": "Pages of other sites may not use the sandbox."})
        elif path == "/_upkeep/health":
            await _answer(send, 200, self._health())
        elif path in _CLOSED:
            await _answer(send, 404, {"error": f"{path} is closed: restart the sandbox instead."})
        elif path.startswith(("/_ministack/", "/_localstack/")) or path == "/health":
            await self._emulator(scope, receive, send)
        else:
            await self._serve_call(scope, headers, receive, send)

    async def _serve_call(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        path = self._emulator.s3_path(headers.get("host", ""), scope["path"])
        request = Request(scope["method"], path, query, headers)
        service = self._emulator.service_of(request)
        if not _carries_object(service, request):
            body, receive = await _whole_body(receive)
            request = Request(
                request.method, path if service == "s3" else scope["path"], query, headers, body
            )
        call, refusal = _examine(calls.botocore_name(service, request.path), request)
        calls.current.set(call)
        if refusal is None:
            await self._emulator(scope, receive, send)
        else:
            await _refuse(send, service, refusal, headers)

    def _health(self) -> dict[str, Any]:
        return {
            "version": importlib.metadata.version("upkeep"),
            "pid": self._pid,
            "services": self._emulator.services,
            "sagemaker": self._emulator.sagemaker,
        }

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._emulator.open()
        except Exception as error:
            # Raised through, it would be a warning only, and the server would go on without an emulator.
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._emulator.close()
        await send({"type": "lifespan.shutdown.complete"})


def _is_ours(host: str) -> bool:
    name = host.rpartition(":")[0] if ":" in host else host
    return not name or name in _OWN_HOSTS or name.endswith(_OWN_SUFFIXES)


def _is_from_elsewhere(headers: dict[str, str]) -> bool:
    """Whether a browser sends this for a page that is not from this machine.

    Such a page could otherwise create and run functions here: a cross-origin POST needs nobody's consent.
    """
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site") == "cross-site"
    name = urlsplit(origin).hostname or ""
    return name not in _OWN_HOSTS and not name.endswith(".localhost")


def _carries_object(service: str, request: Request) -> bool:
    """Whether the body is an object's content, which streams through unread."""
    return service == "s3" and request.method == "PUT" and "/" in request.path.strip("/")


async def _whole_body(receive: Receive) -> tuple[bytes, Receive]:
    """Read a request's body, and give it to whoever reads next."""
    messages = []
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    waiting = list(messages)

    async def again() -> dict[str, Any]:
        return waiting.pop(0) if waiting else await receive()

    return b"".join(message.get("body", b"") for message in messages), again


def _examine(service: str, request: Request) -> tuple[Call | None, Refusal | None]:
    """The call a request makes, and why it is refused."""
    try:
        if service != "s3" and "gzip" in request.headers.get("content-encoding", ""):
            body = gzip.decompress(request.body)
            request = Request(request.method, request.path, request.query, request.headers, body)
        call = calls.read(service, request)
    except UnknownServiceError:
        return None, None
    except (calls.UnreadableError, OSError, EOFError, zlib.error) as error:
        return None, Refusal("SerializationException", str(error))
    return call, strict.check(call) if call is not None else None


async def _refuse(send: Send, service: str, refusal: Refusal, headers: dict[str, str]) -> None:
    """Answer with an error in the protocol the request came in."""
    request_id = str(uuid.uuid4())
    if service == "s3":
        content = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{escape(refusal.code)}</Code><Message>{escape(refusal.message)}</Message>"
            f"<RequestId>{request_id}</RequestId></Error>"
        )
        await _send(send, 400, "application/xml", content.encode(), request_id)
    elif "x-amz-target" not in headers and "form-urlencoded" in headers.get("content-type", ""):
        content = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(refusal.code)}</Code>"
            f"<Message>{escape(refusal.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        await _send(send, 400, "text/xml", content.encode(), request_id)
    else:
        error = {"__type": refusal.code, "message": refusal.message}
        extra = [(b"x-amzn-errortype", refusal.code.encode())]
        await _send(send, 400, "application/x-amz-json-1.1", json.dumps(error).encode(), request_id, extra)


async def _answer(send: Send, status: int, content: dict[str, Any]) -> None:
    await _send(send, status, "application/json", json.dumps(content).encode(), str(uuid.uuid4()))


async def _send(
    send: Send,
    status: int,
    content_type: str,
    body: bytes,
    request_id: str,
    extra: list[tuple[bytes, bytes]] | None = None,
) -> None:
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-requestid", request_id.encode()),
        *(extra or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
