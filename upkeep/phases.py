"""The phases of a release: what its state machine's one repeating state said it was about, each time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from upkeep.run import Step, parse_steps, readable_cause

BEGINNING, WAITING, CHECK, UPDATING = "begin", "waiting", "check", "updating"
PHASE = "Phase"
_STEP = "Step"
# How the release function begins to say what it waits for, and the phase that is.
_WAITS = {"the endpoint is ": UPDATING, "another ": WAITING}
_TITLES = {
    "begin": "Begin", "waiting": "Wait for its turn", "claimed": "Prepare", "check": "Check",
    "updating": "Move the traffic", "restoring": "Go back", "ending": "Note what became of it",
}  # fmt: skip
_FAILURES = ("ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted")


def parse_phases(events: Iterable[Mapping[str, Any]]) -> list[Step]:
    """The phases an execution went through, oldest first; its states when none of them tells a phase.

    A phase lasts from the answer that names it to the answer that names another one, so that what is done
    and waited for in between counts towards it.

    Args:
        events: The history with its data, see
            https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
    """
    seen = list(events)
    told = [(event, _told(event)) for event in seen]
    if not any(said.get("phase") for _, said in told):
        return parse_steps(seen)
    phases: dict[str, Step] = {}
    current = ""
    for event, said in told:
        kind, at = str(event["type"]), event["timestamp"]
        if said.get("phase"):
            current = _enter(phases, current, said, at)
        elif kind == "ExecutionStarted":
            current = _enter(phases, current, {"phase": BEGINNING}, at)
        elif kind == "ExecutionSucceeded" and current:
            phases[current] = phases[current].left(at, "done")
        elif kind in _FAILURES and current:
            details: Mapping[str, Any] = next((v for k, v in event.items() if k.endswith("EventDetails")), {})
            phases[current] = phases[current].left(at, "failed", readable_cause(details.get("cause")))
    return list(phases.values())


def _enter(phases: dict[str, Step], current: str, said: Mapping[str, str], at: datetime) -> str:
    """Note what was said at a moment; the phase it is in now."""
    name, words = said["phase"], said.get("words", "")
    if name == current:
        if words:
            phases[name] = replace(phases[name], message=words)
        return name
    if current:
        phases[current] = phases[current].left(at, "done")
    known = phases.get(name)
    phases[name] = Step(
        name=title(name),
        kind=PHASE,
        status="running",
        started=known.started if known else at,
        entered=at,
        visits=known.visits + 1 if known else 1,
        spent_seconds=known.spent_seconds if known else 0.0,
        message=words,
    )
    return name


def title(phase: str) -> str:
    """A phase as people read it: `updating` is `Move the traffic`."""
    plain = phase.replace("_", " ").strip()
    return _TITLES.get(phase, plain[:1].upper() + plain[1:])


def _told(event: Mapping[str, Any]) -> Mapping[str, str]:
    """Phase and words that the release function said in an event that is its end; empty for all others."""
    exited = event.get("stateExitedEventDetails") or {}
    if exited.get("name") != _STEP:
        return {}
    try:
        result = json.loads(exited.get("output") or "{}")["result"]
        do, phase, reason = (str(result.get(name) or "") for name in ("do", "phase", "reason"))
    except (ValueError, KeyError, TypeError, AttributeError):  # of another version, or cut: beyond 256 KB
        return {}
    words = str(result.get("words") or reason)
    if do == CHECK:
        return {"phase": CHECK}
    if do == "wait" and not phase:
        known = next((name for start, name in _WAITS.items() if reason.startswith(start)), "")
        return {"phase": known, "words": words} if known else {"phase": reason}
    return {"phase": phase, "words": words} if phase else {}
