"""What one may rely on when an experiment is looked at again and again."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.sequential import BETTER, EQUAL, UNKNOWN, WORSE, Experiment, expected_outcomes

outcome = st.tuples(st.booleans(), st.floats(0, 1, allow_nan=False), st.sampled_from([0.02, 0.1, 0.5, 0.9]))


def fed(outcomes, **options):
    experiment = Experiment(**options)
    for treated, loss, weight in outcomes:
        experiment.add(treated=treated, loss=loss, weight=weight)
    return experiment


def drawn(seed, count, weight, control, treatment):
    """Outcomes of two models whose 0/1 losses have these means."""
    rng = random.Random(seed)
    for _ in range(count):
        treated = rng.random() < weight
        yield treated, float(rng.random() < (treatment if treated else control)), weight


def test_nothing_is_known_before_the_first_outcome():
    experiment = Experiment()
    assert (experiment.interval().low, experiment.interval().high) == (-1.0, 1.0)
    assert experiment.verdict == UNKNOWN
    assert experiment.p_value == 1.0
    assert experiment.difference is None


@given(st.lists(outcome, max_size=40))
@settings(deadline=None, max_examples=60)
def test_the_interval_is_one_within_the_possible_differences(outcomes):
    interval = fed(outcomes).interval()
    assert -1.0 <= interval.low < interval.high <= 1.0


@given(st.lists(outcome, max_size=40))
@settings(deadline=None, max_examples=60)
def test_changing_the_arms_over_turns_the_interval_round(outcomes):
    one = fed(outcomes).interval()
    other = fed([(not treated, loss, 1 - weight) for treated, loss, weight in outcomes]).interval()
    assert other.low == pytest.approx(-one.high, abs=1e-9)
    assert other.high == pytest.approx(-one.low, abs=1e-9)


@given(st.lists(outcome, max_size=40), st.floats(0.001, 0.2), st.floats(0.21, 0.9))
@settings(deadline=None, max_examples=60)
def test_being_surer_makes_the_interval_wider(outcomes, small, large):
    sure, bold = fed(outcomes, alpha=small).interval(), fed(outcomes, alpha=large).interval()
    assert sure.low <= bold.low <= bold.high <= sure.high


@given(st.lists(outcome, max_size=40))
@settings(deadline=None, max_examples=40)
def test_the_verdict_agrees_with_the_interval_at_the_moment_it_is_reached(outcomes):
    experiment = Experiment(alpha=0.5)
    for treated, loss, weight in outcomes:
        experiment.add(treated=treated, loss=loss, weight=weight)
        if experiment.decided_at == experiment.count:
            assert experiment.interval().verdict == experiment.verdict
            assert experiment.p_value <= 0.5


def test_a_fair_bet_keeps_its_mean_whatever_the_losses():
    # All four paths of two requests, each with its chance: with the true difference the mean capital is 1.
    weight, losses = 0.3, {True: (0.7, 0.2), False: (0.4, 0.9)}
    total = 0.0
    for first in (True, False):
        for second in (True, False):
            chance = (weight if first else 1 - weight) * (weight if second else 1 - weight)
            experiment = fed([(first, losses[first][0], weight), (second, losses[second][1], weight)])
            capitals = [2.718281828459045**log for log in experiment._larger]
            # The first difference is 0.3, the second -0.7: each bet is measured against its own.
            known = weight * (1 - weight)
            sizes = [0.9 / 2**step for step in range(10)]
            fair = [(1 + size * known * 0.3) * (1 + size * known * -0.7) for size in sizes]
            total += chance * sum(c / f for c, f in zip(capitals, fair, strict=True)) / len(fair)
    assert total == pytest.approx(1.0, abs=1e-12)


def test_a_worse_model_is_found_and_a_better_one_too():
    assert fed(drawn(1, 4000, 0.5, 0.2, 0.3)).verdict == WORSE
    assert fed(drawn(1, 4000, 0.5, 0.3, 0.2)).verdict == BETTER


def test_the_verdict_stays_while_the_interval_comes_back():
    experiment = fed(drawn(1, 4000, 0.5, 0.2, 0.3))
    decided = experiment.decided_at
    for treated, loss, weight in drawn(2, 1500, 0.5, 0.3, 0.2):
        experiment.add(treated=treated, loss=loss, weight=weight)
    assert (experiment.verdict, experiment.decided_at) == (WORSE, decided)


def test_two_equal_models_are_called_so_once_a_difference_that_matters_is_excluded():
    experiment = fed(drawn(3, 30_000, 0.5, 0.2, 0.2), minimum_effect=0.05)
    assert experiment.verdict == EQUAL
    assert experiment.decided_at < 30_000


def test_false_alarms_stay_below_alpha_when_every_outcome_is_looked_at():
    alarms = sum(fed(drawn(seed, 600, 0.3, 0.2, 0.2), alpha=0.2).verdict != UNKNOWN for seed in range(200))
    # 200 * 0.2 = 40 would be allowed.
    assert alarms <= 40


def test_luck_that_comes_and_goes_for_both_models_is_no_difference():
    # Losses jump between 0.1 and 0.9 every 50 requests, and the weight changes with them: the means of the
    # two arms are far apart, though the models are the same.
    rng = random.Random(5)
    experiment = Experiment()
    for number in range(4000):
        bad = number // 50 % 2
        weight = 0.8 if bad else 0.2
        loss = float(rng.random() < (0.9 if bad else 0.1))
        experiment.add(treated=rng.random() < weight, loss=loss, weight=weight)
    assert experiment.treatment.mean - experiment.control.mean > 0.3
    assert abs(experiment.difference) < 0.1
    assert experiment.verdict == UNKNOWN
    assert experiment.interval().low < 0 < experiment.interval().high


@pytest.mark.parametrize(
    ("loss", "weight", "named"),
    [
        (1.5, 0.5, "loss"),
        (-0.1, 0.5, "loss"),
        (float("nan"), 0.5, "loss"),
        (0.5, 0, "weight"),
        (0.5, 1, "weight"),
    ],
)
def test_what_no_guarantee_holds_for_is_refused(loss, weight, named):
    with pytest.raises(ValueError, match=named):
        Experiment().add(treated=True, loss=loss, weight=weight)


@pytest.mark.parametrize(
    "options", [{"alpha": 0}, {"alpha": 1}, {"minimum_effect": -0.1}, {"minimum_effect": 1}]
)
def test_impossible_settings_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Experiment(**options)


def test_the_means_and_deviations_are_those_of_the_arms():
    experiment = fed([(True, 0.2, 0.5), (True, 0.4, 0.5), (False, 1.0, 0.5)])
    assert (experiment.treatment.count, experiment.control.count) == (2, 1)
    assert experiment.treatment.mean == pytest.approx(0.3)
    assert experiment.treatment.deviation == pytest.approx(0.02**0.5)
    assert experiment.control.deviation == 0.0
    assert -1.0 <= experiment.difference < 0


def test_smaller_differences_and_smaller_shares_take_more_outcomes():
    base = expected_outcomes(0.05)
    assert expected_outcomes(0.025) > 3 * base
    assert expected_outcomes(0.05, weight=0.1) > 2 * base
    with pytest.raises(ValueError, match="for ever"):
        expected_outcomes(0.0)
