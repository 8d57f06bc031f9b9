"""A few real rows with the answers expected for them: what a release is checked with after it went live."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.artifact import Model
from training.evaluate import THRESHOLD

SCHEMA = 1
ROWS = 5


def build_sample(model: Model, frame: Any) -> dict[str, Any]:
    """Rows spread over the frame, as a request in JSON, with the model's answers.

    Args:
        model: Answers the rows.
        frame: pandas frame of held-out rows.
    """
    positions = np.unique(np.linspace(0, len(frame) - 1, ROWS).astype(int))
    rows = frame.iloc[positions]
    instances = [
        {name: _plain(row[name], model.spec.features[i].type) for i, name in enumerate(model.encoder.names)}
        for _, row in rows.iterrows()
    ]
    predictions = answers(model, model.scores(model.encoder.encode_frame(rows)))
    return {
        "schema": SCHEMA,
        "model": model.spec.name,
        "run_id": model.run_id,
        "instances": instances,
        "predictions": predictions,
    }


def answers(model: Model, scores: np.ndarray) -> list[dict[str, Any]]:
    """Predictions as they are answered: ``score`` and, for classes, ``label``.

    Args:
        model: Gives the task and the classes.
        scores: As ``Model.scores`` returns them.
    """
    if model.spec.task == "regression":
        return [{"score": value} for value in scores.tolist()]
    if model.spec.task == "binary":
        return [{"score": value, "label": int(value >= THRESHOLD)} for value in scores.tolist()]
    best = scores.argmax(axis=1).tolist()
    classes = model.classes
    return [{"score": float(row[i]), "label": classes[i]} for row, i in zip(scores, best, strict=True)]


def _plain(value: Any, kind: str) -> Any:
    """A value as JSON knows it; pandas marks missing ones with NaN or None."""
    if value is None or value != value:
        return None
    if kind == "category":
        return str(value)
    return bool(value) if kind == "boolean" else float(value)
