"""What the parts of the engine share during one operation on one stack."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from . import urns
from .events import Diagnostic, Listener, Step, StepFinished, StepStarted
from .interface import Difference, Provider, ProviderError
from .project import Project
from .state import Checkpoint, Resource
from .values import Properties, Secret, has_secret

T = TypeVar("T")


class ResourceFailedError(Exception):
    """A resource cannot be planned, or its operation failed; the message says why."""


@dataclass
class Plan:
    """What is to be done to bring one resource to the wanted state.

    doomed: what has to be deleted before the old resource can be, in that order. users: ends of operations
    that stop using it in this run. wait_for: the deletion of this one by the replacement of another.
    """

    step: Step
    new: Resource
    old: Resource | None
    provider: Provider | None
    difference: Difference = field(default_factory=Difference)
    doomed: list[Resource] = field(default_factory=list)
    users: list[threading.Event] = field(default_factory=list)
    wait_for: threading.Event | None = None

    @property
    def old_is_gone(self) -> bool:
        """Whether nothing of the old resource is left to delete."""
        return self.old is None or self.old.pending_replacement


class Run:
    """One operation (preview, update, refresh or destroy) on one stack."""

    def __init__(
        self, project: Project, checkpoint: Checkpoint, listener: Listener, *, dry_run: bool, parallel: int
    ) -> None:
        self.project = project
        self.checkpoint = checkpoint
        self.dry_run = dry_run
        self.parallel = parallel
        self.steps: list[Step] = []
        self.failures: list[str] = []
        self.cancelled = threading.Event()
        # Held while a resource is planned; the maps below change only then.
        self.planning = threading.RLock()
        self.slots = threading.BoundedSemaphore(parallel)
        self.confirmed: dict[str, Resource | None] = {}
        self.old = {item.urn: item for item in checkpoint.resources() if not item.delete}
        self.renamed: dict[str, str] = {}
        self.doomed: dict[str, threading.Event] = {}
        self.ended: dict[str, threading.Event] = {}
        self._listener = listener

    @property
    def halted(self) -> bool:
        """Whether nothing new may start. A preview goes on after failures, to show them all."""
        return self.cancelled.is_set() or (bool(self.failures) and not self.dry_run)

    def fail(self, urn: str, message: str) -> None:
        """Record a failure and tell about it."""
        self.failures.append(f"{urns.type_of(urn)} {urns.name_of(urn)}: {message}" if urn else message)
        self._listener(Diagnostic("error", message, urn))

    def tell(self, diagnostic: Diagnostic) -> None:
        """Pass a message on."""
        self._listener(diagnostic)

    def registered(self, urn: str) -> Resource | None:
        """Return a resource that this run has confirmed."""
        return self.confirmed.get(urn)

    @contextmanager
    def watched(self, step: Step) -> Iterator[None]:
        """Tell about the start and the end of a step's operation."""
        started = time.monotonic()
        self._listener(StepStarted(step))
        try:
            yield
        except ResourceFailedError as error:
            self._listener(StepFinished(step, time.monotonic() - started, str(error)))
            raise
        self._listener(StepFinished(step, time.monotonic() - started))


def guarded(call: Callable[[], T]) -> T:
    """Call a provider; its errors become failures of the resource.

    Raises:
        ResourceFailedError: the provider refused.
    """
    try:
        return call()
    except ProviderError as error:
        raise ResourceFailedError(str(error)) from error


def message_of(error: Exception) -> str:
    """Return what to show of an error of a provider."""
    return str(error) if isinstance(error, ProviderError) else f"{type(error).__name__}: {error}"


def with_secrets(resource: Resource, outputs: Properties) -> Properties:
    """Return outputs with those marked that come from secret inputs or are declared secret."""
    secret = {key for key, value in resource.inputs.items() if has_secret(value)}
    secret.update(resource.additional_secret_outputs)
    return {key: Secret(value) if key in secret else value for key, value in outputs.items()}
