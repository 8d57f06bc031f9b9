"""The model spec: what a user declares about one model, checked as a whole.

Standard library only: the same module is imported at deploy time, in the Lambdas and in the containers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal, get_args, get_type_hints

Task = Literal["binary", "multiclass", "regression"]
FeatureType = Literal["number", "category", "boolean"]

METRICS: dict[str, tuple[str, ...]] = {
    "binary": ("roc_auc", "average_precision", "f1", "accuracy", "log_loss"),
    "multiclass": ("accuracy", "f1_macro", "log_loss"),
    "regression": ("r2", "rmse", "mae"),
}
LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})
ESTIMATORS = ("hist_gradient_boosting", "logistic_regression", "random_forest")

_NAME = r"[a-z][a-z0-9-]{0,19}"
_COLUMN = r"[A-Za-z_][A-Za-z0-9_]{0,62}"
_INSTANCE = r"ml\.[a-z0-9-]+\.[a-z0-9]+"
_DOTTED = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+"


class SpecError(ValueError):
    """A spec that cannot be used; carries every error found, not only the first."""

    def __init__(self, errors: list[str]) -> None:
        self.errors = list(errors)
        noun = "error" if len(errors) == 1 else "errors"
        super().__init__(f"{len(errors)} {noun} in the model spec:\n" + "\n".join(f"  {e}" for e in errors))


def _limit(default: Any = MISSING, **rule: Any) -> Any:
    return field(default=default, metadata=rule)


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
    """

    name: str = _limit(pattern=_COLUMN)
    type: FeatureType = "number"
    nullable: bool = False
    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] = ()


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
        seed: Random state of everything random.
    """

    estimator: str = "hist_gradient_boosting"
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    holdout_share: float = _limit(0.2, minimum=0.05, maximum=0.5)
    holdout_min_rows: int = _limit(200, minimum=1)
    instance_type: str = _limit("ml.m5.large", pattern=_INSTANCE)
    # Limits of CreateTrainingJob's ResourceConfig and StoppingCondition:
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html (28 days at most)
    volume_size_gb: int = _limit(10, minimum=1, maximum=16384)
    max_runtime_seconds: int = _limit(3600, minimum=60, maximum=2419200)
    seed: int = _limit(0, minimum=0)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """When a challenger may replace the champion.

    Attributes:
        metric: Metric both are scored with on the same fresh holdout; allowed ones depend on the task.
        minimum: The challenger must reach this value (for errors such as ``rmse``: stay at or below it).
        minimum_gain: The challenger must be better than the champion by at least this much.
    """

    metric: str = "roc_auc"
    minimum: float | None = None
    minimum_gain: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How the model is served.

    Attributes:
        instance_type: SageMaker hosting instance.
        instance_count: Instances behind the endpoint; two or more survive the loss of an availability zone.
        workers: Server processes per instance; the image's default is one per CPU.
        capture_percent: Share of requests recorded to the data bucket, 0 switches capture off.
    """

    instance_type: str = _limit("ml.m5.large", pattern=_INSTANCE)
    # FSBP SageMaker.4: variants start with more than one instance.
    instance_count: int = _limit(2, minimum=1, maximum=100)
    workers: int = _limit(2, minimum=1, maximum=64)
    capture_percent: int = _limit(100, minimum=0, maximum=100)


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """Thresholds of the alarms on the endpoint.

    Attributes:
        max_server_errors: 5xx answers within five minutes that raise the alarm.
        max_client_errors: 4xx answers within five minutes that raise the alarm.
        max_latency_milliseconds: p99 of the container's time per request.
    """

    max_server_errors: int = _limit(1, minimum=1)
    max_client_errors: int = _limit(100, minimum=1)
    max_latency_milliseconds: int = _limit(1000, minimum=1)


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
        training: How a challenger is fitted.
        gate: When it may replace the champion.
        serving: How it is served.
        monitoring: Thresholds of the alarms.
    """

    name: str = _limit(pattern=_NAME)
    task: Task
    target: str = _limit(pattern=_COLUMN)
    time_column: str = _limit(pattern=_COLUMN)
    features: tuple[Feature, ...]
    description: str = ""
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
    values = _read(ModelSpec, data, "", errors)
    if values is not None and not errors:
        spec = ModelSpec(**values)
        _check_whole(spec, errors)
        if not errors:
            return spec
    raise SpecError([f"{source}: {e}" for e in errors])


def _read(cls: type, data: object, path: str, errors: list[str]) -> dict[str, Any] | None:
    """Read one section; every error is appended, and None is returned when the section is not a mapping."""
    where = path.rstrip(".") or "the file"
    if not isinstance(data, Mapping):
        errors.append(f"{where}: found {_shown(data)}, expected keys and values")
        return None
    hints = get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    errors.extend(
        f"{path}{key}: unknown key; allowed here: {', '.join(sorted(fields))}"
        for key in data
        if key not in fields
    )
    values: dict[str, Any] = {}
    for name, spec in fields.items():
        if name not in data:
            if spec.default is MISSING and spec.default_factory is MISSING:
                errors.append(f"{path}{name}: missing; expected {_expected(hints[name], spec.metadata)}")
            continue
        found = data[name]
        if name == "features" and cls is ModelSpec:
            values[name] = _read_features(found, errors)
        elif dataclasses.is_dataclass(hints[name]):
            section = _read(hints[name], {} if found is None else found, f"{path}{name}.", errors)
            if section is not None:
                try:
                    values[name] = hints[name](**section)
                except TypeError:
                    continue  # a missing key of the section is reported already
        else:
            values[name] = _value(found, hints[name], spec.metadata, f"{path}{name}", errors)
    return values


def _read_features(found: object, errors: list[str]) -> tuple[Feature, ...]:
    if not isinstance(found, Mapping) or not found:
        errors.append(f"features: found {_shown(found)}, expected one key per input column")
        return ()
    features = []
    for name, options in found.items():
        path = f"features.{name}."
        section = _read(Feature, {"name": str(name), **_mapping(options, path, errors)}, path, errors)
        if section is None:
            continue
        feature = Feature(**section)
        if feature.type != "number" and (feature.min is not None or feature.max is not None):
            errors.append(f"{path}min/max: only numbers have a range; this is a {feature.type}")
        if feature.min is not None and feature.max is not None and feature.min > feature.max:
            errors.append(f"{path}min: found {feature.min:g}, which is above max {feature.max:g}")
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
        f"{path.rstrip('.')}: found {_shown(options)}, expected keys such as type, nullable, min, max, values"
    )
    return {}


def _value(found: object, hint: Any, rule: Mapping[str, Any], path: str, errors: list[str]) -> Any:
    """One scalar, list or mapping of plain values, checked against its type and its limits."""
    options = get_args(hint)
    if found is None and type(None) in options:
        return None
    if not _fits(found, hint):
        errors.append(f"{path}: found {_shown(found)}, expected {_expected(hint, rule)}")
        return None
    if "tuple" in str(hint):
        return tuple(str(item) for item in found)  # type: ignore[attr-defined]  # _fits saw a list or tuple
    if "pattern" in rule and not re.fullmatch(rule["pattern"], str(found)):
        errors.append(f"{path}: found {_shown(found)}, expected {_expected(hint, rule)}")
    below = "minimum" in rule and found < rule["minimum"]
    above = "maximum" in rule and found > rule["maximum"]
    if below or above:
        errors.append(f"{path}: found {_shown(found)}, expected {_expected(hint, rule)}")
    return float(found) if hint in (float, float | None) else found  # type: ignore[arg-type]  # _fits saw a number


def _fits(found: object, hint: Any) -> bool:
    if hint is str:
        return isinstance(found, str)
    if hint is bool:
        return isinstance(found, bool)
    if hint is int:
        return isinstance(found, int) and not isinstance(found, bool)
    if hint in (float, float | None):
        return (
            isinstance(found, (int, float))
            and not isinstance(found, bool)
            and found == found
            and abs(found) < 1e300
        )
    if "tuple" in str(hint):
        return isinstance(found, (list, tuple)) and all(isinstance(i, (str, int)) for i in found)
    if "Mapping" in str(hint):
        return isinstance(found, Mapping)
    return found in get_args(hint)


def _expected(hint: Any, rule: Mapping[str, Any]) -> str:
    if "pattern" in rule:
        return f"text like {rule['pattern']}"
    if str(hint).startswith("typing.Literal"):
        return "one of " + ", ".join(get_args(hint))
    names = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
    text = names.get(hint) or next((n for t, n in names.items() if t in get_args(hint)), "keys and values")
    if "tuple" in str(hint):
        text = "a list of texts"
    if "minimum" in rule and "maximum" in rule:
        return f"{text} from {rule['minimum']} to {rule['maximum']}"
    return f"{text} of at least {rule['minimum']}" if "minimum" in rule else text


def _shown(found: object) -> str:
    text = repr(found)
    return text if len(text) <= 60 else text[:57] + "..."


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
    if spec.gate.minimum_gain < 0:
        errors.append(f"gate.minimum_gain: found {spec.gate.minimum_gain:g}, expected 0 or more")
    estimator = spec.training.estimator
    if estimator not in ESTIMATORS and not re.fullmatch(_DOTTED, estimator):
        allowed = ", ".join(ESTIMATORS)
        errors.append(
            f"training.estimator: found {estimator!r}, expected {allowed} or a dotted path of your own"
        )
