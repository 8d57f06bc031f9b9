"""What SageMaker does around one processing container: inputs, the process, outputs at its end."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

from sandbox.sagemaker import events, s3_data, shapes
from sandbox.sagemaker.containers import JobContainer, ProcessingRequest
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.errors import ApiError
from sandbox.sagemaker.jobs import Job
from sandbox.sagemaker.store import Record

_GROUP = "/aws/sagemaker/ProcessingJobs"
_MAX_REASON = 1024  # API_DescribeProcessingJob: FailureReason and ExitMessage, at most 1024 characters


def publish(context: Context, record: Record) -> None:
    """Send the state-change event; its detail is the Describe answer."""
    with context.store.lock:
        answer = shapes.project("DescribeProcessingJob", record.values())
        tags = context.store.tags_of(record)
    detail = events.describe_detail("DescribeProcessingJob", answer, tags)
    context.events.emit(events.PROCESSING_JOB, detail, record.arn)


class ProcessingRun:
    """One processing job under way."""

    def __init__(self, context: Context, record: Record) -> None:
        self._context = context
        self._record = record
        self._request = record.request
        self._tree = context.platform.root / f"p-{uuid.uuid4().hex[:8]}"
        stream = f"{record.name}/algo-1-{int(context.clock.now())}"
        self._write = context.logs.writer(_GROUP, stream)

    def run(self, job: Job) -> None:
        """Run the job to its end; every outcome ends in a terminal status."""
        try:
            self._stages(job)
        except (s3_data.DataError, ApiError) as error:
            text = error.message if isinstance(error, ApiError) else str(error)
            self._end("Failed", FailureReason=f"ClientError: {text}")
        except Exception as error:
            self._end("Failed", FailureReason=f"InternalServerError: {type(error).__name__}: {error}")
            raise
        finally:
            shutil.rmtree(self._tree, ignore_errors=True)
            self._context.logs.flush()

    def _stages(self, job: Job) -> None:
        credentials = self._context.platform.role_credentials(
            self._request["RoleArn"], self._record.name[:64]
        )
        s3 = self._context.platform.s3_client(credentials)
        self._prepare(s3)
        with self._context.store.lock:
            self._record.fields["ProcessingStartTime"] = self._context.clock.now()
        container = self._context.containers.processing(self._container_request(credentials), self._write)
        container.start()
        exit_code, stopped = self._watch(container, job)
        if job.kill.is_set():
            self._end("Stopped")
            return
        self._upload(s3)
        if stopped is not None:
            self._end("Stopped", ExitMessage=stopped or None)
        elif exit_code == 0:
            self._end("Completed", ExitMessage=container.failure_text() or None)
        else:
            text = container.failure_text()
            self._end(
                "Failed",
                ExitMessage=text or None,
                FailureReason=f"AlgorithmError: {text}, exit code: {exit_code}",
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

    def _container_request(self, credentials: dict[str, str]) -> ProcessingRequest:
        platform = self._context.platform
        isolated = bool((self._request.get("NetworkConfig") or {}).get("EnableNetworkIsolation"))
        environment = {
            **(self._request.get("Environment") or {}),
            "PROCESSING_JOB_ARN": self._record.arn,
            "AWS_REGION": platform.region,
        }
        if not isolated:
            environment["AWS_ENDPOINT_URL"] = platform.endpoint_url
        app = self._request["AppSpecification"]
        return ProcessingRequest(
            job_name=self._record.name,
            tree=self._tree,
            environment=environment,
            network_isolation=isolated,
            credentials=None if isolated else credentials,
            region=platform.region,
            endpoint_url=platform.endpoint_url,
            entrypoint=list(app["ContainerEntrypoint"]),
            arguments=list(app.get("ContainerArguments") or []),
        )

    def _set(self, **fields: Any) -> None:
        with self._context.store.lock:
            self._record.modified = self._context.clock.now()
            self._record.fields |= fields

    def _end(self, status: str, **fields: str | None) -> None:
        cut = {key: value[:_MAX_REASON] if value else None for key, value in fields.items()}
        self._set(ProcessingJobStatus=status, ProcessingEndTime=self._context.clock.now(), **cut)
        publish(self._context, self._record)
