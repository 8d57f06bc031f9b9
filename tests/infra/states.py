"""A small interpreter of the Amazon States Language (JSONPath), enough to run our machines against fakes.

Rules: https://states-language.net/spec.html. Retries are not acted out; a fake that raises goes to Catch.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Fake = Callable[[dict[str, Any]], Any]
CONTEXT = {
    "Execution": {"Id": "arn:aws:states:eu:1:execution:m:0123abcd_ef", "Name": "0123abcd-9999_4567-8888"},
    "State": {"EnteredTime": "2026-11-21T10:00:00.000Z"},
}
MAX_STEPS = 20_000


class TaskError(Exception):
    """What a fake raises: an error name and a cause."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(error)
        self.error, self.cause = error, cause


@dataclass
class Run:
    """How an execution ended.

    Attributes:
        status: SUCCEEDED or FAILED.
        path: Names of the states that were entered.
        calls: Integration and parameters of every task.
        waited_seconds: Sum of the waits.
    """

    status: str = ""
    output: Any = None
    error: str = ""
    cause: str = ""
    path: list[str] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    waited_seconds: int = 0

    def called(self, name: str) -> list[dict[str, Any]]:
        """Parameters of all calls of an integration, such as `updateEndpoint`."""
        return [parameters for called, parameters in self.calls if called == name]


def short(resource: str) -> str:
    """`updateEndpoint` of `arn:aws:states:::aws-sdk:sagemaker:updateEndpoint`."""
    return resource.rpartition(":")[2]


def execute(definition: Mapping[str, Any], given: Any, fakes: Mapping[str, Fake]) -> Run:
    """Run an execution to its end."""
    run, data, name = Run(), given, definition["StartAt"]
    for _ in range(MAX_STEPS):
        state = definition["States"][name]
        run.path.append(name)
        kind = state["Type"]
        if kind in ("Succeed", "Fail"):
            run.status = "SUCCEEDED" if kind == "Succeed" else "FAILED"
            if kind == "Fail":
                run.error, run.cause = get(state["ErrorPath"], data), get(state["CausePath"], data)
            run.output = data
            return run
        if kind == "Choice":
            name = next((r["Next"] for r in state["Choices"] if holds(r, data)), state["Default"])
            continue
        if kind == "Wait":
            run.waited_seconds += state["Seconds"] if "Seconds" in state else get(state["SecondsPath"], data)
        elif kind == "Pass":
            result = resolve(state["Parameters"], data)
            data = put(data, state.get("ResultPath", "$"), result)
        else:
            parameters = resolve(state["Parameters"], data)
            run.calls.append((short(state["Resource"]), parameters))
            try:
                answer = fakes[short(state["Resource"])](parameters)
            except TaskError as error:
                catcher = state["Catch"][0]
                known = {"Error": error.error, "Cause": error.cause}
                data, name = put(data, catcher["ResultPath"], known), catcher["Next"]
                continue
            if "ResultSelector" in state:
                answer = resolve(state["ResultSelector"], answer)
            if state["ResultPath"] is not None:
                data = put(data, state["ResultPath"], answer)
        if state.get("End"):
            run.status, run.output = "SUCCEEDED", data
            return run
        name = state["Next"]
    raise AssertionError(f"no end after {MAX_STEPS} steps; the last ones: {run.path[-6:]}")


def resolve(template: Any, data: Any) -> Any:
    """A payload template with its paths and intrinsic functions replaced."""
    if isinstance(template, Mapping):
        return {
            key.removesuffix(".$"): evaluate(value, data) if key.endswith(".$") else resolve(value, data)
            for key, value in template.items()
        }
    return [resolve(item, data) for item in template] if isinstance(template, list) else template


def evaluate(text: str, data: Any) -> Any:
    """A path or a call of an intrinsic function."""
    text = text.strip()
    if text.startswith("$"):
        return get(text, data)
    if text.startswith("'"):
        return text[1:-1]
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    name, _, rest = text.partition("(")
    arguments = [evaluate(part, data) for part in _split(rest.rpartition(")")[0])]
    return _INTRINSICS[name](*arguments)


