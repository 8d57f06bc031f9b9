"""What an operation on a stack tells whoever shows it: steps, their progress, messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from . import urns
from .values import masked


class Op(StrEnum):
    """What is done to a resource."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    READ = "read"
    REFRESH = "refresh"


@dataclass(frozen=True)
class Change:
    """A property that differs: `add`, `update` or `delete`; `forces_replacement` says what it costs."""

    kind: str
    old: Any = None
    new: Any = None
    forces_replacement: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the change as data, secrets masked."""
        result: dict[str, Any] = {"kind": self.kind}
        if self.kind != "add":
            result["old"] = masked(self.old)
        if self.kind != "delete":
            result["new"] = masked(self.new)
        if self.forces_replacement:
            result["forcesReplacement"] = True
        return result


@dataclass
class Step:
    """One resource and what is done to it."""

    op: Op
    urn: str
    parent: str = ""
    custom: bool = True
    changes: dict[str, Change] = field(default_factory=dict)
    delete_first: bool = False
    reason: str = ""

    @property
    def type(self) -> str:
        """The resource's type token."""
        return urns.type_of(self.urn)

    @property
    def name(self) -> str:
        """The resource's logical name."""
        return urns.name_of(self.urn)

    def to_json(self) -> dict[str, Any]:
        """Return the step as data."""
        result: dict[str, Any] = {"op": str(self.op), "urn": self.urn, "type": self.type, "name": self.name}
        if self.changes:
            result["changes"] = {path: change.to_json() for path, change in sorted(self.changes.items())}
        if self.op is Op.REPLACE:
            result["deleteBeforeReplace"] = self.delete_first
        if self.reason:
            result["reason"] = self.reason
        return result


@dataclass(frozen=True)
class StepStarted:
    """The operation of a step begins."""

    step: Step


@dataclass(frozen=True)
class StepFinished:
    """The operation of a step ended; `error` is set when it failed."""

    step: Step
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class Diagnostic:
    """A message: severity `debug`, `info`, `warning` or `error`, about a resource when `urn` is set."""

    severity: str
    message: str
    urn: str = ""


Event = StepStarted | StepFinished | Diagnostic
Listener = Callable[[Event], None]
