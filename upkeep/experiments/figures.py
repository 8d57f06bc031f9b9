"""What an experiment has shown so far: the outcomes taken one by one, and the numbers around them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from models.spec import Task
from monitoring.sequential import Arm, Experiment, Interval, expected_outcomes
from monitoring.shares import share_p_value
from training.ledger.experiments import ExperimentRecord
from upkeep.experiments import fetch
from upkeep.experiments.fetch import CONTROL, TREATMENT, Found
from upkeep.experiments.outcomes import Collected, Outcome, collect
from upkeep.outputs import ModelOutputs
from upkeep.render import iso
from upkeep.runs import Clients

# A share so unlikely means that requests do not go where the weights say.
SHARE_ALARM = 0.001
_POINTS = 150
_METRICS = ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors")
_NAMESPACE = "AWS/SageMaker"
# Figures of 60 seconds are kept for 15 days, of an hour for 455:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricStat.html
_FINE_DAYS, _FINE_SECONDS, _COARSE_SECONDS = 14, 60, 3600


@dataclass(frozen=True, kw_only=True)
class Point:
    """What was known after some outcomes."""

    outcomes: int
    difference: float | None
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Figures:
    """An experiment with what it has shown.

    Attributes:
        record: The experiment.
        collected: Its requests and labels.
        test: All outcomes taken.
        trace: What was known on the way.
        counts: CloudWatch's figures by variant: all invocations and the failed ones, captured or not.
        at: When the figures were made.
    """

    record: ExperimentRecord
    collected: Collected
    test: Experiment
    trace: tuple[Point, ...]
    counts: dict[str, dict[str, float]] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def interval(self) -> Interval:
        """Where the difference of the mean losses lies."""
        return self.test.interval()

    @property
    def share_p(self) -> float:
        """How likely the shares of the captured requests are by chance."""
        spans = self.collected.requests
        return share_p_value((span.treated, span.control, span.weight) for span in spans)

    @property
    def needed(self) -> int | None:
        """About how many outcomes it takes to see the smallest effect that matters; None without one."""
        effect = self.record.minimum_effect
        if not effect:
            return None
        arms = [arm for arm in (self.test.control, self.test.treatment) if arm.count > 1]
        deviation = max((arm.deviation for arm in arms), default=0.5) or 0.5
        return expected_outcomes(
            effect, deviation=deviation, weight=self.record.weight or 0.5, alpha=self.record.alpha
        )

    def to_json(self) -> dict[str, Any]:
        """The figures as `--json` prints them."""
        record, test, interval = self.record, self.test, self.interval
        return {
            "id": record.id,
            "model": record.model,
            "state": record.state,
            "control": record.control_version or "seed",
            "treatment": record.treatment_version,
            "weight": record.weight,
            "loss": record.loss,
            "alpha": record.alpha,
            "minimum_effect": record.minimum_effect,
            "started": iso(_moment(record.started_at)),
            "ended": iso(_moment(record.ended_at)),
            "verdict": test.verdict,
            "decided_at": test.decided_at or None,
            "difference": test.difference,
            "interval": [interval.low, interval.high],
            "p_value": test.p_value,
            "outcomes": test.count,
            "outcomes_needed": self.needed,
            "variants": {
                CONTROL: self._variant(CONTROL, test.control),
                TREATMENT: self._variant(TREATMENT, test.treatment),
            },
            "share_p_value": self.share_p,
            "labels": {
                "read": self.collected.labels,
                "unknown": self.collected.unknown,
                "bad": self.collected.problems.count,
                "bad_named": self.collected.problems.named,
            },
            "requests": {
                "waiting": self.collected.waiting,
                "without_id": self.collected.without_id,
                "repeated_ids": self.collected.repeated,
                "between_weights": self.collected.between,
                "unreadable": self.collected.unreadable.count,
                "unreadable_named": self.collected.unreadable.named,
            },
            "at": iso(self.at),
        }

    def _variant(self, name: str, arm: Arm) -> dict[str, Any]:
        counts = self.counts.get(name, {})
        return {
            "captured": self.collected.count(treated=name == TREATMENT),
            "share": self.share(name),
            "outcomes": arm.count,
            "mean_loss": arm.mean if arm.count else None,
            "deviation": arm.deviation if arm.count > 1 else None,
            "invocations": counts.get("Invocations"),
            "client_errors": counts.get("Invocation4XXErrors"),
            "server_errors": counts.get("Invocation5XXErrors"),
        }

    def share(self, variant: str) -> float | None:
        """The variant's share of the captured requests."""
        treated, control = self.collected.count(treated=True), self.collected.count(treated=False)
        total = treated + control
        return None if not total else (treated if variant == TREATMENT else control) / total


