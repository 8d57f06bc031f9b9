"""The checkpoint: what exists, in Pulumi's own deployment JSON (version 3).

Source of the shape: pulumi/sdk/go/common/apitype, `DeploymentV3` and `ResourceV3`. Every change is written at
once, atomically and twice (`kept`), so a killed process leaves the last true state and one file may be lost.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import kept, urns
from .values import Properties, from_json, to_json

VERSION = 3
MAGIC = "upkeep sandbox"

_JSON_NAMES = {
    "property_dependencies": "propertyDependencies",
    "retain_on_delete": "retainOnDelete",
    "pending_replacement": "pendingReplacement",
    "init_errors": "initErrors",
    "additional_secret_outputs": "additionalSecretOutputs",
    "custom_timeouts": "customTimeouts",
    "deleted_with": "deletedWith",
}
_ALWAYS = {"urn", "custom", "type"}


class CheckpointError(Exception):
    """A checkpoint file cannot be used; the message says where and why."""


@dataclass(eq=False)
class Resource:
    """One resource of a stack. `taint` marks one whose creation failed half way: it is replaced next time."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    parent: str = ""
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    provider: str = ""
    protect: bool = False
    retain_on_delete: bool = False
    external: bool = False
    delete: bool = False
    pending_replacement: bool = False
    taint: bool = False
    init_errors: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    deleted_with: str = ""
    aliases: list[str] = field(default_factory=list)
    created: str = ""
    modified: str = ""

    @property
    def name(self) -> str:
        """The logical name."""
        return urns.name_of(self.urn)

    def references(self) -> set[str]:
        """Return the URNs that must exist as long as this resource does."""
        named = {self.parent, self.deleted_with, self.provider.rpartition("::")[0], *self.dependencies}
        for dependencies in self.property_dependencies.values():
            named.update(dependencies)
        return named - {"", self.urn}

    def to_json(self) -> dict[str, Any]:
        """Return the resource as `ResourceV3`; empty values are left out."""
        result: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if value or item.name in _ALWAYS:
                result[_JSON_NAMES.get(item.name, item.name)] = to_json(value)
        return result

    @staticmethod
    def from_json(data: dict[str, Any]) -> Resource:
        """Return the resource of its `ResourceV3` form; keys the engine does not use are ignored."""
        known = {item.name: _JSON_NAMES.get(item.name, item.name) for item in fields(Resource)}
        values = {name: from_json(data[key]) for name, key in known.items() if key in data}
        return Resource(**values)


@dataclass(frozen=True)
class PendingOperation:
    """An operation that had begun when the checkpoint was written: creating, updating or deleting."""

    type: str
    resource: Resource


