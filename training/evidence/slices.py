"""Looks at parts of the held-out rows by themselves: a model may gain on the whole and lose somewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from models.spec import Feature, ModelSpec
from training.evidence import paired, weighted
from training.evidence.blocks import Blocks
from training.evidence.weighted import Answers

RESAMPLES = 300
MISSING = "missing"
_QUARTERS = (0.25, 0.5, 0.75)


def measure(
    spec: ModelSpec,
    frame: Any,
    labels: np.ndarray,
    challenger: Answers,
    champion: Answers | None,
    blocks: Blocks,
    *,
    resamples: int = RESAMPLES,
) -> list[dict[str, Any]]:
    """The gate's metric on each part that is large enough.

    Args:
        spec: Names the task, and in ``gate`` the metric, the features and the least rows of a part.
        frame: pandas frame of the held-out rows.
        labels: Their labels.
        challenger: Its answers.
        champion: Its answers; None without one.
        blocks: The blocks of the rows.
        resamples: How often blocks are drawn for a standard error.

    Returns:
        One mapping per part: ``feature``, ``value``, ``rows``, ``challenger``, ``champion``, ``loss`` (above
        0 the challenger is worse), its ``standard_error`` and ``effective_blocks``; the last four are None
        where there is no champion. Parts on which the metric is not defined are left out.
    """
    features = {feature.name: feature for feature in spec.features}
    found = []
    for name in spec.gate.slices:
        for value, rows in parts(features[name], frame[name]):
            if len(rows) >= spec.gate.slice_min_rows:
                one = _one(spec, labels, challenger, champion, blocks, rows, resamples)
                found += [{"feature": name, "value": value, "rows": len(rows), **one}] if one else []
    return found


def parts(feature: Feature, column: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The parts of rows by a feature: its values, of numbers the quarters of the rows, and those without.

    Args:
        feature: Says what the column holds.
        column: pandas series, as ``training.reading`` makes it.

    Yields:
        The part in words, and the positions of its rows.
    """
    absent = column.isna().to_numpy()
    if feature.type == "number":
        yield from _quarters(column.to_numpy(dtype=np.float64, na_value=np.nan), absent)
    else:
        values = column.to_numpy(dtype=object)[~absent]
        texts, codes = np.unique(values.astype(str), return_inverse=True)
        present = np.flatnonzero(~absent)
        for code, text in enumerate(texts.tolist()):
            value = ("true" if float(text) else "false") if feature.type == "boolean" else text
            yield value, present[codes == code]
    if absent.any():
        yield MISSING, np.flatnonzero(absent)


def _quarters(values: np.ndarray, absent: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    present = values[~absent]
    if not len(present):
        return
    edges = np.unique(np.quantile(present, _QUARTERS, method="higher"))
    edges = edges[edges > present.min()]  # nothing is below the smallest
    place = np.where(absent, -1, np.searchsorted(edges, values, side="right"))
    for number in range(len(edges) + 1):
        rows = np.flatnonzero(place == number)
        yield _range(edges.tolist(), number), rows


def _range(edges: list[float], number: int) -> str:
    if not edges:
        return "any"
    if number == 0:
        return f"below {edges[0]:g}"
    if number == len(edges):
        return f"{edges[-1]:g} or more"
    return f"{edges[number - 1]:g} to below {edges[number]:g}"


def _one(
    spec: ModelSpec,
    labels: np.ndarray,
    challenger: Answers,
    champion: Answers | None,
    blocks: Blocks,
    rows: np.ndarray,
    resamples: int,
) -> dict[str, Any] | None:
    task, metric = spec.task, spec.gate.metric
    own, ours, part = labels[rows], _of(challenger, rows), blocks.part(rows)
    if champion is None:
        value = weighted.prepare(task, metric, own, ours, part).plain(part)
        none = dict.fromkeys(("champion", "loss", "standard_error", "effective_blocks"))
        return {"challenger": value, **none} if math.isfinite(value) else None
    seed = spec.training.seed
    found = paired.compare(task, metric, own, ours, _of(champion, rows), part, resamples=resamples, seed=seed)
    if not math.isfinite(found.gain):
        return None
    error = found.standard_error
    return {
        "challenger": found.challenger,
        "champion": found.champion,
        "loss": -found.gain,
        "standard_error": error if math.isfinite(error) else None,
        "effective_blocks": round(found.effective_blocks, 2),
    }


def _of(answers: Answers, rows: np.ndarray) -> Answers:
    return Answers(answers.predicted[rows], answers.classes)
