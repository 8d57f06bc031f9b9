"""Checks a state machine's definition as Step Functions does when it is created.

Source: the Amazon States Language (https://states-language.net/spec.html) and "State machine structure"
(https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html). Every problem is reported,
in the order it stands in the definition, with its place as Step Functions names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from sandbox import statemachines

MAX_BYTES = 1_048_576
_MAX_NAME = 80

_COMMON = frozenset(
    {"Type", "Comment", "QueryLanguage", "InputPath", "OutputPath", "Output", "Assign", "Next", "End"}
)
_RETRYING = frozenset({"Retry", "Catch", "ResultPath", "ResultSelector", "Parameters", "Arguments"})
_TIMED = frozenset({"TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath"})
_FIELDS = {
    "Task": _COMMON | _RETRYING | _TIMED | {"Resource", "Credentials"},
    "Pass": _COMMON | {"Result", "ResultPath", "Parameters"},
    "Choice": (_COMMON - {"Next", "End"}) | {"Choices", "Default"},
    "Wait": _COMMON | {"Seconds", "SecondsPath", "Timestamp", "TimestampPath"},
    "Succeed": _COMMON - {"Next", "End"},
    "Fail": frozenset(
        {
            "Type",
            "Comment",
            "QueryLanguage",
            "Error",
            "ErrorPath",
            "Cause",
            "CausePath",
            "InputPath",
            "OutputPath",
        }
    ),
    "Parallel": _COMMON | _RETRYING | {"Branches"},
    "Map": _COMMON
    | _RETRYING
    | {
        "Iterator",
        "ItemProcessor",
        "ItemsPath",
        "Items",
        "ItemSelector",
        "ItemReader",
        "ItemBatcher",
        "ResultWriter",
    }
    | {"MaxConcurrency", "MaxConcurrencyPath", "Label"}
    | {"ToleratedFailurePercentage", "ToleratedFailurePercentagePath"}
    | {"ToleratedFailureCount", "ToleratedFailureCountPath"},
}
_WAITS = ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")
_TERMINAL = ("Succeed", "Fail")
_INTEGRATION = re.compile(r"arn:aws[\w-]*:states:::(sagemaker):(\w+?)(\.\w+)?")


def problems(definition: str) -> list[str]:
    """What is wrong with a definition, in Step Functions' form `CODE: what. at /place`."""
    if len(definition.encode()) > MAX_BYTES:
        return [f"INVALID_DEFINITION: The definition is longer than {MAX_BYTES} bytes."]
    try:
        machine = json.loads(definition)
    except (ValueError, RecursionError) as error:
        return [f"INVALID_JSON_DESCRIPTION: The definition is not valid JSON: {error}"]
    if not isinstance(machine, dict):
        return ["INVALID_JSON_DESCRIPTION: The definition is not a JSON object."]
    try:
        return list(_machine(machine, ""))
    except RecursionError:
        return ["INVALID_JSON_DESCRIPTION: The definition is nested too deeply."]


def _machine(machine: dict[str, Any], place: str) -> Iterator[str]:
    """A state machine, or a branch of one."""
    states = machine.get("States")
    if not isinstance(states, dict) or not states:
        yield _schema("These fields are required: [States]", place or "/")
        return
    start = machine.get("StartAt")
    if not isinstance(start, str):
        yield _schema("These fields are required: [StartAt]", place or "/")
    elif start not in states:
        yield f"MISSING_TRANSITION_TARGET: Missing 'StartAt' target: {start}. at {place}/StartAt"
    for name, state in states.items():
        yield from _state(name, state, states, f"{place}/States/{name}")
    if isinstance(start, str) and start in states:
        reached = _reachable(start, states)
        for name in states:
            if name not in reached:
                yield f'MISSING_TRANSITION_TARGET: State "{name}" is not reachable. at {place}/States/{name}'


def _state(name: str, state: Any, states: dict[str, Any], place: str) -> Iterator[str]:
    if len(name) > _MAX_NAME:
        yield _schema(
            f"A state's name is at most {_MAX_NAME} characters long, this one has {len(name)}", place
        )
    kind = state.get("Type") if isinstance(state, dict) else None
    if not isinstance(kind, str) or kind not in _FIELDS:
        yield _schema(
            f"Value is not a valid state type, must be one of: [{', '.join(_FIELDS)}]", f"{place}/Type"
        )
        return
    for field in state:
        if field not in _FIELDS[kind]:
            yield _schema("Field is not supported", f"{place}/{field}")
    if kind not in (*_TERMINAL, "Choice") and ("Next" in state) == (state.get("End") is True):
        yield _schema("A state has either Next or End", place)
    for field, target in _targets(state):
        if target not in states:
            yield f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {target}. at {place}{field}"
    yield from _KINDS.get(kind, _nothing)(state, place)
    yield from _errors(state, place)
    yield from _payload(state, place)


