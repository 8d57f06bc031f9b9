"""The operations on training jobs; training_run.py does the work."""

from __future__ import annotations

import re
from typing import Any

from sandbox.sagemaker import errors, shapes
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.job_operations import JobOperations
from sandbox.sagemaker.training_run import TrainingRun, artifact_uri, publish

_DEFAULT_RUNTIME_SECONDS = 86_400  # API_StoppingCondition: "The default value is 1 day"
# Asked for by some callers and without meaning on one local process; refused rather than ignored.
_REFUSED_TYPES = ("AugmentedManifestFile", "Converse")


class TrainingJobs(JobOperations):
    """CreateTrainingJob and the rest."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "training")

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """CreateTrainingJob: checks, stores, starts. The answer does not wait for the job."""
        name = params["TrainingJobName"]
        _check(params)
        self._context.platform.role_credentials(params["RoleArn"], "SageMaker")
        store = self._context.store
        with store.lock:
            if (taken := store.find(self._kind, name)) is not None:
                raise errors.training_job_exists(taken.arn)
            now = self._context.clock.now()
            record = store.add(self._kind, name, params, now)
            record.request.setdefault("StoppingCondition", {}).setdefault(
                "MaxRuntimeInSeconds", _DEFAULT_RUNTIME_SECONDS
            )
            record.fields |= {
                "TrainingJobArn": record.arn,
                "TrainingJobStatus": "InProgress",
                "SecondaryStatus": "Starting",
                "ModelArtifacts": {"S3ModelArtifacts": artifact_uri(record, "model.tar.gz")},
                "EnableNetworkIsolation": bool(params.get("EnableNetworkIsolation")),
                "EnableInterContainerTrafficEncryption": bool(
                    params.get("EnableInterContainerTrafficEncryption")
                ),
                "EnableManagedSpotTraining": bool(params.get("EnableManagedSpotTraining")),
                "SecondaryStatusTransitions": [
                    {
                        "Status": "Starting",
                        "StartTime": now,
                        "StatusMessage": "Preparing the instances for training",
                    }
                ],
            }
        publish(self._context, record)
        self._jobs.start(name, TrainingRun(self._context, record).run)
        return shapes.project("CreateTrainingJob", {"TrainingJobArn": record.arn})


def _check(params: dict[str, Any]) -> None:
    algorithm = params.get("AlgorithmSpecification") or {}
    if not algorithm.get("TrainingImage") and not algorithm.get("AlgorithmName"):
        raise errors.validation("AlgorithmSpecification needs a TrainingImage (or an AlgorithmName).")
    if "ResourceConfig" not in params:
        raise errors.validation(
            "ResourceConfig is missing: give InstanceType, InstanceCount and VolumeSizeInGB."
        )
    modes = {channel.get("InputMode") for channel in params.get("InputDataConfig") or []}
    if "Pipe" in modes | {algorithm.get("TrainingInputMode")}:
        raise errors.validation("The sandbox has no Pipe mode; use File (FastFile is read as File here).")
    if params["OutputDataConfig"].get("CompressionType") == "NONE":
        raise errors.validation("The sandbox has no OutputDataConfig.CompressionType NONE; use GZIP.")
    for definition in algorithm.get("MetricDefinitions") or []:
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise errors.validation(
                f"MetricDefinitions: the Regex of {definition['Name']} is not a regular expression: {error}."
            ) from error
    channels = [channel["ChannelName"] for channel in params.get("InputDataConfig") or []]
    if doubled := sorted({name for name in channels if channels.count(name) > 1}):
        raise errors.validation(f"Channel names must be unique; {', '.join(doubled)} appears more than once.")
    for channel in params.get("InputDataConfig") or []:
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            raise errors.validation(
                f"Channel {channel['ChannelName']}: the sandbox reads S3DataSource only, "
                f"found {', '.join(channel['DataSource']) or 'nothing'}."
            )
        if source["S3DataType"] in _REFUSED_TYPES:
            raise errors.validation(
                f"Channel {channel['ChannelName']}: S3DataType {source['S3DataType']} is not available in "
                "the "
                "sandbox; use S3Prefix or ManifestFile."
            )
    spot = params.get("EnableManagedSpotTraining")
    stopping = params.get("StoppingCondition") or {}
    wait, runtime = stopping.get("MaxWaitTimeInSeconds"), stopping.get("MaxRuntimeInSeconds")
    if wait is not None and not spot:
        raise errors.validation(
            "MaxWaitTimeInSeconds above 0 is not supported for training jobs without Managed Spot."
        )
    if spot and (wait is None or wait < (runtime or _DEFAULT_RUNTIME_SECONDS)):
        raise errors.validation(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds "
            f"({runtime or _DEFAULT_RUNTIME_SECONDS}); found {wait}."
        )
