"""The operations on processing jobs; processing_run.py does the work."""

from __future__ import annotations

from typing import Any

from sandbox.sagemaker import errors, shapes
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.job_operations import JobOperations
from sandbox.sagemaker.processing_run import ProcessingRun, publish

_DEFAULT_RUNTIME_SECONDS = 86_400  # API_ProcessingStoppingCondition: 24 hours when not given
_ROOT = "/opt/ml/processing/"


class ProcessingJobs(JobOperations):
    """CreateProcessingJob and the rest."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "processing")

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """CreateProcessingJob: checks, stores, starts."""
        name = params["ProcessingJobName"]
        _check(params)
        self._context.platform.role_credentials(params["RoleArn"], "SageMaker")
        store = self._context.store
        with store.lock:
            if (taken := store.find(self._kind, name)) is not None:
                raise errors.processing_job_exists(taken.arn)
            record = store.add(self._kind, name, params, self._context.clock.now())
            record.request.setdefault("StoppingCondition", {"MaxRuntimeInSeconds": _DEFAULT_RUNTIME_SECONDS})
            record.fields |= {"ProcessingJobArn": record.arn, "ProcessingJobStatus": "InProgress"}
        publish(self._context, record)
        self._jobs.start(name, ProcessingRun(self._context, record).run)
        return shapes.project("CreateProcessingJob", {"ProcessingJobArn": record.arn})


def _check(params: dict[str, Any]) -> None:
    if not params["AppSpecification"].get("ContainerEntrypoint"):
        raise errors.validation(
            "AppSpecification.ContainerEntrypoint is missing: the sandbox runs the entrypoint as a "
            "process and knows "
            "none of the image's own."
        )
    for item in params.get("ProcessingInputs") or []:
        _check_place(f"ProcessingInput {item['InputName']}", item.get("S3Input"), "reads S3Input only")
    for item in (params.get("ProcessingOutputConfig") or {}).get("Outputs") or []:
        _check_place(f"Output {item['OutputName']}", item.get("S3Output"), "writes S3Output only")


def _check_place(what: str, s3: dict[str, Any] | None, known: str) -> None:
    if s3 is None:
        raise errors.validation(f"{what}: the sandbox {known}.")
    path = s3.get("LocalPath")
    if not str(path or "").startswith(_ROOT):
        raise errors.validation(f"{what}: LocalPath must be a folder below {_ROOT}, found {path}.")