def _task(state: dict[str, Any], place: str) -> Iterator[str]:
    resource = state.get("Resource")
    if not isinstance(resource, str):
        yield _schema("These fields are required: [Resource]", place)
        return
    known = _INTEGRATION.fullmatch(resource)
    unknown = known is not None and (
        known[2] not in (statemachines.SYNC if known[3] == ".sync" else statemachines.OPTIMISED)
        or known[3] not in (None, ".sync")
    )
    if unknown or not resource.startswith("arn:"):
        yield _schema(
            f"The resource provided {resource} is not recognized. The value is not a valid resource ARN, "
            "or the resource is not available in this region",
            f"{place}/Resource",
        )


def _choice(state: dict[str, Any], place: str) -> Iterator[str]:
    choices = state.get("Choices")
    if not isinstance(choices, list) or not choices:
        yield _schema("These fields are required: [Choices]", place)
        return
    for number, choice in enumerate(choices):
        if not isinstance(choice, dict) or "Next" not in choice:
            yield _schema("These fields are required: [Next]", f"{place}/Choices[{number}]")


def _wait(state: dict[str, Any], place: str) -> Iterator[str]:
    if sum(field in state for field in _WAITS) != 1:
        yield _schema(f"A Wait state has exactly one of [{', '.join(_WAITS)}]", place)


def _parallel(state: dict[str, Any], place: str) -> Iterator[str]:
    branches = state.get("Branches")
    if not isinstance(branches, list) or not branches:
        yield _schema("These fields are required: [Branches]", place)
        return
    for number, branch in enumerate(branches):
        yield from _machine(branch if isinstance(branch, dict) else {}, f"{place}/Branches[{number}]")


def _map(state: dict[str, Any], place: str) -> Iterator[str]:
    field = "ItemProcessor" if "ItemProcessor" in state else "Iterator"
    inner = state.get(field)
    if not isinstance(inner, dict):
        yield _schema("These fields are required: [ItemProcessor]", place)
        return
    yield from _machine(inner, f"{place}/{field}")


def _nothing(_state: dict[str, Any], _place: str) -> Iterator[str]:
    yield from ()


_KINDS = {"Task": _task, "Choice": _choice, "Wait": _wait, "Parallel": _parallel, "Map": _map}


def _errors(state: dict[str, Any], place: str) -> Iterator[str]:
    """Retry and Catch: an error list each, States.ALL alone and last."""
    for field in ("Retry", "Catch"):
        rules = state.get(field, [])
        if not isinstance(rules, list):
            yield _schema("Expected an array", f"{place}/{field}")
            continue
        for number, rule in enumerate(rules):
            equals = rule.get("ErrorEquals") if isinstance(rule, dict) else None
            here = f"{place}/{field}[{number}]"
            if not isinstance(equals, list) or not equals:
                yield _schema("These fields are required: [ErrorEquals]", here)
            elif "States.ALL" in equals and (len(equals) > 1 or number != len(rules) - 1):
                yield _schema("States.ALL must stand alone, and in the last place", f"{here}/ErrorEquals")
            if field == "Catch" and isinstance(rule, dict) and "Next" not in rule:
                yield _schema("These fields are required: [Next]", here)


def _payload(state: dict[str, Any], place: str) -> Iterator[str]:
    """Fields whose name ends with `.$` hold a path or an intrinsic function."""
    for field in ("Parameters", "ResultSelector", "ItemSelector"):
        yield from _paths(state.get(field), f"{place}/{field}")


def _paths(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key.endswith(".$"):
                if not isinstance(item, str) or not item.startswith(("$", "States.")):
                    yield _schema(
                        "The value for the field must be a valid JSONPath or a valid intrinsic function call",
                        f"{place}/{key}",
                    )
            else:
                yield from _paths(item, f"{place}/{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _paths(item, f"{place}[{number}]")


def _targets(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Where a state can go: the field that says so, and the state's name."""
    for field in ("Next", "Default"):
        if isinstance(state.get(field), str):
            yield f"/{field}", state[field]
    for field in ("Choices", "Catch"):
        rules = state.get(field)
        for number, rule in enumerate(rules if isinstance(rules, list) else []):
            if isinstance(rule, dict) and isinstance(rule.get("Next"), str):
                yield f"/{field}[{number}]/Next", rule["Next"]


def _reachable(start: str, states: dict[str, Any]) -> set[str]:
    reached, queue = {start}, [start]
    while queue:
        state = states[queue.pop()]
        for _, target in _targets(state if isinstance(state, dict) else {}):
            if target in states and target not in reached:
                reached.add(target)
                queue.append(target)
    return reached


def _schema(what: str, place: str) -> str:
    return f"SCHEMA_VALIDATION_FAILED: {what}. at {place}"
