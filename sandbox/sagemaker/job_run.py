"""What SageMaker does around the container of any job: its role, its folder, its log, its end."""

from __future__ import annotations

import shutil
import uuid
from abc import ABC, abstractmethod
from typing import Any

from sandbox.sagemaker import events, s3_data, shapes
from sandbox.sagemaker.containers import JobContainer
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.errors import ApiError
from sandbox.sagemaker.jobs import Job
from sandbox.sagemaker.store import Record

# API_DescribeTrainingJob, API_DescribeProcessingJob: FailureReason and ExitMessage, at most 1024 characters
MAX_REASON = 1024


def publish(context: Context, record: Record, api: str, detail_type: str) -> None:
    """Send the state-change event of a job (`api`: TrainingJob or ProcessingJob): its Describe answer."""
    with context.store.lock:
        answer = shapes.project(f"Describe{api}", record.values())
        tags = context.store.tags_of(record)
    context.events.emit(detail_type, events.describe_detail(f"Describe{api}", answer, tags), record.arn)


def shown_exit_code(code: int | None) -> int | None:
    """The code as a container runtime gives it: 137 for a process killed by signal 9."""
    return code if code is None or code >= 0 else 128 - code


class JobRun(ABC):
    """One job under way; `_stages` does the work."""

    def __init__(self, context: Context, record: Record, api: str) -> None:
        self._context = context
        self._record = record
        self._request = record.request
        self._tree = context.platform.root / f"{api[0].lower()}-{uuid.uuid4().hex[:8]}"
        stream = f"{record.name}/algo-1-{int(context.clock.now())}"
        self._write = context.logs.writer(f"/aws/sagemaker/{api}s", stream)
        self._container: JobContainer | None = None

    def run(self, job: Job) -> None:
        """Run the job to its end.

        Every outcome, errors of the sandbox included, ends in a terminal status and without a container.
        """
        try:
            self._stages(job)
        except (s3_data.DataError, ApiError) as error:
            text = error.message if isinstance(error, ApiError) else str(error)
            self._fail(f"ClientError: {text}")
        except Exception as error:
            self._fail(f"InternalServerError: {type(error).__name__}: {error}")
            raise
        finally:
            if self._container is not None:
                self._container.stop(grace_seconds=0)
            shutil.rmtree(self._tree, ignore_errors=True)
            self._context.logs.flush()

    @abstractmethod
    def _stages(self, job: Job) -> None:
        """Do everything between the first download and the last upload."""

    def _credentials(self) -> dict[str, str]:
        """The role's credentials of now: a job may take longer than a session of its role lasts."""
        return self._context.platform.role_credentials(self._request["RoleArn"], self._record.name[:64])

    def _s3(self) -> Any:
        """A client with the role's credentials of now, for what is to be moved next."""
        return self._context.platform.s3_client(self._credentials())

    @abstractmethod
    def _fail(self, reason: str) -> None:
        """End the job as failed."""

    def _environment(self, *, isolated: bool, **own: str) -> dict[str, str]:
        """The request's variables, the job's own, and where AWS is."""
        platform = self._context.platform
        values = {**(self._request.get("Environment") or {}), **own, "AWS_REGION": platform.region}
        return values if isolated else {**values, "AWS_ENDPOINT_URL": platform.endpoint_url}

    def _set(self, **fields: Any) -> None:
        with self._context.store.lock:
            self._record.modified = self._context.clock.now()
            self._record.fields |= fields
