"""The state of a stack in one look: what serves, what ran last, what needs attention."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from upkeep import data, runs, serving
from upkeep.outputs import ModelOutputs
from upkeep.render import iso
from upkeep.runs import Clients, Run
from upkeep.serving import Serving


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm that is not OK."""

    name: str
    state: str
    reason: str
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ModelHealth:
    """One model.

    Attributes:
        name: The model's name.
        serving: What its endpoint serves.
        last_run: Its newest retraining.
        pending: Versions that wait for a person's approval.
        quarantined: Files in its quarantine.
    """

    name: str
    serving: Serving
    last_run: Run | None
    pending: tuple[int, ...]
    quarantined: int

    def to_json(self) -> dict[str, Any]:
        """The model as `--json` prints it."""
        last = self.last_run.to_json() if self.last_run else None
        return {
            "name": self.name,
            "serving": self.serving.to_json(),
            "last_run": last,
            "pending_approval": list(self.pending),
            "quarantined": self.quarantined,
        }


@dataclass(frozen=True, kw_only=True)
class Health:
    """A stack: its models, its alarms that are not OK, its queue."""

    models: tuple[ModelHealth, ...]
    alarms: tuple[Alarm, ...]
    queued: int
    dead_letters: int

    def to_json(self) -> dict[str, Any]:
        """The stack as `--json` prints it."""
        return {
            "models": [model.to_json() for model in self.models],
            "alarms": [{**asdict(alarm), "since": iso(alarm.since)} for alarm in self.alarms],
            "queue": {"waiting": self.queued, "dead_letters": self.dead_letters},
        }


def read(context: Clients) -> Health:
    """Ask AWS about everything in the stack."""
    outputs = context.outputs
    return Health(
        models=tuple(read_model(context, model) for model in outputs.models.values()),
        alarms=tuple(read_alarms(context, f"{outputs.prefix}-")),
        queued=queue_depth(context, outputs.intake_queue_url),
        dead_letters=queue_depth(context, outputs.intake_dead_letters_url),
    )


def read_model(context: Clients, model: ModelOutputs) -> ModelHealth:
    """Ask AWS about one model."""
    packages = serving.list_packages(context, model)
    last = runs.list_runs(context, model, limit=1)
    return ModelHealth(
        name=model.name,
        serving=serving.read_serving(context, model, packages),
        last_run=last[0] if last else None,
        pending=tuple(p.version for p in packages if p.approval == "PendingManualApproval"),
        quarantined=len(data.quarantined(context, model, context.outputs.data_bucket)),
    )


def read_alarms(context: Clients, prefix: str) -> list[Alarm]:
    """The alarms of the stack that are in ALARM."""
    pages = context.client("cloudwatch").get_paginator("describe_alarms")
    found: list[Alarm] = []
    for page in pages.paginate(
        AlarmNamePrefix=prefix, StateValue="ALARM", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    ):
        found += map(_alarm, [*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])])
    return found


def queue_depth(context: Clients, url: str) -> int:
    """Messages in a queue, those being worked on included; 0 when the stack has none."""
    if not url:
        return 0
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = context.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return sum(int(value) for value in answer.get("Attributes", {}).values())


def _alarm(item: dict[str, Any]) -> Alarm:
    return Alarm(
        name=item["AlarmName"],
        state=item["StateValue"],
        reason=item.get("StateReason", ""),
        since=item.get("StateUpdatedTimestamp"),
    )
