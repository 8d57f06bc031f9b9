"""Whether the requests went where the weights say."""

import random

import pytest

from monitoring.shares import share_p_value


def test_the_share_that_was_asked_for_is_no_surprise():
    assert share_p_value([(100, 900, 0.1)]) == 1.0
    assert share_p_value([]) == 1.0


def test_another_share_is_found():
    assert share_p_value([(600, 5000, 0.1)]) > 0.01
    assert share_p_value([(1000, 5000, 0.1)]) < 1e-6


def test_changes_of_the_weight_are_counted_each_with_its_own_requests():
    assert share_p_value([(100, 900, 0.1), (500, 500, 0.5)]) == 1.0
    assert share_p_value([(600, 1400, 0.1)]) < 1e-6


def test_looking_after_every_request_gives_no_more_alarms_than_said():
    alarms = 0
    for seed in range(100):
        rng, treated = random.Random(seed), 0
        for number in range(1, 501):
            treated += rng.random() < 0.2
            if share_p_value([(treated, number - treated, 0.2)]) < 0.1:
                alarms += 1
                break
    assert alarms <= 10


def test_the_surprise_is_what_the_prior_says():
    # One request to the treatment: the capital is the prior's mean over the weight, which is 1.
    assert share_p_value([(1, 0, 0.25)]) == pytest.approx(1.0)
