"""Every metric of a task, on small cases one can work out by hand."""

import numpy as np
import pytest

from models.spec import METRICS
from tests.training.examples import declare
from training.errors import TrainingError
from training.evaluate import check_labels, measure


def test_binary_metrics():
    values = measure("binary", np.array([0, 0, 1, 1.0]), np.array([0.1, 0.6, 0.4, 0.9]), [])
    assert tuple(values) == METRICS["binary"]
    assert values["roc_auc"] == 0.75
    assert values["accuracy"] == 0.5
    assert values["f1"] == 0.5


def test_multiclass_metrics_count_a_class_the_model_has_never_seen():
    labels = np.array(["a", "b", "new"], dtype=object)
    values = measure("multiclass", labels, np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]), ["a", "b"])
    assert tuple(values) == METRICS["multiclass"]
    assert values["accuracy"] == pytest.approx(2 / 3)
    assert values["log_loss"] > 5  # no probability for the new class
    assert np.isfinite(values["log_loss"])


def test_regression_metrics():
    values = measure("regression", np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 6.0]), [])
    assert tuple(values) == METRICS["regression"]
    assert values["mae"] == 1.0
    assert values["rmse"] == pytest.approx(3**0.5)


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        (
            "binary",
            [0.0, 0.0],
            "column late: the 2 rows to fit on all have the label 0; at least two different",
        ),
        (
            "binary",
            [0.0, 2.0],
            "column late: the 2 rows to fit on hold the label 2; a binary label is 0 or 1",
        ),
        ("multiclass", ["x", "x"], "all have the label x"),
        ("regression", [1.5, 1.5], "all have the label 1.5"),
    ],
)
def test_labels_nothing_can_be_learned_from_are_named(task, labels, message):
    with pytest.raises(TrainingError) as caught:
        check_labels(
            np.array(labels, dtype=object if task == "multiclass" else float), declare(task), "fit on"
        )
    assert message in str(caught.value)
