"""The gate lets only better models through, and says why with the numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.spec import Gate
from training.decision import decide

ROWS = "on 26,720 fresh rows"
BEATS = "refused: roc_auc 0.6625 beats the champion's 0.6615"


def _evaluation(challenger, champion=None, metric="roc_auc", **changes):
    return {
        "rows": {"total": 90_000, "fitted": 63_280, "holdout": 26_720},
        "challenger": {metric: challenger},
        "champion": None if champion is None else {metric: champion},
        "comparable": True,
        "note": "",
    } | changes


@pytest.mark.parametrize(
    ("evaluation", "gate", "promote", "reason"),
    [
        (
            _evaluation(0.7562, 0.7276),
            Gate(minimum=0.6, minimum_gain=0.002),
            True,
            f"roc_auc 0.7562 beats the champion's 0.7276 by 0.0286 (at least 0.002 needed) {ROWS}",
        ),
        (
            _evaluation(0.5012, 0.4),
            Gate(minimum=0.6),
            False,
            "refused: roc_auc 0.5012 is below the minimum 0.6 on 26,720 fresh rows",
        ),
        (
            _evaluation(0.6561, 0.6615),
            Gate(minimum_gain=0.002),
            False,
            "refused: roc_auc 0.6561 is worse than the champion's 0.6615 on 26,720 fresh rows",
        ),
        (
            _evaluation(0.6625, 0.6615),
            Gate(minimum_gain=0.002),
            False,
            f"{BEATS} by only 0.0010 (at least 0.002 needed) {ROWS}",
        ),
        (
            _evaluation(0.63),
            Gate(minimum=0.6),
            True,
            "roc_auc 0.6300 on 26,720 fresh rows, at least 0.6 needed; the first model",
        ),
        (
            _evaluation(3.0, 3.5, "rmse"),
            Gate(metric="rmse", minimum=5, minimum_gain=0.1),
            True,
            "rmse 3.0000 beats the champion's 3.5000 by 0.5000 (at least 0.1 needed) on 26,720 fresh rows",
        ),
        (
            _evaluation(7.0, 9.0, "rmse"),
            Gate(metric="rmse", minimum=5),
            False,
            "refused: rmse 7.0000 is above the maximum 5 on 26,720 fresh rows",
        ),
        (
            _evaluation(0.9, comparable=False, note="the champion cannot be loaded: x"),
            Gate(),
            False,
            "refused: not compared with the champion: the champion cannot be loaded: x",
        ),
        (
            _evaluation(0.9) | {"challenger": {"f1": 1.0}},
            Gate(),
            False,
            "refused: the evaluation holds no roc_auc of the challenger, it has f1",
        ),
        (
            _evaluation(0.7) | {"champion": {"f1": 0.5}},
            Gate(),
            False,
            "refused: the evaluation holds no roc_auc of the champion",
        ),
        (
            _evaluation(0.59999, 0.5),
            Gate(minimum=0.6),
            False,
            "refused: roc_auc 0.59999 is below the minimum 0.6 on 26,720 fresh rows",
        ),
    ],
)
def test_the_reason_is_one_sentence_with_the_numbers(evaluation, gate, promote, reason):
    verdict = decide(evaluation, gate)
    assert (verdict.promote, verdict.reason) == (promote, reason)


@pytest.mark.parametrize(("metric", "value"), [("roc_auc", 0.7), ("rmse", 2.0)])
def test_an_equal_model_is_not_a_better_one(metric, value):
    verdict = decide(_evaluation(value, value, metric), Gate(metric=metric))
    assert not verdict.promote
    assert "equals the champion's" in verdict.reason


def test_a_gain_of_exactly_the_minimum_is_enough_despite_floating_point():
    assert 0.3 - 0.1 < 0.2  # in binary fractions
    assert decide(_evaluation(0.3, 0.1), Gate(minimum_gain=0.2)).promote


scores = st.floats(0, 1)


@given(
    scores, scores, scores, st.none() | scores, st.floats(0, 0.5), st.sampled_from(["roc_auc", "log_loss"])
)
def test_what_a_model_passes_a_better_one_passes_too(one, other, champion, minimum, gain, metric):
    gate = Gate(metric=metric, minimum=minimum, minimum_gain=gain)
    worse, better = sorted([one, other], reverse=metric == "log_loss")
    passed = [decide(_evaluation(v, champion, metric), gate).promote for v in (worse, better)]
    assert passed != [True, False]


@given(scores, scores, st.floats(0, 0.5))
def test_nothing_worse_than_the_champion_is_promoted(challenger, champion, gain):
    verdict = decide(_evaluation(challenger, champion), Gate(minimum_gain=gain))
    if verdict.promote:
        assert challenger > champion
        assert challenger - champion >= gain - 1e-9