def _format(template: str, *values: Any) -> str:
    for value in values:
        template = template.replace("{}", value if isinstance(value, str) else json.dumps(value), 1)
    return template


_INTRINSICS: dict[str, Callable[..., Any]] = {
    "States.Format": _format,
    "States.MathAdd": lambda a, b: a + b,
    "States.StringToJson": json.loads,
    "States.StringSplit": lambda text, marks: [p for p in re.split(f"[{re.escape(marks)}]", text) if p],
    "States.ArrayGetItem": lambda items, index: items[index],
}


def _split(arguments: str) -> Iterator[str]:
    depth, quoted, start = 0, False, 0
    for index, mark in enumerate(arguments):
        quoted ^= mark == "'"
        if not quoted:
            depth += (mark == "(") - (mark == ")")
            if mark == "," and depth == 0:
                yield arguments[start:index]
                start = index + 1
    yield arguments[start:]


def get(path: str, data: Any) -> Any:
    """The value at a path; a KeyError when there is none, which fails an execution on AWS."""
    if path.startswith("$$"):
        path, data = path[1:], CONTEXT
    for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        data = data[key] if key else data[int(index)]
    return data


def present(path: str, data: Any) -> bool:
    try:
        get(path, data)
    except (KeyError, IndexError, TypeError):
        return False
    return True


def put(data: Any, path: str, value: Any) -> Any:
    if path == "$":
        return value
    copy = json.loads(json.dumps(data))
    *parents, last = path.removeprefix("$.").split(".")
    target = copy
    for parent in parents:
        target = target.setdefault(parent, {})
    target[last] = value
    return copy


def holds(rule: Mapping[str, Any], data: Any) -> bool:
    """Whether a rule of a Choice is true; reading an absent variable is an error, as on AWS."""
    if "And" in rule:
        return all(holds(part, data) for part in rule["And"])
    if "Or" in rule:
        return any(holds(part, data) for part in rule["Or"])
    if "Not" in rule:
        return not holds(rule["Not"], data)
    if "IsPresent" in rule:
        return present(rule["Variable"], data) is rule["IsPresent"]
    found = get(rule["Variable"], data)
    comparison = next(key for key in rule if key not in ("Variable", "Next"))
    wanted = rule[comparison]
    if comparison.endswith("Path"):
        comparison, wanted = comparison.removesuffix("Path"), get(wanted, data)
    return {
        "StringEquals": lambda: found == wanted,
        "BooleanEquals": lambda: found is wanted,
        "NumericLessThan": lambda: found < wanted,
        "NumericGreaterThan": lambda: found > wanted,
        "StringMatches": lambda: fnmatch.fnmatchcase(found, wanted),
    }[comparison]()


def targets(state: Mapping[str, Any]) -> Iterator[str]:
    """Every state that may come next."""
    if "Next" in state:
        yield state["Next"]
    if "Default" in state:
        yield state["Default"]
    for part in (*state.get("Choices", ()), *state.get("Catch", ())):
        yield part["Next"]


def faults(definition: Mapping[str, Any]) -> list[str]:
    """What CreateStateMachine would refuse, and states that nothing leads to."""
    states = definition["States"]
    found = [
        f"{name}: {target} does not exist"
        for name, state in states.items()
        for target in targets(state)
        if target not in states
    ]
    reached, waiting = set(), [definition["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name in states and name not in reached:
            reached.add(name)
            waiting.extend(targets(states[name]))
    found += [f"{name}: never reached" for name in sorted(set(states) - reached)]
    for name, state in states.items():
        terminal = state["Type"] in ("Succeed", "Fail", "Choice")
        if terminal == ("Next" in state or bool(state.get("End"))):
            found.append(f"{name}: a {state['Type']} needs exactly one way on")
        # https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html
        if len(name) > 80:
            found.append(f"{name}: longer than 80 characters")
        if state["Type"] == "Task" and not {"TimeoutSeconds", "Catch", "Retry"} <= set(state):
            found.append(f"{name}: a task without timeout, retry or catch")
    return found
