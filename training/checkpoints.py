"""Fits in stages and keeps each, so that a job on spot capacity goes on where it was interrupted.

SageMaker copies ``/opt/ml/checkpoints`` to S3 while the job runs and back before it starts again:
https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html. Gradient boosting fitted on with
``warm_start`` grows the very trees that it would have grown in one go; other estimators begin anew.

A checkpoint is a pickle. Only the job's role can write where it lies, and it is read in a container without
a network and without credentials.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

STAGE_ITERATIONS = 25
_STAGED = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")


def fit(estimator: Any, matrix: np.ndarray, labels: np.ndarray, folder: Path | None) -> Any:
    """Fit, from the newest checkpoint of the same rows and settings when there is one.

    Args:
        estimator: Not fitted.
        matrix: Encoded rows.
        labels: Their labels.
        folder: Where checkpoints lie; None or an estimator that cannot be fitted in stages: in one go.
    """
    if folder is None or type(estimator).__name__ not in _STAGED:
        return estimator.fit(matrix, labels)
    path = folder / f"{_identity(estimator, matrix, labels)}.joblib"
    wanted = estimator.get_params()["max_iter"]
    fitted = _load(path)
    done = 0 if fitted is None else fitted.n_iter_
    if fitted is None:
        fitted = estimator.set_params(warm_start=True)
    while done < wanted:
        target = min(done + STAGE_ITERATIONS, wanted)
        fitted.set_params(max_iter=target).fit(matrix, labels)
        done = fitted.n_iter_
        if done < target:  # it has stopped by itself: more trees did not help
            break
        if done < wanted:
            _save(fitted, path)
    return fitted.set_params(max_iter=wanted, warm_start=False)


def _identity(estimator: Any, matrix: np.ndarray, labels: np.ndarray) -> str:
    """Digest of all that decides what is fitted: a checkpoint of anything else is not found."""
    total = hashlib.sha256(f"{type(estimator).__name__} {sorted(estimator.get_params().items())}".encode())
    total.update(np.ascontiguousarray(matrix).tobytes())
    total.update(labels.tobytes() if labels.dtype != object else "\0".join(map(str, labels)).encode())
    return total.hexdigest()[:32]


def _load(path: Path) -> Any | None:
    """The checkpoint; None when there is none, or only a half-written one."""
    import joblib

    if not path.is_file():
        return None
    try:
        return joblib.load(path)
    except Exception as error:  # noqa: BLE001 - pickle raises whatever the bytes make it; beginning anew is safe
        print(f"{path.name} cannot be read and is left aside: {type(error).__name__}: {error}")
        return None


def _save(fitted: Any, path: Path) -> None:
    """Write beside, then rename: an interruption leaves the old checkpoint or the new one."""
    import joblib

    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    joblib.dump(fitted, beside)
    beside.replace(path)
    print(f"checkpoint after {fitted.n_iter_} trees", flush=True)
