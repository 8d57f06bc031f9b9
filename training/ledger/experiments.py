"""Experiments: two versions behind one endpoint, and what became of it.

One item per experiment, and one that names the experiment that is under way; both are written in one
transaction, so a model never has two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from training.ledger.core import ABSENT, Core, any_of
from training.ledger.item import Record

# Of experiments; the last three are final.
STARTING, RUNNING, STOPPING = "starting", "running", "stopping"
STOPPED, PROMOTED, FAILED = "stopped", "promoted", "failed"
UNDER_WAY = (STARTING, RUNNING, STOPPING)

_CURRENT = "experiments-current"  # sort key of the item that names the one under way
_NONE = ""


@dataclass(frozen=True, kw_only=True)
class ExperimentRecord(Record):
    """An experiment.

    Attributes:
        model: Whose endpoint.
        id: Its name; the newest sorts last.
        state: starting, running, stopping; stopped, promoted, failed.
        control_package: Version that served before; empty for the seed.
        control_version: Of that, for people.
        treatment_package: Version that is tried.
        treatment_version: Of that, for people.
        config: The endpoint configuration with both.
        control_config: The one that served before, and will again.
        loss: How an answer is measured: brier, zero_one, absolute.
        scale: The distance that is the whole loss, for absolute.
        alpha: Chance of a false verdict, at most.
        minimum_effect: A difference no larger does not matter; 0 when every one does.
        weights: The treatment's share by time: ``{"weight", "since", "until"}`` in seconds since 1970, oldest
            first, the last without ``until``; requests between two of them were drawn by neither.
        wanted_weight: What was asked for last.
        promote: Whether the treatment is to be released at the end.
        created_at: When it was asked for, seconds since 1970.
        started_at: When the treatment came into service.
        ended_at: When it ended.
        verdict: What was known of the treatment when it ended: better, worse, equal, unknown.
        summary: The figures at that time.
        reason: Why it failed, or what the person said.
        by: Who asked for it.
        execution_arn: Of its latest change.
    """

    prefix: ClassVar[str] = "experiment#"
    model: str
    id: str
    state: str = STARTING
    control_package: str = ""
    control_version: str = ""
    treatment_package: str = ""
    treatment_version: str = ""
    config: str = ""
    control_config: str = ""
    loss: str = "brier"
    scale: float = 1.0
    alpha: float = 0.05
    minimum_effect: float = 0.0
    weights: list[dict[str, float]] = field(default_factory=list)
    wanted_weight: float = 0.0
    promote: bool = False
    created_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    verdict: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    by: str = ""
    execution_arn: str = ""

    @property
    def sort_key(self) -> str:
        """The item's ``sk``."""
        return f"{self.prefix}{self.id}"

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.state in UNDER_WAY

    @property
    def weight(self) -> float:
        """The treatment's share now; the one asked for until it first serves."""
        return self.weights[-1]["weight"] if self.weights else self.wanted_weight

    @property
    def open_weight(self) -> float | None:
        """The share in force; None while it is being changed."""
        last = self.weights[-1] if self.weights else None
        return None if last is None or "until" in last else last["weight"]


class Experiments(Core):
    """The experiments of a model."""

    def experiment(self, model: str, experiment_id: str) -> ExperimentRecord | None:
        """One experiment."""
        item = self._get(model, f"{ExperimentRecord.prefix}{experiment_id}")
        return ExperimentRecord.from_item(item) if item else None

    def experiments(self, model: str) -> list[ExperimentRecord]:
        """All of a model, newest first."""
        found = [ExperimentRecord.from_item(item) for item in self._query(model, ExperimentRecord.prefix)]
        return sorted(found, key=lambda r: (r.created_at, r.id), reverse=True)

    def current_experiment(self, model: str) -> ExperimentRecord | None:
        """The one under way."""
        item = self._get(model, _CURRENT)
        named = item["id"]["S"] if item and "id" in item else _NONE
        return self.experiment(model, named) if named else None

    def begin_experiment(self, record: ExperimentRecord) -> bool:
        """Write a new experiment as the one under way.

        Race: of two one gets True; False also while another has not ended.
        """
        free = "attribute_not_exists(#id) OR #id = :none"
        current = self._update_action(record.model, _CURRENT, {"id": record.id}, free, {"none": _NONE})
        return not self._transact({"Put": self._put_action(record, ABSENT)}, {"Update": current})

    def change_experiment(
        self, model: str, experiment_id: str, expected: Sequence[str] = UNDER_WAY, **changes: Any
    ) -> ExperimentRecord | None:
        """Change an experiment that is in one of the expected states.

        Race: None when it is in another by now.
        """
        condition, values = any_of("state", expected)
        item = self._update(model, f"{ExperimentRecord.prefix}{experiment_id}", changes, condition, values)
        return ExperimentRecord.from_item(item) if item else None

    def set_experiment_weight(self, record: ExperimentRecord, weight: float, at: float) -> bool:
        """Note a share that serves now, from `at` on; race: False when another change was noted since.

        The same share again is no change.
        """
        if record.weights and "until" not in record.weights[-1] and record.weights[-1]["weight"] == weight:
            return True
        weights = [*self._closed(record.weights, at), {"weight": weight, "since": at}]
        return self._rewrite_weights(record, weights)

    def leave_experiment_weight(self, record: ExperimentRecord, at: float) -> bool:
        """Note that the last share is about to change, at `at`; race: False when another was noted since."""
        if not record.weights or "until" in record.weights[-1]:
            return True
        return self._rewrite_weights(record, self._closed(record.weights, at))

    def end_experiment(
        self, model: str, experiment_id: str, state: str, *, at: float | None = None, **changes: Any
    ) -> bool:
        """Bring an experiment to its end, and let the next one begin.

        Race: False when it had ended before.

        Args:
            model: Whose endpoint.
            experiment_id: Which one.
            state: How it ended.
            at: When its last share ended, in seconds since 1970; now by default.
            changes: Further fields.
        """
        record = self.experiment(model, experiment_id)
        if record is None:
            return False
        at = self.now() if at is None else at
        changes = {"weights": self._closed(record.weights, at), "ended_at": at, **changes, "state": state}
        alive, states = any_of("state", UNDER_WAY)
        ended = self._update_action(model, record.sort_key, changes, alive, states)
        gone = self._update_action(model, _CURRENT, {"id": _NONE}, "#id = :mine", {"mine": experiment_id})
        return not self._transact({"Update": ended}, {"Update": gone})

    def note_experiment(
        self, model: str, experiment_id: str, verdict: str, summary: Mapping[str, Any]
    ) -> bool:
        """Write what an experiment has shown; race: the later written counts. False when there is none."""
        key, changes = f"{ExperimentRecord.prefix}{experiment_id}", {"verdict": verdict, "summary": summary}
        return self._update(model, key, changes, "attribute_exists(#pk)") is not None

    def _rewrite_weights(self, record: ExperimentRecord, weights: list[dict[str, float]]) -> bool:
        changes, condition = {"weights": weights}, "#weights = :before"
        values = {"before": record.weights}
        return self._update(record.model, record.sort_key, changes, condition, values) is not None

    @staticmethod
    def _closed(weights: Sequence[Mapping[str, float]], at: float) -> list[dict[str, float]]:
        """The shares, the last of which ends now if it has not ended before."""
        return [{**period, "until": period.get("until", at)} for period in weights]
