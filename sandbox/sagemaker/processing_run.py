"""What SageMaker does around one processing container: inputs, the process, outputs at its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sandbox.sagemaker import events, job_run, s3_data
from sandbox.sagemaker.containers import JobContainer, ProcessingRequest
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.job_run import MAX_REASON, JobRun
from sandbox.sagemaker.jobs import Job
from sandbox.sagemaker.store import Record


def publish(context: Context, record: Record) -> None:
    """Send the state-change event."""
    job_run.publish(context, record, "ProcessingJob", events.PROCESSING_JOB)


class ProcessingRun(JobRun):
    """One processing job under way."""

    def __init__(self, context: Context, record: Record) -> None:
        super().__init__(context, record, "ProcessingJob")

    def _stages(self, job: Job) -> None:
        self._prepare(self._s3())
        self._set(ProcessingStartTime=self._context.clock.now())
        container = self._context.containers.processing(self._container_request(), self._write)
        self._container = container
        container.start()
        exit_code, stopped = self._watch(container, job)
        self._container = None
        if job.kill.is_set():
            self._end("Stopped")
            return
        self._upload(self._s3())
        if stopped is not None:
            self._end("Stopped", ExitMessage=stopped or None)
        elif exit_code == 0:
            self._end("Completed", ExitMessage=container.failure_text() or None)
        else:
            text = container.failure_text()
            self._end(
                "Failed",
                ExitMessage=text or None,
                FailureReason=f"AlgorithmError: {text}, exit code: {job_run.shown_exit_code(exit_code)}",
            )

    def _watch(self, container: JobContainer, job: Job) -> tuple[int | None, str | None]:
        settings, clock = self._context.settings, self._context.clock
        limit = self._request["StoppingCondition"]["MaxRuntimeInSeconds"]
        deadline = clock.now() + limit
        while True:
            exit_code = container.wait(settings.poll_seconds)
            if exit_code is not None and not job.stop.is_set():
                return exit_code, None
            late = clock.now() >= deadline
            if job.stop.is_set() or late:
                self._set(ProcessingJobStatus="Stopping")
                publish(self._context, self._record)
                container.stop(grace_seconds=0 if job.kill.is_set() else settings.stop_grace_seconds)
                return exit_code, f"The job exceeded MaxRuntimeInSeconds ({limit})." if late else ""

    def _prepare(self, s3: Any) -> None:
        config = self._tree / "config"
        config.mkdir(parents=True)
        (config / "processingjobconfig.json").write_text(
            json.dumps({**self._request, "ProcessingJobArn": self._record.arn}), encoding="utf-8"
        )
        hosts = {"current_host": "algo-1", "hosts": ["algo-1"]}
        (config / "resourceconfig.json").write_text(json.dumps(hosts), encoding="utf-8")
        for item in self._request.get("ProcessingInputs") or []:
            source = item["S3Input"]
            s3_data.fetch_source(
                s3,
                source,
                self._local(source["LocalPath"]),
                source.get("S3CompressionType", "None"),
                region=self._context.platform.region,
                role=self._request["RoleArn"],
            )
        for item in self._outputs():
            self._local(item["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)

    def _upload(self, s3: Any) -> None:
        key = (self._request.get("ProcessingOutputConfig") or {}).get("KmsKeyId")
        for item in self._outputs():
            target = item["S3Output"]
            s3_data.upload_folder(s3, self._local(target["LocalPath"]), target["S3Uri"], key)

    def _outputs(self) -> list[dict[str, Any]]:
        return list((self._request.get("ProcessingOutputConfig") or {}).get("Outputs") or [])

    def _local(self, path: str) -> Path:
        """`/opt/ml/processing/x` in the job's tree; raises DataError for a path that leaves it."""
        parts = path.removeprefix("/opt/ml/")
        if ".." in Path(parts).parts or parts.startswith("/"):
            raise s3_data.DataError(f"LocalPath {path} is not below /opt/ml/processing")
        return self._tree / parts

    def _container_request(self) -> ProcessingRequest:
        platform = self._context.platform
        isolated = bool((self._request.get("NetworkConfig") or {}).get("EnableNetworkIsolation"))
        app = self._request["AppSpecification"]
        return ProcessingRequest(
            job_name=self._record.name,
            tree=self._tree,
            environment=self._environment(isolated=isolated, PROCESSING_JOB_ARN=self._record.arn),
            network_isolation=isolated,
            credentials=None if isolated else self._credentials(),
            region=platform.region,
            endpoint_url=platform.endpoint_url,
            entrypoint=list(app["ContainerEntrypoint"]),
            arguments=list(app.get("ContainerArguments") or []),
        )

    def _fail(self, reason: str) -> None:
        self._end("Failed", FailureReason=reason)

    def _end(self, status: str, **fields: str | None) -> None:
        cut = {key: value[:MAX_REASON] if value else None for key, value in fields.items()}
        self._set(ProcessingJobStatus=status, ProcessingEndTime=self._context.clock.now(), **cut)
        publish(self._context, self._record)
