"""Reads `Pulumi.yaml` and `Pulumi.<stack>.yaml` and checks the configuration against its schema.

Source of the rules: Pulumi's "Project file reference" and "Configuration" pages. Values travel to the program
as text, objects as JSON, as the CLI hands them over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

# What the pulumi CLI's own check of Pulumi.yaml takes: https://github.com/pulumi/docs/pull/18971
_TYPES = {"string", "boolean", "integer", "array", "object"}
_ENTRY_KEYS = {"type", "description", "secret", "default", "items", "value"}


class ProjectError(Exception):
    """The project or stack file has errors; the message lists all of them."""


@dataclass(frozen=True)
class Project:
    """A Pulumi project and the configuration of one of its stacks."""

    name: str
    root: Path
    main: Path
    stack: str
    config: Mapping[str, str] = field(default_factory=dict)
    secret_keys: tuple[str, ...] = ()

    def of_package(self, package: str) -> dict[str, str]:
        """Return the configuration of a provider package without its prefix."""
        prefix = f"{package}:"
        return {key[len(prefix) :]: value for key, value in self.config.items() if key.startswith(prefix)}


def load(root: Path, stack: str) -> Project:
    """Read the project at `root` with the configuration of `stack`.

    Raises:
        ProjectError: a file is missing or wrong, or a configuration value does not fit the schema.
    """
    path = root / "Pulumi.yaml"
    document = _read(path)
    name = document.get("name")
    if not isinstance(name, str) or not name:
        raise ProjectError(f"{path}: `name` is missing")
    _check_runtime(path, document.get("runtime"))
    main = (root / str(document.get("main", "."))).resolve()
    if not main.exists():
        raise ProjectError(f"{path}: main {document.get('main')!r} does not exist")
    stack_path = root / str(document.get("stackConfigDir", ".")) / f"Pulumi.{stack}.yaml"
    stack_config = _stack_config(stack_path, name, root, stack)
    reader = _Config(name, path, stack_path)
    reader.read_schema(document.get("config") or {})
    reader.read_stack(stack_config)
    return Project(name, root, main, stack, reader.finish(), tuple(sorted(reader.secrets)))


def _stack_config(path: Path, project: str, root: Path, stack: str) -> Mapping[str, Any]:
    if not path.is_file():
        found = sorted(p.name.split(".")[1] for p in root.glob("Pulumi.*.yaml"))
        raise ProjectError(
            f"{path} does not exist; stacks of {project}: {', '.join(found) or 'none'} ({stack!r} given)"
        )
    config = _read(path).get("config") or {}
    if not isinstance(config, Mapping):
        raise ProjectError(f"{path}: `config` must be a mapping, found {type(config).__name__}")
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ProjectError(f"{path}: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ProjectError(f"{path}: a mapping is expected, found {type(document).__name__}")
    return document


def _check_runtime(path: Path, runtime: Any) -> None:
    name = runtime.get("name") if isinstance(runtime, Mapping) else runtime
    if name != "python":
        raise ProjectError(f"{path}: runtime {name!r} found; the sandbox runs Python programs only")


class _Config:
    """Collects the values of one stack and what is wrong with them."""

    def __init__(self, project: str, project_path: Path, stack_path: Path) -> None:
        self._project = project
        self._project_path = project_path
        self._stack_path = stack_path
        self._schema: dict[str, Mapping[str, Any]] = {}
        self._values: dict[str, Any] = {}
        self._problems: list[str] = []
        self.secrets: set[str] = set()

    def read_schema(self, config: Any) -> None:
        """Take the `config` block of the project file."""
        if not isinstance(config, Mapping):
            self._problems.append(f"{self._project_path}: `config` must be a mapping")
            return
        for given, entry in config.items():
            key = self._full_key(str(given))
            if not isinstance(entry, Mapping):
                self._values[key] = entry
            elif key.startswith(f"{self._project}:"):
                self._read_entry(key, entry)
            elif "value" in entry:
                self._values[key] = entry["value"]
            else:
                self._problems.append(
                    f"{self._project_path}: config {given}: "
                    "outside the project's namespace only `value` is allowed"
                )

    def _read_entry(self, key: str, entry: Mapping[str, Any]) -> None:
        unknown = sorted(set(entry) - _ENTRY_KEYS)
        kind = entry.get("type")
        if unknown:
            self._problems.append(f"{self._project_path}: config {key}: unknown {', '.join(unknown)}")
        if kind is not None and kind not in _TYPES:
            allowed = ", ".join(sorted(_TYPES))
            self._problems.append(
                f"{self._project_path}: config {key}: type {kind!r} found; allowed: {allowed}"
            )
        self._schema[key] = entry
        if "default" in entry or "value" in entry:
            self._values[key] = entry.get("value", entry.get("default"))
        if entry.get("secret"):
            self.secrets.add(key)

    def read_stack(self, config: Mapping[str, Any]) -> None:
        """Take the `config` block of the stack file."""
        for given, value in config.items():
            key = self._full_key(str(given))
            if isinstance(value, Mapping) and "secure" in value:
                self._problems.append(
                    f"{self._stack_path}: {key} is encrypted; the sandbox cannot decrypt it. "
                    "Put a plain throw-away value into this stack's file"
                )
            elif key.startswith(f"{self._project}:") and self._schema and key not in self._schema:
                allowed = ", ".join(sorted(self._schema))
                self._problems.append(
                    f"{self._stack_path}: unknown key {key}; {self._project_path.name} allows: {allowed}"
                )
            else:
                self._values[key] = value

    def finish(self) -> dict[str, str]:
        """Check all values and return them as text."""
        for key, entry in sorted(self._schema.items()):
            if key not in self._values:
                self._problems.append(
                    f"{self._stack_path}: {key} is missing; set it with "
                    f"`pulumi config set {key.partition(':')[2]} <{entry.get('type', 'value')}>`"
                )
            elif entry.get("type") in _TYPES:
                self._check(key, self._values[key], entry)
        if self._problems:
            raise ProjectError("\n".join(self._problems))
        return {key: _text(value) for key, value in self._values.items()}

    def _check(self, key: str, value: Any, entry: Mapping[str, Any]) -> None:
        kind = str(entry["type"])
        if not fits(value, kind):
            self._problems.append(f"{self._stack_path}: {key} must be of type {kind}, found {value!r}")
            return
        items = entry.get("items")
        if kind == "array" and isinstance(items, Mapping) and items.get("type") in _TYPES:
            wrong = [item for item in value if not fits(item, str(items["type"]))]
            self._problems.extend(
                f"{self._stack_path}: {key} must hold items of type {items['type']}, found {item!r}"
                for item in wrong
            )

    def _full_key(self, key: str) -> str:
        return key if ":" in key else f"{self._project}:{key}"


def fits(value: Any, kind: str) -> bool:
    """Say whether a configuration value is of a schema type; numbers and booleans may be given as text."""
    if kind == "array":
        return isinstance(value, list)
    if kind == "object":
        return isinstance(value, Mapping)
    if isinstance(value, list | Mapping) or value is None:
        return False
    if kind == "boolean":
        return isinstance(value, bool) or value in ("true", "false")
    if kind == "integer":
        if isinstance(value, bool):
            return False
        try:
            int(str(value))
        except ValueError:
            return False
        return True
    return isinstance(value, str)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value)
