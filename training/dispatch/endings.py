"""Finds out how runs ended, and what they cost.

DescribeExecution is eventually consistent, so its word is taken only for what cannot be undone: that an
execution has ended. One that it does not know soon after the start may be too new, and one that it calls
running may have ended; the next look tells.
https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger

from monitoring import metrics
from training import clock
from training.aws import client, code
from training.dispatch.policy import UNDER_WAY
from training.dispatch.settings import Settings
from training.dispatch.starts import Starter
from training.ledger.records import FAILED, RELEASING, RUNNING, STARTING, SUCCEEDED, RunRecord
from training.ledger.rollouts import MARKS
from training.ledger.table import Ledger

_log = Logger(service="dispatch", child=True)
# An execution that is not known so long after its start does not exist.
UNKNOWN_SECONDS = 120
# An approved model is waited for until its release has ended, but not for ever: somebody may have aborted it
# before it began. A check, an hour of baking and the instances' start fit into it.
RELEASE_SECONDS = 4 * 3600
_FAILURES = ("FAILED", "TIMED_OUT", "ABORTED")
_MAX_REASON = 1000


class Endings:
    """Brings the ledger's runs of one model up to date, as the holder of its lease."""

    def __init__(self, settings: Settings, ledger: Ledger, starter: Starter, usd_per_hour: float) -> None:
        self._settings = settings
        self._ledger = ledger
        self._starter = starter
        self._usd_per_hour = usd_per_hour

    def settle(self, model: str) -> list[RunRecord]:
        """All runs of a model, after each that is under way was looked at."""
        runs = self._ledger.runs(model)
        open_runs = [run for run in runs if run.state in UNDER_WAY]
        for run in open_runs:
            if run.state == STARTING:
                self._starter.resume(run)
            elif run.state == RUNNING:
                self._look(run)
            else:
                self._look_at_release(run)
        return self._ledger.runs(model) if open_runs else runs

    def _look(self, run: RunRecord) -> None:
        described = self._describe(run)
        if described is None:
            if clock.now() >= run.started_at + UNKNOWN_SECONDS:
                _log.warning(
                    "the execution does not exist; it is started again", extra={"run_id": run.run_id}
                )
                self._starter.resume(run)
            return
        if described["status"] == "SUCCEEDED":
            released = _package_to_release(described) is not None
            self._end(run, described, RELEASING if released else SUCCEEDED, _outcome(described))
        elif described["status"] in _FAILURES:
            self._end(run, described, FAILED, _why(described))

    def _look_at_release(self, run: RunRecord) -> None:
        """End the wait for a release: the package is marked, is not approved any more, or took too long."""
        described = self._describe(run)
        package = _package_to_release(described) if described else None
        late = clock.now() >= (run.ended_at or 0) + RELEASE_SECONDS
        if package is None or late or self._is_settled(package):
            self._ledger.transition_run(run.model, run.run_id, [RELEASING], SUCCEEDED)

    def _end(self, run: RunRecord, described: Mapping[str, Any], state: str, reason: str) -> None:
        usd = self._usd(run, described)
        ended = self._ledger.transition_run(
            run.model, run.run_id, [RUNNING], state, ended_at=clock.now(), usd=usd, reason=reason
        )
        if ended:
            _log.info("a run ended", extra={"model": run.model, "run_id": run.run_id, "state": state})
            metrics.emit(self._settings.prefix, run.model, {metrics.TRAINING_SPEND: usd})

    def _usd(self, run: RunRecord, described: Mapping[str, Any]) -> float:
        """Billed time times price; the time from start to end when SageMaker does not know it (any more).

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html
        """
        sagemaker = client("sagemaker")
        name = self._settings.training_job(run.model, run.run_id)
        seconds: float | None = None
        try:
            seconds = sagemaker.describe_training_job(TrainingJobName=name).get("BillableTimeInSeconds")
        except sagemaker.exceptions.ClientError as error:
            if not _is_unknown(error):
                raise
        if seconds is not None:
            return round(seconds / 3600 * self._usd_per_hour, 6)
        started, stopped = described["startDate"], described.get("stopDate")
        elapsed: float = (stopped - started).total_seconds() if stopped else clock.now() - run.started_at
        usd: float = round(max(elapsed, 0) / 3600 * self._usd_per_hour, 6)
        return min(usd, run.worst_usd)

    def _describe(self, run: RunRecord) -> Mapping[str, Any] | None:
        states = client("stepfunctions")
        arn = self._settings.execution_arn(run.model, run.run_id)
        try:
            found: Mapping[str, Any] = states.describe_execution(executionArn=arn)
        except states.exceptions.ClientError as error:
            if code(error) != "ExecutionDoesNotExist":
                raise
            return None
        return found

    def _is_settled(self, package: str) -> bool:
        """Whether the release of a package has come to an end; the release function marks it.

        A package that a person has approved anew has a mark of its own until its release ends.
        """
        sagemaker = client("sagemaker")
        try:
            found = sagemaker.describe_model_package(ModelPackageName=package)
        except sagemaker.exceptions.ClientError as error:
            if not _is_unknown(error):
                raise
            return True
        mark = (found.get("CustomerMetadataProperties") or {}).get("release", "")
        return mark in MARKS or found.get("ModelApprovalStatus") != "Approved"


def _output(described: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        found = json.loads(described.get("output") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _decision(described: Mapping[str, Any]) -> Mapping[str, Any]:
    found = _output(described).get("decision")
    return found if isinstance(found, Mapping) else {}


def _package_to_release(described: Mapping[str, Any]) -> str | None:
    """The package that a release was started for."""
    decision, package = _decision(described), _output(described).get("model_package_arn")
    approved = decision.get("decision") == "promote" and decision.get("approval") == "Approved"
    return str(package) if approved and package else None


def _outcome(described: Mapping[str, Any]) -> str:
    return str(_decision(described).get("reason") or "")[:_MAX_REASON]


def _why(described: Mapping[str, Any]) -> str:
    known = [str(described[key]) for key in ("error", "cause") if described.get(key)]
    return (": ".join(known) or described["status"].lower().replace("_", " "))[:_MAX_REASON]


def _is_unknown(error: Exception) -> bool:
    """SageMaker says ValidationException of a job or package that is not there, and of nothing else here."""
    return code(error) in ("ValidationException", "ResourceNotFound")
