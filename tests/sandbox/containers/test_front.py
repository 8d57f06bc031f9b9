"""What stands where nginx stands in the image, against a small server on a unix socket."""

from __future__ import annotations

import shutil
import socketserver
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from sandbox.containers.front import Front

PATIENCE = 5.0


class Handler(BaseHTTPRequestHandler):
    """Answers with the request's headers; waits when told to, hangs up when told to."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        order = self.headers.get("X-Order", "")
        if order == "hang up":
            return
        time.sleep(float(order or 0))
        body = ",".join(sorted(self.headers.keys())).encode()
        self.send_response(201)
        self.send_header("X-Own", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="uk-"))
    with Server(str(folder / "s"), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield folder / "s"
        server.shutdown()
    shutil.rmtree(folder)


def test_an_answer_comes_back_with_status_headers_and_body(path: Path) -> None:
    status, headers, body = Front(path, PATIENCE).request(
        "POST", "/invocations", b"x", {"X-A": "1"}, PATIENCE
    )
    assert (status, headers["X-Own"]) == (201, "1")
    assert b"X-A" in body
    assert "Server" not in headers


def test_headers_with_underscores_are_dropped(path: Path) -> None:
    _, _, body = Front(path, PATIENCE).request("POST", "/invocations", b"x", {"X_A": "1"}, PATIENCE)
    assert b"X_A" not in body


@pytest.mark.parametrize("path_asked", ["/", "/metrics", "/v1/invocations"])
def test_other_paths_are_404_without_asking_anybody(path_asked: str, tmp_path: Path) -> None:
    front = Front(tmp_path / "nobody", PATIENCE)
    assert front.request("GET", path_asked, b"", {}, PATIENCE)[::2] == (404, b"{}")


def test_nobody_listening_is_502(tmp_path: Path) -> None:
    assert Front(tmp_path / "nobody", PATIENCE).request("GET", "/ping", b"", {}, PATIENCE)[0] == 502


def test_a_broken_connection_is_502(path: Path) -> None:
    answer = Front(path, PATIENCE).request("POST", "/invocations", b"", {"X-Order": "hang up"}, PATIENCE)
    assert answer[0] == 502


def test_the_servers_timeout_is_504(path: Path) -> None:
    answer = Front(path, 0.1).request("POST", "/invocations", b"", {"X-Order": "0.4"}, PATIENCE)
    assert answer[0] == 504
    assert b"504 Gateway Time" in answer[2]


def test_the_callers_shorter_timeout_is_raised(path: Path) -> None:
    with pytest.raises(TimeoutError):
        Front(path, PATIENCE).request("POST", "/invocations", b"", {"X-Order": "0.4"}, 0.1)
