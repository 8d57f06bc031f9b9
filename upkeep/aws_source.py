"""Answers the questions of `follow` from AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from models.spec import ModelSpec
from training import versions
from training.ledger import records
from training.ledger.records import RunRecord
from upkeep import data, releases, runs, serving
from upkeep.data import Upload
from upkeep.follow import Hold
from upkeep.ledger import OperatorLedger
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients, Decision, Run, Step
from upkeep.serving import Answer, Package, Serving

# The newest data version is worked out again after this time: it takes one look at all of a model's contents.
_SELECT_SECONDS = 15.0


@dataclass
class AwsSource:
    """Asks the AWS of a context about one model.

    Attributes:
        context: The stack.
        model: The model.
        spec: As it is deployed.
        ledger: The stack's ledger.
        earlier: Ids of the runs there were before the push.
        sample: A row that fits the model, for the real request; without one only what is described counts.
        clock: Seconds that only grow.
    """

    context: Clients
    model: ModelOutputs
    spec: ModelSpec
    ledger: OperatorLedger
    earlier: frozenset[str]
    sample: dict[str, Any] | None = None
    clock: Callable[[], float] = time.monotonic
    _manifests: dict[str, frozenset[str]] = field(default_factory=dict)
    _selected: tuple[float, frozenset[str]] | None = None

    def look(self, upload: Upload) -> Upload:
        """See `follow.Source`."""
        return data.look(self.ledger, upload)

    def wanted(self, keys: Sequence[str]) -> list[str]:
        """See `follow.Source`."""
        now = self.clock()
        if self._selected is None or now - self._selected[0] > _SELECT_SECONDS:
            # Of all that is accepted: a delivery that waits for its manifest will be read, too.
            bucket, window = self.context.outputs.data_bucket, self.spec.training.window
            reached = versions.select(self.model.name, bucket, window, self.ledger.data(self.model.name))
            self._selected = (now, frozenset(reached.manifest.keys))
        return [key for key in keys if key in self._selected[1]]

    def run_with(self, keys: Sequence[str], *, new_only: bool) -> Run | None:
        """See `follow.Source`; of several the first one started, which the push caused.

        An earlier run that failed does not count: the push has it tried again.
        """
        for record in reversed(self.ledger.runs(self.model.name)):
            if new_only and record.run_id in self.earlier:
                continue
            if record.run_id in self.earlier and record.state == records.FAILED:
                continue
            if self._files(record).issuperset(keys):
                return self._described(record)
        return None

    def held(self) -> Hold | None:
        """See `follow.Source`."""
        return hold_of(self.ledger.plan(self.model.name).held)

    def describe(self, run: Run) -> Run:
        """See `follow.Source`."""
        found = runs.find_described(self.context, self.model, run.arn)
        return found or run

    def decision(self, run: Run) -> Decision | None:
        """See `follow.Source`."""
        return runs.with_decision(self.context, run).decision

    def steps(self, run: Run) -> list[Step]:
        """See `follow.Source`."""
        if run.arn.startswith(runs.execution_arn(self.model.release_state_machine_arn, "")):
            return releases.phases(self.context, self.model, run)
        return runs.steps_of(self.context, run.arn)

    def package(self, run: Run) -> Package | None:
        """See `follow.Source`."""
        found = serving.list_packages(self.context, self.model, limit=10)
        return next((package for package in found if package.run_id == run.id), None)

    def release(self, package: Package, run: Run) -> Run | None:
        """See `follow.Source`."""
        return runs.find_release(self.context, self.model, package.arn, run.started)

    def serving(self) -> Serving:
        """See `follow.Source`."""
        return serving.read_serving(self.context, self.model)

    def answers(self, run: Run) -> bool:
        """See `follow.Source`.

        A row the endpoint refuses says nothing about who answers: it is not sent again, and what is described
        counts.
        """
        if self.sample is None:
            return True
        answer = ask(self.context, self.model, self.sample)
        if 400 <= answer.status < 500:
            self.sample = None
            return True
        return answer.ok and answer.run == run.id

    def _described(self, record: RunRecord) -> Run | None:
        """The run as it is now; None while it is written down but not started, or else from the ledger."""
        known = runs.of_record(record, self.model)
        found = runs.find_described(self.context, self.model, known.arn)
        if found is not None:
            return runs.with_record(found, record)
        return None if record.state == records.STARTING else known

    def _files(self, record: RunRecord) -> frozenset[str]:
        if record.run_id not in self._manifests and record.manifest_uri:
            found = runs.read_manifest(self.context, record.manifest_uri)
            self._manifests[record.run_id] = frozenset(found)
        return self._manifests.get(record.run_id, frozenset())


def hold_of(held: dict[str, Any] | None) -> Hold | None:
    """A hold from the ledger's plan."""
    if held is None:
        return None
    until = held.get("until")
    return Hold(
        rule=str(held["rule"]),
        reason=str(held["reason"]),
        until=None if until is None else datetime.fromtimestamp(until, UTC),
    )


def ask(context: Clients, model: ModelOutputs, row: dict[str, Any]) -> Answer:
    """Send one row as JSON."""
    body = json.dumps({"instances": [row]}).encode()
    return serving.predict(context, model, body, serving.JSON)
