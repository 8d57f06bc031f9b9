"""The state of a stack in one look: what serves, what ran last, what needs attention."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from models.spec import ModelSpec
from training.dispatch import deliveries as dispatched
from training.dispatch import policy
from training.ledger.records import COMPLETE, NO_MODEL
from upkeep import runs, serving, truth
from upkeep.aws_source import hold_of
from upkeep.dead_letters import queues
from upkeep.errors import UpkeepError
from upkeep.follow import Hold
from upkeep.ledger import OperatorLedger, open_ledger
from upkeep.outputs import ModelOutputs
from upkeep.quarantine import WAITING
from upkeep.render import iso
from upkeep.rows import deployed_spec
from upkeep.runs import Clients, Run
from upkeep.serving import Serving
from upkeep.truth import Truth


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm that is not OK."""

    name: str
    state: str
    reason: str
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A folder that is not complete yet.

    Attributes:
        folder: Below `incoming/<model>/`.
        files: How many its manifest lists; None while there is no manifest.
        missing: Names of those that were not looked at yet.
        since: When its first file was seen.
        overdue: Whether its deadline has passed.
    """

    folder: str
    files: int | None
    missing: tuple[str, ...]
    since: datetime | None
    overdue: bool

    def words(self) -> str:
        """What it waits for."""
        if self.files is None:
            return "no _MANIFEST.json"
        few = ", ".join(self.missing[:3]) + (", ..." if len(self.missing) > 3 else "")
        return f"{len(self.missing)} of {self.files} files missing" + (f": {few}" if few else "")

    def to_json(self) -> dict[str, Any]:
        """The delivery as `--json` prints it."""
        return {**asdict(self), "since": iso(self.since), "waits_for": self.words()}


@dataclass(frozen=True, kw_only=True)
class ModelHealth:
    """One model.

    Attributes:
        name: The model's name.
        serving: What its endpoint serves.
        last_run: Its newest retraining.
        pending: Versions that wait for a person's approval.
        quarantined: Files in its quarantine that wait for a person.
        truth: Whether its endpoint serves what it should.
        label: What serves, as people call it.
        experiment: The experiment that is on; empty for none.
        hold: What holds back its next run.
        forced: Who wants a run all the same.
        deliveries: Folders that are not complete yet.
        spent_usd: What its runs of this calendar month did cost, or can cost while that is not known.
        ceiling_usd: What they may cost before only a person starts them.
    """

    name: str
    serving: Serving
    last_run: Run | None
    pending: tuple[int, ...]
    quarantined: int
    truth: Truth | None = None
    label: str = ""
    experiment: str = ""
    hold: Hold | None = None
    forced: str | None = None
    deliveries: tuple[Delivery, ...] = ()
    spent_usd: float = 0.0
    ceiling_usd: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The model as `--json` prints it."""
        last = self.last_run.to_json() if self.last_run else None
        return {
            "name": self.name,
            "serving": self.serving.to_json(),
            "version": self.label,
            "truth": self.truth.to_json() if self.truth else None,
            "experiment": self.experiment or None,
            "last_run": last,
            "pending_approval": list(self.pending),
            "quarantined": self.quarantined,
            "held": self.hold.to_json() if self.hold else None,
            "forced_by": self.forced,
            "deliveries": [delivery.to_json() for delivery in self.deliveries],
            "spent_usd": round(self.spent_usd, 4),
            "ceiling_usd": self.ceiling_usd,
        }


@dataclass(frozen=True, kw_only=True)
class Health:
    """A stack.

    Attributes:
        models: Its models.
        alarms: Its alarms that are not OK.
        queued: Messages in the intake queue.
        dead_letters: Messages that were given up, by queue.
        unassigned: Refused files that were pushed to no model.
    """

    models: tuple[ModelHealth, ...]
    alarms: tuple[Alarm, ...]
    queued: int
    dead_letters: dict[str, int]
    unassigned: int = 0

    def to_json(self) -> dict[str, Any]:
        """The stack as `--json` prints it."""
        return {
            "models": [model.to_json() for model in self.models],
            "alarms": [{**asdict(alarm), "since": iso(alarm.since)} for alarm in self.alarms],
            "queue": {"waiting": self.queued, "dead_letters": self.dead_letters},
            "quarantined_without_model": self.unassigned,
        }


def read(context: Clients) -> Health:
    """Ask AWS about everything in the stack."""
    outputs = context.outputs
    ledger = open_ledger(context)
    return Health(
        models=tuple(read_model(context, model, ledger) for model in outputs.models.values()),
        alarms=tuple(read_alarms(context, f"{outputs.prefix}-")),
        queued=queue_depth(context, outputs.intake_queue_url),
        dead_letters={queue.name: queue_depth(context, queue.dead_url) for queue in queues(outputs)},
        unassigned=len(ledger.quarantine_entries(NO_MODEL, WAITING)),
    )


def read_model(context: Clients, model: ModelOutputs, ledger: OperatorLedger) -> ModelHealth:
    """Ask AWS about one model."""
    plan, spec = ledger.plan(model.name), _spec(context, model)
    packages = serving.list_packages(context, model)
    noted, now = ledger.rollout(model.name), serving.read_serving(context, model, packages)
    last = runs.list_runs(context, model, limit=1)
    return ModelHealth(
        name=model.name,
        serving=now,
        last_run=last[0] if last else None,
        pending=tuple(p.version for p in packages if p.approval == "PendingManualApproval"),
        quarantined=len(ledger.quarantine_entries(model.name, WAITING)),
        truth=truth.check(model.name, now, noted, packages, alive=truth.is_alive(context, model, noted)),
        label=next((p.label for p in packages if p.version == now.version), ""),
        experiment=noted.experiment,
        hold=hold_of(plan.held),
        forced=str(plan.forced.get("by")) if plan.forced else None,
        deliveries=open_deliveries(ledger, spec, ledger.now()) if spec else (),
        spent_usd=policy.spent(ledger.runs(model.name), ledger.now()),
        ceiling_usd=spec.triggers.max_usd_per_month if spec else None,
    )


def open_deliveries(ledger: OperatorLedger, spec: ModelSpec, now: float) -> tuple[Delivery, ...]:
    """The folders of a model that wait for their manifest or for files of it."""
    if spec.triggers.delivery != "manifest":
        return ()
    records = ledger.deliveries(spec.name)
    if all(record.state == COMPLETE for record in records):
        return ()
    looked = dispatched.look(records, ledger.objects(spec.name))
    return tuple(
        Delivery(
            folder=one.record.folder,
            files=None if one.record.files is None else len(one.record.files),
            missing=one.missing,
            since=datetime.fromtimestamp(one.record.first_at, UTC) if one.record.first_at else None,
            overdue=dispatched.is_overdue(one, spec.triggers, now),
        )
        for one in looked
        if not (one.is_ready or one.is_part or one.record.state == COMPLETE)
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


def _spec(context: Clients, model: ModelOutputs) -> ModelSpec | None:
    """The deployed spec; a stack that has lost it must still be able to say how it is."""
    with contextlib.suppress(UpkeepError):
        return deployed_spec(context, model)
    return None


def _alarm(item: dict[str, Any]) -> Alarm:
    return Alarm(
        name=item["AlarmName"],
        state=item["StateValue"],
        reason=item.get("StateReason", ""),
        since=item.get("StateUpdatedTimestamp"),
    )
