"""The quick way is scikit-learn's own answer to the last bit, or it is not taken."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import quick
from inference.quick import forest, levels, masks
from models.load import load, seed_file
from tests.training.examples import declare, lines, text
from training import estimators, reading
from training.artifact import Model
from training.features import FeatureEncoder

TASKS = ("binary", "multiclass", "regression")
rows = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.none() | st.sampled_from(["NA", "x", "y", "never seen"]),
        st.none() | st.floats(-100, 100),
        st.booleans(),
    ),
    min_size=1,
    max_size=20,
)


def _is_quick(scores, model):
    return scores.__qualname__ != model.scores.__qualname__


@pytest.mark.parametrize("task", TASKS)
@given(rows=rows)
def test_any_row_gets_the_estimators_own_score(models, task, rows):
    model = models[task]
    scores = _SCORERS.setdefault(task, quick.scorer(model))
    assert _is_quick(scores, model)
    matrix = model.encoder.encode_values(rows)
    assert np.array_equal(scores(matrix), model.scores(matrix))


_SCORERS = {}


def _flights(**training):
    spec = load(["flights"])["flights"]
    return dataclasses.replace(spec, training=dataclasses.replace(spec.training, **training))


def _fitted(tmp_path, spec, content=None) -> tuple[Model, np.ndarray]:
    (tmp_path / "seed.csv").write_bytes(seed_file("flights").read_bytes() if content is None else content)
    table = reading.read(tmp_path, spec)
    known = len(table) * 3 // 4  # later rows hold unknown destinations
    encoder = FeatureEncoder.fit(spec, table.frame.iloc[:known])
    matrix = encoder.encode_frame(table.frame)
    estimator = estimators.build(spec, encoder.categorical)
    fitted = estimators.fit(estimator, matrix[:known], table.labels[:known], spec)
    return Model(spec, encoder, estimators.single_threaded(fitted), {}), matrix


def _in_groups(scores, matrix, size):
    return np.concatenate([scores(matrix[i : i + size]) for i in range(0, len(matrix), size)])


@pytest.mark.parametrize(
    "hyperparameters",
    [
        {},
        {"max_leaf_nodes": 8},
        {"max_leaf_nodes": 31, "max_iter": 300},
        {"max_leaf_nodes": 64, "min_samples_leaf": 2, "max_iter": 20},
        {"max_leaf_nodes": None, "min_samples_leaf": 2, "max_iter": 20},  # beyond what a mask can hold
        {"max_leaf_nodes": 2, "max_iter": 3},
    ],
)
def test_real_flights_get_the_estimators_own_scores(tmp_path, hyperparameters):
    model, matrix = _fitted(tmp_path, _flights(hyperparameters=hyperparameters))
    scores = quick.scorer(model)
    assert _is_quick(scores, model)
    for size in (1, 10, 100, 1000):
        assert np.array_equal(_in_groups(scores, matrix, size), model.scores(matrix)), size


@pytest.mark.parametrize(
    ("loss", "make"), [("poisson", abs), ("gamma", lambda v: abs(v) + 0.1), ("quantile", float)]
)
def test_other_losses_get_the_estimators_own_scores(tmp_path, loss, make):
    spec = declare("regression")
    options = {"loss": loss, "max_iter": 10} | ({"quantile": 0.9} if loss == "quantile" else {})
    spec = dataclasses.replace(spec, training=dataclasses.replace(spec.training, hyperparameters=options))
    made = [line.rpartition(",") for line in lines(400, "regression")]
    content = text([f"{head},{make(float(label))}" for head, _, label in made]).encode()
    model, matrix = _fitted(tmp_path, spec, content)
    scores = quick.scorer(model)
    assert _is_quick(scores, model)
    assert np.array_equal(_in_groups(scores, matrix, 7), model.scores(matrix))


def _toy(tmp_path, task, estimator, **options):
    spec = declare(task)
    rules = dataclasses.replace(spec.training, estimator=estimator, hyperparameters=options)
    return _fitted(tmp_path, dataclasses.replace(spec, training=rules), text(lines(600, task)).encode())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("options", [{}, {"min_samples_leaf": 1, "max_features": 1.0}])
def test_a_random_forest_gets_its_own_scores_to_the_last_bit(tmp_path, task, options):
    model, matrix = _toy(tmp_path, task, "random_forest", n_estimators=7, **options)
    scores = quick.scorer(model)
    assert _is_quick(scores, model)
    for size in (1, 13, 600):
        assert np.array_equal(_in_groups(scores, matrix, size), model.scores(matrix))


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_linear_model_gets_its_own_scores_to_the_last_digits(tmp_path, task):
    model, matrix = _toy(tmp_path, task, "logistic_regression")
    scores = quick.scorer(model)
    assert _is_quick(scores, model)
    for size in (1, 13, 600):
        found = _in_groups(scores, matrix, size)
        assert np.allclose(found, model.scores(matrix), rtol=quick.TOLERANCE, atol=0)


@pytest.mark.parametrize("name", ["logistic_regression", "random_forest"])
def test_the_other_estimators_are_quick_on_real_flights_too(tmp_path, name):
    options = {"n_estimators": 5} if name == "random_forest" else {}
    model, matrix = _fitted(tmp_path, _flights(estimator=name, hyperparameters=options))
    scores = quick.scorer(model)
    assert _is_quick(scores, model)
    assert np.allclose(_in_groups(scores, matrix, 100), model.scores(matrix), rtol=quick.TOLERANCE, atol=0)


@pytest.mark.parametrize("kind", ["category", "number"])
@pytest.mark.parametrize("estimator", ["hist_gradient_boosting", "logistic_regression", "random_forest"])
def test_a_model_of_only_one_kind_of_column_is_quick_as_well(tmp_path, kind, estimator):
    spec = declare()
    left = tuple(f for f in spec.features if f.type == kind)
    rules = dataclasses.replace(spec.training, estimator=estimator, hyperparameters={})
    spec = dataclasses.replace(spec, features=left, training=rules)
    model, matrix = _fitted(tmp_path, spec, text(lines(400)).encode())
    scores = quick.scorer(model)
    assert _is_quick(scores, model)
    assert np.allclose(_in_groups(scores, matrix, 9), model.scores(matrix), rtol=quick.TOLERANCE, atol=0)


def test_large_requests_to_large_trees_are_left_to_the_estimator(tmp_path, monkeypatch):
    model, matrix = _toy(tmp_path, "binary", "random_forest", n_estimators=3)
    scores = quick.scorer(model)
    asked = []
    monkeypatch.setattr(Model, "scores", lambda _, rows: asked.append(len(rows)) or np.zeros(len(rows)))
    scores(matrix[:512])
    assert asked == []
    scores(matrix[:513])
    assert asked == [513]


def test_an_estimator_of_ones_own_is_asked_itself(tmp_path):
    model, matrix = _toy(tmp_path, "binary", "sklearn.ensemble.ExtraTreesClassifier", n_estimators=3)
    assert quick.scorer(model) == model.scores
    assert len(model.scores(matrix[:3])) == 3


def test_a_pipeline_of_ones_own_is_asked_itself(models):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    matrix = np.random.default_rng(0).random((50, 4))
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix, matrix[:, 0] > 0.5)
    model = dataclasses.replace(models["binary"], estimator=estimator)
    assert quick.scorer(model) == model.scores


@pytest.mark.parametrize("change", ["start", "values", "thresholds"])
def test_trees_that_answer_otherwise_are_not_used(models, monkeypatch, caplog, change):
    original = forest.boosted

    def other(model):
        found = original(model)
        return dataclasses.replace(found, **{change: getattr(found, change) + 0.25})

    monkeypatch.setattr(forest, "boosted", other)
    assert quick.scorer(models["binary"]) == models["binary"].scores
    assert "differs from scikit-learn and is not used" in caplog.text


def test_scores_that_are_no_numbers_do_not_pass_the_trial(models, monkeypatch):
    monkeypatch.setattr(quick, "_finish", lambda _: lambda raw: raw[:, 0] * np.nan)
    assert quick.scorer(models["binary"]) == models["binary"].scores


@pytest.mark.parametrize("task", TASKS)
def test_both_ways_to_walk_find_the_same_leaves(models, task):
    trees = forest.boosted(models[task])
    matrix = models[task].encoder.encode_values(
        [(k, p, s, h) for k in "abc" for p in (None, "x", "zz") for s in (None, -3.5, 99) for h in (0, 1)]
    )
    crossing, walking = masks.build(trees), levels.build(trees, 4)
    assert np.array_equal(crossing.steps(matrix), walking.steps(matrix))
    for row in matrix:
        assert np.array_equal(crossing.steps(row[np.newaxis]), walking.steps(row[np.newaxis]))


def test_a_table_that_would_be_too_large_is_not_built(models, monkeypatch):
    monkeypatch.setattr(masks, "MAX_TABLE_BYTES", 100)
    with pytest.raises(ValueError, match="the table would take"):
        masks.build(forest.boosted(models["binary"]))
    assert _is_quick(quick.scorer(models["binary"]), models["binary"])
