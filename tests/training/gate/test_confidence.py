"""All decisions on the same rows together leave to chance no more than the gate's confidence does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.gate.confidence import chance, needed, spent

stats = pytest.importorskip("scipy.stats")


def test_all_decisions_on_one_holdout_spend_what_the_confidence_leaves():
    total = sum(spent(0.95, use) for use in range(1, 100_000))
    assert 0.0499 < total < 0.05


@given(st.floats(1, 100), st.floats(1, 100))
def test_a_later_decision_may_spend_less(one, other):
    earlier, later = sorted([one, other])
    assert spent(0.9, later) <= spent(0.9, earlier)


@given(st.floats(1e-4, 0.45), st.floats(0.01, 10), st.floats(2.5, 5000))
def test_what_is_needed_is_students_quantile_and_chance_its_tail(alpha, error, blocks):
    margin = needed(error, alpha, blocks)
    assert margin == pytest.approx(stats.t.isf(alpha, blocks - 1) * error, rel=1e-6, abs=1e-9)
    assert chance(margin, error, blocks) == pytest.approx(alpha, rel=1e-6)


def test_without_any_spread_every_gain_is_sure_and_none_is_not():
    assert (chance(0.1, 0.0, 50), chance(0.0, 0.0, 50), needed(0.0, 0.01, 50)) == (0.0, 1.0, 0.0)
