"""What one answer lost against the truth, from 0 (nothing) to 1 (all there is to lose)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

from models.spec import Task

LossName = Literal["brier", "zero_one", "absolute"]
LOSSES: tuple[str, ...] = get_args(LossName)
# The first is the one taken when none is asked for.
OF_TASK: dict[Task, tuple[LossName, ...]] = {
    "binary": ("brier", "zero_one"),
    "multiclass": ("zero_one",),
    "regression": ("absolute",),
}
WORDS: dict[LossName, str] = {
    "brier": "squared distance of the score from what happened",
    "zero_one": "share of wrong labels",
    "absolute": "distance of the answer from the truth, as a share of the scale",
}
_TRUTHS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}

Label = int | float | str


class AnswerError(ValueError):
    """A captured answer that is none of ours, or a label that cannot be one."""


def read_label(text: str, task: Task) -> Label:
    """A label as a file has it.

    Raises:
        AnswerError: It cannot be one of this task.
    """
    said = text.strip()
    if task == "binary":
        if said.lower() not in _TRUTHS:
            raise AnswerError(f"label: found {said[:40]!r}, expected 0 or 1")
        return _TRUTHS[said.lower()]
    if task == "multiclass":
        if not said:
            raise AnswerError("label: found nothing, expected the name of a class")
        return said
    try:
        number = float(said)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise AnswerError(f"label: found {said[:40]!r}, expected a number")
    return number


def read_answer(data: str, content_type: str, task: Task) -> list[Mapping[str, Any]]:
    """The predictions of one captured answer, one per row, each with ``score`` and, for classes, ``label``.

    Raises:
        AnswerError: It is none of the forms in which our containers answer.
    """
    try:
        if content_type.partition(";")[0].strip().lower() == "text/csv":
            return [_csv_row(line, task) for line in data.splitlines() if line]
        try:
            found = json.loads(data)
        except ValueError:
            found = [json.loads(line) for line in data.splitlines() if line]
        rows = found.get("predictions", [found]) if isinstance(found, dict) else found
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "score" in row for row in rows):
            raise AnswerError(f"answer: found {data[:40]!r}, expected predictions with a score")
        return rows
    except (ValueError, IndexError) as error:
        if isinstance(error, AnswerError):
            raise
        raise AnswerError(f"answer: found {data[:40]!r}, which cannot be read") from error


def _csv_row(line: str, task: Task) -> dict[str, Any]:
    score, _, label = line.partition(",")
    if task != "regression" and not label:
        raise AnswerError(f"answer: found {line[:40]!r}, expected a score and a label")
    return {"score": float(score), "label": int(label) if task == "binary" else label.strip('"')}


def brier(answer: Mapping[str, Any], label: Label, _scale: float) -> float:
    """(score - label)², for a label of 0 or 1."""
    return float((float(answer["score"]) - float(label)) ** 2)


def zero_one(answer: Mapping[str, Any], label: Label, _scale: float) -> float:
    """1 for a wrong label, 0 for the right one."""
    return 0.0 if str(answer["label"]) == str(label) else 1.0


def absolute(answer: Mapping[str, Any], label: Label, scale: float) -> float:
    """How far the answer lies from the truth, as a share of the scale; farther than the scale is all."""
    return min(1.0, abs(float(answer["score"]) - float(label)) / scale)


FUNCTIONS: dict[LossName, Callable[[Mapping[str, Any], Label, float], float]] = {
    "brier": brier,
    "zero_one": zero_one,
    "absolute": absolute,
}
