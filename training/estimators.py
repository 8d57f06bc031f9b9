"""Builds the unfitted estimator a spec asks for; every one takes the encoder's float64 array."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.spec import ModelSpec
from training import checkpoints
from training.errors import TrainingError

# A forest of leaves with single rows weighs hundreds of megabytes on a few months of data and serves no
# better.
_FOREST_DEFAULTS = {"n_estimators": 100, "min_samples_leaf": 20, "n_jobs": -1}
_LOGISTIC_DEFAULTS = {"max_iter": 1000}


def build(spec: ModelSpec, categorical: list[int]) -> Any:
    """Make the estimator.

    Args:
        spec: Names the estimator and its hyperparameters.
        categorical: Positions of the category columns in the encoded array.

    Raises:
        TrainingError: An unknown hyperparameter or dotted path, or an estimator that does not suit the task.
    """
    rules = spec.training
    maker = _MAKERS.get(rules.estimator)
    if maker is None:
        return _own(rules.estimator, rules.hyperparameters, rules.seed, categorical)
    return maker(spec, categorical, len(spec.features))


def fit(
    estimator: Any, matrix: np.ndarray, labels: np.ndarray, spec: ModelSpec, kept: Path | None = None
) -> Any:
    """Fit, with scikit-learn's complaints about hyperparameters turned into errors of the spec.

    Args:
        estimator: Not fitted.
        matrix: Encoded rows.
        labels: Their labels.
        spec: Named in errors.
        kept: Folder of the checkpoints of a job that may be interrupted.

    Raises:
        TrainingError: The estimator refused its hyperparameters or cannot give probabilities.
    """
    empty = np.isnan(matrix).all(axis=0)
    if empty.any():
        # Gradient boosting fails on a column without values; in one of zeros it finds nothing to split.
        matrix = np.where(empty, 0.0, matrix)
    try:
        fitted = checkpoints.fit(estimator, matrix, labels, kept)
    except (ValueError, TypeError) as error:
        # scikit-learn's own class is private; it is raised for values of hyperparameters alone.
        key = "hyperparameters" if type(error).__name__ == "InvalidParameterError" else "estimator"
        raise TrainingError(
            f"training.{key}: {spec.training.estimator} could not be fitted: {error}"
        ) from error
    fitted = estimator if fitted is None else fitted
    method = "predict" if spec.task == "regression" else "predict_proba"
    if not hasattr(fitted, method):
        raise TrainingError(
            f"training.estimator: {spec.training.estimator} has no {method}, which a {spec.task} task needs"
        )
    return fitted


def single_threaded(estimator: Any) -> Any:
    """Set every ``n_jobs`` to 1: a server has one process per core already."""
    if hasattr(estimator, "get_params"):
        names = [name for name in estimator.get_params() if name.split("__")[-1] == "n_jobs"]
        estimator.set_params(**dict.fromkeys(names, 1))
    return estimator


def _hist_gradient_boosting(spec: ModelSpec, categorical: list[int], _width: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    cls = HistGradientBoostingRegressor if spec.task == "regression" else HistGradientBoostingClassifier
    defaults = {"random_state": spec.training.seed, "categorical_features": categorical or None}
    return _construct(cls, defaults, spec.training.hyperparameters)


def _random_forest(spec: ModelSpec, categorical: list[int], width: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    cls = RandomForestRegressor if spec.task == "regression" else RandomForestClassifier
    defaults = {**_FOREST_DEFAULTS, "random_state": spec.training.seed}
    return _prepared(_construct(cls, defaults, spec.training.hyperparameters), categorical, width)


def _logistic_regression(spec: ModelSpec, categorical: list[int], width: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    if spec.task == "regression":
        raise TrainingError(
            "training.estimator: logistic_regression predicts classes; for a regression task choose "
            "hist_gradient_boosting or random_forest"
        )
    defaults = {**_LOGISTIC_DEFAULTS, "random_state": spec.training.seed}
    model = _construct(LogisticRegression, defaults, spec.training.hyperparameters)
    return _prepared(model, categorical, width)


def _prepared(model: Any, categorical: list[int], width: int) -> Any:
    """Categories one-hot (unknown and missing ones are all zero), numbers imputed, flagged and scaled."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numeric = [i for i in range(width) if i not in categorical]
    steps = []
    if categorical:
        steps.append(("categories", OneHotEncoder(handle_unknown="ignore"), categorical))
    if numeric:
        impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        steps.append(("numbers", Pipeline([("impute", impute), ("scale", StandardScaler())]), numeric))
    return Pipeline([("prepare", ColumnTransformer(steps)), ("model", model)])


def _own(path: str, hyperparameters: Mapping[str, Any], seed: int, categorical: list[int]) -> Any:
    """A callable of the user's; it gets ``random_state`` and ``categorical_features`` when it takes them."""
    module_name, _, name = path.rpartition(".")
    try:
        maker = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise TrainingError(
            f"training.estimator: {path!r} cannot be imported: {error}; it must be a callable in the image "
            f"or in "
            "models/, for example models.<name>.estimator.build"
        ) from error
    offered = {"random_state": seed, "categorical_features": categorical}
    known = _parameters(maker)
    return _construct(maker, {k: v for k, v in offered.items() if k in known}, hyperparameters)


def _construct(maker: Callable[..., Any], defaults: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    known = _parameters(maker)
    name = getattr(maker, "__name__", str(maker))
    if "**" not in known:
        unknown = [key for key in given if key not in known]
        if unknown:
            raise TrainingError(
                f"training.hyperparameters: {', '.join(unknown)} not known to {name}; "
                f"allowed: {', '.join(sorted(known))}"
            )
    try:
        return maker(**{**defaults, **given})
    except (TypeError, ValueError) as error:
        raise TrainingError(f"training.hyperparameters: {name} refused them: {error}") from error


def _parameters(maker: Callable[..., Any]) -> set[str]:
    """Names a callable takes; ``**`` stands for any."""
    try:
        parameters = inspect.signature(maker).parameters.values()
    except (TypeError, ValueError):
        return {"**"}
    return {"**" if p.kind is p.VAR_KEYWORD else p.name for p in parameters}


_MAKERS: dict[str, Callable[[ModelSpec, list[int], int], Any]] = {
    "hist_gradient_boosting": _hist_gradient_boosting,
    "logistic_regression": _logistic_regression,
    "random_forest": _random_forest,
}
