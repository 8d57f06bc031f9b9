"""The operations that training and processing jobs have in common."""

from __future__ import annotations

from typing import Any

from sandbox.sagemaker import errors, shapes
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.jobs import Jobs
from sandbox.sagemaker.listing import Listing
from sandbox.sagemaker.store import Record

TERMINAL = ("Completed", "Failed", "Stopped")


class JobOperations:
    """Describe, List and Stop of one kind of job; `noun` is training or processing."""

    def __init__(self, context: Context, noun: str) -> None:
        self._context = context
        self._noun = noun
        self._kind = f"{noun}_job"
        self._api = f"{noun.capitalize()}Job"
        self._listing = Listing(
            f"List{self._api}s",
            f"{self._api}Summaries",
            f"{self._api}Name",
            f"{self._api}Status",
            descending=False,
        )
        self._jobs = Jobs(noun, context.settings.max_parallel_jobs)

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """Describe a job."""
        with self._context.store.lock:
            return shapes.project(f"Describe{self._api}", self._record(params).values())

    def list_all(self, params: dict[str, Any]) -> dict[str, Any]:
        """List the jobs."""
        with self._context.store.lock:
            return self._listing.page(self._context.store.all(self._kind), params)

    def stop(self, params: dict[str, Any]) -> dict[str, Any]:
        """Stop a job: SIGTERM to the container, SIGKILL after 120 s; what it saved is still uploaded."""
        with self._context.store.lock:
            record = self._record(params)
            status = record.fields[f"{self._api}Status"]
            if status in TERMINAL:
                raise errors.job_not_stoppable(self._noun, status)
            self._jobs.request_stop(record.name)
        return {}

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """Delete a job that has ended; its name is free again afterwards.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteProcessingJob.html
        """
        store = self._context.store
        with store.lock:
            record = self._record(params)
            status = record.fields[f"{self._api}Status"]
            if status not in TERMINAL:
                raise errors.in_use(
                    f"{self._noun.capitalize()} job {record.arn} is in status {status}; only jobs in status "
                    "Completed, Failed or Stopped can be deleted. Stop it and wait."
                )
            store.remove(record)
        return {}

    def kill(self) -> None:
        """Tell every job to end at once."""
        self._jobs.kill()

    def close(self) -> None:
        """End every job."""
        self._jobs.close()

    def _record(self, params: dict[str, Any]) -> Record:
        name = params[f"{self._api}Name"]
        record = self._context.store.find(self._kind, name)
        if record is None:
            raise errors.job_missing(self._noun, name)
        return record
