"""Retrainings and releases as data: from what Step Functions, the ledger and the judge say."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from training.ledger import records
from training.ledger.records import RunRecord
from upkeep.outputs import ModelOutputs
from upkeep.render import iso

ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})
_STATUS = {
    records.STARTING: "RUNNING", records.RUNNING: "RUNNING", records.RELEASING: "SUCCEEDED",
    records.SUCCEEDED: "SUCCEEDED", records.FAILED: "FAILED",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Step:
    """One state of a state machine that an execution went into.

    Attributes:
        name: The state's name.
        status: `running`, `done` or `failed`.
        started: When it was entered first.
        ended: When it was left last.
        visits: How often it was entered; a waiting loop comes by many times.
        spent_seconds: Time in it during the visits that are over.
        entered: When the present visit began; None while it is elsewhere.
        message: Why it failed; of a phase of a release what it is about.
        kind: The state's type: Task, Choice, Wait, Pass; or Phase.
    """

    name: str
    status: str
    started: datetime
    ended: datetime | None = None
    message: str = ""
    kind: str = ""
    visits: int = 1
    spent_seconds: float = 0.0
    entered: datetime | None = None

    def seconds(self, now: datetime) -> float:
        """How long it took, or takes so far; in a loop, all visits together."""
        return self.spent_seconds + ((now - self.entered).total_seconds() if self.entered else 0.0)

    def words(self) -> str:
        """The step and what it is about: `bake: all traffic on 1.2.0`."""
        name = self.name[:1].lower() + self.name[1:]
        return f"{name}: {self.message}" if self.message else name

    def to_json(self, now: datetime) -> dict[str, Any]:
        """The step as `--json` prints it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "status": self.status,
            "started": iso(self.started),
            "ended": iso(self.ended),
            "visits": self.visits,
            "seconds": round(self.seconds(now), 3),
            "message": self.message,
        }

    def left(self, at: datetime, status: str, message: str = "") -> Step:
        """The step once a visit is over."""
        return replace(
            self, status=status, ended=at, entered=None, spent_seconds=self.seconds(at), message=message
        )


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the judge said about a challenger, and why."""

    decision: str
    reason: str
    approval: str = ""
    metric: str = ""
    challenger: float | None = None
    champion: float | None = None
    rows: Mapping[str, Any] = field(default_factory=dict)
    evaluation_uri: str = ""

    @property
    def promoted(self) -> bool:
        """Whether the challenger may replace the champion."""
        return self.decision == "promote"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution of the retrain state machine.

    Attributes:
        id: The run id, which is the execution's name and the digest of the data manifest.
        model: Name of the model.
        status: RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
        trigger: What started it.
        rows: Rows it worked on; before the judge has spoken, those in its files, repeated ones included.
        manifest_uri: The data manifest in S3.
        error: Name of the error that ended it.
        cause: What Step Functions says about that error.
        data_version: Digest of the files it reads; several runs may try one.
        attempt: Which of them this is, from 1.
        dropped: Bad rows that were left out of its files.
        usd: What it cost; None while that is not known.
        worst_usd: What it can cost at most.
    """

    id: str
    model: str
    arn: str
    status: str
    started: datetime
    stopped: datetime | None = None
    trigger: str = ""
    rows: int | None = None
    files: int | None = None
    manifest_uri: str = ""
    decision: Decision | None = None
    error: str = ""
    cause: str = ""
    data_version: str = ""
    attempt: int | None = None
    dropped: int | None = None
    usd: float | None = None
    worst_usd: float | None = None

    @property
    def short(self) -> str:
        """The run id as people see it."""
        return self.id[:8]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ENDED

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return None if self.stopped is None else (self.stopped - self.started).total_seconds()

    def judged(self, decision: Decision | None) -> Run:
        """The run with what the judge recorded, if anything."""
        if decision is None:
            return self
        return replace(self, decision=decision, rows=_whole(decision.rows.get("total")) or self.rows)

    def to_json(self) -> dict[str, Any]:
        """The run as `--json` prints it."""
        data = asdict(self)
        data.update(started=iso(self.started), stopped=iso(self.stopped), seconds=self.seconds)
        return data


