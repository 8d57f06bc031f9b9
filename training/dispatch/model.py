"""One look at one model: settle what ended, decide, start or hold back, and tell people what matters."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from aws_lambda_powertools import Logger

from models.spec import ModelSpec
from monitoring import metrics
from training import clock, versions
from training.aws import client
from training.dispatch import deliveries, notices
from training.dispatch.deliveries import Delivery
from training.dispatch.endings import Endings
from training.dispatch.notices import Notice
from training.dispatch.policy import (
    ATTEMPTS,
    UNDER_WAY,
    Decision,
    Hold,
    Nothing,
    Start,
    View,
    Wait,
    decide,
    under_way,
)
from training.dispatch.settings import Settings
from training.dispatch.starts import Starter, worst_usd
from training.ledger.plans import LeaseLostError
from training.ledger.records import (
    FAILED,
    OPEN,
    RUNNING,
    DataRecord,
    PlanRecord,
    QuarantineRecord,
    RunRecord,
)
from training.ledger.table import Ledger
from training.versions import DataVersion

_log = Logger(service="dispatch", child=True)
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
MAX_DELAY_SECONDS = 900
# Time for Step Functions to say itself what its event has said already.
LOOK_AGAIN_SECONDS = 15
_PARALLEL = 8


class Model:
    """What is done about one model while its lease is held."""

    def __init__(self, settings: Settings, ledger: Ledger, spec: ModelSpec, owner: str) -> None:
        self._settings = settings
        self._ledger = ledger
        self._spec = spec
        self._owner = owner
        self._starter = Starter(settings, ledger, spec, owner)
        self._endings = Endings(settings, ledger, self._starter, spec.usd_per_hour)

    def look(self, ended: Sequence[str] = ()) -> None:
        """Do all that can be done now.

        Args:
            ended: Runs of which an event says that they have ended.

        Raises:
            LeaseLostError: Another decider goes on.
        """
        known = self._deliveries()
        # What people must know does not wait for a training that cannot be started, nor the other way round.
        _all(lambda: self._train(known, ended), lambda: self._tell(known))

    def _train(self, known: Sequence[Delivery], ended: Sequence[str]) -> None:
        name = self._spec.name
        runs = self._endings.settle(name)
        version = None if under_way(runs) else self._wanted(known)
        # After the data: whose arrival is noted later is not in the version, who is in it has been noted.
        plan = self._ledger.plan(name)
        if any(run.run_id in ended and run.state == RUNNING for run in runs):
            self._wake(plan, clock.now() + LOOK_AGAIN_SECONDS)
        decision = decide(self._view(plan, runs, version), clock.now())
        _log.info(
            f"{type(decision).__name__.lower()}: {decision.reason}",
            extra={"model": name, "data_version": version.id if version else None},
        )
        self._carry_out(decision, plan, version, runs)

    def _wanted(self, known: Sequence[Delivery]) -> DataVersion:
        return versions.select(
            self._spec.name, self._settings.data_bucket, self._spec.training.window, self._counting(known)
        )

    def _counting(self, known: Sequence[Delivery]) -> list[DataRecord]:
        data = self._ledger.data(self._spec.name)
        if self._spec.triggers.delivery == "manifest":
            return deliveries.counting(data, known)
        return data

    def _view(self, plan: PlanRecord, runs: Sequence[RunRecord], version: DataVersion | None) -> View:
        since = max((run.started_at for run in runs), default=0)
        records = version.records if version else ()
        new = [one.accepted_at for one in records if one.accepted_at > since and not versions.is_seed(one)]
        return View(
            triggers=self._spec.triggers,
            wanted=None if version is None or version.is_seed else version.id,
            runs=runs,
            worst_usd=worst_usd(self._spec),
            last_arrival=plan.last_arrival,
            waiting_since=min(new, default=None),
            forced=plan.forced is not None,
        )

    def _carry_out(
        self,
        decision: Decision,
        plan: PlanRecord,
        version: DataVersion | None,
        runs: Sequence[RunRecord],
    ) -> None:
        if isinstance(decision, Hold):
            self._hold(decision, plan, version, runs)
        elif plan.held and not (isinstance(decision, Wait) and decision.until):
            self._ledger.unhold(self._spec.name, self._owner)
        if isinstance(decision, Start) and version:
            self._starter.start(version, decision)
        if isinstance(decision, (Start, Nothing)) and plan.forced:
            self._ledger.unforce(self._spec.name, self._owner, plan.forced)
        if isinstance(decision, (Wait, Hold)) and decision.until:
            self._wake(plan, decision.until)
        current = next((run.run_id for run in runs if run.state in UNDER_WAY), None)
        if plan.current_run != current and not isinstance(decision, Start):
            self._ledger.update_plan(self._spec.name, self._owner, current_run=current)

    def _hold(
        self, hold: Hold, plan: PlanRecord, version: DataVersion | None, runs: Sequence[RunRecord]
    ) -> None:
        name, held = self._spec.name, plan.held or {}
        if (held.get("rule"), held.get("reason"), held.get("until")) != (hold.rule, hold.reason, hold.until):
            plan = self._ledger.hold(name, self._owner, hold.rule, hold.reason, hold.until)
        if not hold.is_announced or plan.held_announced:
            return
        failed = [run for run in runs if version and run.data_version == version.id and run.state == FAILED]
        base = self._settings.base(name)
        publish(self._settings, notices.held(base, hold, failed if hold.rule == ATTEMPTS else ()))
        self._ledger.announce_held(name)
        metrics.emit(self._settings.prefix, name, {metrics.TRAININGS_HELD: 1})

    def _deliveries(self) -> list[Delivery]:
        name = self._spec.name
        if self._spec.triggers.delivery != "manifest":
            return []
        records = self._ledger.deliveries(name)
        return deliveries.look(records, self._ledger.objects(name)) if records else []

    def _tell(self, known: Sequence[Delivery]) -> None:
        """Tell of what was refused, what is overdue and what is complete, each once.

        A message is sent before it is noted that it was: after a crash in between it comes twice, not never.
        """
        now, name, triggers = clock.now(), self._spec.name, self._spec.triggers
        base = self._settings.base(name)
        entries = self._ledger.untold_entries(name)
        last = self._ledger.plan(name).last_arrival if entries else 0
        groups = deliveries.to_announce(entries, known, triggers, last, now)
        for folder, group in groups.items():
            announce_refused(self._settings, self._ledger, name, folder, group)
        for one in known:
            if deliveries.is_overdue(one, triggers, now) and not one.record.announced_late:
                publish(self._settings, notices.overdue(base, one, triggers.manifest_deadline_seconds))
                self._ledger.announce_late(name, one.record.folder)
                metrics.emit(self._settings.prefix, name, {metrics.DELIVERIES_OVERDUE: 1})
            if one.is_ready and one.record.state == OPEN:
                if one.unlisted:
                    publish(self._settings, notices.with_unlisted(base, one))
                self._ledger.complete_delivery(one.record)

    def _wake(self, plan: PlanRecord, at: float) -> None:
        """Come back at some time, unless a message that does is on its way, or the schedule does."""
        now = clock.now()
        delay = max(1, math.ceil(at - now))
        if delay > MAX_DELAY_SECONDS or now < plan.wake_at <= now + delay:
            return
        wake(self._settings, self._spec.name, delay)
        self._ledger.plan_wake(self._spec.name, now + delay)


def wake(settings: Settings, model: str, delay_seconds: int) -> None:
    """Send a wake to our own queue."""
    client("sqs").send_message(
        QueueUrl=settings.dispatch_queue_url,
        MessageBody=json.dumps({"model": model, "why": "again"}),
        DelaySeconds=delay_seconds,
    )


def publish(settings: Settings, notice: Notice) -> None:
    """Send one message to the topic."""
    client("sns").publish(TopicArn=settings.topic_arn, Subject=notice.subject, Message=notice.text)
    _log.info("people were told", extra={"subject": notice.subject})


def announce_refused(
    settings: Settings,
    ledger: Ledger,
    model: str,
    folder: str,
    entries: Sequence[QuarantineRecord],
) -> None:
    """Tell of the refused files of one delivery."""
    publish(settings, notices.quarantined(settings.base(model), folder, entries))
    with ThreadPoolExecutor(_PARALLEL) as pool:
        list(pool.map(lambda entry: ledger.announce_entry(model, entry.id), entries))
    metrics.emit(settings.prefix, model, {metrics.DELIVERIES_QUARANTINED: 1})


def _all(*steps: Callable[[], None]) -> None:
    """Do each step, whatever becomes of the others; then raise the first error there was.

    Raises:
        LeaseLostError: At once: the later steps are another decider's.
    """
    errors: list[Exception] = []
    for step in steps:
        try:
            step()
        except LeaseLostError:
            raise
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)
    for later in errors[1:]:
        _log.error("another step failed too", exc_info=later)
    if errors:
        raise errors[0]
