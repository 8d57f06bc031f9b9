"""Reads an HTTP request as the API call it is: service, operation, parameters.

Follows the wire protocols of the botocore models: JSON, query, REST-JSON and REST-XML. No official client
chooses CBOR for the services here.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.session
from botocore.model import OperationModel, ServiceModel, StructureShape

# What the emulator calls a service, where botocore calls it something else.
_BOTOCORE_NAMES = {
    "states": "stepfunctions",
    "monitoring": "cloudwatch",
    "tagging": "resourcegroupstaggingapi",
}
_RUNTIME_PATH = re.compile(r"/endpoints/[^/]+/(invocations|async-invocations|invocations-response-stream)")

Query = Mapping[str, list[str]]


class UnreadableError(Exception):
    """The body is not what the protocol says; AWS answers SerializationException."""


@dataclass(frozen=True)
class Request:
    """An HTTP request. Header names are in lower case; the path is decoded; S3's starts with the bucket."""

    method: str
    path: str
    query: Query
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Call:
    """An API call. `service` is botocore's name; `wire` is json, query, rest-json or rest-xml."""

    service: str
    operation: str
    wire: str
    params: dict[str, Any]

    @property
    def model(self) -> OperationModel:
        """What botocore says of the operation."""
        return service_model(self.service).operation_model(self.operation)


@functools.cache
def service_model(service: str) -> ServiceModel:
    """What botocore says of a service. Raises UnknownServiceError."""
    return botocore.session.get_session().get_service_model(service)


def botocore_name(service: str, path: str) -> str:
    """The name botocore has for what the emulator calls `service`."""
    if service == "sagemaker" and _RUNTIME_PATH.fullmatch(path):
        return "sagemaker-runtime"
    return _BOTOCORE_NAMES.get(service, service)


def read(service: str, request: Request) -> Call | None:
    """The call a request makes of a service (botocore's name), or None when it is no known operation.

    Raises:
        UnreadableError: the body does not parse.
    """
    found = _operation(service, request)
    if found is None:
        return None
    operation, wire, uri = found
    model = service_model(service)
    if operation not in model.operation_names:
        return None
    try:
        return Call(service, operation, wire, _params(model.operation_model(operation), wire, uri, request))
    except UnreadableError:
        raise
    except Exception as error:  # the parsers raise whatever the bad input makes them trip over
        raise UnreadableError(f"Could not read the {wire} request of {operation}: {error}") from error


def _operation(service: str, request: Request) -> tuple[str, str, dict[str, str]] | None:
    """Operation name, wire protocol and the values in the path."""
    target = request.headers.get("x-amz-target", "")
    if target:
        return target.rpartition(".")[2], "json", {}
    protocol = service_model(service).metadata["protocol"]
    if protocol.startswith("rest"):
        routed = _route(service, request)
        return (routed[0], protocol, routed[1]) if routed else None
    action = _form(request).get("Action")
    return (action[0], "query", {}) if action else None


def _form(request: Request) -> dict[str, list[str]]:
    """A query-protocol request's fields, in the URL or the body."""
    fields = dict(request.query)
    if "form-urlencoded" in request.headers.get("content-type", ""):
        fields |= parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    return fields


def _params(model: OperationModel, wire: str, uri: dict[str, str], request: Request) -> dict[str, Any]:
    if wire == "json":
        return _json_object(request.body)
    if wire == "rest-json":
        return _rest_json(model, uri, request)
    return _by_moto(model, wire, uri, request)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        loaded = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise UnreadableError("The request body is not valid JSON") from error
    if not isinstance(loaded, dict):
        raise UnreadableError("The request body is not a JSON object")
    return loaded


def _rest_json(model: OperationModel, uri: dict[str, str], request: Request) -> dict[str, Any]:
    shape = model.input_shape
    if shape is None:
        return {}
    params: dict[str, Any] = {}
    payload = shape.serialization.get("payload")
    body = {} if payload or not request.body else _json_object(request.body)
    for name, member in shape.members.items():
        wire_name = member.serialization.get("name", name)
        location = member.serialization.get("location")
        values: dict[str, Any]
        if location == "uri":
            values = uri
        elif location == "header":
            wire_name, values = wire_name.lower(), dict(request.headers)
        elif location == "querystring":
            plural = member.type_name == "list"
            values = {key: value if plural else value[0] for key, value in request.query.items()}
        elif name == payload:
            values = {wire_name: request.body}
        else:
            values = body
        if values.get(wire_name) is not None:
            value = values[wire_name]
            params[name] = _from_text(member.type_name, value) if location else value
    return params