def parse_run(model: str, described: Mapping[str, Any]) -> Run:
    """A run from the answer of DescribeExecution.

    Source: https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
    """
    given = _json(described.get("input"))
    files = given.get("files")
    return Run(
        id=str(given.get("run_id") or described["name"]),
        model=model,
        arn=described["executionArn"],
        status=described["status"],
        started=described["startDate"],
        stopped=described.get("stopDate"),
        trigger=_trigger(given.get("trigger")),
        rows=_whole(given.get("rows")),
        files=len(files) if isinstance(files, list) else _whole(files),
        manifest_uri=str(given.get("manifest_uri") or ""),
        data_version=str(given.get("data_version") or ""),
        dropped=_whole(given.get("dropped")),
        error=str(described.get("error") or ""),
        cause=readable_cause(described.get("cause")),
    )


def of_record(record: RunRecord, model: ModelOutputs) -> Run:
    """A run from the ledger, which keeps it longer than Step Functions' 90 days.

    Source: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
    """
    return Run(
        id=record.run_id,
        model=record.model,
        arn=execution_arn(model.retrain_state_machine_arn, record.run_id),
        status=_STATUS[record.state],
        started=_moment(record.started_at),
        stopped=None if record.ended_at is None else _moment(record.ended_at),
        trigger=record.trigger,
        rows=record.rows,
        files=record.files,
        manifest_uri=record.manifest_uri,
        cause=record.reason if record.state == records.FAILED else "",
        data_version=record.data_version,
        attempt=record.attempt,
        usd=record.usd,
        worst_usd=record.worst_usd,
    )


def with_record(run: Run, record: RunRecord | None) -> Run:
    """The run with what only the ledger knows: data version, attempt, cost."""
    if record is None:
        return run
    return replace(
        run,
        data_version=record.data_version,
        attempt=record.attempt,
        usd=record.usd,
        worst_usd=record.worst_usd,
    )


def execution_arn(machine_arn: str, name: str) -> str:
    """The ARN of an execution of a state machine."""
    return f"{machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


def parse_decision(data: Mapping[str, Any]) -> Decision:
    """A decision from the judge's record."""
    known = {name: data[name] for name in Decision.__dataclass_fields__ if data.get(name) is not None}
    return Decision(**{"decision": "", "reason": "", **known})


def parse_steps(events: Iterable[Mapping[str, Any]]) -> list[Step]:
    """The states an execution went through, oldest first, from its history; a state that repeats is one step.

    Source: https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
    """
    steps: dict[str, Step] = {}
    current = ""
    for event in events:
        kind, at = str(event["type"]), event["timestamp"]
        if kind.endswith("StateEntered"):
            current = event["stateEnteredEventDetails"]["name"]
            known = steps.get(current)
            if known:
                steps[current] = replace(
                    known, status="running", ended=None, entered=at, visits=known.visits + 1
                )
            else:
                state = kind.removesuffix("StateEntered")
                steps[current] = Step(name=current, status="running", started=at, entered=at, kind=state)
        elif kind.endswith("StateExited"):
            name = event["stateExitedEventDetails"]["name"]
            if name in steps:
                steps[name] = steps[name].left(at, "done")
        elif kind in ("ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted") and current in steps:
            details: Mapping[str, Any] = next((v for k, v in event.items() if k.endswith("EventDetails")), {})
            steps[current] = steps[current].left(at, "failed", readable_cause(details.get("cause")))
    return list(steps.values())


def readable_cause(cause: object) -> str:
    """The sentence inside a cause: Step Functions wraps Lambda and SageMaker errors as JSON text."""
    said = str(cause or "").strip()
    inner = _json(said)
    for key in ("FailureReason", "errorMessage", "Message", "message", "reason"):
        if inner.get(key):
            return str(inner[key]).strip()
    return said


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _json(value: object) -> dict[str, Any]:
    with contextlib.suppress(TypeError, ValueError):
        loaded = json.loads(str(value))
        if isinstance(loaded, dict):
            return loaded
    return {}


def _trigger(value: object) -> str:
    if isinstance(value, Mapping):
        return str(value.get("kind") or value.get("type") or value.get("name") or json.dumps(value))
    return str(value or "")


def _whole(value: object) -> int | None:
    with contextlib.suppress(TypeError, ValueError):
        return int(str(value))
    return None
