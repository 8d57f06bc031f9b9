"""A run that a person starts: on the newest data, within the limits or past them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from models.spec import ModelSpec
from training.dispatch import policy
from training.ledger.records import SUCCEEDED, RunRecord
from training.versions import DataVersion
from upkeep import versions
from upkeep.ledger import OperatorLedger
from upkeep.runs import Clients

STARTED, UNDER_WAY, UNCHANGED, NO_DATA = "asked for", "under way", "unchanged", "no data"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What became of a wish for a run.

    Attributes:
        outcome: `asked for`; `under way` when a run on the newest data is going on; `unchanged` when it was
            trained on; `no data` when there is none.
        data_version: The newest one.
        files: Its files.
        rows: Its rows.
        before: The run that was trained on it.
        under_way: The run that is going on now; the new one comes after it.
    """

    outcome: str
    data_version: str
    files: int
    rows: int
    before: RunRecord | None = None
    under_way: RunRecord | None = None

    def to_json(self) -> dict[str, Any]:
        """The wish as `--json` prints it."""
        return {
            "outcome": self.outcome,
            "data_version": self.data_version,
            "files": self.files,
            "rows": self.rows,
            "trained_by_run": self.before.run_id if self.before else None,
            "under_way": self.under_way.run_id if self.under_way else None,
        }


def ask(context: Clients, ledger: OperatorLedger, spec: ModelSpec, by: str, *, force: bool) -> Wish:
    """Wish for a run on the newest data, and let the dispatcher decide at once.

    A forced wish goes past the quiet period, cool-down, both limits and the attempts that have failed; never
    past a run that is going on, and never trains again on what the last model was trained on.
    """
    wish = _look(context, ledger, spec, force=force)
    if wish.outcome != STARTED:
        return wish
    if force:
        ledger.force(spec.name, by)
    wake(context, spec.name, "forced" if force else "again")
    return wish


def wake(context: Clients, model: str, why: str) -> None:
    """Let the dispatcher decide about a model now.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    """
    context.client("sqs").send_message(
        QueueUrl=context.outputs.dispatch_queue_url,
        MessageBody=json.dumps({"model": model, "why": why}),
        DelaySeconds=0,
    )


def _look(context: Clients, ledger: OperatorLedger, spec: ModelSpec, *, force: bool) -> Wish:
    newest = versions.next_version(context, ledger, spec)
    records = ledger.runs(spec.name)
    going_on = next((r for r in records if r.state in policy.UNDER_WAY), None)
    on_it = going_on is not None and going_on.data_version == newest.id
    return Wish(
        outcome=UNDER_WAY if on_it else _outcome(newest, records, force=force),
        data_version=newest.id,
        files=len(newest.records),
        rows=newest.rows,
        before=next((r for r in records if r.state == SUCCEEDED and r.data_version == newest.id), None),
        under_way=going_on,
    )


def _outcome(newest: DataVersion, records: list[RunRecord], *, force: bool) -> str:
    """As the dispatcher decides: see `training.dispatch.policy`."""
    if newest.is_seed:
        return NO_DATA
    succeeded = [record for record in records if record.state == SUCCEEDED]
    if any(record.data_version == newest.id for record in succeeded):
        return STARTED if force and succeeded[0].data_version != newest.id else UNCHANGED
    return STARTED
