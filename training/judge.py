"""Lambda: reads what a training job found out, decides by the model's gate, and seals what was decided on.

Judging again gives the same answer: the first decision about a run is the one that stays, whatever was
learned in between, for the package was perhaps registered with it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from models.spec import ModelSpec
from monitoring import metrics
from training import clock
from training.aws import Place, client, is_missing, require
from training.gate.decide import decide
from training.ledger.holdouts import HoldoutRecord
from training.ledger.table import Ledger
from training.outputs import OutputError, output_uri, read_document, read_spec, split_uri
from training.registry import digests, document, metadata, notice, numbers, once, passport, sealing, telling
from training.registry.document import APPROVALS
from training.registry.sealing import Sealed

_log = Logger(service="judge")
EVALUATION = "evaluation.json"
# Kept in S3 and of no use to the state machine, whose whole state may have 256 KiB:
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
_STORED_ONLY = ("checks", "gate", "versions")


@dataclass(frozen=True)
class _Stack:
    """Where the function runs and what it works on."""

    s3: Any
    ledger: Ledger
    artifacts: str
    data: str
    owner: str
    region: str
    approval: str
    name: str
    prefix: str


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Judge one training job; called by the retrain state machine.

    Args:
        event: What the state machine was started with (``model``, ``run_id``, ``manifest_uri``, ``rows``,
            ``files``, ``dropped``, ``trigger``, ``data_version``, ``data_version_uri``,
            ``contract_version``), ``training_job``, the description of the completed job, and
            ``champion_url``, the artifact it was compared with.
        context: Lambda's context.

    Returns:
        The decision as it is stored under ``decisions/<model>/<run id>.json``, but for what only readers of
        the file need; with ``metadata`` and ``environment`` for the package, and ``notice`` for people.

    Raises:
        OutputError: The job's evaluation is missing, unreadable or of another run.
        ArtifactError: The job's artifact is none that the loader would take.
    """
    stack = _stack(context)
    model_url = event["training_job"]["ModelArtifacts"]["S3ModelArtifacts"]
    evaluation_uri = output_uri(model_url)
    evaluation = read_document(
        stack.s3, evaluation_uri, EVALUATION, bucket=stack.artifacts, owner=stack.owner
    )
    _check_origin(evaluation, event, evaluation_uri)
    sealed = sealing.seal(
        stack.s3,
        event,
        evaluation,
        artifacts_bucket=stack.artifacts,
        data_bucket=stack.data,
        owner=stack.owner,
    )
    # The gate that holds is the deployed one; the job's own copy may be older.
    spec = read_spec(stack.s3, event["model"], bucket=stack.artifacts, owner=stack.owner)
    if spec is None:
        raise OutputError(
            f"s3://{stack.artifacts}/specs/{event['model']}.json: no such object; the model was removed"
        )
    decision, body = _decide(stack, event, evaluation, spec, sealed)
    _report(stack, decision, evaluation, spec)
    _log.info(decision["reason"], extra={"model": event["model"], "run_id": event["run_id"]})
    metrics.emit(stack.prefix, event["model"], _metrics(decision))
    described = metadata.of(decision, hashlib.sha256(body).hexdigest())
    return {name: value for name, value in decision.items() if name not in _STORED_ONLY} | {
        "metadata": described,
        "environment": passport.container_environment(described),
        "notice": notice.of(decision, telling.summary(decision, evaluation), stack.name, stack.region),
    }


def _stack(context: Any) -> _Stack:
    artifacts, data, table, approval, prefix, name = require(
        os.environ, "ARTIFACTS_BUCKET", "DATA_BUCKET", "LEDGER_TABLE", "APPROVAL", "PREFIX", "STACK"
    )
    if approval not in APPROVALS:
        raise ValueError(f"APPROVAL: found {approval!r}, expected {' or '.join(APPROVALS)}")
    place = Place.of(context.invoked_function_arn)
    return _Stack(
        s3=client("s3"),
        ledger=Ledger(client("dynamodb"), table),
        artifacts=artifacts,
        data=data,
        owner=place.account,
        region=place.region,
        approval=approval,
        name=name,
        prefix=prefix,
    )


