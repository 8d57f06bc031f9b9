"""The decision about one run as it is stored: what was decided, on what grounds, about which bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from models.spec import Gate
from training.gate.decide import Decision
from training.registry import digests
from training.registry.sealing import Sealed
from training.words import description

SCHEMA = 2
APPROVALS = {"gate": "Approved", "manual": "PendingManualApproval"}
REFUSED = "Rejected"


def folder(model: str) -> str:
    """Where decisions and their reports are kept in the artifacts bucket."""
    return f"decisions/{model}/"


def build(
    event: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    decided: Decision,
    sealed: Sealed,
    *,
    version: str,
    approval: str,
    gate: Gate,
    bucket: str,
    evaluation_uri: str,
    at: str,
) -> dict[str, Any]:
    """The decision as plain data.

    Args:
        event: What the judge was asked.
        evaluation: The job's findings.
        decided: What the gate made of them.
        sealed: The bytes it is about.
        version: The model's number.
        approval: ``gate`` or ``manual``: who approves a model that may be released.
        gate: That was applied.
        bucket: The artifacts bucket.
        evaluation_uri: Where the findings are.
        at: When, ISO 8601.
    """
    run_id, artifact, job = str(event["run_id"]), sealed.artifact, event["training_job"]
    at_key = f"s3://{bucket}/{folder(event['model'])}{run_id}"
    return {
        "schema": SCHEMA,
        "model": event["model"],
        "run_id": run_id,
        "version": version,
        "version_label": run_id[:8],
        **decided.to_dict(),
        "reason": description(decided.reason),
        "approval": APPROVALS[approval] if decided.promote else REFUSED,
        "rows": {**evaluation["rows"], "dropped": int(event["dropped"])},
        "files": int(event["files"]),
        "trigger": str(event["trigger"]),
        **{name: str(event[name]) for name in ("data_version", "data_version_uri", "contract_version")},
        "window": dict(evaluation["window"]),
        "manifest_uri": str(event["manifest_uri"]),
        "manifest_sha256": sealed.manifest_sha256,
        "champion_run_id": evaluation.get("champion_run_id"),
        "champion_url": event.get("champion_url"),
        "champion_version_id": sealed.champion_version_id,
        "model_data_url": sealed.model_data_url,
        "artifact_sha256": artifact.sha256,
        "artifact_version_id": sealed.artifact_version_id,
        "artifact_bytes": artifact.packed_bytes,
        "passport_sha256": artifact.passport_sha256,
        "model_digest": artifact.passport["model_digest"],
        "digests": digests.known(artifact.passport["digests"]),
        "versions": dict(artifact.passport["versions"]),
        "image": str((job.get("AlgorithmSpecification") or {}).get("TrainingImage") or ""),
        "training_job": str(job.get("TrainingJobName") or ""),
        "evaluation_uri": evaluation_uri,
        "decision_uri": f"{at_key}.json",
        "report_uri": f"{at_key}.html",
        "gate": asdict(gate),
        "at": at,
    }
