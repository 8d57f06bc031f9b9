"""Writes predictions as JSON, JSON lines or CSV.

The scores go straight into the text: lists of dictionaries for ``json.dumps`` cost as much as the prediction.
The text is the one ``json.dumps`` and ``csv.writer`` give for ``training.sample.answers``, byte for byte;
what is no plain number (a user's own estimator may give NaN) is left to them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from inference.codecs import CSV, JSON, JSONLINES
from training.artifact import Model
from training.evaluate import THRESHOLD
from training.sample import answers


class Replies:
    """Everything of an answer's body that is known before the request.

    Args:
        model: Gives the task and the classes.
        meta: What a JSON answer tells beside the predictions.
    """

    def __init__(self, model: Model, meta: Mapping[str, str]) -> None:
        self._model = model
        self._meta = meta
        self._tail = f"], {json.dumps(meta)[1:]}"
        self._objects: Callable[[np.ndarray], list[str] | None]
        self._lines: Callable[[np.ndarray], list[str] | None]
        if model.spec.task == "regression":
            self._objects = _numbers('{{"score": {!r}}}')
            self._lines = _numbers("{!r}\n")
        elif model.spec.task == "binary":
            self._objects = _decisions('{{"score": {!r}, "label": {}}}')
            self._lines = _decisions("{!r},{}\n")
        else:
            self._objects = _classes('{"score": ', [f', "label": {json.dumps(c)}}}' for c in model.classes])
            # Quoted as behind a score: an empty cell alone would be quoted too.
            self._lines = _classes("", [_cells([0, c])[1:] for c in model.classes])

    def text(self, content_type: str, scores: np.ndarray) -> str:
        """Scores, as ``Model.scores`` gives them, as a body of this type."""
        if content_type == CSV:
            lines = self._lines(scores)
            return "".join(lines) if lines is not None else self._slowly(CSV, scores)
        objects = self._objects(scores)
        if objects is None:
            return self._slowly(content_type, scores)
        if content_type == JSON:
            return f'{{"predictions": [{", ".join(objects)}{self._tail}'
        return "".join([f"{item}\n" for item in objects])

    def _slowly(self, content_type: str, scores: np.ndarray) -> str:
        return PLAIN[content_type](answers(self._model, scores), self._meta)


def _numbers(form: str) -> Callable[[np.ndarray], list[str] | None]:
    write = form.format

    def items(scores: np.ndarray) -> list[str] | None:
        values = scores.tolist()
        return list(map(write, values)) if _plain(values) else None

    return items


def _decisions(form: str) -> Callable[[np.ndarray], list[str] | None]:
    write = form.format

    def items(scores: np.ndarray) -> list[str] | None:
        values = scores.tolist()
        return [write(v, 1 if v >= THRESHOLD else 0) for v in values] if _plain(values) else None

    return items


def _classes(head: str, tails: list[str]) -> Callable[[np.ndarray], list[str] | None]:
    def items(scores: np.ndarray) -> list[str] | None:
        if not _plain(scores.sum(axis=1).tolist()):
            return None
        best, values = scores.argmax(axis=1).tolist(), scores.max(axis=1).tolist()
        return [f"{head}{value!r}{tails[i]}" for value, i in zip(values, best, strict=True)]

    return items


def _plain(values: list[float]) -> bool:
    """Whether all are finite; a sum beyond the largest number counts as not, which only costs time."""
    total = sum(values)
    return total - total == 0.0


def _cells(row: Iterable[Any]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerow(row)
    return out.getvalue()


def _json(predictions: Sequence[Mapping[str, Any]], meta: Mapping[str, str]) -> str:
    return json.dumps({"predictions": predictions, **meta})


def _jsonlines(predictions: Sequence[Mapping[str, Any]], _meta: Mapping[str, str]) -> str:
    return "".join(json.dumps(p) + "\n" for p in predictions)


def _csv(predictions: Sequence[Mapping[str, Any]], _meta: Mapping[str, str]) -> str:
    """One line per row: the score, then the label if the task has one."""
    return "".join(_cells(p.values()) for p in predictions)


PLAIN: dict[str, Callable[[Sequence[Mapping[str, Any]], Mapping[str, str]], str]] = {
    JSON: _json,
    JSONLINES: _jsonlines,
    CSV: _csv,
}
