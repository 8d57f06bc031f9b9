"""Gathers what the gate and the report need to know of two models on the rows held out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.sections import Block
from models.spec import Feature, ModelSpec
from training.artifact import Model
from training.evidence import blocks, calibration, curves, fingerprints, paired, repeats, slices
from training.evidence.paired import Difference
from training.evidence.weighted import Answers

# Student's t makes up for an error known from few blocks, down to these: benchmarks/gate.py measures it.
LEAST_BLOCKS = 5
_LONGER: dict[str, Block] = {"row": "hour", "hour": "day", "day": "week"}
_SPANS = {"row": "rows", "hour": "hours", "day": "days", "week": "weeks"}


@dataclass(frozen=True)
class Held:
    """All rows of a job, and where those begin that are held out.

    Attributes:
        frame: pandas frame of all rows, oldest first.
        times: Of all rows.
        labels: Of all rows.
        start: Position of the first row held out.
    """

    frame: Any
    times: np.ndarray
    labels: np.ndarray
    start: int
    _marks: dict[tuple[tuple[str, str], ...], np.ndarray] = field(default_factory=dict)

    @property
    def held_frame(self) -> Any:
        """The rows held out."""
        return self.frame.iloc[self.start :]

    @property
    def held_labels(self) -> np.ndarray:
        """Their labels."""
        return self.labels[self.start :]

    def marks(self, features: Sequence[Feature]) -> np.ndarray:
        """Fingerprints of all rows; those of the same columns are made once."""
        columns = tuple((feature.name, feature.type) for feature in features)
        if columns not in self._marks:
            self._marks[columns] = fingerprints.of(self.frame, self.labels, features)
        return self._marks[columns]


@dataclass(frozen=True)
class Scored:
    """A model and what it answers on the rows held out."""

    model: Model
    predicted: np.ndarray

    @property
    def answers(self) -> Answers:
        """For the metrics."""
        return Answers(self.predicted, tuple(self.model.classes))


def leakage(rows: Held, challenger: Model, champion: Model | None) -> dict[str, Any]:
    """Whether the rows held out repeat rows that one of the models was fitted on.

    Returns:
        ``challenger`` and ``champion`` as ``repeats.find`` has them, and ``note``: why the rows are not
        fresh, empty when they are.
    """
    ours = repeats.find(rows.marks(challenger.spec.features), rows.start, challenger.fitted, rows.start)
    theirs = None
    if champion is not None:
        count = int(champion.passport.get("rows_fitted") or rows.start)
        theirs = repeats.find(rows.marks(champion.spec.features), rows.start, champion.fitted, count)
    note = repeats.too_many(ours, "the challenger") or repeats.too_many(theirs, "the champion")
    return {"challenger": ours, "champion": theirs, "note": note}


def sample_of_fitted(spec: ModelSpec, rows: Held) -> np.ndarray:
    """What travels with the challenger, so that later holdouts can be compared with its rows."""
    return fingerprints.sample(rows.marks(spec.features)[: rows.start])


def compare(spec: ModelSpec, rows: Held, challenger: Scored, champion: Scored) -> tuple[Difference, str]:
    """The paired comparison by the gate's metric, and why it decides nothing; empty when it does."""
    blocks_there = blocks.number(rows.times[rows.start :], spec.gate.block)
    found = paired.compare(
        spec.task,
        spec.gate.metric,
        rows.held_labels,
        challenger.answers,
        champion.answers,
        blocks_there,
        seed=spec.training.seed,
    )
    if found.effective_blocks >= LEAST_BLOCKS and math.isfinite(found.standard_error):
        return found, ""
    rows_held, span = f"{len(rows.held_labels):,} rows to compare on", _SPANS[spec.gate.block]
    whose = " those of the rarer label" if found.effective_blocks < blocks_there.effective() else ""
    return found, (
        f"the {rows_held} lie in {found.blocks:,} {span}, and{whose} tell no more than "
        f"{math.floor(found.effective_blocks)} of equal size would; at least {LEAST_BLOCKS} are needed to "
        "know what chance does (gate.block)"
    )


def coarser(spec: ModelSpec, rows: Held, challenger: Scored, champion: Scored) -> dict[str, Any] | None:
    """The standard error by the next longer span of time, which tells whether the gate's blocks are apart.

    None for weeks, of which there is nothing longer, and where the rows lie in fewer than two such spans.
    """
    longer = _LONGER.get(spec.gate.block)
    if longer is None:
        return None
    found = paired.compare(
        spec.task,
        spec.gate.metric,
        rows.held_labels,
        challenger.answers,
        champion.answers,
        blocks.number(rows.times[rows.start :], longer),
        resamples=paired.LEAST_RESAMPLES,
        seed=spec.training.seed,
    )
    if not math.isfinite(found.standard_error):
        return None
    return {
        "block": longer,
        "standard_error": found.standard_error,
        "blocks": found.blocks,
        "effective_blocks": round(found.effective_blocks, 2),
    }


def paired_document(
    spec: ModelSpec, found: Difference, longer: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The comparison as it is stored.

    Args:
        spec: Names the metric and the block.
        found: The comparison.
        longer: As ``coarser`` returns it.
    """
    return {
        "metric": spec.gate.metric,
        "gain": found.gain,
        "standard_error": found.standard_error,
        "blocks": found.blocks,
        "effective_blocks": round(found.effective_blocks, 2),
        "block": spec.gate.block,
        "resamples": found.resamples,
        "coarser": longer,
    }


def documents(spec: ModelSpec, rows: Held, challenger: Scored, champion: Scored | None) -> dict[str, Any]:
    """Slices, calibration and curves, of the champion too where it was compared."""
    of_blocks = blocks.number(rows.times[rows.start :], spec.gate.block)
    theirs = champion.answers if champion else None
    return {
        "sliced": list(spec.gate.slices),
        "slices": slices.measure(
            spec, rows.held_frame, rows.held_labels, challenger.answers, theirs, of_blocks
        ),
        "calibration": _of_both(challenger, champion, lambda one: _calibration(rows, one))
        if spec.task == "binary"
        else None,
        "curves": _of_both(challenger, champion, lambda one: _curves(spec, rows, one)),
    }


def _of_both(
    challenger: Scored, champion: Scored | None, build: Callable[[Scored], Mapping[str, Any]]
) -> dict[str, Any]:
    return {"challenger": build(challenger), "champion": build(champion) if champion else None}


def _calibration(rows: Held, scored: Scored) -> dict[str, Any]:
    return calibration.measure(rows.held_labels, scored.predicted)


def _curves(spec: ModelSpec, rows: Held, scored: Scored) -> dict[str, Any]:
    return curves.build(spec.task, rows.held_labels, scored.predicted, scored.model.classes)
