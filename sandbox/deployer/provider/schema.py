"""What pulumi_aws says about its types: inputs, outputs, nested objects; read from its own classes."""

from __future__ import annotations

import importlib
import inspect
import keyword
import threading
import time
import typing
from collections import abc
from dataclasses import dataclass
from typing import Any

from pulumi import _types

from sandbox.deployer.values import UNKNOWN, Archive, Asset


class UnknownTypeError(Exception):
    """pulumi_aws has no such type."""


@dataclass(frozen=True)
class Schema:
    """The properties of a resource type by their wire names, with their Python types."""

    token: str
    inputs: dict[str, Any]
    required: frozenset[str]
    outputs: dict[str, Any]


_schemas: dict[str, Schema] = {}
_lock = threading.Lock()
_LOADING_SECONDS = 10.0


def of(token: str) -> Schema:
    """Return the schema of `aws:<module>/<file>:<Class>`.

    Raises:
        UnknownTypeError: pulumi_aws does not have it.
    """
    with _lock:
        if token not in _schemas:
            _schemas[token] = _load(token)
        return _schemas[token]


def _load(token: str) -> Schema:
    try:
        _, module, name = token.split(":")
        area = module.split("/")[0]
        path = f"pulumi_aws.{area}_" if keyword.iskeyword(area) else f"pulumi_aws.{area}"
        package = importlib.import_module(path)
    except (ValueError, ImportError) as error:
        raise UnknownTypeError(f"pulumi_aws has no resource type {token}") from error
    resource = _attribute(package, name)
    arguments = getattr(package, f"{name}InitArgs", None) or getattr(package, f"{name}Args", None)
    if resource is None or arguments is None:
        raise UnknownTypeError(f"pulumi_aws has no resource type {token}")
    names = _types.input_type_py_to_pulumi_names(arguments)
    parameters = inspect.signature(arguments.__init__).parameters.values()
    required = {names[p.name] for p in parameters if p.default is p.empty and p.name in names}
    inputs = {key: _types.unwrap_type(value) for key, value in _types.input_type_types(arguments).items()}
    return Schema(token, inputs, frozenset(required), _types.resource_types(resource))


def _attribute(package: Any, name: str) -> Any:
    # pulumi_aws loads its modules lazily, which is not safe among threads before Python 3.12: while the
    # program's thread loads one, this one sees it half filled.
    deadline = time.monotonic() + _LOADING_SECONDS
    while not hasattr(package, name) and time.monotonic() < deadline:
        time.sleep(0.02)
    return getattr(package, name, None)


def fields_of(kind: Any) -> dict[str, Any] | None:
    """Return the properties of a nested object type, or None for other types."""
    if inspect.isclass(kind):
        if _types.is_input_type(kind):
            return {key: _types.unwrap_type(value) for key, value in _types.input_type_types(kind).items()}
        if _types.is_output_type(kind):
            return {key: _types.unwrap_type(value) for key, value in _types.output_type_types(kind).items()}
    return None


def element_of(kind: Any) -> Any:
    """Return the type of a list's elements or of a mapping's values, or None."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (abc.Sequence, list):
        return _types.unwrap_type(arguments[0])
    if origin in (abc.Mapping, dict):
        return _types.unwrap_type(arguments[1])
    return None


def is_list(kind: Any) -> bool:
    """Say whether a type is a list."""
    return typing.get_origin(kind) in (abc.Sequence, list)


def fit(value: Any, kind: Any, path: str, problems: list[tuple[str, str]]) -> Any:
    """Return a value in the form its type asks for; note what does not fit.

    As in pulumi-aws numbers and booleans become text where text is asked for, and the other way round.
    """
    if value is None or value is UNKNOWN or isinstance(value, Asset | Archive):
        return value
    inner = fields_of(kind)
    if inner is not None:
        return _fit_object(value, kind, inner, path, problems)
    element = element_of(kind)
    if element is not None and is_list(kind):
        if not isinstance(value, list):
            problems.append((path, f"a list is expected, found {value!r}"))
            return value
        return [fit(item, element, f"{path}[{i}]", problems) for i, item in enumerate(value)]
    if element is not None:
        if not isinstance(value, dict):
            problems.append((path, f"a mapping is expected, found {value!r}"))
            return value
        return {key: fit(item, element, f"{path}.{key}", problems) for key, item in value.items()}
    return _fit_scalar(value, kind, path, problems)


def _fit_object(
    value: Any, kind: Any, inner: dict[str, Any], path: str, problems: list[tuple[str, str]]
) -> Any:
    if not isinstance(value, dict):
        problems.append((path, f"an object is expected, found {value!r}"))
        return value
    result = {}
    for key, item in value.items():
        where = f"{path}.{key}"
        if key not in inner:
            problems.append(
                (
                    where,
                    f"unknown property of {kind.__name__.removesuffix('Args')}; it has {', '.join(inner)}",
                )
            )
        elif item is not None:
            result[key] = fit(item, inner[key], where, problems)
    return result


def _fit_scalar(value: Any, kind: Any, path: str, problems: list[tuple[str, str]]) -> Any:
    if kind is str and isinstance(value, bool):
        return "true" if value else "false"
    if kind is str and isinstance(value, int | float):
        return str(value)
    if kind is bool and not isinstance(value, bool):
        if value in ("true", "false"):
            return value == "true"
        problems.append((path, f"a boolean is expected, found {value!r}"))
    elif kind in (int, float) and (isinstance(value, bool) or not isinstance(value, int | float)):
        try:
            return kind(value) if isinstance(value, str) else _refuse(value)
        except ValueError:
            problems.append((path, f"a number is expected, found {value!r}"))
    elif kind is int and isinstance(value, float):
        problems.append((path, f"a whole number is expected, found {value!r}"))
    elif isinstance(value, dict | list) and kind in (str, int, float):
        problems.append((path, f"a {kind.__name__} is expected, found {type(value).__name__}"))
    return value


def _refuse(value: Any) -> Any:
    raise ValueError(value)
