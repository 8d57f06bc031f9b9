"""Starts runs: exactly one execution per run, whatever fails in between.

A run is written down before it is started, under a name that follows from its data. Whoever finds it written
down but not started starts it again under that name, and Step Functions takes a name only once: with the same
input it answers as it did the first time, and once the execution has ended, or with other input, it answers
ExecutionAlreadyExists. Both mean that it was started.
https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger

from models.spec import ModelSpec
from training import clock, versions
from training.aws import client, code
from training.dispatch.policy import Start
from training.dispatch.settings import Settings
from training.ledger.records import FAILED, RUNNING, STARTING, RunRecord
from training.ledger.table import Ledger
from training.versions import DataVersion

_log = Logger(service="dispatch", child=True)
# A job that reaches its time limit has this long to end itself:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html
GRACE_SECONDS = 120


def worst_usd(spec: ModelSpec) -> float:
    """What a run can cost at most: one instance, until SageMaker stops the job."""
    seconds = spec.training.max_runtime_seconds + GRACE_SECONDS
    return round(seconds / 3600 * spec.usd_per_hour, 6)


class Starter:
    """Starts the runs of one model, as the holder of its lease.

    Attributes:
        owner: Who holds the lease.
    """

    def __init__(self, settings: Settings, ledger: Ledger, spec: ModelSpec, owner: str) -> None:
        self._settings = settings
        self._ledger = ledger
        self._spec = spec
        self._owner = owner

    def start(self, version: DataVersion, decision: Start) -> None:
        """Start the first or the next attempt on a data version.

        Raises:
            LeaseLostError: Somebody else decides by now; nothing was started.
            VersionError: The data version is stored with other content.
        """
        versions.store(client("s3"), version, self._settings.place.account)
        run = RunRecord(
            model=self._spec.name,
            run_id=version.manifest.attempt(decision.attempt),
            data_version=version.id,
            attempt=decision.attempt,
            trigger=decision.trigger,
            started_at=clock.now(),
            worst_usd=worst_usd(self._spec),
            files=len(version.records),
            rows=version.rows,
            manifest_uri=version.manifest_uri,
        )
        # False: an earlier answer was lost, and what it wrote is this very run.
        self._ledger.begin_run(self._owner, run)
        self._launch(run, version.document())

    def resume(self, run: RunRecord) -> None:
        """Start a run that was written down, and that nobody has seen running."""
        settings = self._settings
        stored = versions.load(
            client("s3"), settings.data_bucket, run.model, run.data_version, settings.place.account
        )
        if stored is None:
            reason = (
                f"data version {run.data_version} has no record in s3://{settings.data_bucket}/manifests/"
            )
            self._ledger.transition_run(
                run.model, run.run_id, [STARTING, RUNNING], FAILED, ended_at=clock.now(), usd=0, reason=reason
            )
            return
        self._launch(run, stored)

    def _launch(self, run: RunRecord, document: Mapping[str, Any]) -> None:
        data = json.dumps(self._input(run, document), sort_keys=True)
        states, arn = client("stepfunctions"), self._settings.machine_arn(run.model)
        try:
            states.start_execution(stateMachineArn=arn, name=run.run_id, input=data)
        except states.exceptions.ClientError as error:
            if code(error) != "ExecutionAlreadyExists":
                raise
        # The time it is known to have been started by: limits that count from it are never too short.
        self._ledger.transition_run(
            run.model, run.run_id, [STARTING, RUNNING], RUNNING, started_at=clock.now()
        )
        _log.info(
            "training started", extra={"model": run.model, "run_id": run.run_id, "trigger": run.trigger}
        )

    def _input(self, run: RunRecord, document: Mapping[str, Any]) -> dict[str, Any]:
        """What the state machine is given; the same for the same run as long as the contract is."""
        bucket = self._settings.data_bucket
        return {
            "model": run.model,
            "run_id": run.run_id,
            "manifest_uri": run.manifest_uri,
            "rows": run.rows,
            "files": run.files,
            "dropped": document["dropped"],
            "trigger": run.trigger,
            "data_version": run.data_version,
            "data_version_uri": f"s3://{bucket}/{versions.record_key(run.model, run.data_version)}",
            "contract_version": self._spec.contract_version,
        }
