"""The quick way is scikit-learn's own answer to the last bit, or it is not taken."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import quick
from models.load import load, seed_file
from training import estimators, reading
from training.artifact import Model
from training.features import FeatureEncoder

rows = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.none() | st.sampled_from(["NA", "x", "y", "never seen"]),
        st.none() | st.floats(-100, 100),
        st.booleans(),
    ),
    min_size=1,
    max_size=quick.MAX_ROWS + 2,
)


@pytest.mark.parametrize("task", ["binary", "regression"])
@given(rows=rows)
def test_any_row_gets_the_estimators_own_score(models, task, rows):
    model = models[task]
    scores = _SCORERS.setdefault(task, quick.scorer(model))
    assert scores.__qualname__ != model.scores.__qualname__  # the quick way is taken
    matrix = model.encoder.encode_values(rows)
    assert np.array_equal(scores(matrix), model.scores(matrix))


_SCORERS = {}


def _flights(**training):
    spec = load(["flights"])["flights"]
    return dataclasses.replace(spec, training=dataclasses.replace(spec.training, **training))


def _fitted(tmp_path, spec) -> tuple[Model, np.ndarray]:
    (tmp_path / "seed.csv").write_bytes(seed_file("flights").read_bytes())
    table = reading.read(tmp_path, spec)
    encoder = FeatureEncoder.fit(spec, table.frame.iloc[:3000])  # later rows hold unknown destinations
    matrix = encoder.encode_frame(table.frame)
    estimator = estimators.build(spec, encoder.categorical)
    return Model(
        spec, encoder, estimators.fit(estimator, matrix[:3000], table.labels[:3000], spec), {}
    ), matrix


def test_real_flights_get_the_estimators_own_scores(tmp_path):
    model, matrix = _fitted(tmp_path, _flights())
    scores = quick.scorer(model)
    quickly = np.concatenate([scores(matrix[i : i + 10]) for i in range(0, len(matrix), 10)])
    assert scores.__qualname__ != model.scores.__qualname__
    assert np.array_equal(quickly, model.scores(matrix))


@pytest.mark.parametrize("name", ["logistic_regression", "random_forest"])
def test_other_estimators_are_asked_themselves(tmp_path, name):
    options = {"n_estimators": 3} if name == "random_forest" else {}
    model, matrix = _fitted(tmp_path, _flights(estimator=name, hyperparameters=options))
    assert quick.scorer(model) == model.scores
    assert len(model.scores(matrix[:3])) == 3


def test_a_model_of_many_classes_is_asked_itself(models):
    assert quick.scorer(models["multiclass"]) == models["multiclass"].scores


def test_arrays_that_answer_otherwise_are_not_used(models, monkeypatch, caplog):
    original = quick._read
    monkeypatch.setattr(quick, "_read", lambda model: dataclasses.replace(original(model), baseline=1.0))
    assert quick.scorer(models["binary"]) == models["binary"].scores
    assert "differs from scikit-learn and is not used" in caplog.text
