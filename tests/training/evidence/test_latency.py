"""One row is answered as the server answers it, many times over."""

import pytest

from inference.answering import Answerer
from tests.training.examples import declare, lines
from training import estimators
from training.artifact import Model
from training.errors import TrainingError
from training.evidence.latency import measure
from training.features import FeatureEncoder


@pytest.fixture(scope="module")
def model():
    import numpy as np
    import pandas as pd

    spec = declare()
    cells = [row.split(",") for row in lines(200)]
    frame = pd.DataFrame(
        {
            "kind": [c[1] for c in cells],
            "place": [c[2] or None for c in cells],
            "size": [float(c[3]) if c[3] else np.nan for c in cells],
            "heavy": [float(c[4] == "true") for c in cells],
        }
    )
    encoder = FeatureEncoder.fit(spec, frame)
    labels = np.array([float(c[5]) for c in cells])
    estimator = estimators.build(spec, encoder.categorical)
    fitted = estimators.fit(estimator, encoder.encode_frame(frame), labels, spec)
    return Model(spec, encoder, fitted, {"run_id": "r1", "fitted_until": "2024-01-01"})


ROW = {"kind": "a", "place": None, "size": 1.5, "heavy": True}


def test_the_median_is_not_above_the_99th_percentile_and_all_requests_count(model):
    found = measure(model, [ROW, ROW | {"kind": "b"}], requests=50)
    assert found["requests"] == 50
    assert 0 < found["p50_milliseconds"] <= found["p99_milliseconds"] < 1000


def test_a_slow_model_is_seen_and_not_waited_for(model, monkeypatch):
    import time

    plain = Answerer.answer

    def slow(self, *arguments):
        time.sleep(0.02)
        return plain(self, *arguments)

    monkeypatch.setattr(Answerer, "answer", slow)
    monkeypatch.setattr("training.evidence.latency._MOST_SECONDS", 0.2)
    found = measure(model, [ROW], requests=10_000)
    assert found["p50_milliseconds"] >= 20
    assert 20 <= found["requests"] < 100


def test_a_model_that_does_not_answer_its_own_rows_fails_the_job(model):
    with pytest.raises(TrainingError, match=r"does not answer a held-out row: .*expected one of a, b, c"):
        measure(model, [ROW | {"kind": "z"}])
