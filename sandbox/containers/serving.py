"""A serving container: the image's `serve` on a materialised /opt/ml, reached over a unix socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.containers.environment import container_environment
from sandbox.containers.front import Answer, Front
from sandbox.containers.isolation import NOTICE, isolation_mode
from sandbox.containers.layer import make_layer
from sandbox.containers.process import ContainerProcess
from sandbox.containers.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sandbox.image import Image

# The platform's limits: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
PING_TIMEOUT_SECONDS = 2.0
STOP_GRACE_SECONDS = 30.0
# SAGEMAKER_MODEL_SERVER_TIMEOUT's default in sagemaker_containers/_env.py.
SERVER_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class ServingSpec:
    """One instance of a model server.

    Attributes:
        name: For messages.
        tree: A folder with the model's data already unpacked in model/.
        image: The image environment.
        environment: The model's own variables.
        network_isolation: Whether to cut the container off.
        credentials: The role's AWS_* variables; not given to an isolated container.
        region: The region's name.
        endpoint_url: Where the container finds AWS.
    """

    name: str
    tree: Path
    image: Image
    environment: dict[str, str]
    network_isolation: bool
    credentials: dict[str, str] | None
    region: str
    endpoint_url: str


class ServingContainer:
    """Runs one model server until it is stopped or ends by itself.

    Args:
        spec: The server.
        on_line: Gets every line of output, from a thread of the container's.
    """

    def __init__(self, spec: ServingSpec, on_line: Callable[[str], None]) -> None:
        self._spec = spec
        self._tree = Tree(spec.tree)
        self._on_line = on_line
        timeout = spec.environment.get("SAGEMAKER_MODEL_SERVER_TIMEOUT", "")
        seconds = float(timeout) if timeout.isdigit() else SERVER_TIMEOUT_SECONDS
        self._front = Front(self._tree.socket, seconds)
        self._process: ContainerProcess | None = None

    def start(self) -> None:
        """Start the server; it listens after it has built and installed the user's code, some seconds later.

        Raises:
            ValueError: The tree's path is too long.
        """
        spec, tree = self._spec, self._tree
        tree.make()
        make_layer(tree.venv, spec.image)
        network = isolation_mode(spec.image.python) if spec.network_isolation else "host"
        if spec.network_isolation and network == "host":
            self._on_line(NOTICE)
        environment = container_environment(tree, spec, network) | {
            # The sandbox stands where nginx stands in the image (front.py).
            "SAGEMAKER_USE_NGINX": "false",
            "UPKEEP_GUNICORN_SOCKET": str(tree.socket),
        }
        self._process = ContainerProcess(
            ["serve"],
            environment=environment,
            cwd=tree.working_directory,
            python=spec.image.python,
            network=network,
            on_line=self._on_line,
        )
        self._process.start()

    def alive(self) -> bool:
        """Whether the server process runs, listening or not."""
        return self._process is not None and self._process.alive()

    def wait(self, timeout_seconds: float | None) -> int | None:
        """Wait for the end and the last line; gives the exit code, or None when the time is over."""
        return None if self._process is None else self._process.wait(timeout_seconds)

    def ping(self, timeout_seconds: float = PING_TIMEOUT_SECONDS) -> bool:
        """Whether GET /ping answers 200 in time."""
        try:
            return self.request("GET", "/ping", b"", {}, timeout_seconds)[0] == 200
        except TimeoutError:
            return False

    def request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float
    ) -> Answer:
        """Send one request as nginx would pass it on; gives status, headers, body.

        502 while the server does not listen or when a worker dies, 504 when the server's own timeout passes.

        Raises:
            TimeoutError: `timeout_seconds` passed first.
        """
        return self._front.request(method, path, body, headers, timeout_seconds)

    def stop(self, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """Stop as the platform does: SIGTERM, requests under way are finished, SIGKILL after the grace.

        A server that is still installing its code does not handle SIGTERM yet. Returns when all has ended.
        """
        if self._process is not None:
            self._process.stop(grace_seconds)
