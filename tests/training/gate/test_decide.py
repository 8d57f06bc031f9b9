"""The gate lets only better models through, surely better ones, and says why with the numbers."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.spec import Gate
from tests.training.gate.examples import evaluation, part
from training.gate.decide import decide

ROWS = "on 26,720 fresh rows"
FAIR = Gate(minimum=0.6, minimum_gain=0.002)


def _names(decision, *, passed):
    return [check.name for check in decision.checks if check.passed == passed]


@pytest.mark.parametrize(
    ("given_evaluation", "gate", "promote", "reason"),
    [
        (
            evaluation(0.7562, 0.7276),
            FAIR,
            True,
            (
                "roc_auc 0.7562 beats the champion's 0.7276 by 0.0286 (at least 0.0248 with confidence 0.95, "
                f"more than 0.002 needed) {ROWS}"
            ),
        ),
        (
            evaluation(0.5012, 0.4),
            FAIR,
            False,
            f"refused: roc_auc 0.5012 is below the minimum 0.6 {ROWS}",
        ),
        (
            evaluation(0.6561, 0.6615),
            FAIR,
            False,
            f"refused: roc_auc 0.6561 is worse than the champion's 0.6615 {ROWS}",
        ),
        (
            evaluation(0.6625, 0.6615),
            FAIR,
            False,
            (
                "refused: roc_auc 0.6625 beats the champion's 0.6615 by only 0.0010 (more than 0.002 needed) "
                f"{ROWS}"
            ),
        ),
        (
            evaluation(0.665, 0.6615),
            FAIR,
            False,
            (
                "refused: roc_auc 0.6650 beats the champion's 0.6615 by 0.0035, which chance may explain: "
                f"more than 0.0058 is needed (confidence 0.95, 720 hours) {ROWS}"
            ),
        ),
        (
            evaluation(0.63, None),
            FAIR,
            True,
            f"roc_auc 0.6300 {ROWS}, at least 0.6 needed; the first model",
        ),
        (
            evaluation(3.0, 3.5, metric="rmse", standard_error=0.1),
            Gate(metric="rmse", minimum=5, minimum_gain=0.1),
            True,
            (
                "rmse 3.0000 beats the champion's 3.5000 by 0.5000 (at least 0.3122 with confidence 0.95, "
                f"more than 0.1 needed) {ROWS}"
            ),
        ),
        (
            evaluation(7.0, 9.0, metric="rmse"),
            Gate(metric="rmse", minimum=5),
            False,
            f"refused: rmse 7.0000 is above the maximum 5 {ROWS}",
        ),
        (
            evaluation(0.9, None, comparable=False, note="the champion cannot be loaded: x"),
            Gate(),
            False,
            "refused: not compared with the champion: the champion cannot be loaded: x",
        ),
        (
            evaluation() | {"challenger": {"f1": 1.0}},
            Gate(),
            False,
            "refused: the evaluation holds no roc_auc of the challenger, it has f1",
        ),
        (
            evaluation(0.7, 0.6) | {"champion": {"f1": 0.5}},
            Gate(),
            False,
            "refused: not compared with the champion: the evaluation holds no roc_auc of the champion",
        ),
        (
            evaluation(0.59999, 0.5),
            FAIR,
            False,
            f"refused: roc_auc 0.59999 is below the minimum 0.6 {ROWS}",
        ),
    ],
)
def test_the_reason_is_one_sentence_with_the_numbers(given_evaluation, gate, promote, reason):
    decision = decide(given_evaluation, gate)
    assert (decision.promote, decision.reason) == (promote, reason)
    assert all(check.passed for check in decision.checks) == promote


@pytest.mark.parametrize(("metric", "value"), [("roc_auc", 0.7), ("rmse", 2.0)])
def test_an_equal_model_is_not_a_better_one(metric, value):
    found = evaluation(value, value, metric=metric, standard_error=0.0)
    decision = decide(found, Gate(metric=metric))
    assert not decision.promote
    assert "equals the champion's" in decision.reason


def test_a_decision_is_stored_with_all_its_numbers():
    stored = json.loads(json.dumps(decide(evaluation(), FAIR).to_dict(), allow_nan=False))
    assert [stored["decision"], stored["metric"]] == ["promote", "roc_auc"]
    assert stored["gain"] == pytest.approx(0.0286)
    assert 0.024 < stored["gain_low"] < 0.025
    assert 0 < stored["significance"] < 1e-9
    assert stored["holdout_uses"] == 1.0
    assert [check["name"] for check in stored["checks"]] == [
        "minimum", "comparable", "leak", "holdout uses", "gain", "latency", "artifact size",
    ]  # fmt: skip


@pytest.mark.parametrize("missing", ["paired", "latency", "artifact_bytes"])
def test_what_was_not_measured_does_not_pass(missing):
    found = evaluation()
    del found[missing]
    decision = decide(found, Gate())
    assert not decision.promote
    assert "train again with the code of this gate" in decision.reason


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (Gate(metric="accuracy"), "compared by the metric roc_auc, the gate asks for accuracy"),
        (Gate(block="day"), "compared by the block hour, the gate asks for day"),
    ],
)
def test_a_comparison_by_another_metric_or_block_does_not_count(gate, words):
    found = evaluation()
    for who in ("challenger", "champion"):
        found[who] |= {"accuracy": 0.9}
    assert words in decide(found, gate).reason


@pytest.mark.parametrize("value", [None, math.nan, "0.1", True])
def test_a_standard_error_that_is_no_number_is_no_comparison(value):
    found = evaluation()
    found["paired"] |= {"standard_error": value}
    assert "holds no standard_error" in decide(found, Gate()).reason


def test_a_champion_whose_scores_are_missing_is_no_first_model():
    decision = decide(evaluation(0.9, None, champion_run_id="r0"), Gate())
    assert decision.reason == (
        "refused: not compared with the champion: the evaluation holds no scores of the champion r0"
    )


def test_a_first_model_must_reach_all_that_is_no_comparison():
    gate = Gate(minimum=0.6, floors={"log_loss": 0.5}, max_calibration_error=0.05, slices=("origin",))
    found = evaluation(0.7, None)
    found["challenger"] |= {"log_loss": 0.6}
    decision = decide(found, gate, uses=99)
    assert _names(decision, passed=False) == ["floor log_loss", "calibration"]
    assert decision.reason == f"refused: log_loss 0.6000 is above the maximum 0.5 {ROWS}"


def test_every_failed_check_is_told_and_the_first_is_the_reason():
    gate = Gate(max_artifact_mb=1, max_latency_milliseconds=0.5)
    decision = decide(evaluation(artifact_bytes=2_500_000), gate)
    assert _names(decision, passed=False) == ["latency", "artifact size"]
    assert (
        decision.reason == "refused: 99 of 100 single rows are answered in 0.6 ms, above the maximum 0.5 ms"
    )
    assert decision.checks[-1].words == "the unpacked model has 2.5 MB, above the maximum 1"


def test_calibration_is_limited_where_the_gate_asks():
    measured = {"challenger": {"error": 0.08, "bins": []}, "champion": None}
    found = evaluation(calibration=measured)
    assert decide(found, Gate()).promote
    assert decide(found, Gate(max_calibration_error=0.1)).promote
    reason = decide(found, Gate(max_calibration_error=0.05)).reason
    assert reason == "refused: calibration error 0.0800 is above the maximum 0.05"


SLICED = Gate(slices=("origin",), max_slice_loss=0.05)


@pytest.mark.parametrize(
    ("parts", "promote", "words"),
    [
        ([part(-0.02)], True, "no value of origin loses"),
        (
            [part(0.04)],
            True,
            "roc_auc loses at most 0.0400 where origin is EWR (9,000 rows), 0.05 is allowed",
        ),
        ([part(0.2, 0.15)], True, "roc_auc loses by chance 0.2000 where origin is EWR"),
        ([part(0.2, None, effective_blocks=1.0)], True, "by chance"),
        (
            [part(0.01), part(0.06, value="JFK"), part(0.3, 0.3, value="LGA")],
            False,
            "roc_auc loses 0.0600 where origin is JFK (9,000 rows), more than 0.05 and than chance explains",
        ),
        ([], True, "no value of origin has 200 rows to compare on"),
    ],
)
def test_a_slice_may_not_lose_more_than_allowed_and_than_chance_explains(parts, promote, words):
    decision = decide(evaluation(sliced=["origin"], slices=parts), SLICED)
    (check,) = [check for check in decision.checks if check.name == "slice origin"]
    assert (decision.promote, check.passed) == (promote, promote)
    assert words in check.words


def test_slices_that_were_not_looked_at_do_not_pass():
    decision = decide(evaluation(), SLICED)
    assert (
        decision.reason
        == "refused: slices of origin were not measured; train again with the code of this gate"
    )


def test_many_slices_share_what_chance_may_do():
    """A loss that would be remarkable in one slice is not in the worst of a hundred."""
    lost = part(0.06, 0.03)
    assert not decide(evaluation(sliced=["origin"], slices=[lost]), SLICED).promote
    others = [part(0.0, 0.03, value=str(number)) for number in range(99)]
    assert decide(evaluation(sliced=["origin"], slices=[lost, *others]), SLICED).promote


def test_a_leak_is_refused_with_its_note():
    leakage = {
        "challenger": {"repeated": 0.9, "baseline": 0.1, "rows": 100},
        "champion": None,
        "note": "a leak",
    }
    decision = decide(evaluation(leakage=leakage), Gate())
    assert decision.reason == "refused: a leak"


def test_the_same_rows_demand_more_each_time_and_then_nothing_more_is_decided():
    needed = [
        next(c.limit for c in decide(evaluation(), Gate(), uses).checks if c.name == "gain")
        for uses in (0, 0.5, 1, 5, 9)
    ]
    assert needed == sorted(needed)
    assert needed[0] < needed[-1]
    decision = decide(evaluation(), Gate(), 9.5)
    assert decision.reason == "refused: decision 10.5 on these rows, at most 10 are made; push newer data"
    assert decision.holdout_uses == 10.5


def test_few_blocks_demand_more_than_many():
    few, many = (decide(evaluation(0.73145, 0.7276, blocks=blocks), Gate()) for blocks in (30, 3000))
    assert (few.promote, many.promote) == (False, True)


@pytest.mark.parametrize(
    ("longer", "words"),
    [
        ({"standard_error": 0.0045, "effective_blocks": 30.0}, "set gate.block: day to be on the safe side"),
        ({"standard_error": 0.0021, "effective_blocks": 30.0}, "is 0.0020 by hour and 0.0021 by day"),
    ],
)
def test_blocks_that_are_alike_their_neighbours_are_remarked_on(longer, words):
    found = evaluation()
    found["paired"] |= {"coarser": {"block": "day", "blocks": 30, **longer}}
    decision = decide(found, Gate())
    (check,) = [check for check in decision.checks if check.name == "block"]
    assert words in check.words
    assert decision.promote


def test_too_few_longer_spans_are_no_ground_for_a_remark():
    found = evaluation()
    found["paired"] |= {
        "coarser": {"block": "day", "blocks": 4, "standard_error": 0.1, "effective_blocks": 4.0}
    }
    assert "block" not in [check.name for check in decide(found, Gate()).checks]


scores = st.floats(0, 1)
errors = st.floats(0, 0.2)


@given(
    scores,
    scores,
    scores,
    st.none() | scores,
    st.floats(0, 0.5),
    st.sampled_from(["roc_auc", "log_loss"]),
    errors,
    st.floats(0, 20),
)
def test_what_a_model_passes_a_better_one_passes_too(
    one, other, champion, minimum, gain, metric, error, uses
):
    gate = Gate(metric=metric, minimum=minimum, minimum_gain=gain)
    worse, better = sorted([one, other], reverse=metric == "log_loss")
    passed = [
        decide(evaluation(value, champion, metric=metric, standard_error=error), gate, uses).promote
        for value in (worse, better)
    ]
    assert passed != [True, False]


@given(scores, scores, st.floats(0, 0.5), errors)
def test_nothing_is_promoted_that_is_not_better_by_more_than_the_minimum_gain(
    challenger, champion, gain, error
):
    decision = decide(evaluation(challenger, champion, standard_error=error), Gate(minimum_gain=gain))
    if decision.promote:
        assert challenger > champion
        assert challenger - champion > gain
        assert decision.gain_low > gain
        assert decision.significance < 0.05


@given(scores, scores, errors)
def test_of_two_models_at_most_one_replaces_the_other(one, other, error):
    both = [
        decide(evaluation(a, b, standard_error=error), Gate()).promote
        for a, b in ((one, other), (other, one))
    ]
    assert both != [True, True]
