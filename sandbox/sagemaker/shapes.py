"""Answers made from botocore's own description of the SageMaker API.

A Describe answer is mostly the stored request with a few status fields. `project` keeps of a dict what the
output shape of an operation has, so a member never gets lost and never appears where AWS has none.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

import botocore.session


@functools.cache
def service_model() -> Any:
    """The botocore model of SageMaker (read once, about 0.2 s)."""
    return botocore.session.get_session().get_service_model("sagemaker")


@functools.cache
def _member_shape(operation: str, member: str | None) -> Any:
    shape = service_model().operation_model(operation).output_shape
    if member is None:
        return shape
    inner = shape.members[member]
    return inner.member if inner.type_name == "list" else inner


def project(operation: str, values: dict[str, Any]) -> dict[str, Any]:
    """The answer of `operation`: what of its output shape `values` has and is not None."""
    result: dict[str, Any] = _prune(_member_shape(operation, None), values)
    return result


def project_item(operation: str, member: str, values: dict[str, Any]) -> dict[str, Any]:
    """One entry of the list `member` in the answer of `operation`, such as a summary of a List."""
    result: dict[str, Any] = _prune(_member_shape(operation, member), values)
    return result


def _prune(shape: Any, value: Any) -> Any:
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        members = shape.members
        return {k: _prune(members[k], v) for k, v in value.items() if k in members and v is not None}
    if kind == "list" and isinstance(value, (list, tuple)):
        return [_prune(shape.member, item) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {k: _prune(shape.value, v) for k, v in value.items()}
    if kind == "timestamp":
        return epoch(value)
    return value


def epoch(value: Any) -> float:
    """A time in a request (number, ISO 8601 text or datetime) as seconds since the epoch."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            parsed = datetime.fromisoformat(value)
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    return float(value)
