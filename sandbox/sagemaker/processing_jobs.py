"""The operations on processing jobs; processing_run.py does the work."""

from __future__ import annotations

from typing import Any

from sandbox.sagemaker import errors, shapes
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.jobs import Jobs
from sandbox.sagemaker.listing import Listing
from sandbox.sagemaker.processing_run import ProcessingRun, publish
from sandbox.sagemaker.store import Record

KIND = "processing_job"
_TERMINAL = ("Completed", "Failed", "Stopped")
_DEFAULT_RUNTIME_SECONDS = 86_400  # API_ProcessingStoppingCondition: 24 hours when not given
_LISTING = Listing(
    "ListProcessingJobs",
    "ProcessingJobSummaries",
    "ProcessingJobName",
    "ProcessingJobStatus",
    descending=False,
)
_ROOT = "/opt/ml/processing/"


class ProcessingJobs:
    """CreateProcessingJob and the rest."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._jobs = Jobs("processing", context.settings.max_parallel_jobs)

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """CreateProcessingJob: checks, stores, starts."""
        name = params["ProcessingJobName"]
        _check(params)
        self._context.platform.role_credentials(params["RoleArn"], "SageMaker")
        store = self._context.store
        with store.lock:
            if (taken := store.find(KIND, name)) is not None:
                raise errors.processing_job_exists(taken.arn)
            record = store.add(KIND, name, params, self._context.clock.now())
            record.request.setdefault("StoppingCondition", {"MaxRuntimeInSeconds": _DEFAULT_RUNTIME_SECONDS})
            record.fields |= {"ProcessingJobArn": record.arn, "ProcessingJobStatus": "InProgress"}
        publish(self._context, record)
        self._jobs.start(name, ProcessingRun(self._context, record).run)
        return shapes.project("CreateProcessingJob", {"ProcessingJobArn": record.arn})

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """DescribeProcessingJob."""
        with self._context.store.lock:
            return shapes.project("DescribeProcessingJob", self._record(params).values())

    def list_all(self, params: dict[str, Any]) -> dict[str, Any]:
        """ListProcessingJobs."""
        with self._context.store.lock:
            return _LISTING.page(self._context.store.all(KIND), params)

    def stop(self, params: dict[str, Any]) -> dict[str, Any]:
        """StopProcessingJob: SIGTERM, SIGKILL after the grace."""
        with self._context.store.lock:
            record = self._record(params)
            status = record.fields["ProcessingJobStatus"]
            if status in _TERMINAL:
                raise errors.job_not_stoppable("processing", status)
            self._jobs.request_stop(record.name)
        return {}

    def kill(self) -> None:
        """Tell every job to end at once."""
        self._jobs.kill()

    def close(self) -> None:
        """End every job."""
        self._jobs.close()

    def _record(self, params: dict[str, Any]) -> Record:
        name = params["ProcessingJobName"]
        record = self._context.store.find(KIND, name)
        if record is None:
            raise errors.processing_job_missing(name)
        return record


def _check(params: dict[str, Any]) -> None:
    if not params["AppSpecification"].get("ContainerEntrypoint"):
        raise errors.validation(
            "AppSpecification.ContainerEntrypoint is missing: the sandbox runs the entrypoint as a "
            "process and knows "
            "none of the image's own."
        )
    for item in params.get("ProcessingInputs") or []:
        s3 = item.get("S3Input")
        if s3 is None:
            raise errors.validation(f"ProcessingInput {item['InputName']}: the sandbox reads S3Input only.")
        if not str(s3.get("LocalPath") or "").startswith(_ROOT):
            raise errors.validation(
                f"ProcessingInput {item['InputName']}: LocalPath must be a folder below {_ROOT}, "
                f"found {s3.get('LocalPath')}."
            )
    for item in (params.get("ProcessingOutputConfig") or {}).get("Outputs") or []:
        s3 = item.get("S3Output")
        if s3 is None:
            raise errors.validation(f"Output {item['OutputName']}: the sandbox writes S3Output only.")
        if not str(s3.get("LocalPath") or "").startswith(_ROOT):
            raise errors.validation(
                f"Output {item['OutputName']}: LocalPath must be a folder below {_ROOT}, "
                f"found {s3.get('LocalPath')}."
            )
