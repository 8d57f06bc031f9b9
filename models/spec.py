"""The model spec: what a user declares about one model, checked as a whole.

Standard library only: the same module is imported at deploy time, in the Lambdas and in the containers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.fields import limit, read, shown
from models.prices import KNOWN_INSTANCES, usd_per_hour
from models.sections import (
    COLUMN,
    Contract,
    Feature,
    Gate,
    Monitoring,
    Serving,
    Task,
    Training,
    Triggers,
)

__all__ = [
    "CONTRACT_DIGITS", "DECILES", "ESTIMATORS", "LOWER_IS_BETTER", "METRICS", "Contract", "Feature", "Gate",
    "ModelSpec", "Monitoring", "Serving", "SpecError", "Task", "Training", "Triggers", "parse",
]  # fmt: skip


METRICS: dict[str, tuple[str, ...]] = {
    "binary": ("roc_auc", "average_precision", "f1", "accuracy", "log_loss"),
    "multiclass": ("accuracy", "f1_macro", "log_loss"),
    "regression": ("r2", "rmse", "mae"),
}
LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})
CONTRACT_DIGITS = 12
# https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green-linear.html
LEAST_LINEAR_PERCENT = 10
# AutoRollbackConfig takes ten alarms, and some are ours:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AutoRollbackConfig.html
MOST_ROLLBACK_ALARMS = 6
DECILES = 9
ESTIMATORS = ("hist_gradient_boosting", "logistic_regression", "random_forest")

_NAME = r"[a-z][a-z0-9-]{0,19}"
_DOTTED = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+"


class SpecError(ValueError):
    """A spec that cannot be used; carries every error found, not only the first."""

    def __init__(self, errors: list[str]) -> None:
        self.errors = list(errors)
        noun = "error" if len(errors) == 1 else "errors"
        super().__init__(f"{len(errors)} {noun} in the model spec:\n" + "\n".join(f"  {e}" for e in errors))


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One model, as declared in ``models/<name>/model.yaml``.

    Attributes:
        name: The folder's name; part of every resource name.
        task: ``binary`` (label 0 or 1), ``multiclass`` (label is text) or ``regression`` (label is a number).
        target: Column that holds the label in training files.
        time_column: Column that orders the rows; ISO 8601.
        features: Input columns, in the order requests without a header use.
        description: One sentence for people.
        contract: What a data file must keep as a whole.
        triggers: When new data starts a training.
        training: How a challenger is fitted.
        gate: When it may replace the champion.
        serving: How it is served and released.
        monitoring: Thresholds of the alarms.
    """

    name: str = limit(pattern=_NAME)
    task: Task
    target: str = limit(pattern=COLUMN)
    time_column: str = limit(pattern=COLUMN)
    features: tuple[Feature, ...]
    description: str = ""
    contract: Contract = field(default_factory=Contract)
    triggers: Triggers = field(default_factory=Triggers)
    training: Training = field(default_factory=Training)
    gate: Gate = field(default_factory=Gate)
    serving: Serving = field(default_factory=Serving)
    monitoring: Monitoring = field(default_factory=Monitoring)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns a training file must have: time, features, target."""
        return (self.time_column, *(f.name for f in self.features), self.target)

    def to_dict(self) -> dict[str, Any]:
        """The spec as plain data; ``parse(spec.to_dict())`` gives the same spec."""
        data = dataclasses.asdict(self)
        data["features"] = {f.pop("name"): f for f in data["features"]}
        data["training"]["hyperparameters"] = dict(sorted(self.training.hyperparameters.items()))
        return data

    def to_json(self) -> str:
        """The canonical text; only the order of the features is the file's, because it has a meaning."""
        return json.dumps(self.to_dict(), indent=1)

    @property
    def contract_version(self) -> str:
        """First characters of the SHA-256 of all that decides whether a data file is good."""
        data = self.to_dict()
        parts = {key: data[key] for key in ("task", "target", "time_column", "features", "contract")}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:CONTRACT_DIGITS]

    @property
    def usd_per_hour(self) -> float:
        """Price of one hour of the training instance."""
        given = self.triggers.usd_per_hour
        return given if given is not None else usd_per_hour(self.training.instance_type) or 0.0

    def digest(self) -> str:
        """SHA-256 of the canonical text, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def parse(data: object, source: str = "model spec") -> ModelSpec:
    """Build a spec from plain data.

    Args:
        data: What the YAML or JSON file holds.
        source: Named in front of every error, usually the file.

    Raises:
        SpecError: Lists every error: the key, what was found and what is allowed.
    """
    errors: list[str] = []
    values = read(ModelSpec, data, "", errors, {"features": _read_features})
    if values is not None and not errors:
        spec = ModelSpec(**values)
        _check_whole(spec, errors)
        if not errors:
            return spec
    raise SpecError([f"{source}: {e}" for e in errors])


def _read_features(found: object, errors: list[str]) -> tuple[Feature, ...]:
    if not isinstance(found, Mapping) or not found:
        errors.append(f"features: found {shown(found)}, expected one key per input column")
        return ()
    features = []
    for name, options in found.items():
        path = f"features.{name}."
        section = read(Feature, {"name": str(name), **_mapping(options, path, errors)}, path, errors)
        if section is None:
            continue
        feature = Feature(**section)
        if feature.type != "number" and (feature.min is not None or feature.max is not None):
            errors.append(f"{path}min/max: only numbers have a range; this is a {feature.type}")
        if feature.min is not None and feature.max is not None and feature.min > feature.max:
            errors.append(f"{path}min: found {feature.min:g}, which is above max {feature.max:g}")
        if feature.type != "number" and feature.deciles:
            errors.append(f"{path}deciles: only numbers have deciles; this is a {feature.type}")
        if feature.deciles and (
            len(feature.deciles) != 9 or list(feature.deciles) != sorted(feature.deciles)
        ):
            errors.append(
                f"{path}deciles: found {shown(list(feature.deciles))}, expected nine ascending numbers"
            )
        if feature.type != "category" and feature.values:
            errors.append(f"{path}values: only categories have values; this is a {feature.type}")
        features.append(feature)
    return tuple(features)


def _mapping(options: object, path: str, errors: list[str]) -> Mapping[str, Any]:
    if options is None:
        return {}
    if isinstance(options, Mapping):
        return options
    errors.append(
        f"{path.rstrip('.')}: found {shown(options)}, expected keys such as type, nullable, min, max, values"
    )
    return {}


def _check_whole(spec: ModelSpec, errors: list[str]) -> None:
    """Rules that need more than one key."""
    names = [f.name for f in spec.features]
    for key, column in (("target", spec.target), ("time_column", spec.time_column)):
        if column in names:
            errors.append(f"{key}: found {column!r}, which is a feature too; a model must not see its {key}")
    if spec.target == spec.time_column:
        errors.append(f"time_column: found {spec.time_column!r}, which is the target too")
    if spec.gate.metric not in METRICS[spec.task]:
        allowed = ", ".join(METRICS[spec.task])
        errors.append(f"gate.metric: found {spec.gate.metric!r}, allowed for a {spec.task} task: {allowed}")
    _check_gate(spec, errors)
    _check_serving(spec.serving, errors)
    unknown = [column for column in spec.contract.key if column not in spec.columns]
    if unknown:
        allowed = ", ".join(spec.columns)
        errors.append(f"contract.key: found {', '.join(unknown)}, expected columns of the model: {allowed}")
    if spec.contract.min_rows > spec.contract.max_rows:
        most = spec.contract.max_rows
        errors.append(f"contract.min_rows: found {spec.contract.min_rows}, which is above max_rows {most}")
    if spec.triggers.usd_per_hour is None and usd_per_hour(spec.training.instance_type) is None:
        errors.append(
            f"triggers.usd_per_hour: missing; no price is known of {spec.training.instance_type} "
            f"(training.instance_type), known are {', '.join(KNOWN_INSTANCES)}"
        )
    estimator = spec.training.estimator
    if estimator not in ESTIMATORS and not re.fullmatch(_DOTTED, estimator):
        allowed = ", ".join(ESTIMATORS)
        errors.append(
            f"training.estimator: found {estimator!r}, expected {allowed} or a dotted path of your own"
        )


def _check_gate(spec: ModelSpec, errors: list[str]) -> None:
    gate, allowed = spec.gate, ", ".join(METRICS[spec.task])
    for metric, value in gate.floors.items():
        if metric not in METRICS[spec.task]:
            errors.append(f"gate.floors.{metric}: unknown metric; allowed for a {spec.task} task: {allowed}")
        elif isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < math.inf:
            errors.append(f"gate.floors.{metric}: found {shown(value)}, expected a number")
    features = [f.name for f in spec.features]
    unknown = [name for name in gate.slices if name not in features]
    if unknown:
        errors.append(f"gate.slices: found {', '.join(unknown)}, expected features: {', '.join(features)}")
    if gate.max_calibration_error is not None and spec.task != "binary":
        errors.append(f"gate.max_calibration_error: only binary models have one; this is {spec.task}")


def _check_serving(serving: Serving, errors: list[str]) -> None:
    if serving.rollout == "linear" and serving.step_percent < LEAST_LINEAR_PERCENT:
        errors.append(
            f"serving.step_percent: found {serving.step_percent}, a linear step is "
            f"{LEAST_LINEAR_PERCENT} to 50 percent"
        )
    if len(serving.rollback_alarms) > MOST_ROLLBACK_ALARMS:
        errors.append(
            f"serving.rollback_alarms: found {len(serving.rollback_alarms)}, at most {MOST_ROLLBACK_ALARMS}"
        )