class Checkpoint:
    """The state of one stack while it is being changed.

    Resources confirmed in this run stand first, in the order they finished, which is an order in which
    dependencies precede dependents; resources of earlier runs that this run has not reached yet follow.
    """

    def __init__(self, path: Path | None, resources: list[Resource], pending: list[PendingOperation]) -> None:
        self._path = path
        self.warning = ""
        self._lock = threading.RLock()
        self._base = list(resources)
        self._new: list[Resource] = []
        self.interrupted = list(pending)
        self._pending: list[PendingOperation] = []

    @staticmethod
    def load(path: Path | None) -> Checkpoint:
        """Read a checkpoint; without a file, and without the copy of one, it is a stack without resources.

        A checkpoint that came from the copy says so in its `warning`.

        Raises:
            CheckpointError: the file and its copy are not valid checkpoints.
        """
        try:
            found = kept.load(path) if path is not None else kept.Found(None)
        except kept.UnreadableError as error:
            raise CheckpointError(
                f"{error}: not a readable checkpoint. Nothing was changed. What the stack has made is still "
                "there: put an older copy of the file back, or start the sandbox afresh"
            ) from error
        if found.document is None:
            return Checkpoint(path, [], [])
        checkpoint = _parsed(path, found.document)
        checkpoint.warning = found.warning
        return checkpoint

    def detach(self) -> None:
        """Write to no file from now on, for a preview."""
        self._path = None

    def resources(self) -> list[Resource]:
        """Return all resources, dependencies before dependents."""
        with self._lock:
            return [*self._new, *self._base]

    def base(self) -> list[Resource]:
        """Return the resources of earlier runs that this run has not reached."""
        with self._lock:
            return list(self._base)

    def begin(self, type_: str, resource: Resource) -> PendingOperation:
        """Record that an operation starts."""
        operation = PendingOperation(type_, resource)
        with self._lock:
            self._pending.append(operation)
            self.write()
        return operation

    def end(self, operation: PendingOperation | None) -> None:
        """Forget an operation that ended without a change to the state."""
        with self._lock:
            if operation in self._pending:
                self._pending.remove(operation)
            self.write()

    def put(
        self,
        resource: Resource,
        old: Resource | None,
        operation: PendingOperation | None = None,
        *,
        write: bool = True,
    ) -> None:
        """Record a resource of this run in place of `old`."""
        with self._lock:
            if operation in self._pending:
                self._pending.remove(operation)
            if old is not None and old in self._new:
                self._new[self._new.index(old)] = resource
            else:
                self._new.append(resource)
            if old is not None and old in self._base:
                self._base.remove(old)
            if write:
                self.write()

    def keep_condemned(self, resource: Resource, old: Resource, operation: PendingOperation | None) -> None:
        """Record a replacement while `old` still exists and is to be deleted later."""
        with self._lock:
            if operation in self._pending:
                self._pending.remove(operation)
            self._new.append(resource)
            old.delete = True
            self.write()

    def remove(self, resource: Resource, operation: PendingOperation | None = None) -> None:
        """Record that a resource is gone."""
        with self._lock:
            if operation in self._pending:
                self._pending.remove(operation)
            for group in (self._new, self._base):
                if resource in group:
                    group.remove(resource)
            self.write()

    def forget_references(self, gone: Resource) -> None:
        """Take a resource that no longer exists out of the dependencies of those that remain."""
        with self._lock:
            for item in [*self._new, *self._base]:
                item.dependencies = [urn for urn in item.dependencies if urn != gone.urn]
                item.property_dependencies = {
                    key: [urn for urn in dependencies if urn != gone.urn]
                    for key, dependencies in item.property_dependencies.items()
                }
                if item.parent == gone.urn:
                    item.parent = gone.parent
                if item.deleted_with == gone.urn:
                    item.deleted_with = ""

    def rename(self, old_urn: str, new_urn: str) -> None:
        """Point every reference to a renamed resource to its new URN."""

        def renamed(urn: str) -> str:
            return new_urn if urn == old_urn else urn

        with self._lock:
            for item in self._base:
                item.parent = renamed(item.parent)
                item.deleted_with = renamed(item.deleted_with)
                item.dependencies = [renamed(urn) for urn in item.dependencies]
                item.property_dependencies = {
                    key: [renamed(urn) for urn in dependencies]
                    for key, dependencies in item.property_dependencies.items()
                }

    def adopt(self, resource: Resource, old: Resource | None) -> None:
        """Add a resource that was found to exist to those of earlier runs, in place of `old`."""
        with self._lock:
            if old is None:
                self._base.append(resource)
            else:
                self._base[self._base.index(old)] = resource
            self.write()

    def document(self) -> dict[str, Any]:
        """Return the checkpoint as Pulumi's untyped deployment."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return {
            "version": VERSION,
            "deployment": {
                "manifest": {"time": now, "magic": MAGIC, "version": ""},
                "resources": [item.to_json() for item in self.resources()],
                "pending_operations": [
                    {"resource": item.resource.to_json(), "type": item.type}
                    for item in [*self.interrupted, *self._pending]
                ],
                "metadata": {},
            },
        }

    def write(self) -> None:
        """Write the file and its copy, each atomically, readable by their owner only."""
        if self._path is None:
            return
        with self._lock:
            kept.save(self._path, self.document())


def _parsed(path: Path | None, document: dict[str, Any]) -> Checkpoint:
    try:
        if document.get("version") != VERSION:
            raise CheckpointError(f"{path}: version {document.get('version')!r} found, {VERSION} expected")
        deployment = document["deployment"]
        resources = [Resource.from_json(item) for item in deployment.get("resources", [])]
        pending = [
            PendingOperation(item["type"], Resource.from_json(item["resource"]))
            for item in deployment.get("pending_operations", [])
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: not a readable checkpoint: {error}") from error
    problems = verify(resources)
    if problems:
        raise CheckpointError(f"{path}: " + "; ".join(problems))
    return Checkpoint(path, resources, pending)


def verify(resources: list[Resource]) -> list[str]:
    """Return what is wrong with a list of resources: duplicates, and references that do not precede."""
    problems: list[str] = []
    seen: set[str] = set()
    alive: set[str] = set()
    for item in resources:
        problems.extend(
            f"{item.urn} refers to {urn}, which does not stand before it"
            for urn in sorted(item.references() - seen)
        )
        seen.add(item.urn)
        if not item.delete:
            if item.urn in alive:
                problems.append(f"{item.urn} is there twice")
            alive.add(item.urn)
    return problems


def successor(old: Resource, **changes: Any) -> Resource:
    """Return a copy of a resource with some fields changed."""
    return replace(old, **changes)


def now_text() -> str:
    """Return the present time as a checkpoint holds it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
