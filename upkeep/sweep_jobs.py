"""Stops and deletes the jobs that the workflows of a model have started, and their logs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from inference.preflight import places
from upkeep.errors import is_gone
from upkeep.logbook import PROCESSING_GROUP, TRAINING_GROUP
from upkeep.outputs import ModelOutputs
from upkeep.sweeper import Sweeper

STOP_SECONDS = 180.0
_POLL_SECONDS = 0.5
# What follows a model's own name in those of its training jobs; see infra/naming.py.
_RUN = r"[0-9a-f]{20}|seed-[0-9a-f]{10}|reproduce-[0-9a-z-]+"


@dataclass(frozen=True)
class JobKind:
    """One kind of job of SageMaker's: how it is called in the API, and where it logs.

    Attributes:
        noun: What people call it.
        api: As in ``TrainingJobName``.
        calls: As in ``stop_training_job``.
        log_group: The account's log group of all such jobs.
    """

    noun: str
    api: str
    calls: str
    log_group: str


KINDS = (
    JobKind("training job", "TrainingJob", "training_job", TRAINING_GROUP),
    JobKind("processing job", "ProcessingJob", "processing_job", PROCESSING_GROUP),
)


def delete_jobs(sweeper: Sweeper, model: ModelOutputs) -> None:
    """Stop and delete the jobs of a model's workflows; the seed's training job belongs to Pulumi."""
    for kind in KINDS:
        jobs = [job for job in _jobs(sweeper, model, kind) if job[f"{kind.api}Name"] != model.seed_job]
        names = [job[f"{kind.api}Name"] for job in jobs]
        for job in jobs:
            if job[f"{kind.api}Status"] == "InProgress":
                name = {f"{kind.api}Name": job[f"{kind.api}Name"]}
                sweeper.attempt(f"running {kind.noun}", _call(sweeper, kind, "stop"), **name)
        _await_stopped(sweeper, kind, names)
        for name in names:
            sweeper.attempt(kind.noun, _call(sweeper, kind, "delete"), **{f"{kind.api}Name": name})


def delete_job_logs(sweeper: Sweeper, model: ModelOutputs) -> None:
    """Delete the log streams of a model's jobs, and a group that is empty then."""
    for kind in KINDS:
        for start in _starts(model):
            streams = sweeper.pages(
                sweeper.logs,
                "describe_log_streams",
                "logStreams",
                logGroupName=kind.log_group,
                logStreamNamePrefix=start,
            )
            for stream in list(streams):
                if _is_own(model, stream["logStreamName"].partition("/")[0]):
                    sweeper.attempt(
                        "log stream",
                        sweeper.logs.delete_log_stream,
                        logGroupName=kind.log_group,
                        logStreamName=stream["logStreamName"],
                    )
        # The group is the account's, shared by all jobs; SageMaker makes it again when it is needed.
        left = sweeper.pages(sweeper.logs, "describe_log_streams", "logStreams", logGroupName=kind.log_group)
        if next(left, None) is None:
            sweeper.attempt("log group", sweeper.logs.delete_log_group, logGroupName=kind.log_group)


def _starts(model: ModelOutputs) -> list[str]:
    """How the names of a model's jobs begin; a check's may be cut before the model's name ends."""
    check = places.job_name(model.endpoint, "", "").rpartition("-")[0]
    return list(dict.fromkeys([f"{model.endpoint}-", f"{check}-"]))


def _is_own(model: ModelOutputs, name: str) -> bool:
    """Whether a name is one the workflows of this model give, not of a model whose name begins alike."""
    run, check = _starts(model)[0], _starts(model)[-1]
    return bool(
        (name.startswith(run) and re.fullmatch(_RUN, name.removeprefix(run)))
        or re.fullmatch(rf"{re.escape(check)}[0-9a-f]{{10}}", name)
    )


def _jobs(sweeper: Sweeper, model: ModelOutputs, kind: JobKind) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for start in _starts(model):
        listed = sweeper.pages(
            sweeper.sagemaker, f"list_{kind.calls}s", f"{kind.api}Summaries", NameContains=start
        )
        found |= {job[f"{kind.api}Name"]: job for job in listed}
    return [job for name, job in found.items() if _is_own(model, name)]


def _await_stopped(sweeper: Sweeper, kind: JobKind, names: list[str]) -> None:
    deadline = sweeper.clock() + STOP_SECONDS
    for name in names:
        while sweeper.clock() < deadline and _is_running(sweeper, kind, name):
            sweeper.sleep(_POLL_SECONDS)


def _is_running(sweeper: Sweeper, kind: JobKind, name: str) -> bool:
    try:
        job = _call(sweeper, kind, "describe")(**{f"{kind.api}Name": name})
    except sweeper.sagemaker.exceptions.ClientError as error:
        if not is_gone(error):
            raise
        return False
    return job[f"{kind.api}Status"] in ("InProgress", "Stopping")


def _call(sweeper: Sweeper, kind: JobKind, verb: str) -> Any:
    return getattr(sweeper.sagemaker, f"{verb}_{kind.calls}")
