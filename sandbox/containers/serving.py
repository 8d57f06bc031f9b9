"""A serving container: the image's `serve` on a materialised /opt/ml, reached over a unix socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.containers.container import Container
from sandbox.containers.front import Answer, Front
from sandbox.containers.requests import ServingRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.image import Image

# The platform's limits: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
PING_TIMEOUT_SECONDS = 2.0
STOP_GRACE_SECONDS = 30.0
# SAGEMAKER_MODEL_SERVER_TIMEOUT's default in sagemaker_containers/_env.py.
SERVER_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class ServingSpec(ServingRequest):
    """A model server and the image environment to run it in."""

    image: Image


class ServingContainer(Container):
    """Runs one model server until it is stopped or ends by itself.

    Requests under way are finished when it is stopped. A server that is still installing its code does not
    handle SIGTERM yet.
    """

    stop_grace_seconds = STOP_GRACE_SECONDS

    def __init__(self, spec: ServingSpec, on_line: Callable[[str], None]) -> None:
        super().__init__(spec, spec.image, on_line)
        timeout = spec.environment.get("SAGEMAKER_MODEL_SERVER_TIMEOUT", "")
        seconds = float(timeout) if timeout.isdecimal() else SERVER_TIMEOUT_SECONDS
        self._front = Front(self._tree.socket, seconds)

    def start(self) -> None:
        """Start the server; it listens after it has built and installed the user's code, some seconds later.

        Raises:
            ValueError: The tree's path is too long.
        """
        self._tree.make()
        # The sandbox stands where nginx stands in the image (front.py).
        self._launch(["serve"], SAGEMAKER_USE_NGINX="false", UPKEEP_GUNICORN_SOCKET=str(self._tree.socket))

    def ping(self, timeout_seconds: float = PING_TIMEOUT_SECONDS) -> bool:
        """Whether GET /ping answers 200 in time."""
        return self.ping_status(timeout_seconds) == 200

    def ping_status(self, timeout_seconds: float = PING_TIMEOUT_SECONDS) -> int:
        """The status of the answer to GET /ping: 502 while nobody listens, 0 when it took too long."""
        try:
            return self.request("GET", "/ping", b"", {}, timeout_seconds)[0]
        except TimeoutError:
            return 0

    def request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float
    ) -> Answer:
        """Send one request as nginx would pass it on; gives status, headers, body.

        502 while the server does not listen or when a worker dies, 504 when the server's own timeout passes.

        Raises:
            TimeoutError: `timeout_seconds` passed first.
        """
        return self._front.request(method, path, body, headers, timeout_seconds)
