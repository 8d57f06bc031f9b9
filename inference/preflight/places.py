"""Names and folders that the Lambda, which plans a check, and the job, which makes it, agree on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

# ProcessingJobName: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateProcessingJob.html
MAX_JOB_NAME = 63
_HASH_LENGTH = 10

ROOT = "/opt/ml/processing"
INPUT = f"{ROOT}/input"
OUTPUT = f"{ROOT}/output"
# Where the job unpacks its own code and both models.
WORK = f"{ROOT}/work"
PLAN, REQUESTS = "plan.json", "requests.jsonl"
RESULT, REPORT = "check.json", "check.html"
ARCHIVE, CODE_ARCHIVE = "model.tar.gz", "code.tar.gz"
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Served:
    """One version as an endpoint serves it.

    Attributes:
        model_data_url: Its archive.
        environment: Variables of its container.
        name: What people call it.
    """

    model_data_url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = ""


def job_name(base: str, run_id: str, attempt: str) -> str:
    """Name of a processing job: the same for the same attempt, another one for each further attempt.

    Args:
        base: ``upkeep-<stack>-<model>``.
        run_id: Of the challenger.
        attempt: Names the attempt, such as the name of the release's execution; any text.
    """
    digest = hashlib.sha256(f"{run_id}\0{attempt}".encode()).hexdigest()[:_HASH_LENGTH]
    head = f"{base}-check"[: MAX_JOB_NAME - _HASH_LENGTH - 1].rstrip("-")
    return f"{head}-{digest}"


def folder(model: str, run_id: str, name: str) -> str:
    """Key prefix in the artifacts bucket of everything about one check, with the closing slash."""
    return f"checks/{model}/{run_id}/{name}/"
