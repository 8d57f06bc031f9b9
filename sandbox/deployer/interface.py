"""What the engine asks of a provider: Pulumi's provider protocol with plain Python values.

Inputs and outputs are dictionaries with the provider's own property names. They hold no secrets and no
resource references; unknown values (`values.UNKNOWN`) occur in `check`, `diff` and previews only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from .events import Change
from .values import Properties


class ProviderError(Exception):
    """The provider could not do what was asked; nothing exists that did not exist before."""


class PartialError(ProviderError):
    """An operation failed half way: the resource exists under `id`, but is not what was asked for."""

    def __init__(self, message: str, id_: str, outputs: Properties) -> None:
        super().__init__(message)
        self.id = id_
        self.outputs = outputs


@dataclass(frozen=True)
class CheckFailure:
    """An input that is not allowed."""

    property: str
    reason: str


@dataclass(frozen=True)
class Checked:
    """Inputs with defaults and names filled in, and what is wrong with them."""

    inputs: Properties
    failures: tuple[CheckFailure, ...] = ()


@dataclass(frozen=True)
class Difference:
    """How new inputs differ from a resource as it is.

    `volatile` names the outputs that an update is going to change; nothing else of the outputs changes.
    """

    changes: dict[str, Change] = field(default_factory=dict)
    delete_before_replace: bool = False
    volatile: frozenset[str] = frozenset()

    @property
    def replaces(self) -> bool:
        """Whether a change cannot be made in place."""
        return any(change.forces_replacement for change in self.changes.values())


@dataclass(frozen=True)
class Subject:
    """The resource an operation is about."""

    urn: str
    type: str
    id: str = ""
    timeout_seconds: float | None = None


class Provider(Protocol):
    """Creates, reads, changes and deletes the resources of one package."""

    def configure(self, config: dict[str, str]) -> Properties:
        """Take the package's configuration; return the inputs of the provider resource.

        Raises:
            ProviderError: a key or value is not supported.
        """

    def check(self, subject: Subject, old: Properties | None, new: Properties, seed: bytes) -> Checked:
        """Validate inputs and fill in defaults; `seed` makes physical names repeatable."""

    def diff(self, subject: Subject, old: Properties, outputs: Properties, new: Properties) -> Difference:
        """Compare checked inputs with those the resource was made from."""

    def create(self, subject: Subject, inputs: Properties) -> tuple[str, Properties]:
        """Create the resource; return its id and outputs."""

    def planned(self, subject: Subject, inputs: Properties) -> Properties:
        """Return the outputs a creation is going to have, as far as they are known before."""

    def find(self, subject: Subject, inputs: Properties) -> str | None:
        """Return the id of the resource that these inputs would create, when it exists already."""

    def read(self, subject: Subject, inputs: Properties) -> tuple[Properties, Properties] | None:
        """Return the present inputs and outputs, or None when it is gone."""

    def update(self, subject: Subject, old: Properties, outputs: Properties, new: Properties) -> Properties:
        """Change the resource in place; return its outputs."""

    def delete(self, subject: Subject, inputs: Properties, outputs: Properties) -> None:
        """Delete the resource; one that is gone already is no error."""

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer a function of the package."""
