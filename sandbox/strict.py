"""Checks a call against what botocore's model says of it: required, type, enum, pattern, min, max.

botocore itself checks only required, type and min on the way out, so a call that AWS would refuse reaches an
emulator unnoticed. Wording and codes are AWS's: "2 validation errors detected: Value 'x' at 'trainingJobName'
failed to satisfy constraint: Member must …" (the *ValidationException* of the services' common front end).
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import regex
from botocore.model import ListShape, MapShape, Shape, StructureShape

from sandbox import rules
from sandbox.calls import Call

_SHOWN_CHARACTERS = 200
_CODES = {
    "iam": "ValidationError",
    "sts": "ValidationError",
    "cloudwatch": "ValidationError",
    "sagemaker-runtime": "ValidationError",
    "sns": "InvalidParameter",
    "sqs": "InvalidParameterValue",
    "s3": "InvalidRequest",
    "logs": "InvalidParameterException",
}


@dataclass(frozen=True)
class Refusal:
    """Why a call is refused, as an error code and message of its service."""

    code: str
    message: str


class _WrongTypeError(Exception):
    """A value has a type the shape cannot take; AWS stops there with a SerializationException."""


def check(call: Call) -> Refusal | None:
    """The refusal AWS would answer with, or None when the call is well formed."""
    shape = call.model.input_shape
    if shape is not None:
        try:
            problems = list(_structure(shape, call.params, ""))
        except _WrongTypeError as error:
            return Refusal("SerializationException", str(error))
        except RecursionError:
            return Refusal("SerializationException", "The request is nested too deeply")
        if problems:
            return Refusal(_CODES.get(call.service, "ValidationException"), _sentence(problems))
    broken = rules.check(call)
    return Refusal(*broken) if broken else None


def _sentence(problems: list[str]) -> str:
    count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
    return f"{count}: {'; '.join(problems)}"


def _structure(shape: StructureShape, value: Any, path: str) -> Iterator[str]:
    if getattr(shape, "is_document_type", False):
        return
    _expect(value, dict, shape)
    for name in shape.required_members:
        member = shape.members[name]
        if value.get(_key(name, member, value)) is None and not member.metadata.get("idempotencyToken"):
            yield f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
    for name, member in shape.members.items():
        found = value.get(_key(name, member, value))
        if found is not None:
            yield from _value(member, found, _join(path, name))


def _key(name: str, member: Shape, value: dict[str, Any]) -> str:
    """The name a member has in `value`: its own, or the one it has on the wire."""
    return name if name in value else str(member.serialization.get("name", name))


def _join(path: str, name: str) -> str:
    name = name[:1].lower() + name[1:]
    return f"{path}.{name}" if path else name


def _value(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        yield from _structure(shape, value, path)
    elif isinstance(shape, ListShape):
        yield from _list(shape, value, path)
    elif isinstance(shape, MapShape):
        yield from _map(shape, value, path)
    else:
        for constraint in _scalar(shape, value):
            yield f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: {constraint}"


def _list(shape: ListShape, value: Any, path: str) -> Iterator[str]:
    _expect(value, list, shape)
    for constraint in _length(shape, len(value)):
        yield f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: {constraint}"
    if _is_scalar(shape.member):
        broken = list(dict.fromkeys(problem for item in value for problem in _scalar(shape.member, item)))
        if broken:
            yield (
                f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: "
                f"Member must satisfy constraint: [{', '.join(broken)}]"
            )
        return
    for number, item in enumerate(value, start=1):
        yield from _value(shape.member, item, f"{path}.{number}.member")


def _map(shape: MapShape, value: Any, path: str) -> Iterator[str]:
    _expect(value, dict, shape)
    for constraint in _length(shape, len(value)):
        yield f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: {constraint}"
    keys = list(dict.fromkeys(problem for key in value for problem in _scalar(shape.key, key)))
    if keys:
        yield (
            f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: "
            f"Map keys must satisfy constraint: [{', '.join(keys)}]"
        )
    if not _is_scalar(shape.value):
        for key, item in value.items():
            yield from _value(shape.value, item, f"{path}.{key}.member")
        return
    values = list(dict.fromkeys(problem for item in value.values() for problem in _scalar(shape.value, item)))
    if values:
        yield (
            f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: "
            f"Map value must satisfy constraint: [{', '.join(values)}]"
        )


def _is_scalar(shape: Shape) -> bool:
    return shape.type_name not in ("structure", "list", "map")


def _scalar(shape: Shape, value: Any) -> Iterator[str]:
    """The constraints a single value breaks."""
    if value is None:
        return
    if shape.type_name in ("string", "character"):
        yield from _string(shape, value)
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _number(shape, value)
    elif shape.type_name == "boolean":
        _expect(value, bool, shape)
    elif shape.type_name == "blob":
        yield from _length(shape, _blob_length(value, shape))
    elif shape.type_name == "timestamp":
        _expect(value, (int, float, str, datetime), shape)


def _string(shape: Shape, value: Any) -> Iterator[str]:
    _expect(value, str, shape)
    enum = getattr(shape, "enum", None)
    if enum and value not in enum:
        yield f"Member must satisfy enum value set: [{', '.join(enum)}]"
    pattern = shape.metadata.get("pattern")
    if pattern and (compiled := compile_pattern(pattern)) and not compiled.fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {pattern}"
    yield from _length(shape, len(value))


def _number(shape: Shape, value: Any) -> Iterator[str]:
    wanted: tuple[type, ...] = (int,) if shape.type_name in ("integer", "long") else (int, float)
    if isinstance(value, float) and value.is_integer():
        wanted = (int, float)  # 3.0 on the wire is an integer to AWS
    if isinstance(value, bool):
        _wrong(value, shape)
    _expect(value, wanted, shape)
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        yield f"Member must have value greater than or equal to {low}"
    if high is not None and value > high:
        yield f"Member must have value less than or equal to {high}"


def _length(shape: Shape, length: int) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and length < low:
        yield f"Member must have length greater than or equal to {low}"
    if high is not None and length > high:
        yield f"Member must have length less than or equal to {high}"


def _blob_length(value: Any, shape: Shape) -> int:
    if isinstance(value, bytes):
        return len(value)
    _expect(value, str, shape)
    try:
        return len(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError) as error:
        raise _WrongTypeError("A blob is not valid base64") from error


@functools.cache
def compile_pattern(pattern: str) -> re.Pattern[str] | None:
    """A model's Java-style pattern, or None when no engine here reads it: surrogate ranges."""
    try:
        return re.compile(pattern)
    except re.error:
        pass  # Java's classes such as \\p{L} are tried next
    try:
        compiled: re.Pattern[str] = regex.compile(pattern)
        return compiled
    except regex.error:
        return None


def _expect(value: Any, wanted: type | tuple[type, ...], shape: Shape) -> None:
    if not isinstance(value, wanted):
        _wrong(value, shape)


def _wrong(value: Any, shape: Shape) -> None:
    names = {dict: "START_OBJECT", list: "START_ARRAY", str: "STRING_VALUE", bool: "BOOLEAN_VALUE"}
    found = names.get(type(value), "NUMBER_VALUE")
    raise _WrongTypeError(f"{found} can not be converted to {shape.type_name.capitalize()}")


def _shown(value: Any) -> str:
    text = str(value) if not isinstance(value, bytes) else f"{len(value)} bytes"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
