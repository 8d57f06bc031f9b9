"""Translates between pulumi-aws's property names and AWS's, guided by the botocore model.

Most names differ only in case (`productionVariants` and `ProductionVariants`), lists by a plural, and single
blocks by being wrapped in a list. What does not follow the rule is in `RENAMES`.
"""

from __future__ import annotations

import base64
import functools
from typing import Any

import botocore.session
from botocore.model import Shape

from sandbox.deployer.interface import ProviderError

from . import schema

# (AWS structure, property) -> member. Source: the argument names in pulumi-aws 7.51 and the API references.
RENAMES: dict[tuple[str, str], str] = {}


class NoCounterpartError(ProviderError):
    """A property has no counterpart in the AWS model."""


@functools.cache
def _service(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def input_shape(service: str, operation: str) -> Any:
    """Return the shape of an operation's request."""
    return _service(service).operation_model(operation).input_shape


def output_shape(service: str, operation: str) -> Any:
    """Return the shape of an operation's answer."""
    return _service(service).operation_model(operation).output_shape


def named(service: str, shape: str) -> Any:
    """Return a shape by its name."""
    return _service(service).shape_for(shape)


def member_for(shape: Any, key: str) -> str | None:
    """Return the member of an AWS structure that a property stands for, or None."""
    renamed = RENAMES.get((shape.name, key))
    if renamed is not None:
        return renamed
    by_name = _by_name(shape)
    wanted = key.lower()
    candidates = [wanted, wanted.removesuffix("s"), f"{wanted}s"]
    if wanted.endswith("ies"):
        candidates.append(f"{wanted[:-3]}y")
    if wanted.endswith("es"):
        candidates.append(wanted[:-2])
    return next((by_name[name] for name in candidates if name in by_name), None)


def _by_name(shape: Any) -> dict[str, str]:
    return {name.lower(): name for name in shape.members}


def encode(shape: Any, value: Any) -> Any:
    """Return a property value in AWS's form.

    Raises:
        NoCounterpartError: a property has no counterpart.
    """
    if shape.type_name == "structure" and isinstance(value, list):
        # pulumi-aws has a list of one block where AWS has the block itself (`s3DataSources`).
        if len(value) != 1:
            raise NoCounterpartError(f"AWS's {shape.name} takes exactly one block, found {len(value)}")
        return encode(shape, value[0])
    if shape.type_name == "structure":
        result = {}
        for key, item in value.items():
            if item is None:
                continue
            member = member_for(shape, key)
            if member is None:
                raise NoCounterpartError(f"{key} has no counterpart in AWS's {shape.name}")
            result[member] = encode(shape.members[member], item)
        return result
    if shape.type_name == "list":
        return [encode(shape.member, item) for item in (value if isinstance(value, list) else [value])]
    if shape.type_name == "map":
        return {str(key): encode(shape.value, item) for key, item in value.items()}
    return _scalar(shape, value)


def _scalar(shape: Shape, value: Any) -> Any:
    kind = shape.type_name
    if kind == "string":
        return ("true" if value else "false") if isinstance(value, bool) else str(value)
    if kind in ("integer", "long"):
        return int(value)
    if kind in ("float", "double"):
        return float(value)
    if kind == "blob" and isinstance(value, str):
        return base64.b64decode(value)
    return value


def decode(shape: Any, value: Any, kind: Any) -> Any:
    """Return an AWS value as the Pulumi type `kind` has it; what that type does not know is left out."""
    if value is None:
        return None
    if shape.type_name == "list" and not schema.is_list(kind):
        return decode(shape.member, value[0], kind) if value else None
    if shape.type_name == "list":
        return [decode(shape.member, item, schema.element_of(kind)) for item in value]
    if shape.type_name == "map":
        return dict(value)
    if shape.type_name == "structure" and schema.is_list(kind):
        return [decode(shape, value, schema.element_of(kind))]
    if shape.type_name == "structure":
        inner = schema.fields_of(kind)
        return {} if inner is None else decode_fields(shape, value, inner)
    if shape.type_name == "timestamp":
        return value.isoformat() if hasattr(value, "isoformat") else str(value)
    return value


def decode_fields(shape: Any, value: dict[str, Any], kinds: dict[str, Any]) -> dict[str, Any]:
    """Return the properties `kinds` of an AWS structure."""
    result = {}
    for key, kind in kinds.items():
        member = member_for(shape, key)
        if member is not None and value.get(member) is not None:
            decoded = decode(shape.members[member], value[member], kind)
            if decoded is not None:
                result[key] = decoded
    return result
