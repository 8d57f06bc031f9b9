"""CloudWatch alarms: evaluated all the time and as AWS does, and announced on EventBridge.

MiniStack evaluates when metrics are put, over all dimensions of a metric at once and without regard to
missing data; it does not report AWS/States and AWS/SQS metrics. All of that is done here.
"""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import functools
import logging
import threading
import time
from typing import Any

from sandbox import alarms
from sandbox.seam.account import put_event
from sandbox.seam.internals import ministack
from sandbox.seam.roles import in_account

_log = logging.getLogger(__name__)

_EVERY_SECONDS = 1.0
_REPORT_SECONDS = 60.0  # SQS reports each minute; here also at once when the number changes

# https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
_EXECUTION_METRICS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "ABORTED": "ExecutionsAborted",
    "TIMED_OUT": "ExecutionsTimedOut",
}


class Watch:
    """Reports queues and evaluates every alarm each second, until closed."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._reported: dict[str, tuple[int, float]] = {}
        cloudwatch = ministack("services.cloudwatch")
        cloudwatch._evaluate_alarm = _evaluate
        _report_executions()
        _announce()
        self._thread = threading.Thread(target=self._run, name="upkeep-alarms", daemon=True)

    def open(self) -> None:
        """Start watching."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY_SECONDS):
            try:
                in_account(self._round)
            except Exception:  # noqa: BLE001 - one bad round must not end the watch
                _log.exception("Alarms could not be evaluated; trying again")

    def _round(self) -> None:
        self._report_queues()
        ministack("services.cloudwatch")._evaluate_all_alarms()

    def _report_queues(self) -> None:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html."""
        queues = ministack("services.sqs")._queues
        now = time.time()
        for url in list(queues):
            queue = queues.get(url)
            if queue is None:
                continue
            visible = sum(message["visible_at"] <= now for message in list(queue["messages"]))
            known, at = self._reported.get(url, (-1, 0.0))
            if visible != known or now - at >= _REPORT_SECONDS:
                self._reported[url] = (visible, now)
                name = {"QueueName": url.rpartition("/")[2]}
                _record("AWS/SQS", "ApproximateNumberOfMessagesVisible", visible, name)


def _evaluate(alarm: dict[str, Any]) -> None:
    """Set an alarm's state from its metric, and act on a change. Replaces MiniStack's own."""
    cloudwatch = ministack("services.cloudwatch")
    if not alarm.get("MetricName") or not alarms.supported(alarm.get("ComparisonOperator", "")):
        return
    rule = alarms.Rule(
        period_seconds=int(alarm.get("Period") or 60),
        periods=int(alarm.get("EvaluationPeriods") or 1),
        points_to_alarm=int(alarm.get("DatapointsToAlarm") or alarm.get("EvaluationPeriods") or 1),
        threshold=float(alarm.get("Threshold") or 0.0),
        comparison=alarm["ComparisonOperator"],
        missing=alarm.get("TreatMissingData") or "missing",
    )
    old = alarm["StateValue"]
    found = alarms.periods(rule, time.time(), _values(cloudwatch, alarm, rule.period_seconds))
    new, reason = alarms.evaluate(rule, found, old)
    if new == old:
        return
    alarm.update(StateValue=new, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], old, new, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _values(cloudwatch: Any, alarm: dict[str, Any], period_seconds: int) -> dict[int, float]:
    """The statistic of the alarm's metric by period number, of exactly its dimensions and its unit."""
    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
    points = cloudwatch._metrics.get((alarm["Namespace"], alarm["MetricName"], dimensions)) or []
    unit = alarm.get("Unit")
    by_period: dict[int, list[Any]] = {}
    for point in list(points):
        if not unit or point.get("Unit") == unit:
            by_period.setdefault(int(point["Timestamp"] // period_seconds), []).append(point)
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    values = {
        number: cloudwatch._stat_value(cloudwatch._calc_stats(group), statistic, group)
        for number, group in by_period.items()
    }
    return {number: value for number, value in values.items() if value is not None}


def _report_executions() -> None:
    """Give AWS/States its metrics of each change of an execution's status."""
    machines = ministack("services.stepfunctions")
    emit = machines._emit_execution_status_event

    @functools.wraps(emit)
    def reported(execution: dict[str, Any]) -> None:
        emit(execution)
        metric = _EXECUTION_METRICS.get(execution["status"])
        if metric:
            _record("AWS/States", metric, 1, {"StateMachineArn": execution["stateMachineArn"]})

    machines._emit_execution_status_event = reported


def _record(namespace: str, metric: str, value: float, dimensions: dict[str, str]) -> None:
    ministack("services.cloudwatch").record_metric(namespace, metric, value, "Count", dimensions)


def _announce() -> None:
    """Put the event "CloudWatch Alarm State Change".

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
    """
    cloudwatch = ministack("services.cloudwatch")
    record = cloudwatch._record_history

    @functools.wraps(record)
    def announced(name: str, old: str, new: str, reason: str, *arguments: Any, **options: Any) -> None:
        record(name, old, new, reason, *arguments, **options)
        if old == new:
            return
        alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name) or {}
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000+0000", time.gmtime())
        detail = {
            "alarmName": name,
            "state": {"value": new, "reason": reason, "timestamp": stamp},
            "previousState": {"value": old},
            "configuration": {"description": alarm.get("AlarmDescription", "")},
        }
        put_event("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [alarm.get("AlarmArn", "")])

    cloudwatch._record_history = announced
