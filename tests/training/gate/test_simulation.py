"""The gate's promises about chance, by a small part of ``benchmarks/gate.py`` with its fixed seeds."""

from dataclasses import replace
from functools import partial

import pytest

from benchmarks import gate as simulation
from models.spec import Gate

RETRAININGS = 200
MEAN, AREA, SQUARE = "log_loss", "roc_auc", "rmse"
CASES = {case.metric: case for case in simulation.CASES}


def _share(case, gate, error, retrainings=RETRAININGS):
    return sum(map(partial(simulation.retrain, case, gate, error), range(retrainings))) / retrainings


@pytest.mark.parametrize("metric", [MEAN, SQUARE])
def test_equal_models_are_promoted_no_more_often_than_the_confidence_leaves(metric):
    assert _share(CASES[metric], Gate(metric=metric, confidence=0.95), 1.0) <= 0.05


def test_equal_models_are_promoted_no_more_often_by_a_metric_of_ranks():
    small = replace(CASES[AREA], hours=60, rows=10)
    assert _share(small, Gate(metric=AREA, confidence=0.9), 1.0, 150) <= 0.1


@pytest.mark.parametrize("metric", [MEAN, SQUARE])
def test_a_model_that_is_truly_better_is_promoted_with_the_stated_power(metric):
    case = CASES[metric]
    assert _share(case, Gate(metric=metric, confidence=0.95), case.better) >= simulation.POWER


def test_counting_rows_as_independent_would_promote_equal_models():
    case = replace(CASES[SQUARE], hours=60)
    by_row = _share(case, Gate(metric=SQUARE, confidence=0.95, block="row"), 1.0, 60)
    by_hour = _share(case, Gate(metric=SQUARE, confidence=0.95), 1.0, 60)
    assert by_row > 0.15 > by_hour


def test_twenty_equal_challengers_on_the_same_rows_are_no_better_off_than_one():
    histories, gate = 40, Gate(metric=SQUARE, confidence=0.95, max_holdout_uses=20)
    case = replace(CASES[SQUARE], hours=80, rows=4)
    honest, naive = (
        sum(map(partial(simulation.repeat, case, gate, 20, counted), range(histories)))
        for counted in (True, False)
    )
    assert simulation.interval(honest, histories)[0] <= 0.05
    assert simulation.interval(naive, histories)[0] > 0.05


def test_the_interval_is_clopper_and_pearsons():
    """Of no promotion in 1,000: 1 - 0.025 ** (1 / 1000)."""
    assert simulation.interval(0, 1000) == (0.0, pytest.approx(1 - 0.025 ** (1 / 1000)))
    assert simulation.interval(1000, 1000)[1] == 1.0
    low, high = simulation.interval(30, 1000)
    assert (low, high) == (pytest.approx(0.0203, abs=1e-4), pytest.approx(0.0426, abs=1e-4))
