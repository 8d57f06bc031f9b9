"""What the report is about: decision, evaluation and spec together, read so that nothing missing is an error.

Evaluations are written by jobs of all ages: those of before have no curves, first models no champion. What is
not there, or is no number, is None here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.spec import LOWER_IS_BETTER, METRICS, ModelSpec
from training.report.markup import clean
from training.report.numbers import finite, mapping, whole

CHALLENGER, CHAMPION = "challenger", "champion"
# What package metadata holds instead of an empty text.
_NO_TEXT = ("", "none", "None")
_WORD = 120


@dataclass(frozen=True)
class Subject:
    """One judged run.

    Attributes:
        decision: As it is stored.
        evaluation: As the job wrote it; empty when it cannot be read.
        spec: Of the model.
    """

    decision: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    spec: ModelSpec

    @property
    def promoted(self) -> bool:
        """Whether the gate lets it replace the champion."""
        return is_promoted(self.decision)

    @property
    def label(self) -> str:
        """Its version, of decisions without one the first characters of its run."""
        return label(self.decision)

    @property
    def metric(self) -> str:
        """What was decided by."""
        found = self.decision.get("metric") or self.evaluation.get("metric") or self.spec.gate.metric
        return word(found)

    def fact(self, name: str) -> str:
        """A text of the decision, else of the evaluation; empty when there is none."""
        return fact(self.decision, name) or fact(self.evaluation, name)

    def part(self, *names: str) -> Mapping[str, Any]:
        """A mapping within the evaluation; empty when it is not there."""
        found = self.evaluation
        for name in names:
            found = mapping(found.get(name))
        return found

    @property
    def compared(self) -> bool:
        """Whether there are numbers of the champion on the same rows."""
        return bool(self.part(CHAMPION)) or finite(self.decision.get(CHAMPION)) is not None

    def rows(self, name: str) -> int | None:
        """How many rows there were: available, total, fitted, holdout, duplicates or dropped."""
        for source in (self.decision, self.evaluation):
            found = whole(mapping(source.get("rows")).get(name))
            if found is not None:
                return found
        return None


def is_promoted(decision: Mapping[str, Any]) -> bool:
    """Whether the gate lets the model replace the champion."""
    return decision.get("decision") == "promote"


def label(decision: Mapping[str, Any]) -> str:
    """What people call the version."""
    return fact(decision, "version") or fact(decision, "run_id")[:8] or "without a version"


def fact(source: Mapping[str, Any], name: str, most: int = 600) -> str:
    """A text, empty for nothing."""
    found = source.get(name)
    if found is None or isinstance(found, (Mapping, list, tuple)):
        return ""
    text = clean(found, most)
    return "" if text in _NO_TEXT else text


def word(found: object, most: int = _WORD) -> str:
    """A name that cannot fill the page."""
    return clean(found, most)


def better(metric: str) -> str:
    """In which direction a metric is better."""
    return "less is better" if metric in LOWER_IS_BETTER else "more is better"


def gain(metric: str, challenger: float | None, champion: float | None) -> float | None:
    """How much better the challenger is; above 0 also for errors."""
    if challenger is None or champion is None:
        return None
    return champion - challenger if metric in LOWER_IS_BETTER else challenger - champion


def metrics(task: str, first: str, *found: Mapping[str, Any]) -> list[str]:
    """Names of all metrics that were measured: the gate's, then those of the task, then others."""
    known = [first, *METRICS.get(task, ())]
    names = dict.fromkeys([*known, *sorted(str(name) for one in found for name in one)])
    return [name for name in names if any(finite(one.get(name)) is not None for one in found)]


def approval(decision: Mapping[str, Any]) -> str:
    """Who has to say or has said yes, in a few words."""
    status = fact(decision, "approval")
    who = fact(decision, "approver")
    if status == "Rejected":
        return "rejected" + (f" by {who}" if who and who != "gate" else " by the gate")
    if who:
        return f"approved by {'the gate' if who == 'gate' else who}"
    if status == "Approved":
        return "approved by the gate"
    return "waits for a person's approval" if status == "PendingManualApproval" else ""
