"""Answers the questions of `follow` from AWS."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from upkeep import data, runs, serving
from upkeep.data import Upload
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients, Decision, Run, Step
from upkeep.serving import Answer, Package, Serving

_RUNS_LOOKED_AT = 30


@dataclass
class AwsSource:
    """Asks the AWS of a context about one model.

    Attributes:
        context: The stack.
        model: The model.
        earlier: Names of the runs there were before the push.
        sample: A row that fits the model, for the real request; without one only what is described counts.
    """

    context: Clients
    model: ModelOutputs
    earlier: frozenset[str]
    sample: dict[str, Any] | None = None
    _manifests: dict[str, frozenset[str]] = field(default_factory=dict)

    def look(self, upload: Upload) -> Upload:
        """See `follow.Source`."""
        return data.look(self.context, self.model, upload)

    def run_with(self, keys: Sequence[str], *, new_only: bool) -> Run | None:
        """See `follow.Source`; of several the first one started, which the push caused.

        An earlier run that failed does not count: the push has it tried again.
        """
        names = runs.run_names(self.context, self.model, _RUNS_LOOKED_AT)
        for name, arn in reversed(names.items()):
            if new_only and name in self.earlier:
                continue
            run = runs.describe_run(self.context, self.model, arn)
            if name in self.earlier and run.ended and run.status != "SUCCEEDED":
                continue
            if self._files(run).issuperset(keys):
                return run
        return None

    def describe(self, run: Run) -> Run:
        """See `follow.Source`."""
        return runs.describe_run(self.context, self.model, run.arn)

    def decision(self, run: Run) -> Decision | None:
        """See `follow.Source`."""
        return runs.with_decision(self.context, run).decision

    def steps(self, run: Run) -> list[Step]:
        """See `follow.Source`."""
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
        """See `follow.Source`."""
        if self.sample is None:
            return True
        answer = ask(self.context, self.model, self.sample)
        return answer.ok and answer.run == run.id

    def _files(self, run: Run) -> frozenset[str]:
        if run.id not in self._manifests and run.manifest_uri:
            self._manifests[run.id] = frozenset(runs.read_manifest(self.context, run.manifest_uri))
        return self._manifests.get(run.id, frozenset())


def ask(context: Clients, model: ModelOutputs, row: dict[str, Any]) -> Answer:
    """Send one row as JSON."""
    body = json.dumps({"instances": [row]}).encode()
    return serving.predict(context, model, body, serving.JSON)
