from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from sandbox import calls
from sandbox.calls import Request
from sandbox.gateway import Gateway


class FakeEmulator:
    """Remembers what reached it, and answers 200."""

    def __init__(self, service: str = "sagemaker") -> None:
        self.services = ["s3", "sagemaker"]
        self.sagemaker = {"Endpoint": 1}
        self.service = service
        self.bodies: list[bytes] = []
        self.chunks = 0
        self.call: calls.Call | None = None
        self.log: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.call = calls.current.get()
        body = b""
        while True:
            message = await receive()
            self.chunks += 1
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def service_of(self, _request: Request) -> str:
        return self.service

    def s3_path(self, _host: str, path: str) -> str:
        return path

    async def open(self) -> None:
        self.log.append("open")

    async def close(self) -> None:
        self.log.append("close")


def ask(
    emulator: FakeEmulator,
    body: bytes | list[bytes] = b"",
    method: str = "POST",
    path: str = "/",
    **headers: str,
) -> tuple[int, dict[str, str], bytes]:
    """One request through a gateway; header names are written with underscores."""
    chunks = [body] if isinstance(body, bytes) else body
    messages = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
        for number, chunk in enumerate(chunks, start=1)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    given = {"host": "127.0.0.1:4566"} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    asyncio.run(Gateway(emulator, pid=7)(scope, receive, send))
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, sent[1]["body"]


def test_the_health_page_names_process_and_services() -> None:
    status, _, body = ask(FakeEmulator(), method="GET", path="/_upkeep/health")
    health = json.loads(body)
    assert status == 200
    assert (health["pid"], health["services"], health["sagemaker"]) == (
        7,
        ["s3", "sagemaker"],
        {"Endpoint": 1},
    )


def test_a_good_call_reaches_the_emulator_whole() -> None:
    emulator = FakeEmulator()
    parts = [b'{"EndpointName"', b': "e"}']
    assert ask(emulator, parts, x_amz_target="SageMaker.DescribeEndpoint")[0] == 200
    assert emulator.bodies == [b"".join(parts)]
    assert emulator.call == calls.Call("sagemaker", "DescribeEndpoint", "json", {"EndpointName": "e"})


def test_a_malformed_call_does_not() -> None:
    emulator = FakeEmulator()
    status, headers, body = ask(
        emulator, b'{"EndpointName": "e_"}', x_amz_target="SageMaker.DescribeEndpoint"
    )
    assert (status, headers["x-amzn-errortype"], emulator.bodies) == (400, "ValidationException", [])
    assert "endpointName" in json.loads(body)["message"]


def test_a_query_service_is_refused_in_xml() -> None:
    form = "application/x-www-form-urlencoded"
    status, headers, body = ask(FakeEmulator("iam"), b"Action=GetRole&RoleName=a%20b", content_type=form)
    assert (status, headers["content-type"]) == (400, "text/xml")
    assert b"<Code>ValidationError</Code>" in body


def test_s3_is_refused_in_its_xml() -> None:
    status, headers, body = ask(FakeEmulator("s3"), method="PUT", path="/Bad_Bucket")
    assert (status, headers["content-type"]) == (400, "application/xml")
    assert b"<Code>InvalidBucketName</Code>" in body


def test_an_objects_content_streams_through_unread() -> None:
    emulator = FakeEmulator("s3")
    assert ask(emulator, [b"a", b"b", b"c"], method="PUT", path="/bucket/key")[0] == 200
    assert (emulator.bodies, emulator.chunks) == ([b"abc"], 3)


def test_a_compressed_body_is_read_and_passed_on_as_it_came() -> None:
    emulator = FakeEmulator("monitoring")
    body = gzip.compress(json.dumps({"Namespace": "AWS/X", "MetricData": []}).encode())
    status, _, answer = ask(
        emulator, body, x_amz_target="GraniteServiceVersion20100801.PutMetricData", content_encoding="gzip"
    )
    assert (status, json.loads(answer)["__type"]) == (400, "InvalidParameterValue")


def test_a_body_that_is_not_what_it_says_is_refused() -> None:
    status, _, body = ask(FakeEmulator(), b"{", x_amz_target="SageMaker.ListModels")
    assert (status, json.loads(body)["__type"]) == (400, "SerializationException")
    status, _, body = ask(FakeEmulator(), b"no", x_amz_target="SageMaker.ListModels", content_encoding="gzip")
    assert (status, json.loads(body)["__type"]) == (400, "SerializationException")


@pytest.mark.parametrize("host", ["evil.example.com", "evil.example.com:4566", "127.0.0.1.example.com"])
def test_a_name_that_is_not_the_sandboxs_is_turned_away(host: str) -> None:
    emulator = FakeEmulator()
    status = ask(emulator, b"{}", x_amz_target="SageMaker.ListModels", host=host)[0]
    assert (status, emulator.bodies) == (403, [])


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:4566", "bucket.localhost:4566", "s3.us-east-1.amazonaws.com"]
)
def test_the_sandboxs_names_are_let_in(host: str) -> None:
    assert ask(FakeEmulator(), b"{}", x_amz_target="SageMaker.ListModels", host=host)[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "https://evil.example.com"},
        {"origin": "http://bucket.s3-website-us-east-1.amazonaws.com"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
    ],
)
def test_a_page_of_another_site_is_turned_away(sent: dict[str, Any]) -> None:
    emulator = FakeEmulator()
    assert ask(emulator, b"{}", x_amz_target="SageMaker.ListModels", **sent)[0] == 403
    assert ask(emulator, method="OPTIONS", **sent)[0] == 403
    assert emulator.bodies == []


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:8000"])
def test_a_page_of_this_machine_is_let_in(origin: str) -> None:
    assert ask(FakeEmulator(), b"{}", x_amz_target="SageMaker.ListModels", origin=origin)[0] == 200


def test_a_web_socket_is_closed_unopened() -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    asyncio.run(Gateway(FakeEmulator(), pid=7)({"type": "websocket", "path": "/"}, receive, send))
    assert sent == [{"type": "websocket.close"}]


def test_an_emulator_that_cannot_start_fails_the_server_with_the_reason() -> None:
    class Broken(FakeEmulator):
        async def open(self) -> None:
            raise RuntimeError("no room")

    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    with pytest.raises(RuntimeError):
        asyncio.run(Gateway(Broken(), pid=7)({"type": "lifespan"}, receive, send))
    assert sent == [{"type": "lifespan.startup.failed", "message": "RuntimeError: no room"}]


@pytest.mark.parametrize("path", ["/_ministack/reset", "/_ministack/config"])
def test_the_emulators_own_switches_are_closed(path: str) -> None:
    emulator = FakeEmulator()
    assert ask(emulator, path=path)[0] == 404
    assert emulator.bodies == []


def test_the_emulator_lives_as_long_as_the_server() -> None:
    emulator = FakeEmulator()
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])

    asyncio.run(Gateway(emulator, pid=7)({"type": "lifespan"}, receive, send))
    assert emulator.log == ["open", "close"]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
