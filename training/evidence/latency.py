"""How long one row takes, answered as the server answers it: JSON in, JSON out."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import numpy as np

from training.artifact import Model
from training.errors import TrainingError

REQUESTS = 500
_FIRST = 20
# A slow model is slow after a few rows too.
_MOST_SECONDS = 3.0
_JSON = "application/json"


def measure(model: Model, instances: Sequence[Mapping[str, Any]], requests: int = REQUESTS) -> dict[str, Any]:
    """Ask for one row after the other and take the time of each.

    Args:
        model: Asked as it is; one thread, as in the server, if its estimator was told so.
        instances: Rows as a client sends them.
        requests: How many are timed; fewer of a model that is very slow.

    Returns:
        ``requests`` timed, and the median and the 99th percentile of their time in milliseconds.

    Raises:
        TrainingError: The model does not answer rows it was evaluated on.
    """
    from inference.answering import Answerer

    answerer = Answerer(model)
    bodies = [json.dumps({"instances": [row]}).encode() for row in instances]
    seconds: list[float] = []
    ends = time.perf_counter() + _MOST_SECONDS
    for number in range(_FIRST + requests):
        started = time.perf_counter()
        answer = answerer.answer(bodies[number % len(bodies)], _JSON, _JSON)
        took = time.perf_counter() - started
        if answer.status != HTTPStatus.OK:
            raise TrainingError(f"the model does not answer a held-out row: {answer.body}")
        # The first answers of a process are slower than any later one.
        if number >= _FIRST:
            seconds.append(took)
        if time.perf_counter() > ends and len(seconds) >= _FIRST:
            break
    half, most = np.percentile(seconds, (50, 99)) * 1000
    return {
        "requests": len(seconds),
        "p50_milliseconds": round(float(half), 4),
        "p99_milliseconds": round(float(most), 4),
    }
