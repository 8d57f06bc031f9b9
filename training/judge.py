"""Lambda: reads what a training job found out and decides by the model's gate."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from monitoring import metrics
from training.aws import Place, client, require
from training.decision import Verdict, decide
from training.outputs import OutputError, output_uri, read_document, read_spec
from training.words import description

_log = Logger(service="judge")
EVALUATION = "evaluation.json"
APPROVALS = {"gate": "Approved", "manual": "PendingManualApproval"}
# Values of CustomerMetadataProperties: at most 256 of these characters.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
MAX_METADATA = 256
_NOT_METADATA = re.compile(r"[^\w\s.:/=+\-@]+")


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Judge one training job; called by the retrain state machine.

    Args:
        event: What the state machine was started with (``model``, ``run_id``, ``manifest_uri``, ``rows``,
            ``files``, ``dropped``, ``trigger``, ``data_version``, ``data_version_uri``,
            ``contract_version``) and ``training_job``, the description of the completed job.
        context: Lambda's context.

    Returns:
        The decision, as it is stored under ``decisions/<model>/<run id>.json``.

    Raises:
        OutputError: The job's evaluation is missing, unreadable or of another run.
    """
    bucket, approval, prefix = require(os.environ, "ARTIFACTS_BUCKET", "APPROVAL", "PREFIX")
    if approval not in APPROVALS:
        raise ValueError(f"APPROVAL: found {approval!r}, expected {' or '.join(APPROVALS)}")
    owner = Place.of(context.invoked_function_arn).account
    s3 = client("s3")
    model_url = event["training_job"]["ModelArtifacts"]["S3ModelArtifacts"]
    evaluation_uri = output_uri(model_url)
    evaluation = read_document(s3, evaluation_uri, EVALUATION, bucket=bucket, owner=owner)
    _check_origin(evaluation, event, evaluation_uri)
    # The gate that holds is the deployed one; the job's own copy may be older.
    spec = read_spec(s3, event["model"], bucket=bucket, owner=owner)
    if spec is None:
        raise OutputError(f"s3://{bucket}/specs/{event['model']}.json: no such object; the model was removed")
    verdict = decide(evaluation, spec.gate)
    key = f"decisions/{event['model']}/{event['run_id']}.json"
    decision = build(event, evaluation, verdict, approval) | {
        "model_data_url": model_url,
        "evaluation_uri": evaluation_uri,
        "decision_uri": f"s3://{bucket}/{key}",
    }
    stored = {**decision, "gate": asdict(spec.gate), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    s3.put_object(
        Bucket=bucket,
        Key=key,
        Body=json.dumps(stored, indent=1).encode(),
        ContentType="application/json",
        ExpectedBucketOwner=owner,
    )
    _log.info(verdict.reason, extra={"model": event["model"], "run_id": event["run_id"]})
    metrics.emit(prefix, event["model"], _metrics(verdict))
    return decision


def build(
    event: Mapping[str, Any], evaluation: Mapping[str, Any], verdict: Verdict, approval: str
) -> dict[str, Any]:
    """The decision as plain data, with the properties for the model package."""
    run_id = str(event["run_id"])
    challenger = verdict.challenger if math.isfinite(verdict.challenger) else None
    decision = "promote" if verdict.promote else "refuse"
    window = evaluation["window"]
    data = {name: str(event[name]) for name in ("data_version", "data_version_uri", "contract_version")}
    metadata = {
        "run_id": run_id,
        "decision": decision,
        "metric": verdict.metric,
        "challenger": _shown(challenger),
        "champion": _shown(verdict.champion),
        "champion_run_id": str(evaluation.get("champion_run_id") or "none"),
        "rows": str(evaluation["rows"]["total"]),
        "rows_compared": str(evaluation["rows"]["holdout"]),
        "files": str(event["files"]),
        "dropped": str(event["dropped"]),
        **data,
        "window": str(window["setting"]),
        "window_from": str(window["from"]),
        "window_to": str(window["to"]),
        "manifest_uri": str(event["manifest_uri"]),
        "trigger": str(event["trigger"]),
        "reason": verdict.reason,
    }
    return {
        "schema": 1,
        "model": event["model"],
        "run_id": run_id,
        "version_label": run_id[:8],
        "decision": decision,
        "reason": description(verdict.reason),
        "approval": APPROVALS[approval] if verdict.promote else "Rejected",
        "metric": verdict.metric,
        "challenger": challenger,
        "champion": verdict.champion,
        "rows": {**evaluation["rows"], "dropped": int(event["dropped"])},
        "files": int(event["files"]),
        **data,
        "window": dict(window),
        "metadata": {name: metadata_value(value) for name, value in metadata.items()},
    }


def metadata_value(text: str) -> str:
    """A text as a model package takes it: other characters become spaces, the end is cut."""
    plain = " ".join(_NOT_METADATA.sub(" ", text).split())
    return plain[:MAX_METADATA].strip() or "none"


def _check_origin(evaluation: Mapping[str, Any], event: Mapping[str, Any], uri: str) -> None:
    for key in ("model", "run_id"):
        if evaluation.get(key) != event[key]:
            raise OutputError(f"{uri}: {key}: found {evaluation.get(key)!r}, expected {event[key]!r}")


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _metrics(verdict: Verdict) -> dict[str, float]:
    values = {metrics.CHALLENGERS_PROMOTED if verdict.promote else metrics.CHALLENGERS_REFUSED: 1.0}
    if math.isfinite(verdict.challenger):
        values[metrics.CHALLENGER_SCORE] = verdict.challenger
    if verdict.champion is not None and math.isfinite(verdict.champion):
        values[metrics.CHAMPION_SCORE] = verdict.champion
    return values
