"""What the service asks of the thing that runs containers, so that tests can run none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sandbox.containers.requests import ProcessingRequest, ServingRequest, TrainingRequest

__all__ = [
    "Containers",
    "JobContainer",
    "OnLine",
    "ProcessingRequest",
    "ServerContainer",
    "ServingRequest",
    "TrainingRequest",
]

OnLine = Callable[[str], None]


class JobContainer(Protocol):
    """A container that runs to its end."""

    def start(self) -> None:
        """Start the process."""
        ...

    def wait(self, timeout_seconds: float | None) -> int | None:
        """The exit code, or None when it still runs after that time."""
        ...

    def stop(self, grace_seconds: float = 120) -> None:
        """SIGTERM, then SIGKILL after the grace; returns when the process is gone."""
        ...

    def failure_text(self) -> str:
        """What the container left in its failure file, or nothing."""
        ...


class ServerContainer(Protocol):
    """A container that answers /ping and /invocations."""

    def start(self) -> None:
        """Start the process."""
        ...

    def alive(self) -> bool:
        """Whether the process runs."""
        ...

    def ping_status(self, timeout_seconds: float = 2.0) -> int:
        """The status of the answer to GET /ping: 502 while nobody listens, 0 when it took too long."""
        ...

    def request(
        self, method: str, path: str, body: bytes, headers: dict[str, str], timeout_seconds: float
    ) -> tuple[int, dict[str, str], bytes]:
        """One request; raises TimeoutError when it took too long, OSError when the connection broke."""
        ...

    def stop(self, grace_seconds: float = 30) -> None:
        """SIGTERM, then SIGKILL after the grace; returns when the process is gone."""
        ...


class Containers(Protocol):
    """Makes containers of the scikit-learn image."""

    def training(self, request: TrainingRequest, on_line: OnLine) -> JobContainer:
        """A training container, not started."""
        ...

    def serving(self, request: ServingRequest, on_line: OnLine) -> ServerContainer:
        """A serving container, not started."""
        ...

    def processing(self, request: ProcessingRequest, on_line: OnLine) -> JobContainer:
        """A processing container, not started."""
        ...
