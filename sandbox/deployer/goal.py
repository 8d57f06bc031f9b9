"""What the program asks for: one resource registration, read from the protocol's request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .values import Properties, from_struct

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

_UNSUPPORTED = {
    "importId": "the option `import`",
    "replacement_trigger": "the option `replacement_trigger`",
    "replace_with": "the option `replace_with`",
    "transforms": "the option `transforms`",
    "state_migrations": "the option `state_migrations`",
    "envVarMappings": "the option `env_var_mappings`",
}


@dataclass(frozen=True)
class Alias:
    """A former identity of a resource: a whole URN, or the parts that differ."""

    urn: str = ""
    name: str = ""
    type: str = ""
    stack: str = ""
    project: str = ""
    parent: str = ""
    no_parent: bool = False


@dataclass
class Goal:
    """A resource as the program wants it, with its options."""

    type: str
    name: str
    custom: bool
    parent: str = ""
    inputs: Properties = field(default_factory=dict)
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    provider: str = ""
    version: str = ""
    protect: bool = False
    retain_on_delete: bool = False
    delete_before_replace: bool | None = None
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[Alias] = field(default_factory=list)
    timeouts: dict[str, float] = field(default_factory=dict)
    deleted_with: str = ""


def from_request(request: Any) -> Goal:
    """Read a `RegisterResourceRequest`.

    Raises:
        ValueError: an option is used that the sandbox does not support, or a value cannot be read.
    """
    for name, option in _UNSUPPORTED.items():
        value = getattr(request, name)
        if name == "replacement_trigger":
            used = request.HasField(name) and value.WhichOneof("kind") not in (None, "null_value")
        else:
            used = bool(value)
        if used:
            raise ValueError(f"{option} is not supported by the sandbox's deployer")
    if request.remote:
        raise ValueError("remote components are not supported by the sandbox's deployer")
    defined = request.deleteBeforeReplaceDefined
    return Goal(
        type=request.type,
        name=request.name,
        custom=request.custom,
        parent=request.parent,
        inputs=from_struct(request.object),
        dependencies=sorted(request.dependencies),
        property_dependencies={
            key: sorted(value.urns)
            for key, value in sorted(request.propertyDependencies.items())
            if value.urns
        },
        provider=request.provider,
        version=request.version,
        protect=request.protect,
        retain_on_delete=request.retainOnDelete,
        delete_before_replace=request.deleteBeforeReplace if defined else None,
        ignore_changes=list(request.ignoreChanges),
        replace_on_changes=list(request.replaceOnChanges),
        additional_secret_outputs=sorted(request.additionalSecretOutputs),
        aliases=[*(Alias(urn=urn) for urn in request.aliasURNs), *map(_alias, request.aliases)],
        timeouts=_timeouts(request.customTimeouts),
        deleted_with=request.deletedWith,
    )


def _alias(message: Any) -> Alias:
    if message.urn:
        return Alias(urn=message.urn)
    spec = message.spec
    return Alias(
        name=spec.name,
        type=spec.type,
        stack=spec.stack,
        project=spec.project,
        parent=spec.parentUrn,
        no_parent=spec.noParent,
    )


def _timeouts(message: Any) -> dict[str, float]:
    given = {"create": message.create, "update": message.update, "delete": message.delete}
    return {operation: seconds(text) for operation, text in given.items() if text}


def seconds(text: str) -> float:
    """Return a Go duration such as `1h30m` in seconds.

    Raises:
        ValueError: the text is no duration.
    """
    if not re.fullmatch(rf"(?:{_DURATION.pattern})+", text):
        raise ValueError(f"{text!r} is not a duration; write for example 90s, 15m or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
