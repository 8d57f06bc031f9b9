"""Turns registrations into operations: the engine side of Pulumi's protocol.

Planning (what is to be done) is serialised and makes no change. Operations run on the threads that the
registrations came in on, at most `parallel` at once. The checkpoint is written after each of them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from . import recovery, urns
from .events import Listener
from .goal import Goal
from .interface import Provider
from .operations import Operations
from .planning import Planner
from .project import Project
from .providers import ProviderFactory, Providers
from .run import ResourceFailedError, Run
from .state import Checkpoint, Resource
from .values import Properties, plain

DEFAULT_PARALLEL = 16


@dataclass(frozen=True)
class Outcome:
    """The answer to a registration: `success`, `fail` or `skip`."""

    urn: str
    result: str = "success"
    id: str = ""
    outputs: Properties = field(default_factory=dict)


class Engine(Run):
    """A run with its planner, operations and providers."""

    def __init__(
        self,
        project: Project,
        checkpoint: Checkpoint,
        factories: dict[str, ProviderFactory],
        listener: Listener,
        *,
        dry_run: bool,
        parallel: int = DEFAULT_PARALLEL,
        seed: bytes = b"",
    ) -> None:
        super().__init__(project, checkpoint, listener, dry_run=dry_run, parallel=parallel)
        self._providers = Providers(self, factories)
        self._planner = Planner(self, self._providers, seed)
        self._operations = Operations(self, self._providers)

    def register(self, goal: Goal) -> Outcome:
        """Bring one resource to the wanted state and answer with its id and outputs."""
        urn = urns.make(self.project.stack, self.project.name, goal.parent, goal.type, goal.name)
        try:
            with self.planning:
                if self.halted:
                    return Outcome(urn, "skip")
                self._enter(urn)
                plan = self._planner.plan(urn, goal)
                self.steps.append(plan.step)
                ended = self.ended[urn] = threading.Event()
            try:
                self._operations.execute(plan)
            finally:
                ended.set()
        except ResourceFailedError as error:
            self.fail(urn, str(error))
            return Outcome(urn, "fail")
        self.confirmed[urn] = plan.new
        return Outcome(urn, "success", plan.new.id, plan.new.outputs)

    def _enter(self, urn: str) -> None:
        if urn in self.confirmed:
            raise ResourceFailedError(
                f"two resources have the URN {urn}; give one of them another name or parent"
            )
        self.confirmed[urn] = None

    def register_outputs(self, urn: str, outputs: Properties) -> None:
        """Record the outputs of a component; those of a stack that failed stay as they were."""
        resource = self.confirmed.get(urn)
        if resource is None or (self.halted and resource.type == urns.STACK_TYPE):
            return
        resource.outputs = outputs
        if not self.dry_run:
            self.checkpoint.write()

    def invoke(self, token: str, arguments: Properties, provider: str, version: str) -> Properties:
        """Answer a function of a package.

        Raises:
            ProviderError: the function is not known or failed.
        """
        with self.planning:
            _, implementation = self._providers.find(urns.package_of(token), provider, version)
        with self.slots:
            return implementation.invoke(token, plain(arguments))

    def provider_of(self, resource: Resource) -> Provider:
        """Return the provider that made a resource; raises ResourceFailedError."""
        return self._providers.of(resource)

    def delete(self, resource: Resource) -> None:
        """Delete one resource; raises ResourceFailedError."""
        self._operations.delete(resource)

    def recover(self) -> None:
        """Take in what an interrupted run left behind; raises ResourceFailedError."""
        recovery.recover(self, self._providers)


__all__ = ["DEFAULT_PARALLEL", "Engine", "Outcome", "ProviderFactory", "ResourceFailedError"]
