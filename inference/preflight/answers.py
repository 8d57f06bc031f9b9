"""The predictions in an answer of ours, in whichever of its three forms."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from typing import Any

from inference.preflight.server import Reply


class AnswerError(Exception):
    """An answer without usable predictions; the text says what it holds."""


@dataclass(frozen=True)
class Prediction:
    """What was answered for one row.

    Attributes:
        score: The probability, or the value of a regression.
        label: As text; None for a regression.
    """

    score: float
    label: str | None


def read(reply: Reply) -> list[Prediction]:
    """The predictions of an answer with status 200.

    Raises:
        AnswerError: It is not readable, or a score is no finite number.
    """
    kind = reply.content_type.partition(";")[0].strip().lower()
    try:
        text = reply.body.decode()
        if kind == "text/csv":
            found = [_from_cells(cells) for cells in csv.reader(io.StringIO(text, newline="")) if cells]
        elif kind == "application/json":
            found = [_from_object(item) for item in json.loads(text)["predictions"]]
        else:
            found = [_from_object(json.loads(line)) for line in text.split("\n") if line.strip()]
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise AnswerError(f"an answer cannot be read ({error!r}): {reply.words}") from error
    for number, prediction in enumerate(found, 1):
        if not math.isfinite(prediction.score):
            raise AnswerError(
                f"row {number} is answered with the score {prediction.score}, which is no number"
            )
    return found


def _from_object(item: dict[str, Any]) -> Prediction:
    score, label = item["score"], item.get("label")
    if isinstance(score, bool) or not isinstance(score, (int, float)):
        raise TypeError(f"score is {score!r}")
    return Prediction(float(score), None if label is None else str(label))


def _from_cells(cells: list[str]) -> Prediction:
    return Prediction(float(cells[0]), cells[1] if len(cells) > 1 else None)
