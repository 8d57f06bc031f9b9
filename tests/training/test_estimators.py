"""Every estimator fits every task it suits, and bad hyperparameters are errors of the spec."""

import dataclasses

import numpy as np
import pytest

from tests.training.examples import declare
from training import estimators
from training.errors import TrainingError
from training.evaluate import predict

SOURCE = np.random.default_rng(0)
MATRIX = np.column_stack(
    [SOURCE.integers(0, 4, 200), SOURCE.integers(0, 3, 200), SOURCE.normal(size=(200, 2))]
).astype(float)
MATRIX[::7, 2] = np.nan
MATRIX[::11, 1] = np.nan
LABELS = {
    "binary": (MATRIX[:, 3] > 0).astype(float),
    "multiclass": np.where(MATRIX[:, 3] > 0, "high", "low").astype(object),
    "regression": MATRIX[:, 3],
}


def _spec(task="binary", **training):
    return dataclasses.replace(declare(task), training=dataclasses.replace(declare().training, **training))


def own(n_estimators=5, random_state=None, categorical_features=None):
    """An estimator of one's own, as a dotted path names it."""
    from sklearn.ensemble import ExtraTreesClassifier

    assert (random_state, categorical_features) == (7, [0, 1])
    return ExtraTreesClassifier(n_estimators=n_estimators, random_state=random_state)


SUITED = [
    (name, task)
    for name in ("hist_gradient_boosting", "random_forest", "logistic_regression")
    for task in ("binary", "multiclass", "regression")
    if (name, task) != ("logistic_regression", "regression")
]


@pytest.mark.parametrize(("name", "task"), SUITED)
def test_estimators_learn_from_missing_and_unknown_values(name, task):
    options = {"hyperparameters": {"n_estimators": 5}} if name == "random_forest" else {"hyperparameters": {}}
    spec = _spec(task, estimator=name, **options)
    fitted = estimators.fit(estimators.build(spec, [0, 1]), MATRIX, LABELS[task], spec)
    unknown = np.array([[99.0, 99.0, np.nan, 1.0]])
    predicted = predict(fitted, np.vstack([MATRIX, unknown]), task)
    assert np.isfinite(predicted).all()
    if task == "binary":
        assert ((predicted[:-1] >= 0.5) == LABELS[task]).mean() > 0.8


def test_an_estimator_of_ones_own_gets_what_it_takes():
    spec = _spec(estimator="tests.training.test_estimators.own", hyperparameters={"n_estimators": 3}, seed=7)
    assert estimators.build(spec, [0, 1]).n_estimators == 3


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (
            {"hyperparameters": {"lerning_rate": 0.1}},
            "training.hyperparameters: lerning_rate not known to HistGradientBoostingClassifier; allowed: ",
        ),
        (
            {"hyperparameters": {"learning_rate": -1}},
            "training.hyperparameters: hist_gradient_boosting could not be fitted: The 'learning_rate'",
        ),
        (
            {"estimator": "models.nowhere.build", "hyperparameters": {}},
            "training.estimator: 'models.nowhere.build' cannot be imported",
        ),
        (
            {"estimator": "sklearn.linear_model.Nothing", "hyperparameters": {}},
            "training.estimator: 'sklearn.linear_model.Nothing' cannot be imported",
        ),
        (
            {"estimator": "sklearn.linear_model.RidgeClassifier", "hyperparameters": {}},
            "training.estimator: sklearn.linear_model.RidgeClassifier could not be fitted: Input X",
        ),
        (
            {"estimator": "sklearn.ensemble.ExtraTreesRegressor", "hyperparameters": {"n_estimators": 2}},
            "training.estimator: sklearn.ensemble.ExtraTreesRegressor has no predict_proba, which a",
        ),
    ],
)
def test_what_does_not_suit_is_an_error_of_the_spec(training, message):
    spec = _spec(**training)
    with pytest.raises(TrainingError) as caught:
        estimators.fit(estimators.build(spec, [0, 1]), MATRIX, LABELS["binary"], spec)
    assert message in str(caught.value)


def test_logistic_regression_refuses_to_predict_numbers():
    with pytest.raises(TrainingError, match="choose hist_gradient_boosting or random_forest"):
        estimators.build(_spec("regression", estimator="logistic_regression"), [0])


def test_a_server_uses_one_thread_however_deep_the_setting_lies():
    spec = _spec(estimator="random_forest", hyperparameters={"n_estimators": 2})
    estimator = estimators.build(spec, [0, 1])
    assert estimator.named_steps["model"].n_jobs == -1
    assert estimators.single_threaded(estimator).named_steps["model"].n_jobs == 1
