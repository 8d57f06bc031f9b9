"""Data versions as people look at them: what was in each, which runs were trained on it, what serves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.spec import ModelSpec
from training import versions
from training.dispatch import deliveries
from training.ledger.records import RunRecord
from training.versions import DataVersion
from upkeep import runs
from upkeep.errors import UpkeepError
from upkeep.ledger import OperatorLedger
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients, Run

LATEST, NEXT = "latest", "next"
_LATEST = re.compile(r"latest(?:~(\d{1,6}))?")


@dataclass(frozen=True, kw_only=True)
class Version:
    """A data version that was, or will be, trained on.

    Attributes:
        id: Digest of its files.
        runs: Its runs, newest first; none of the one that the next run will read.
        document: Its record; None when it is gone.
        served: The run of it whose model the endpoint serves; empty for none.
    """

    id: str
    runs: tuple[Run, ...]
    document: Mapping[str, Any] | None
    served: str = ""

    @property
    def short(self) -> str:
        """The id as people see it."""
        return self.id[:8]

    @property
    def decision(self) -> str:
        """What its newest run came to."""
        if not self.runs:
            return "not trained"
        newest = self.runs[0]
        return newest.decision.decision if newest.decision else newest.status

    @property
    def files(self) -> int | None:
        """How many objects it has."""
        return None if self.document is None else len(self.document["objects"])

    def of_document(self, *names: str) -> Any:
        """A value of the record; None when the record is gone."""
        found: Any = self.document
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def to_json(self, *, whole: bool = False) -> dict[str, Any]:
        """The version as `--json` prints it; its objects only when it is asked for as a whole."""
        document = dict(self.document or {})
        objects = document.pop("objects", None)
        return {
            "data_version": self.id,
            **document,
            "files": self.files,
            "runs": [run.to_json() for run in self.runs],
            "decision": self.decision,
            "served_by_run": self.served or None,
            **({"objects": objects} if whole else {}),
        }


def next_version(context: Clients, ledger: OperatorLedger, spec: ModelSpec) -> DataVersion:
    """What a run started now would read."""
    data = ledger.data(spec.name)
    if spec.triggers.delivery == "manifest":
        folders = deliveries.look(ledger.deliveries(spec.name), ledger.objects(spec.name))
        data = deliveries.counting(data, folders)
    return versions.select(spec.name, context.outputs.data_bucket, spec.training.window, data)


def trained(ledger: OperatorLedger, model: str) -> dict[str, list[RunRecord]]:
    """The data versions that were tried, newest first, each with its runs, newest first."""
    found: dict[str, list[RunRecord]] = {}
    for record in ledger.runs(model):
        found.setdefault(record.data_version, []).append(record)
    return found


def read(
    context: Clients, model: ModelOutputs, version: str, records: Sequence[RunRecord], serving_run: str
) -> Version:
    """One data version with its runs and their decisions."""
    found = [runs.with_decision(context, runs.of_record(record, model)) for record in records]
    return Version(
        id=version,
        runs=tuple(found),
        document=document(context, model.name, version),
        served=next((run.id for run in found if run.id == serving_run), ""),
    )


def document(context: Clients, model: str, version: str) -> dict[str, Any] | None:
    """The record of a data version; None when it is gone."""
    return runs.read_json(context, context.outputs.data_bucket, versions.record_key(model, version))


def find(ledger: OperatorLedger, model: str, wanted: str) -> tuple[str, list[RunRecord]]:
    """The data version that is meant: how its id begins, or one of its runs' does, `latest`, or `latest~2`.

    Raises:
        UpkeepError: None or several are.
    """
    known = trained(ledger, model)
    if not known:
        raise UpkeepError(f"Model {model} has no data version yet. `upkeep push FILE` makes the first.")
    ids = list(known)
    shown = ", ".join(one[:12] for one in ids[:8])
    if match := _LATEST.fullmatch(wanted):
        back = int(match[1] or 0)
        if back >= len(ids):
            raise UpkeepError(f"Data version {wanted!r}: there are only {len(ids)}: {shown}.")
        return ids[back], known[ids[back]]
    found = [one for one in ids if one.startswith(wanted)] or [
        one for one in ids if any(record.run_id.startswith(wanted) for record in known[one])
    ]
    if len(found) != 1 or not wanted:
        said = "several begin" if found and wanted else "none begins"
        allowed = f"{LATEST}, {LATEST}~1 and so on, {NEXT}, or the beginning of one of: {shown}"
        raise UpkeepError(f"Data version {wanted!r}: {said} with it. Allowed: {allowed}.")
    return found[0], known[found[0]]