def _decide(
    stack: _Stack,
    event: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    spec: ModelSpec,
    sealed: Sealed,
) -> tuple[dict[str, Any], bytes]:
    """The decision, made now or before, and its stored bytes."""
    model, run_id = str(event["model"]), str(event["run_id"])
    key = f"{document.folder(model)}{run_id}.json"
    body = _stored(stack, key)
    if body is None:
        uses = _uses(stack, evaluation, model, run_id)
        version = numbers.claim(
            stack.s3,
            bucket=stack.artifacts,
            owner=stack.owner,
            model=model,
            run_id=run_id,
            digests=digests.known(sealed.artifact.passport["digests"]),
            seed_digests=digests.known(evaluation.get("champion_digests")),
        )
        made = document.build(
            event,
            evaluation,
            decide(evaluation, spec.gate, uses),
            sealed,
            version=version,
            approval=stack.approval,
            gate=spec.gate,
            bucket=stack.artifacts,
            evaluation_uri=output_uri(sealed.model_data_url),
            at=datetime.fromtimestamp(clock.now(), UTC).isoformat(timespec="seconds"),
        )
        body = once.put(
            stack.s3,
            stack.artifacts,
            key,
            json.dumps(made, indent=1, allow_nan=False).encode(),
            "application/json",
            stack.owner,
        )
    decision: dict[str, Any] = json.loads(body)
    if decision.get("artifact_sha256") != sealed.artifact.sha256:
        raise OutputError(
            f"s3://{stack.artifacts}/{key}: the run was judged already, for an artifact with SHA-256 "
            f"{decision.get('artifact_sha256')}; {sealed.model_data_url} has {sealed.artifact.sha256}"
        )
    return decision, body


def _uses(stack: _Stack, evaluation: Mapping[str, Any], model: str, run_id: str) -> float:
    """Note that these rows are decided on, and count what earlier decisions have used of them.

    Noted first: of two runs that are judged at once, one counts the other.
    """
    holdout = evaluation.get("holdout")
    if not holdout:
        return 0.0  # an old job's; the gate refuses what was not measured
    record = HoldoutRecord(
        model=model, run_id=run_id, days=holdout["days"], rows=int(holdout["rows"]), at=clock.now()
    )
    stack.ledger.record_holdout(record)
    return stack.ledger.holdout_uses(model, holdout, run_id)


def _stored(stack: _Stack, key: str) -> bytes | None:
    try:
        answer = stack.s3.get_object(Bucket=stack.artifacts, Key=key, ExpectedBucketOwner=stack.owner)
    except stack.s3.exceptions.ClientError as error:
        if is_missing(error, stack.s3, stack.artifacts, key, stack.owner):
            return None
        raise
    found: bytes = answer["Body"].read()
    return found


def _report(
    stack: _Stack, decision: Mapping[str, Any], evaluation: Mapping[str, Any], spec: ModelSpec
) -> None:
    drawn = telling.page(decision, evaluation, spec)
    _, key = split_uri(decision["report_uri"])
    once.put(stack.s3, stack.artifacts, key, drawn.encode(), "text/html; charset=utf-8", stack.owner)


def _check_origin(evaluation: Mapping[str, Any], event: Mapping[str, Any], uri: str) -> None:
    for key in ("model", "run_id"):
        if evaluation.get(key) != event[key]:
            raise OutputError(f"{uri}: {key}: found {evaluation.get(key)!r}, expected {event[key]!r}")


def _metrics(decision: Mapping[str, Any]) -> dict[str, float]:
    promoted = decision["decision"] == "promote"
    values = {metrics.CHALLENGERS_PROMOTED if promoted else metrics.CHALLENGERS_REFUSED: 1.0}
    scores = {metrics.CHALLENGER_SCORE: decision["challenger"], metrics.CHAMPION_SCORE: decision["champion"]}
    return values | {name: float(score) for name, score in scores.items() if score is not None}
