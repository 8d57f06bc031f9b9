"""What SageMaker does around one training container, from the first download to the last upload.

Order and names of the stages: API_DescribeTrainingJob, SecondaryStatus. A failed job uploads what it left,
too.
"""

from __future__ import annotations

import math
import re
import shutil
from typing import Any

from sandbox.sagemaker import archive, events, job_run, s3_data
from sandbox.sagemaker.containers import JobContainer, TrainingRequest
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.job_run import MAX_REASON, JobRun
from sandbox.sagemaker.jobs import Job
from sandbox.sagemaker.store import Record

_INTERRUPTED = "Interrupted"
_NAMESPACE = "/aws/sagemaker/TrainingJobs"

_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "Interrupted": "Training job interrupted: the spot instance was taken back",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


def artifact_uri(record: Record, name: str) -> str:
    """Where an artefact of the job goes: <S3OutputPath>/<job>/output/<name>."""
    return f"{record.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{record.name}/output/{name}"


def publish(context: Context, record: Record) -> None:
    """Send the state-change event."""
    job_run.publish(context, record, "TrainingJob", events.TRAINING_JOB)


class TrainingRun(JobRun):
    """One training job under way."""

    def __init__(self, context: Context, record: Record) -> None:
        super().__init__(context, record, "TrainingJob")
        self._interrupted = False
        self._metrics: dict[str, dict[str, Any]] = {}
        self._patterns = [
            (definition["Name"], re.compile(definition["Regex"]))
            for definition in (self._request.get("AlgorithmSpecification") or {}).get("MetricDefinitions")
            or []
        ]

    def run(self, job: Job) -> None:
        """Run the job to its end."""
        self._set(TrainingStartTime=self._context.clock.now())
        super().run(job)

    def _stages(self, job: Job) -> None:
        while True:
            self._transition("Downloading")
            self._download(self._s3())
            if job.stop.is_set():
                self._transition("Stopping", "Stopping")
                self._end("Stopped", "Stopped")
                return
            self._transition("Training")
            container = self._context.containers.training(self._container_request(), self._line)
            self._container = container
            container.start()
            exit_code, ended = self._watch(container, job)
            self._container = None
            if ended != _INTERRUPTED:
                break
            self._start_again(self._s3())
        if job.kill.is_set():
            self._end("Stopped", "Stopped")
            return
        self._context.logs.flush()
        self._publish_metrics()
        if ended is None:
            self._transition("Uploading")
        self._upload(self._s3())
        if ended is not None:
            self._end("Stopped", ended)
        elif exit_code == 0:
            self._end("Completed", "Completed")
        else:
            text = container.failure_text()
            code = job_run.shown_exit_code(exit_code)
            self._end("Failed", "Failed", f"AlgorithmError: {text[:MAX_REASON]}, exit code: {code}")

    def _watch(self, container: JobContainer, job: Job) -> tuple[int | None, str | None]:
        """Wait for the container.

        Returns its exit code, or the secondary status of a job that was stopped.
        """
        settings, clock = self._context.settings, self._context.clock
        deadline = clock.now() + self._request["StoppingCondition"]["MaxRuntimeInSeconds"]
        taken_back = clock.now() + self._seconds_until_interruption()
        while True:
            exit_code = container.wait(settings.poll_seconds)
            if exit_code is not None and not job.stop.is_set():
                return exit_code, None
            if job.stop.is_set():
                self._transition("Stopping", "Stopping")
                container.stop(grace_seconds=0 if job.kill.is_set() else settings.stop_grace_seconds)
                return exit_code, "Stopped"
            if clock.now() >= taken_back:
                container.stop(grace_seconds=settings.stop_grace_seconds)
                return exit_code, _INTERRUPTED
            if clock.now() >= deadline:
                self._transition("Stopping", "Stopping")
                container.stop(grace_seconds=settings.stop_grace_seconds)
                return exit_code, "MaxRuntimeExceeded"

    def _seconds_until_interruption(self) -> float:
        """Until the spot instance is taken back: once, and never from another job."""
        seconds = self._context.settings.spot_interruption_seconds
        spot = self._request.get("EnableManagedSpotTraining")
        return seconds if seconds is not None and spot and not self._interrupted else math.inf

    def _start_again(self, s3: Any) -> None:
        """Wait for another instance: of what the container made, only the checkpoints are kept.

        https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html
        """
        self._interrupted = True
        self._upload_checkpoints(s3)
        self._transition("Interrupted")
        shutil.rmtree(self._tree, ignore_errors=True)
        self._transition("Starting")

    def _download(self, s3: Any) -> None:
        for folder in ("input/config", "input/data", "model", "output/data"):
            (self._tree / folder).mkdir(parents=True, exist_ok=True)
        for channel in self._request.get("InputDataConfig") or []:
            s3_data.fetch_source(
                s3,
                channel["DataSource"]["S3DataSource"],
                self._tree / "input/data" / channel["ChannelName"],
                channel.get("CompressionType", "None"),
                region=self._context.platform.region,
                role=self._request["RoleArn"],
            )

        checkpoints = self._request.get("CheckpointConfig")
        if checkpoints:
            (self._tree / "checkpoints").mkdir()
            s3_data.fetch_folder(s3, checkpoints["S3Uri"], self._tree / "checkpoints")

    def _container_request(self) -> TrainingRequest:
        platform, request = self._context.platform, self._request
        isolated = bool(request.get("EnableNetworkIsolation"))
        algorithm = request["AlgorithmSpecification"]
        return TrainingRequest(
            job_name=self._record.name,
            tree=self._tree,
            hyperparameters=dict(request.get("HyperParameters") or {}),
            environment=self._environment(
                isolated=isolated,
                TRAINING_JOB_NAME=self._record.name,
                TRAINING_JOB_ARN=self._record.arn,
            ),
            channels={channel["ChannelName"]: channel for channel in request.get("InputDataConfig") or []},
            instance_type=request["ResourceConfig"].get("InstanceType", "ml.m5.large"),
            instance_count=request["ResourceConfig"].get("InstanceCount", 1),
            network_isolation=isolated,
            credentials=None if isolated else self._credentials(),
            region=platform.region,
            endpoint_url=platform.endpoint_url,
            entrypoint=algorithm.get("ContainerEntrypoint"),
            arguments=algorithm.get("ContainerArguments"),
        )

    def _upload(self, s3: Any) -> None:
        """Send model.tar.gz, output.tar.gz when output/data holds something, and the checkpoints."""
        key = self._request["OutputDataConfig"].get("KmsKeyId")
        for folder, name, always in (
            ("model", "model.tar.gz", True),
            ("output/data", "output.tar.gz", False),
        ):
            source = self._tree / folder
            if not always and not any(source.iterdir()):
                continue
            packed = self._tree / name
            archive.pack(source, packed)
            s3_data.upload(s3, packed, artifact_uri(self._record, name), key)
        self._upload_checkpoints(s3)

    def _upload_checkpoints(self, s3: Any) -> None:
        checkpoints = self._request.get("CheckpointConfig")
        if checkpoints:
            key = self._request["OutputDataConfig"].get("KmsKeyId")
            s3_data.upload_folder(s3, self._tree / "checkpoints", checkpoints["S3Uri"], key)

    def _line(self, line: str) -> None:
        self._write(line)
        for name, pattern in self._patterns:
            match = pattern.search(line)
            if match is None:
                continue
            try:
                value = float(match.group(1) if pattern.groups else match.group(0))
            except (TypeError, ValueError):
                continue  # the pattern matched something that is no number: AWS records nothing either
            self._metrics[name] = {
                "MetricName": name,
                "Value": value,
                "Timestamp": self._context.clock.now(),
            }

    def _publish_metrics(self) -> None:
        final = list(self._metrics.values())
        if not final:
            return
        self._set(FinalMetricDataList=final)
        # The namespace and dimension that the SageMaker SDK's TrainingJobAnalytics queries.
        dimensions = [{"Name": "TrainingJobName", "Value": self._record.name}]
        self._context.platform.put_metrics(_NAMESPACE, [{**m, "Dimensions": dimensions} for m in final])

    def _transition(
        self, secondary: str, status: str = "InProgress", *, message: str | None = None, **fields: Any
    ) -> None:
        now = self._context.clock.now()
        entry: dict[str, Any] = {
            "Status": secondary,
            "StartTime": now,
            "StatusMessage": message or _MESSAGES[secondary],
        }
        if status in ("Completed", "Failed", "Stopped"):
            entry["EndTime"] = now
        with self._context.store.lock:
            done = [dict(item) for item in self._record.fields["SecondaryStatusTransitions"]]
            done[-1].setdefault("EndTime", now)
            self._record.modified = now
            self._record.fields |= {
                "TrainingJobStatus": status,
                "SecondaryStatus": secondary,
                "SecondaryStatusTransitions": [*done, entry],
                **fields,
            }
        publish(self._context, self._record)

    def _fail(self, reason: str) -> None:
        self._end("Failed", "Failed", reason)

    def _end(self, status: str, secondary: str, reason: str | None = None) -> None:
        now = self._context.clock.now()
        seconds = max(1, round(now - self._record.fields["TrainingStartTime"]))
        fields: dict[str, Any] = {
            "TrainingEndTime": now,
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": seconds,
        }
        if reason:
            reason = reason[:MAX_REASON]
            fields["FailureReason"] = reason
        self._transition(secondary, status, message=reason, **fields)
