"""Scores a model on held-out rows with every metric of its task."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.spec import ModelSpec, Task
from training.errors import TrainingError

# Scores from here on mean label 1.
THRESHOLD = 0.5
# With m rows of the rare label the standard error of an area under the curve is about 0.4 / sqrt(m): below
# ten, two models of equal worth lie more than a tenth apart by chance.
MIN_RARE_ROWS = 10


def check_labels(labels: np.ndarray, spec: ModelSpec, rows: str) -> None:
    """Refuse labels nothing can be learned from or measured on.

    Args:
        labels: Labels of the rows.
        spec: Names the target.
        rows: What the rows are for, as in "fit on".

    Raises:
        TrainingError: Names the column, the value and the number of rows.
    """
    values = np.unique(labels.astype(str) if spec.task == "multiclass" else labels)
    one = len(labels) == 1
    where = f"column {spec.target}: the {'only row' if one else f'{len(labels):,} rows'} to {rows}"
    if spec.task == "binary" and not np.isin(values, (0.0, 1.0)).all():
        wrong = next(v for v in values if v not in (0.0, 1.0))
        raise TrainingError(
            f"{where} {'holds' if one else 'hold'} the label {wrong:g}; a binary label is 0 or 1"
        )
    if len(values) < 2:
        value = values[0] if spec.task == "multiclass" else f"{values[0]:g}"
        have = "has" if one else "all have"
        raise TrainingError(f"{where} {have} the label {value}; at least two different labels are needed")


def too_one_sided(labels: np.ndarray, spec: ModelSpec) -> str:
    """Why classes this unequal do not tell which of two models is better; empty when they do.

    Args:
        labels: Labels of the rows to compare on.
        spec: Names the task and the target.
    """
    if spec.task == "regression":
        return ""
    values, counts = np.unique(
        labels.astype(str) if spec.task == "multiclass" else labels, return_counts=True
    )
    others = len(labels) - int(counts.max())
    if others >= MIN_RARE_ROWS:
        return ""
    common = values[counts.argmax()]
    value = common if spec.task == "multiclass" else f"{common:g}"
    return (
        f"column {spec.target}: only {others} of the {len(labels):,} rows to compare on have another label "
        f"than {value}, at least {MIN_RARE_ROWS} are needed"
    )


def predict(estimator: Any, matrix: np.ndarray, task: Task) -> np.ndarray:
    """Probability of label 1 (binary), of every class (multiclass), or the value (regression)."""
    if task == "regression":
        return np.asarray(estimator.predict(matrix), dtype=np.float64)
    probabilities = np.asarray(estimator.predict_proba(matrix), dtype=np.float64)
    return probabilities[:, 1] if task == "binary" else probabilities


def measure(task: Task, labels: np.ndarray, predicted: np.ndarray, classes: list[str]) -> dict[str, float]:
    """Every metric of the task, in the order of ``models.spec.METRICS``.

    Args:
        task: The spec's task.
        labels: True labels.
        predicted: As ``predict`` returns it.
        classes: Names of the columns of a multiclass prediction.
    """
    from sklearn import metrics as m

    if task == "binary":
        decided = predicted >= THRESHOLD
        values = {
            "roc_auc": m.roc_auc_score(labels, predicted),
            "average_precision": m.average_precision_score(labels, predicted),
            "f1": m.f1_score(labels, decided, zero_division=0.0),
            "accuracy": m.accuracy_score(labels, decided),
            "log_loss": m.log_loss(labels, predicted, labels=[0.0, 1.0]),
        }
    elif task == "multiclass":
        decided = np.array(classes, dtype=object)[np.argmax(predicted, axis=1)].astype(str)
        true = labels.astype(str)
        names, widened = _widened(true, predicted, classes)
        values = {
            "accuracy": m.accuracy_score(true, decided),
            "f1_macro": m.f1_score(true, decided, average="macro", zero_division=0.0),
            "log_loss": m.log_loss(true, widened, labels=names),
        }
    else:
        values = {
            "r2": m.r2_score(labels, predicted),
            "rmse": m.root_mean_squared_error(labels, predicted),
            "mae": m.mean_absolute_error(labels, predicted),
        }
    return {name: float(value) for name, value in values.items()}


def _widened(labels: np.ndarray, predicted: np.ndarray, classes: list[str]) -> tuple[list[str], np.ndarray]:
    """Columns for classes the model has never seen: it gave them no probability."""
    names = sorted({*classes, *labels.tolist()})
    widened = np.zeros((len(labels), len(names)))
    widened[:, [names.index(c) for c in classes]] = predicted
    return names, widened
