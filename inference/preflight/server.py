"""The challenger's server: the container's own `serve`, started, watched and always stopped."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inference.preflight.recorded import Recorded

HOST = "127.0.0.1"
# The platform gives a ping 2 s and asks again; the first one waits here while the model loads.
PING_SECONDS = 10.0
# Not every failed ping is the end: a server whose port is open may not have its worker yet.
BAD_PINGS = 3
_POLL_SECONDS = 0.02
_STOP_SECONDS = 5.0
# InvokeEndpoint waits as long: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
REQUEST_SECONDS = 60.0
_SHOWN_LINES = 30
_ERROR = re.compile(r"^[\w.]*(?:Error|Exception|Exit|Interrupt)\b.*")


class ServerError(Exception):
    """The server does not work; the text says what it did instead."""


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        status: 0 when there was none.
        body: The content, or why there was no answer.
        content_type: Of the content.
        milliseconds: From the first byte sent to the last one received.
    """

    status: int
    body: bytes
    content_type: str
    milliseconds: float

    @property
    def words(self) -> str:
        """Status and the start of the content, for people."""
        text = " ".join(self.body[:300].decode("utf-8", "replace").split())
        return f"{self.status or 'no answer'}: {text}"


class Server:
    """One model server.

    It runs without nginx, which would add its own time to every answer and, with its fixed files, is made for
    one server per container.

    Args:
        environment: The container's variables, the model's own among them.
        log: Where its output goes.
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.port = _free_port()
        self._environment = dict(environment) | {
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            "SAGEMAKER_USE_NGINX": "false",
            # One request is asked at a time; a second worker would only load the model again.
            "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        }
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it.

        Raises:
            ServerError: The image has no `serve`.
        """
        with self._log.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    ["serve"],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise ServerError(f"the container cannot start its server: {error}") from error

    def wait_until_ready(self, seconds: float) -> float:
        """Wait for the first good ping; gives the seconds since this was called.

        Raises:
            ServerError: The server ended, cannot load the model, or the time is over.
        """
        begun = time.monotonic()
        bad = 0
        while (left := seconds - (time.monotonic() - begun)) > 0:
            if self._process is None or self._process.poll() is not None:
                code = None if self._process is None else self._process.returncode
                raise ServerError(f"the server ended with exit code {code} before it answered{self._why()}")
            reply = self._send("GET", "/ping", b"", {}, min(PING_SECONDS, left))
            if reply.status == http.HTTPStatus.OK:
                return time.monotonic() - begun
            bad += reply.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR
            if bad >= BAD_PINGS:
                raise ServerError(f"the server answers /ping with {reply.status}{self._why()}")
            time.sleep(_POLL_SECONDS if reply.status == 0 else 10 * _POLL_SECONDS)
        raise ServerError(f"the server did not answer /ping within {seconds:g} s{self._why(error_only=True)}")

    def ask(self, request: Recorded, seconds: float = REQUEST_SECONDS) -> Reply:
        """Send one request to /invocations on a connection of its own, as the platform's front does."""
        headers = {"Content-Type": request.content_type, "Accept": request.accept}
        return self._send("POST", "/invocations", request.body, headers, seconds)

    def stop(self) -> None:
        """End it and everything it started; a second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        # Nobody is asking any more, so there is nothing to finish.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)

    def last_lines(self, count: int = _SHOWN_LINES) -> list[str]:
        """The end of its output."""
        try:
            return self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
        except OSError:
            return []

    def _why(self, *, error_only: bool = False) -> str:
        """The last line of its output that names an error, else the last line, to follow a sentence."""
        lines = [line.strip() for line in self.last_lines(400) if line.strip()]
        named = [line for line in lines if _ERROR.match(line)]
        last = (named or ([] if error_only else lines) or [""])[-1]
        return f": {last[:400]}" if last else ""

    def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Reply:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=max(seconds, 0.001))
        begun = time.perf_counter()
        try:
            connection.request(method, path, body=body or None, headers=dict(headers))
            answer = connection.getresponse()
            content = answer.read()
            status, kind = answer.status, answer.getheader("Content-Type") or ""
        except TimeoutError:
            status, kind, content = 0, "", f"nothing within {seconds:.1f} s".encode()
        except (OSError, http.client.HTTPException) as error:
            status, kind, content = 0, "", f"{type(error).__name__}: {error}".encode()
        finally:
            connection.close()
        return Reply(status, content, kind, (time.perf_counter() - begun) * 1000)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])
