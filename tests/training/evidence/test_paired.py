"""The gain and its standard error: what a slow, plain bootstrap finds, and the same from either side."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st

from models.spec import LOWER_IS_BETTER, METRICS
from tests.training.evidence.test_weighted import _made
from training.evaluate import measure
from training.evidence.blocks import Blocks, draws
from training.evidence.paired import LEAST_RESAMPLES, MOST_RESAMPLES, compare
from training.evidence.weighted import Answers

CASES = [(task, metric) for task in METRICS for metric in METRICS[task]]
seeds = st.integers(0, 2**32 - 1)


def _pair(task, count, seed, blocks=12):
    labels, one, _ = _made(task, count, seed)
    _, other, _ = _made(task, count, seed + 1)
    if task == "regression":
        other = Answers(labels + (other.predicted - other.predicted.mean()))
    of_rows = np.random.default_rng(seed).integers(0, blocks, count)
    numbers, of_rows = np.unique(of_rows, return_inverse=True)
    return labels, one, other, Blocks(of_rows, len(numbers))


@pytest.mark.parametrize(("task", "metric"), CASES)
@rules(max_examples=15)
@given(seed=seeds)
def test_the_other_model_gains_what_this_one_loses(task, metric, seed):
    labels, one, other, blocks = _pair(task, 80, seed)
    ours = compare(task, metric, labels, one, other, blocks, resamples=50)
    theirs = compare(task, metric, labels, other, one, blocks, resamples=50)
    assert ours.gain == pytest.approx(-theirs.gain, abs=1e-12)
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=1e-9)
    assert (ours.challenger, ours.champion) == (theirs.champion, theirs.challenger)


@pytest.mark.parametrize(("task", "metric"), CASES)
@rules(max_examples=15)
@given(seed=seeds)
def test_the_order_of_the_rows_does_not_matter(task, metric, seed):
    labels, one, other, blocks = _pair(task, 80, seed)
    order = np.random.default_rng(seed).permutation(80)
    turned = (Answers(a.predicted[order], a.classes) for a in (one, other))
    shuffled = Blocks(blocks.of_rows[order], blocks.count)
    first = compare(task, metric, labels, one, other, blocks, resamples=50)
    second = compare(task, metric, labels[order], *turned, shuffled, resamples=50)
    assert second.gain == pytest.approx(first.gain, abs=1e-12)
    assert second.standard_error == pytest.approx(first.standard_error, rel=1e-7, abs=1e-12)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("task", "metric"), CASES)
def test_the_standard_error_is_that_of_a_plain_bootstrap(task, metric):
    """Rows are copied block by block and measured by scikit-learn, resample by resample."""
    labels, one, other, blocks = _pair(task, 300, 7, blocks=30)
    found = compare(task, metric, labels, one, other, blocks, resamples=60, seed=3)
    places = [np.flatnonzero(blocks.of_rows == number) for number in range(blocks.count)]
    sign = -1 if metric in LOWER_IS_BETTER else 1
    gains = []
    for turn in draws(blocks.count, 60, 1, 3):
        for counts in turn.astype(int):
            rows = np.concatenate([np.tile(places[b], n) for b, n in enumerate(counts)])
            values = [
                measure(task, labels[rows], a.predicted[rows], list(a.classes))[metric] for a in (one, other)
            ]
            gains.append(sign * (values[0] - values[1]))
    worth = blocks.effective()
    expected = np.std(gains, ddof=1) * math.sqrt(worth / (worth - 1))
    assert found.standard_error == pytest.approx(expected, rel=1e-9)
    assert found.resamples == 60


def test_the_standard_error_of_a_mean_is_the_one_of_the_textbook():
    """Of 400 equal blocks: the deviation of the blocks' mean gains by the root of their number."""
    random = np.random.default_rng(1)
    labels = np.repeat(random.normal(size=400), 5)
    one, other = (Answers(labels + np.repeat(random.normal(size=400), 5)) for _ in range(2))
    blocks = Blocks(np.arange(2000) // 5, 400)
    found = compare("regression", "mae", labels, one, other, blocks)
    each = (np.abs(labels - other.predicted) - np.abs(labels - one.predicted))[::5]
    assert found.gain == pytest.approx(each.mean())
    assert found.standard_error == pytest.approx(each.std(ddof=1) / 20, rel=0.06)


def test_blocks_that_share_their_luck_tell_less_than_their_rows():
    random = np.random.default_rng(2)
    labels = random.normal(size=3000)
    one, other = (Answers(labels + random.normal(size=100)[np.arange(3000) // 30]) for _ in range(2))
    hours, rows = Blocks(np.arange(3000) // 30, 100), Blocks(np.arange(3000), 3000)
    by_hour, by_row = (compare("regression", "mae", labels, one, other, b) for b in (hours, rows))
    assert by_hour.gain == pytest.approx(by_row.gain)
    assert by_hour.standard_error > 4 * by_row.standard_error


def test_what_hangs_on_a_rare_label_has_the_blocks_of_that_label():
    labels = np.zeros(1000)
    labels[:10] = 1.0  # all of one block
    random = np.random.default_rng(3)
    one, other = Answers(random.random(1000)), Answers(random.random(1000))
    blocks = Blocks(np.arange(1000) // 10, 100)
    assert compare("binary", "roc_auc", labels, one, other, blocks).effective_blocks == pytest.approx(1.0)
    assert compare("binary", "log_loss", labels, one, other, blocks).effective_blocks == pytest.approx(100.0)


def test_one_block_has_no_standard_error():
    labels, one, other, _ = _pair("binary", 50, 0)
    found = compare("binary", "accuracy", labels, one, other, Blocks(np.zeros(50, dtype=int), 1))
    assert math.isnan(found.standard_error)


def test_very_many_rows_are_drawn_less_often_but_never_too_seldom():
    labels, one, other, _ = _pair("binary", 10_000, 0)
    rows = Blocks(np.arange(10_000), 10_000)
    assert compare("binary", "accuracy", labels, one, other, rows).resamples == MOST_RESAMPLES
    assert compare("binary", "accuracy", labels, one, other, rows, resamples=10).resamples == 10
    many = np.tile(labels, 30)
    more = Blocks(np.arange(300_000), 300_000)
    tiled = (Answers(np.tile(a.predicted, 30)) for a in (one, other))
    assert compare("binary", "accuracy", many, *tiled, more).resamples == LEAST_RESAMPLES