def read(
    context: Clients,
    model: ModelOutputs,
    record: ExperimentRecord,
    task: Task,
    progress: fetch.Progress = lambda _done, _all: None,
) -> Figures:
    """Bring all files of an experiment here, and take its outcomes one by one.

    Raises:
        UpkeepError: DuckDB is missing, or the files are too many.
    """
    if not record.weights:
        return Figures(record=record, collected=Collected(), test=_test(record), trace=())
    since = record.weights[0]["since"]
    captures = [
        one for variant in (CONTROL, TREATMENT) for one in fetch.list_captures(context, model, variant, since)
    ]
    labels = fetch.list_labels(context, model, since)
    with tempfile.TemporaryDirectory(prefix="upkeep-") as folder:
        wanted: list[Found] = [*captures, *labels]
        pairs = list(zip(wanted, fetch.download(context, wanted, Path(folder), progress), strict=True))
        collected = collect(record, task, pairs[: len(captures)], pairs[len(captures) :])
    test, trace = take(record, collected.outcomes)
    return Figures(
        record=record,
        collected=collected,
        test=test,
        trace=trace,
        counts=read_counts(context, model, record),
    )


def take(record: ExperimentRecord, outcomes: Sequence[Outcome]) -> tuple[Experiment, tuple[Point, ...]]:
    """The outcomes one by one, with what was known on the way."""
    test = _test(record)
    looks = _looks(len(outcomes))
    trace = []
    for number, outcome in enumerate(outcomes, 1):
        test.add(treated=outcome.treated, loss=outcome.loss, weight=outcome.weight)
        if number in looks:
            interval = test.interval()
            trace.append(
                Point(outcomes=number, difference=test.difference, low=interval.low, high=interval.high)
            )
    return test, tuple(trace)


def read_counts(
    context: Clients, model: ModelOutputs, record: ExperimentRecord, now: Callable[[], datetime] | None = None
) -> dict[str, dict[str, float]]:
    """How many invocations each variant had since the experiment began, and how many failed.

    https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
    """
    start = _moment(record.started_at)
    if start is None:
        return {}
    end = _moment(record.ended_at) or (now() if now else datetime.now(UTC))
    fine = end - start < timedelta(days=_FINE_DAYS)
    period = _FINE_SECONDS if fine else _COARSE_SECONDS
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": _NAMESPACE,
                    "MetricName": metric,
                    "Dimensions": [
                        {"Name": "EndpointName", "Value": model.endpoint},
                        {"Name": "VariantName", "Value": variant},
                    ],
                },
                "Period": period,
                "Stat": "Sum",
            },
        }
        for number, (variant, metric) in enumerate(_pairs())
    ]
    found: dict[str, dict[str, float]] = {CONTROL: {}, TREATMENT: {}}
    pages = context.client("cloudwatch").get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, StartTime=start, EndTime=end + timedelta(seconds=period)
    )  # fmt: skip
    for page in pages:
        for result in page["MetricDataResults"]:
            variant, metric = _pairs()[int(result["Id"][1:])]
            found[variant][metric] = found[variant].get(metric, 0.0) + sum(result["Values"])
    return found


def _pairs() -> list[tuple[str, str]]:
    return [(variant, metric) for variant in (CONTROL, TREATMENT) for metric in _METRICS]


def _test(record: ExperimentRecord) -> Experiment:
    return Experiment(alpha=record.alpha, minimum_effect=record.minimum_effect)


def _looks(count: int) -> frozenset[int]:
    """After which outcomes the interval is kept for the drawing: evenly, and the last."""
    step = max(1, count // _POINTS)
    return frozenset([*range(step, count + 1, step), count])


def _moment(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
