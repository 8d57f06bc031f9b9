"""A cloud in memory, its provider, and a program made of plain descriptions."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi

from sandbox.deployer import paths, program
from sandbox.deployer.engine import Engine
from sandbox.deployer.events import Change, Event
from sandbox.deployer.interface import (
    Checked,
    CheckFailure,
    Difference,
    PartialError,
    ProviderError,
    Subject,
)
from sandbox.deployer.project import Project
from sandbox.deployer.stack import Stack
from sandbox.deployer.values import UNKNOWN, Properties


class CrashError(Exception):
    """An operation whose end nobody saw."""


@dataclass
class Cloud:
    """Things by id. `faults` maps `<operation> <name>` to how it goes wrong: clean, partial or crash."""

    things: dict[str, Properties] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    counter: Any = field(default_factory=itertools.count)

    def fault(self, operation: str, name: str) -> str:
        return self.faults.get(f"{operation} {name}", "")


class FakeProvider:
    """Package `fake`, type `fake:index:Thing`: `fixed` names a thing, `size` replaces it, `link` depends."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def configure(self, config: dict[str, str]) -> Properties:
        return dict(config)

    def check(self, subject: Subject, old: Properties | None, new: Properties, seed: bytes) -> Checked:
        known = {"fixed", "size", "note", "link", "secret"}
        failures = tuple(CheckFailure(key, "unknown property of Thing") for key in new if key not in known)
        name = new.get("fixed") or (old or {}).get("id_name") or f"auto-{seed.hex()[:7]}"
        if old is not None and not new.get("fixed") and old.get("fixed"):
            name = f"auto-{seed.hex()[:7]}"
        return Checked({**new, "id_name": name}, failures)

    def diff(self, subject: Subject, old: Properties, outputs: Properties, new: Properties) -> Difference:
        changes = {}
        for path, change in paths.compare(old, new).items():
            forces = path[0] in {"size", "fixed"} or (path[0] == "link" and change.new is UNKNOWN)
            if path[0] != "id_name":
                changes[paths.show(path)] = Change(change.kind, change.old, change.new, forces)
        return Difference(changes, delete_before_replace="fixed" in new, volatile=frozenset({"version"}))

    def planned(self, subject: Subject, inputs: Properties) -> Properties:
        return {**inputs, "arn": UNKNOWN, "version": UNKNOWN}

    def find(self, subject: Subject, inputs: Properties) -> str | None:
        return next((k for k, v in self.cloud.things.items() if v["id_name"] == inputs["id_name"]), None)

    def create(self, subject: Subject, inputs: Properties) -> tuple[str, Properties]:
        name = subject.urn.rpartition("::")[2]
        cloud = self.cloud
        with cloud.lock:
            cloud.log.append(f"create {name}")
            fault = cloud.fault("create", name)
            if fault == "clean":
                raise ProviderError(f"AccessDenied: {name}")
            if any(thing["id_name"] == inputs["id_name"] for thing in cloud.things.values()):
                raise ProviderError(f"AlreadyExists: {inputs['id_name']}")
            if inputs.get("link") and inputs["link"] not in cloud.things:
                raise ProviderError(f"NotFound: {inputs['link']}")
            id_ = f"thing-{next(cloud.counter)}"
            cloud.things[id_] = {**inputs, "version": 1, "arn": f"arn:{id_}"}
            if fault == "partial":
                raise PartialError(f"Throttled: {name}", id_, dict(cloud.things[id_]))
            if fault == "crash":
                raise CrashError(name)
            return id_, dict(cloud.things[id_])

    def read(self, subject: Subject, inputs: Properties) -> tuple[Properties, Properties] | None:
        thing = self.cloud.things.get(subject.id)
        if thing is None:
            return None
        present = {key: thing[key] for key in inputs if key in thing}
        return present, dict(thing)

    def update(self, subject: Subject, old: Properties, outputs: Properties, new: Properties) -> Properties:
        name = subject.urn.rpartition("::")[2]
        with self.cloud.lock:
            self.cloud.log.append(f"update {name}")
            fault = self.cloud.fault("update", name)
            if fault == "clean":
                raise ProviderError(f"AccessDenied: {name}")
            version = self.cloud.things[subject.id]["version"] + 1
            self.cloud.things[subject.id] = {**new, "version": version, "arn": f"arn:{subject.id}"}
            if fault:
                raise CrashError(name)
            return dict(self.cloud.things[subject.id])

    def delete(self, subject: Subject, inputs: Properties, outputs: Properties) -> None:
        name = subject.urn.rpartition("::")[2]
        with self.cloud.lock:
            self.cloud.log.append(f"delete {name}")
            fault = self.cloud.fault("delete", name)
            if fault == "clean":
                raise ProviderError(f"AccessDenied: {name}")
            users = [k for k, v in self.cloud.things.items() if v.get("link") == subject.id]
            if users:
                raise ProviderError(f"InUse: {subject.id} by {users}")
            self.cloud.things.pop(subject.id, None)
            if fault:
                raise CrashError(name)

    def invoke(self, token: str, arguments: Properties) -> Properties:
        if token != "fake:index:echo":
            raise ProviderError(f"{token} is not known")
        return {"said": arguments.get("say")}


class Thing(pulumi.CustomResource):
    arn: pulumi.Output[str]
    version: pulumi.Output[int]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **properties: Any) -> None:
        super().__init__("fake:index:Thing", name, {"arn": None, "version": None, **properties}, opts)


class Group(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("fake:index:Group", name, None, opts)
        self.register_outputs({})


def stack(path: Path, cloud: Cloud, body: Any, **options: Any) -> Stack:
    """Return a stack in a file whose program is `body`."""
    project = Project("proj", path.parent, path.parent, "dev", options.pop("config", {}))

    def run(engine: Engine) -> None:
        program.run(engine, body)

    return Stack(project, path, {"fake": lambda: FakeProvider(cloud)}, run=run, **options)


class Listener:
    """Keeps the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)
