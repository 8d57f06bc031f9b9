"""What every container of the image environment is: a tree, a layer, a process cut off as asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.containers.environment import container_environment
from sandbox.containers.isolation import NOTICE, isolation_mode
from sandbox.containers.layer import make_layer
from sandbox.containers.process import ContainerProcess
from sandbox.containers.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.containers.requests import ContainerRequest
    from sandbox.image import Image


class Container:
    """Runs one command in the image environment.

    Args:
        request: What was asked for.
        image: The image environment.
        on_line: Gets every line of output, from a thread of the container's.
    """

    stop_grace_seconds = 120.0

    def __init__(self, request: ContainerRequest, image: Image, on_line: Callable[[str], None]) -> None:
        self._container_request = request
        self._image = image
        self._tree = Tree(request.tree)
        self._on_line = on_line
        self._process: ContainerProcess | None = None

    def _launch(self, command: Sequence[str], **variables: str) -> None:
        """Start the command, with these variables beside the usual ones; the tree is made already."""
        request, python = self._container_request, self._image.python
        make_layer(self._tree.venv, self._image)
        network = isolation_mode(python) if request.network_isolation else "host"
        if request.network_isolation and network == "host":
            self._on_line(NOTICE)
        self._process = ContainerProcess(
            command,
            environment=container_environment(self._tree, request, network) | variables,
            cwd=self._tree.working_directory,
            python=python,
            network=network,
            on_line=self._on_line,
        )
        self._process.start()

    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.alive()

    def wait(self, timeout_seconds: float | None) -> int | None:
        """Wait for the end and the last line; gives the exit code, or None when the time is over."""
        return None if self._process is None else self._process.wait(timeout_seconds)

    def stop(self, grace_seconds: float | None = None) -> None:
        """Stop as the platform does: SIGTERM to the command, SIGKILL to everything after the grace.

        Returns when everything has ended.
        """
        if self._process is not None:
            self._process.stop(self.stop_grace_seconds if grace_seconds is None else grace_seconds)

    def _left_behind(self, name: str) -> str:
        """What a file in /opt/ml/output says; empty when there is none."""
        try:
            return (self._tree.output / name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
