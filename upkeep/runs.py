"""Reads retrainings and releases from Step Functions, and what the judge has recorded of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from training.ledger.records import RunRecord
from upkeep.errors import UpkeepError, is_gone
from upkeep.outputs import ModelOutputs, StackOutputs
from upkeep.phases import parse_phases
from upkeep.run import (
    ENDED,
    Decision,
    Run,
    Step,
    execution_arn,
    of_record,
    parse_decision,
    parse_run,
    parse_steps,
    readable_cause,
    with_record,
)

__all__ = [
    "ENDED",
    "Clients",
    "Decision",
    "Run",
    "Step",
    "describe_run",
    "execution_arn",
    "find_described",
    "find_release",
    "find_run",
    "list_runs",
    "of_record",
    "parse_decision",
    "parse_run",
    "parse_steps",
    "phases_of",
    "read_json",
    "read_manifest",
    "readable_cause",
    "run_names",
    "steps_of",
    "with_decision",
    "with_record",
]

_PAGE = 100
_HISTORY_LIMIT = 1000


class Clients(Protocol):
    """What the readers need from a context."""

    @property
    def outputs(self) -> StackOutputs:
        """The stack's outputs."""

    def client(self, service: str) -> Any:
        """A client of an AWS service."""


def list_runs(context: Clients, model: ModelOutputs, limit: int = 20) -> list[Run]:
    """The newest runs of a model, newest first, with their decisions."""
    listed = _executions(context, model.retrain_state_machine_arn, limit)
    return [with_decision(context, describe_run(context, model, item["executionArn"])) for item in listed]


def find_run(context: Clients, model: ModelOutputs, name: str, known: Sequence[RunRecord] = ()) -> Run:
    """The run whose id begins with `name`; of those `known` also one that Step Functions has forgotten.

    Raises:
        UpkeepError: None or several do.
    """
    listed = _executions(context, model.retrain_state_machine_arn, _HISTORY_LIMIT)
    arns = {item["name"]: item["executionArn"] for item in listed}
    records_by_id = {record.run_id: record for record in known}
    names = list(dict.fromkeys([*arns, *records_by_id]))
    found = [one for one in names if one.startswith(name)]
    if len(found) != 1:
        shown = ", ".join(one[:12] for one in (found or names)[:8]) or "none yet"
        said = "several runs begin" if found else "no run begins"
        raise UpkeepError(f"Run {name!r}: {said} with it. Runs of {model.name}: {shown}.")
    record = records_by_id.get(found[0])
    if found[0] in arns:
        run = with_record(describe_run(context, model, arns[found[0]]), record)
    else:
        run = of_record(records_by_id[found[0]], model)
    return with_decision(context, run)


def find_described(context: Clients, model: ModelOutputs, arn: str) -> Run | None:
    """One run as Step Functions describes it, or None when there is no such execution, or not yet."""
    states = context.client("stepfunctions")
    try:
        return parse_run(model.name, states.describe_execution(executionArn=arn))
    except states.exceptions.ClientError as error:
        if is_gone(error):
            return None
        raise


def describe_run(context: Clients, model: ModelOutputs, arn: str) -> Run:
    """One run as Step Functions describes it, without its decision."""
    return parse_run(model.name, context.client("stepfunctions").describe_execution(executionArn=arn))


def run_names(context: Clients, model: ModelOutputs, limit: int = _PAGE) -> dict[str, str]:
    """Names and ARNs of the newest runs, newest first."""
    return {
        item["name"]: item["executionArn"]
        for item in _executions(context, model.retrain_state_machine_arn, limit)
    }


def steps_of(context: Clients, arn: str) -> list[Step]:
    """What an execution has gone through so far; nothing once Step Functions has forgotten it."""
    return parse_steps(_history(context, arn, data=False))


def phases_of(context: Clients, arn: str) -> list[Step]:
    """The phases a release has gone through so far; nothing once Step Functions has forgotten it."""
    return parse_phases(_history(context, arn, data=True))


def with_decision(context: Clients, run: Run) -> Run:
    """The run with the judge's record, when there is one."""
    record = read_json(context, context.outputs.artifacts_bucket, f"decisions/{run.model}/{run.id}.json")
    return run.judged(None if record is None else parse_decision(record))


def find_release(context: Clients, model: ModelOutputs, package_arn: str, since: datetime) -> Run | None:
    """The first execution of the release machine for a model package, started after a moment.

    Later ones are about changes of the package that the release itself made, and find nothing to do.
    """
    listed = _executions(context, model.release_state_machine_arn, _PAGE)
    for item in reversed([item for item in listed if item["startDate"] >= since]):
        described = context.client("stepfunctions").describe_execution(executionArn=item["executionArn"])
        if f'"{package_arn}"' in str(described.get("input")):
            return parse_run(model.name, described)
    return None


def read_json(context: Clients, bucket: str, key: str) -> dict[str, Any] | None:
    """A JSON object in S3, or None when there is none."""
    value = _read(context, bucket, key)
    return value if isinstance(value, dict) else None


def read_manifest(context: Clients, uri: str) -> list[str]:
    """The keys a data manifest lists; empty when it is gone.

    The form is SageMaker's ManifestFile: a prefix, then keys relative to it.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    value = _read(context, bucket, key) if key else None
    return [str(item) for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _read(context: Clients, bucket: str, key: str) -> Any:
    s3 = context.client("s3")
    try:
        return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except s3.exceptions.ClientError as error:
        if is_gone(error):
            return None
        raise


def _history(context: Clients, arn: str, *, data: bool) -> list[Mapping[str, Any]]:
    states = context.client("stepfunctions")
    pages = states.get_paginator("get_execution_history")
    events: list[Mapping[str, Any]] = []
    try:
        for page in pages.paginate(
            executionArn=arn, includeExecutionData=data, PaginationConfig={"PageSize": 1000}
        ):
            events.extend(page["events"])
    except states.exceptions.ClientError as error:
        if not is_gone(error):
            raise
    return events


def _executions(context: Clients, arn: str, limit: int) -> list[dict[str, Any]]:
    pages = context.client("stepfunctions").get_paginator("list_executions")
    found: list[dict[str, Any]] = []
    for page in pages.paginate(
        stateMachineArn=arn, PaginationConfig={"MaxItems": limit, "PageSize": min(limit, _PAGE)}
    ):
        found.extend(page["executions"])
    return found