def _from_text(type_name: str, value: Any) -> Any:
    """What a header, path or query value means."""
    if type_name in ("integer", "long"):
        return int(value)
    if type_name in ("float", "double"):
        return float(value)
    if type_name == "boolean":
        return value == "true"
    return value


def _by_moto(model: OperationModel, wire: str, uri: dict[str, str], request: Request) -> dict[str, Any]:
    """Query and REST-XML parameters, read by moto's parsers."""
    from moto.core.parse import PROTOCOL_PARSERS
    from werkzeug.datastructures import Headers, MultiDict

    moto_model = _moto_model(model.service_model.service_name).operation_model(model.name)
    values = _form(request) if wire == "query" else request.query
    parsed = PROTOCOL_PARSERS[wire](moto_model).parse(
        {
            "body": request.body,
            "headers": Headers(list(request.headers.items())),
            "method": request.method,
            "url_params": uri,
            "url_path": request.path,
            "values": MultiDict({key: list(value) for key, value in values.items()}),
        }
    )
    # A header map is always there, with nothing in it when no header has its prefix; an absent path value is
    # None. An empty body element (`<BucketLoggingStatus/>` switches logging off) is a value like any other.
    payload = (model.input_shape.serialization if model.input_shape else {}).get("payload")
    if payload in parsed and request.body and parsed[payload] is None:
        parsed[payload] = {}
    return {name: v for name, v in parsed.items() if v not in (None, {}) or (name == payload and v == {})}


@functools.cache
def _moto_model(service: str) -> Any:
    """The service as moto's own model classes describe it, which its parsers need."""
    from moto.core.model import ServiceModel as MotoServiceModel

    description = (
        botocore.session.get_session().get_component("data_loader").load_service_model(service, "service-2")
    )
    return MotoServiceModel(description, service)


@dataclass(frozen=True)
class _Route:
    operation: str
    method: str
    path: re.Pattern[str]
    names: tuple[str, ...]
    literal: int
    query: frozenset[str]
    needed_query: frozenset[str]
    needed_headers: frozenset[str]


def _route(service: str, request: Request) -> tuple[str, dict[str, str]] | None:
    """The REST operation a request asks for: the most specific whose path and required parts are there."""
    best: tuple[int, int, int] | None = None
    found = None
    for route in _routes(service):
        match = route.path.fullmatch(request.path) if route.method == request.method else None
        if not match or not (route.query | route.needed_query) <= _query_marks(request.query):
            continue
        if not route.needed_headers <= request.headers.keys():
            continue
        rank = (len(route.query), len(route.needed_query) + len(route.needed_headers), route.literal)
        if best is None or rank > best:
            best, found = rank, (route.operation, dict(zip(route.names, match.groups(), strict=True)))
    return found


def _query_marks(query: Query) -> set[str]:
    """The names in a query string, and `name=value` for each."""
    return set(query) | {f"{name}={value}" for name, values in query.items() for value in values}


@functools.cache
def _routes(service: str) -> tuple[_Route, ...]:
    model = service_model(service)
    operations = [model.operation_model(name) for name in model.operation_names]
    # S3's PutBucketLifecycle and PutBucketNotification share the URI of what replaced them.
    return tuple(_compile(operation) for operation in operations if not operation.deprecated)


def _compile(operation: OperationModel) -> _Route:
    uri = urlsplit(operation.http["requestUri"])
    names = re.findall(r"{(\w+)\+?}", uri.path)
    pattern = "".join(
        ("(.+)" if part.endswith("+}") else "([^/]+)") if part.startswith("{") else re.escape(part)
        for part in re.split(r"({\w+\+?})", uri.path)
    )
    shape = operation.input_shape
    return _Route(
        operation=operation.name,
        method=operation.http["method"],
        path=re.compile(pattern + "/?"),
        names=tuple(names),
        literal=len(re.sub(r"{\w+\+?}", "", uri.path)),
        query=frozenset(uri.query.split("&")) - {""},
        needed_query=_needed(shape, "querystring"),
        needed_headers=frozenset(name.lower() for name in _needed(shape, "header")),
    )


def _needed(shape: StructureShape | None, location: str) -> frozenset[str]:
    if shape is None:
        return frozenset()
    members = ((name, shape.members[name]) for name in shape.required_members)
    return frozenset(
        member.serialization.get("name", name)
        for name, member in members
        if member.serialization.get("location") == location
    )


# The call of the HTTP request being served; what the emulator does by itself later still sees it, so users
# compare.
current: ContextVar[Call | None] = ContextVar("upkeep_call", default=None)
