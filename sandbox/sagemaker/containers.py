"""What the service asks of the thing that runs containers, so that tests can run none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

OnLine = Callable[[str], None]


@dataclass(frozen=True)
class TrainingRequest:
    """One training container; the channels' data lies in `tree/input/data/<name>`."""

    job_name: str
    tree: Path
    hyperparameters: dict[str, str]
    environment: dict[str, str]
    channels: dict[str, dict[str, Any]]
    instance_type: str
    instance_count: int
    network_isolation: bool
    credentials: dict[str, str] | None
    region: str
    endpoint_url: str
    entrypoint: list[str] | None
    arguments: list[str] | None


@dataclass(frozen=True)
class ServingRequest:
    """One serving container; the model data is unpacked in `tree/model`."""

    name: str
    tree: Path
    environment: dict[str, str]
    network_isolation: bool
    credentials: dict[str, str] | None
    region: str
    endpoint_url: str


@dataclass(frozen=True)
class ProcessingRequest:
    """One processing container; `/opt/ml/processing/...` is `tree/processing/...`."""

    job_name: str
    tree: Path
    environment: dict[str, str]
    network_isolation: bool
    credentials: dict[str, str] | None
    region: str
    endpoint_url: str
    entrypoint: list[str]
    arguments: list[str]


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

    def ping(self, timeout_seconds: float = 2.0) -> bool:
        """Whether GET /ping answers 200 in time."""
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
