"""The sections of a model spec: what each key means, its default and its limits.

Standard library only, as everything that ``models.spec`` needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from models.fields import limit

Task = Literal["binary", "multiclass", "regression"]
FeatureType = Literal["number", "category", "boolean"]
Block = Literal["row", "hour", "day", "week"]
Rollout = Literal["canary", "linear", "all_at_once"]

COLUMN = r"[A-Za-z_][A-Za-z0-9_]{0,62}"
_INSTANCE = r"ml\.[a-z0-9-]+\.[a-z0-9]+"
_WINDOW = r"all|[1-9][0-9]{0,5} days|[1-9][0-9]{0,11} rows"


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One input column.

    Attributes:
        name: Column name in the files and in requests.
        type: ``number``, ``category`` or ``boolean``.
        nullable: Whether a value may be missing.
        min: Smallest value allowed; numbers only.
        max: Largest value allowed; numbers only.
        values: The categories allowed; empty means any. Categories only.
        deciles: The nine deciles of good data, ascending; a file whose numbers are all larger or smaller by
            one common factor has another unit, and is refused. Numbers only.
    """

    name: str = limit(pattern=COLUMN)
    type: FeatureType = "number"
    nullable: bool = False
    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] = ()
    deciles: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a challenger is fitted.

    Attributes:
        estimator: One of ``ESTIMATORS`` or the dotted path of a callable that returns an unfitted estimator.
        hyperparameters: Passed to the estimator's constructor.
        holdout_share: Share of the newest rows, by time, that nothing is fitted on.
        holdout_min_rows: Fewer fresh rows than this are not enough to compare two models.
        instance_type: SageMaker training instance.
        volume_size_gb: Disk of the training instance.
        max_runtime_seconds: The job is stopped after this time.
        spot: Train on spare capacity: cheaper, and when AWS takes it back the job waits and goes on from its
            last checkpoint.
        seed: Random state of everything random.
        window: Which rows a run is trained on: ``all``, the newest ``<n> rows``, or those of the last
            ``<n> days`` before the newest row.
    """

    estimator: str = "hist_gradient_boosting"
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    holdout_share: float = limit(0.2, minimum=0.05, maximum=0.5)
    holdout_min_rows: int = limit(200, minimum=1)
    instance_type: str = limit("ml.m5.large", pattern=_INSTANCE)
    # Limits of CreateTrainingJob's ResourceConfig and StoppingCondition:
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html (28 days at most)
    volume_size_gb: int = limit(10, minimum=1, maximum=16384)
    max_runtime_seconds: int = limit(3600, minimum=60, maximum=2419200)
    spot: bool = False
    seed: int = limit(0, minimum=0)
    window: str = limit("all", pattern=_WINDOW, like="all, such as 90 days, or such as 500000 rows")

    @property
    def window_days(self) -> int | None:
        """How many days back from the newest row; None when days are not the limit."""
        return int(self.window.split()[0]) if self.window.endswith("days") else None

    @property
    def window_rows(self) -> int | None:
        """How many of the newest rows; None when rows are not the limit."""
        return int(self.window.split()[0]) if self.window.endswith("rows") else None


@dataclass(frozen=True, kw_only=True)
class Gate:
    """When a challenger may replace the champion.

    Attributes:
        metric: Metric both are scored with on the same fresh holdout; allowed ones depend on the task.
        minimum: The challenger must reach this value (for errors such as ``rmse``: stay at or below it).
        minimum_gain: The challenger must be better than the champion by more than this.
        confidence: How sure that must be; 1 minus the share of equal models that may be promoted by chance.
        block: Rows of one such span of time may share their luck (the weather of an hour); only whole spans
            count as independent.
        floors: Further metrics and the value each must reach, as ``minimum`` for the main one.
        slices: Features whose every value (of numbers: every quarter) is looked at by itself.
        max_slice_loss: No slice may lose more than this of the metric.
        slice_min_rows: A smaller slice tells nothing.
        max_calibration_error: Largest mean distance between a score and the share of label 1; binary only.
        max_latency_milliseconds: 99 of 100 single rows must be answered within this time.
        max_artifact_mb: Size of the unpacked model, in units of 1,000,000 bytes.
        max_holdout_uses: So many decisions at most may be made on the same rows.
    """

    metric: str = "roc_auc"
    minimum: float | None = None
    minimum_gain: float = limit(0.0, minimum=0.0)
    confidence: float = limit(0.95, minimum=0.5, maximum=0.9999)
    block: Block = "hour"
    floors: Mapping[str, Any] = field(default_factory=dict)
    slices: tuple[str, ...] = ()
    max_slice_loss: float = limit(0.05, minimum=0.0)
    slice_min_rows: int = limit(200, minimum=20)
    max_calibration_error: float | None = limit(None, minimum=0.0)
    max_latency_milliseconds: float = limit(250.0, minimum=0.1)
    max_artifact_mb: int = limit(500, minimum=1)
    max_holdout_uses: int = limit(10, minimum=1)


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How the model is served, and how a new version takes over.

    Attributes:
        instance_type: SageMaker hosting instance.
        instance_count: Instances behind the endpoint; two or more survive the loss of an availability zone.
        workers: Server processes per instance; the image's default is one per CPU.
        capture_percent: Share of requests recorded to the data bucket, 0 switches capture off.
        rollout: ``canary`` moves ``step_percent`` first and the rest after ``bake_seconds``, ``linear`` moves
            as much again and again, ``all_at_once`` everything.
        step_percent: Share of the instances that a canary or a linear step is.
        bake_seconds: How long each step, and all traffic at the end, is watched by the rollback alarms.
        rollback_alarms: Alarms of your own, by name, that take a release back beside ours: of a figure that
            tells how good the answers are, say.
        check_requests: So many recorded requests are answered by a new version before it gets traffic.
    """

    instance_type: str = limit("ml.m5.large", pattern=_INSTANCE)
    # FSBP SageMaker.4: variants start with more than one instance.
    instance_count: int = limit(2, minimum=1, maximum=100)
    workers: int = limit(2, minimum=1, maximum=64)
    capture_percent: int = limit(100, minimum=0, maximum=100)
    rollout: Rollout = "canary"
    # CapacitySize: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TrafficRoutingConfig.html
    step_percent: int = limit(10, minimum=1, maximum=50)
    # WaitIntervalInSeconds and TerminationWaitInSeconds: at most an hour, same page.
    bake_seconds: int = limit(300, minimum=0, maximum=3600)
    rollback_alarms: tuple[str, ...] = ()
    check_requests: int = limit(200, minimum=0, maximum=10_000)


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """Thresholds of the alarms on the endpoint.

    Attributes:
        max_server_errors: 5xx answers within five minutes that raise the alarm.
        max_client_errors: 4xx answers within five minutes that raise the alarm.
        max_latency_milliseconds: p99 of the container's time per request.
    """

    max_server_errors: int = limit(1, minimum=1)
    max_client_errors: int = limit(100, minimum=1)
    max_latency_milliseconds: int = limit(1000, minimum=1)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a data file must keep as a whole, besides the rules of its columns.

    Attributes:
        key: Columns that name a row together; of rows with one key the first counts, the others are bad.
        min_rows: A file with fewer good rows is refused.
        max_rows: A file with more rows is refused.
        max_bad_share: Up to this share of bad rows they are dropped, and kept beside; above it the whole
            file is quarantined.
        max_age_days: The newest row may be this old when the file arrives; None for any age.
        max_future_days: A row may lie this far in the future.
        unit_factor: A common factor between a file's deciles and the features' that means another unit.
        encoding: Of text files.
        max_file_mb: Size of a file as it is stored, in units of 1,000,000 bytes.
        max_unpacked_mb: Size of what a compressed file holds.
        max_line_kb: Length of a line of text, in units of 1,000 bytes.
    """

    key: tuple[str, ...] = ()
    min_rows: int = limit(1, minimum=1)
    max_rows: int = limit(50_000_000, minimum=1)
    max_bad_share: float = limit(0.01, minimum=0.0, maximum=1.0)
    max_age_days: float | None = limit(None, minimum=0)
    max_future_days: float = limit(1.0, minimum=0)
    unit_factor: float = limit(5.0, minimum=1.5)
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    # The file and what is made of it lie in the function's /tmp together, at most 10 GB:
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-ephemeral-storage.html
    max_file_mb: int = limit(2000, minimum=1, maximum=4000)
    max_unpacked_mb: int = limit(8000, minimum=1, maximum=100_000)
    max_line_kb: int = limit(1000, minimum=1, maximum=10_000)


@dataclass(frozen=True, kw_only=True)
class Triggers:
    """When new data starts a training, and what holds it back.

    Attributes:
        delivery: With ``files``, what arrives until nothing has for ``quiet_seconds`` is one delivery. With
            ``manifest``, a folder below ``incoming/<model>/`` is one; it is complete once its
            ``_MANIFEST.json`` is there and all files listed in it have been looked at.
        quiet_seconds: How long nothing may arrive before a delivery counts as complete.
        manifest_deadline_seconds: A delivery without its manifest, or without all files of it, for so long
            raises an alarm.
        cooldown_seconds: Least time from the start of one training to the start of the next.
        max_per_day: Trainings started by themselves within any 24 hours.
        max_usd_per_month: What trainings may cost in a calendar month (UTC) before only a person starts them.
        usd_per_hour: Price of the training instance; None takes it from ``models.prices``.
    """

    delivery: Literal["files", "manifest"] = "files"
    # A message can be delayed by 900 seconds at most:
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    quiet_seconds: int = limit(60, minimum=0, maximum=900)
    manifest_deadline_seconds: int = limit(3600, minimum=60, maximum=604_800)
    cooldown_seconds: int = limit(600, minimum=0, maximum=604_800)
    max_per_day: int = limit(24, minimum=1, maximum=1000)
    max_usd_per_month: float = limit(100.0, minimum=0.0)
    usd_per_hour: float | None = limit(None, minimum=0.0)
