"""Weighted metrics are scikit-learn's, for any weights, with ties, and for classes nobody predicted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as m

from models.spec import METRICS
from training.evaluate import measure
from training.evidence import weighted
from training.evidence.blocks import Blocks
from training.evidence.weighted import Answers, prepare

CLASSES = ("a", "b", "c")
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(2, 60)


def _single(count):
    """Each row a block of its own: weights of blocks are those of rows."""
    return Blocks(np.arange(count), count)


def _made(task, count, seed):
    """Labels, answers and whole-numbered weights; scores with ties, and a class the model never saw."""
    random = np.random.default_rng(seed)
    weights = random.integers(0, 4, count).astype(float)
    weights[0] = 1.0
    if task == "binary":
        labels = random.integers(0, 2, count).astype(float)
        return labels, Answers(random.integers(0, 7, count) / 6), weights
    if task == "multiclass":
        labels = random.choice(np.array([*CLASSES, "new"], dtype=object), count)
        return labels, Answers(random.dirichlet(np.ones(3), count), CLASSES), weights
    labels = random.normal(size=count)
    return labels, Answers(labels + random.normal(size=count)), weights


def _expected(metric, task, labels, answers, weights):
    p = answers.predicted
    if task == "regression":
        of = {"r2": m.r2_score, "rmse": m.root_mean_squared_error, "mae": m.mean_absolute_error}
        return of[metric](labels, p, sample_weight=weights)
    if task == "binary":
        decided = p >= 0.5
        of = {
            "roc_auc": lambda: m.roc_auc_score(labels, p, sample_weight=weights),
            "average_precision": lambda: m.average_precision_score(labels, p, sample_weight=weights),
            "f1": lambda: m.f1_score(labels, decided, sample_weight=weights, zero_division=0.0),
            "accuracy": lambda: m.accuracy_score(labels, decided, sample_weight=weights),
            "log_loss": lambda: m.log_loss(labels, p, sample_weight=weights, labels=[0.0, 1.0]),
        }
        return of[metric]()
    true = labels.astype(str)
    decided = np.array(answers.classes)[p.argmax(axis=1)]
    names = sorted({*answers.classes, *true})
    widened = np.zeros((len(true), len(names)))
    widened[:, [names.index(c) for c in answers.classes]] = p
    if metric == "accuracy":
        return m.accuracy_score(true, decided, sample_weight=weights)
    if metric == "f1_macro":
        return m.f1_score(true, decided, average="macro", sample_weight=weights, zero_division=0.0)
    return m.log_loss(true, widened, labels=names, sample_weight=weights)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("task", "metric"), [(task, metric) for task in METRICS for metric in METRICS[task]])
@given(count=sizes, seed=seeds)
def test_a_weighted_metric_is_scikit_learns(task, metric, count, seed):
    labels, answers, weights = _made(task, count, seed)
    kept = labels[weights > 0]
    found = float(prepare(task, metric, labels, answers, _single(count)).of(weights[None])[0])
    if metric in ("roc_auc", "average_precision", "r2") and len(np.unique(kept)) < 2:
        # Not defined; scikit-learn warns and gives a number of its own.
        assert metric != "roc_auc" or np.isnan(found)
        return
    expected = _expected(metric, task, labels, answers, weights)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("task", METRICS)
def test_without_weights_it_is_what_the_evaluation_shows(task):
    labels, answers, _ = _made(task, 200, 5)
    shown = measure(task, labels, answers.predicted, list(answers.classes))
    for metric in METRICS[task]:
        blocks = Blocks(np.arange(200) // 7, 29)
        value = prepare(task, metric, labels, answers, blocks).plain(blocks)
        assert value == pytest.approx(shown[metric], rel=1e-12)


@pytest.mark.parametrize("metric", METRICS["binary"])
def test_blocks_weigh_all_their_rows(metric):
    labels, answers, _ = _made("binary", 120, 3)
    of_rows = np.arange(120) % 8
    weights = np.array([[0, 2, 1, 0, 3, 1, 1, 0]], dtype=float)
    by_block = prepare("binary", metric, labels, answers, Blocks(of_rows, 8)).of(weights)
    by_row = prepare("binary", metric, labels, answers, _single(120)).of(weights[:, of_rows])
    assert by_block == pytest.approx(by_row, rel=1e-12)


@pytest.mark.parametrize("cells", [1, 50, 500_000])
@given(count=sizes, seed=seeds)
def test_an_area_by_pairs_of_blocks_is_the_one_by_rows(cells, count, seed):
    labels, answers, weights = _made("binary", count, seed)
    labels[:2] = (0.0, 1.0)
    blocks = Blocks(np.random.default_rng(seed).integers(0, 7, count), 7)
    many = np.vstack([np.ones(7), np.resize(weights, 7) + 1])
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weighted, "_CELLS", cells)
        for most in (0, 7):
            patch.setattr(weighted, "MOST_PAIRED_BLOCKS", most)
            found.append(prepare("binary", "roc_auc", labels, answers, blocks).of(many))
    assert found[0] == pytest.approx(found[1], rel=1e-12)


def test_a_metric_of_another_task_is_refused():
    labels, answers, _ = _made("binary", 10, 0)
    with pytest.raises(ValueError, match="found 'rmse', a binary task has roc_auc, average_precision"):
        prepare("binary", "rmse", labels, answers, _single(10))
