import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from upkeep import scoring


def test_the_documented_example():
    assert scoring.auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75


def test_one_label_alone_has_no_auc():
    assert scoring.auc([0.1, 0.2], [1, 1]) is None


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.9]), st.integers(0, 1)), min_size=2, max_size=50))
def test_it_agrees_with_scikit_learn_ties_included(pairs):
    scores, labels = [p for p, _ in pairs], [label for _, label in pairs]
    if len(set(labels)) == 1:
        assert scoring.auc(scores, labels) is None
    else:
        assert scoring.auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


def test_a_score_says_what_was_expected_and_what_happened():
    found = scoring.score([0.2, 0.4], [0, 1])
    assert (found.rows, found.real_share, found.auc) == (2, 0.5, 1.0)
    assert found.expected_share == pytest.approx(0.3)


def test_no_predictions_are_an_error():
    with pytest.raises(ValueError, match="found 0 predictions for 0 labels"):
        scoring.score([], [])


def test_random_scores_are_worth_nothing():
    draw = random.Random(1)
    scores = [draw.random() for _ in range(4000)]
    labels = [draw.randint(0, 1) for _ in range(4000)]
    assert scoring.auc(scores, labels) == pytest.approx(0.5, abs=0.03)
