"""Answers rows without scikit-learn's overhead, to the last bit as scikit-learn does.

Of the milliseconds that ``predict_proba`` takes for one row, nearly all go into input checks, column
transformers and one call per tree. Here the estimators that ``training.estimators`` builds are laid out as
flat arrays when the model is loaded:

    hist_gradient_boosting: all trees at once by masks, or level by level when they are large.
    random_forest: the prepared columns, then level by level.
    logistic_regression: the prepared columns, then one product.

The arrays are read out of private attributes of scikit-learn, whose exact version the loader checks. Even so
they are used only after they gave the estimator's own answers on rows made of the model's thresholds, their
neighbours, missing values and unknown categories: bit for bit for trees, to 1e-12 of the value for the
product, which adds up in another order. Everything else, a user's own estimator say, is asked itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.quick import forest, levels, masks, prepared, trial
from training.artifact import Model

_log = logging.getLogger(__name__)
# So many rows at a time stay in the processor's second cache.
CHUNK_ROWS = 256
# From here on scikit-learn walks large trees as quickly.
_MOST_ROWS_OF_LARGE_TREES = 512
# Of the product: sums of some hundred terms differ by less when they are added up in another order.
TOLERANCE = 1e-12

Scores = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Way:
    """A quick way to a model's scores.

    Attributes:
        scores: As ``Model.scores``.
        edges: Per column of numbers the values at which the answers change.
        tolerance: How far they may lie from the estimator's own, as a share of the value.
        most_rows: From here on one call of the estimator for all rows is quicker.
    """

    scores: Scores
    edges: dict[int, np.ndarray]
    tolerance: float = 0.0
    most_rows: float = float("inf")


def scorer(model: Model) -> Scores:
    """The fastest way to the model's scores that gives its answers."""
    try:
        way = _WAYS[type(_last_step(model.estimator)).__name__](model)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as reason:
        _log.info("%s is predicted by scikit-learn: %r", type(model.estimator).__name__, reason)
        return model.scores

    def scores(matrix: np.ndarray) -> np.ndarray:
        count = len(matrix)
        if count <= CHUNK_ROWS:
            return way.scores(matrix)
        if count > way.most_rows:
            return model.scores(matrix)
        return np.concatenate([way.scores(matrix[i : i + CHUNK_ROWS]) for i in range(0, count, CHUNK_ROWS)])

    if not _agrees(model, way):
        _log.warning("the quick way differs from scikit-learn and is not used")
        return model.scores
    return scores


def _last_step(estimator: Any) -> Any:
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator


def _agrees(model: Model, way: Way) -> bool:
    """Whether a way gives the estimator's answers, whatever the number of rows at once."""
    rows = trial.rows(model, way.edges)
    expected = model.scores(rows)
    for part in trial.sizes():
        found = way.scores(rows[part])
        if found.shape != expected[part].shape:
            return False
        # Negated, so that what is no number does not pass.
        if not (np.abs(found - expected[part]) <= way.tolerance * np.abs(expected[part])).all():
            return False
    return True


def _boosting(model: Model) -> Way:
    trees = forest.boosted(model)
    finish = _finish(model)
    walk: masks.Masks | levels.Levels
    most = float("inf")
    try:
        walk = masks.build(trees)
    except ValueError:
        walk, most = levels.build(trees, len(model.encoder.columns)), _MOST_ROWS_OF_LARGE_TREES
    inner = ~trees.leaf
    edges = {
        int(column): trees.thresholds[inner & (trees.columns == column)]
        for column in np.unique(trees.columns[inner])
    }
    return Way(lambda matrix: finish(trees.sums(walk.steps(matrix))), edges, most_rows=most)


def _finish(model: Model) -> Scores:
    """From sums to scores.

    Raises:
        ValueError: A task or a loss that is not handled here.
    """
    loss = type(model.estimator._loss).__name__  # noqa: SLF001 - see the module's text
    task = model.spec.task
    if task == "binary" and loss == "HalfBinomialLoss":
        return _expit()
    if task == "multiclass" and loss == "HalfMultinomialLoss":
        return softmax
    if task == "regression" and loss in ("HalfSquaredError", "AbsoluteError", "PinballLoss"):
        return lambda raw: raw[:, 0]
    if task == "regression" and loss in ("HalfPoissonLoss", "HalfGammaLoss"):
        return lambda raw: np.exp(raw[:, 0])
    raise ValueError(f"{task} with {loss}")


def _expit() -> Scores:
    from scipy.special import expit  # type: ignore[import-untyped]

    return lambda raw: np.asarray(expit(raw[:, 0]))


def softmax(raw: np.ndarray) -> np.ndarray:
    """As ``sklearn.utils.extmath.softmax``, without its checks; changes its argument."""
    raw -= raw.max(axis=1)[:, np.newaxis]
    np.exp(raw, out=raw)
    raw /= raw.sum(axis=1)[:, np.newaxis]
    return raw


def _bagging(model: Model) -> Way:
    columns = prepared.read(model)
    estimator = _last_step(model.estimator)
    binary = model.spec.task == "binary"
    if binary and len(estimator.classes_) != 2:
        raise ValueError("a binary model of one class")
    trees = forest.bagged(estimator, slice(1, 2) if binary else slice(None))
    walk = levels.build(trees, columns.width)
    count = len(estimator.estimators_)

    def scores(matrix: np.ndarray) -> np.ndarray:
        # Forests compare single-precision values with thresholds of double precision.
        rows = columns.of(matrix).astype(np.float32).astype(np.float64)
        found = trees.sums(walk.steps(rows)) / count
        return found if model.spec.task == "multiclass" else found[:, 0]

    return Way(scores, _unscaled(columns, trees), most_rows=_MOST_ROWS_OF_LARGE_TREES)


def _unscaled(columns: prepared.Prepared, trees: forest.Forest) -> dict[int, np.ndarray]:
    """The thresholds on prepared numbers as values of the columns they were prepared from."""
    inner = ~trees.leaf
    edges = {}
    for i, column in enumerate(columns.numbers.tolist()):
        at = trees.thresholds[inner & (trees.columns == columns.first + i)]
        edges[column] = at * columns.scale[i] + columns.mean[i]
    return edges


def _linear(model: Model) -> Way:
    columns = prepared.read(model)
    estimator = _last_step(model.estimator)
    weights = np.ascontiguousarray(estimator.coef_.T, dtype=np.float64)
    intercept = np.asarray(estimator.intercept_, dtype=np.float64)
    if weights.shape[0] != columns.width:
        raise ValueError("the weights are those of other columns")
    finish = softmax if model.spec.task == "multiclass" else _expit()
    if (weights.shape[1] == 1) == (model.spec.task == "multiclass"):
        raise ValueError(f"{model.spec.task} with {weights.shape[1]} rows of weights")
    spread = np.linspace(-3.0, 3.0, 13)
    edges = {
        column: columns.mean[i] + columns.scale[i] * spread
        for i, column in enumerate(columns.numbers.tolist())
    }
    return Way(lambda matrix: finish(columns.of(matrix) @ weights + intercept), edges, TOLERANCE)


_WAYS: dict[str, Callable[[Model], Way]] = {
    "HistGradientBoostingClassifier": _boosting,
    "HistGradientBoostingRegressor": _boosting,
    "RandomForestClassifier": _bagging,
    "RandomForestRegressor": _bagging,
    "LogisticRegression": _linear,
}
