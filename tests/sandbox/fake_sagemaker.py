"""A SageMaker that runs nothing, and a sandbox around it: `python -m tests.sandbox.fake_sagemaker`.

Jobs end by their name: one with `fail` in it fails, one with `wait` runs until it is stopped.
"""

from __future__ import annotations

import time
from typing import Any

from sandbox import server
from sandbox.sagemaker.errors import ApiError, validation
from sandbox.sagemaker.platform import Platform

JOB_SECONDS = 0.5


class FakeSageMaker:
    """Remembers what it was asked, and moves training jobs to their end by the clock."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._jobs: dict[str, dict[str, Any]] = {}

    async def handle(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        method = getattr(self, f"_{operation}", None)
        if method is None:
            raise ApiError("UnknownOperationException", operation)
        answer: dict[str, Any] = method(params)
        return answer

    async def invoke_endpoint(
        self, name: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Type": headers.get("content-type", "text/csv")}, name.encode() + b":" + body

    def counts(self) -> dict[str, int]:
        return {"training_job": len(self._jobs)}

    async def close(self) -> None:
        self._jobs.clear()

    def _CreateTrainingJob(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = params["TrainingJobName"]
        if name in self._jobs:
            raise ApiError("ResourceInUse", f"{name} exists")
        self._platform.role_credentials(params["RoleArn"], name)
        self._jobs[name] = {**params, "CreationTime": time.time(), "Stopped": False}
        return {"TrainingJobArn": f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{name}"}

    def _DescribeTrainingJob(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        job = self._jobs.get(params["TrainingJobName"])
        if job is None:
            raise validation("Requested resource not found.")
        name = params["TrainingJobName"]
        ended = "wait" not in name and time.time() > job["CreationTime"] + JOB_SECONDS
        status = "Stopped" if job["Stopped"] else "InProgress"
        if ended:
            status = "Failed" if "fail" in name else "Completed"
        answer = {"TrainingJobName": name, "TrainingJobStatus": status, "CreationTime": job["CreationTime"]}
        return answer | ({"FailureReason": "AlgorithmError: told to"} if status == "Failed" else {})

    def _StopTrainingJob(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._jobs[params["TrainingJobName"]]["Stopped"] = True
        return {}

    def _CreateProcessingJob(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = params["ProcessingJobName"]
        self._platform.role_credentials(params["RoleArn"], name)
        self._jobs[name] = {**params, "CreationTime": time.time(), "Stopped": False}
        return {"ProcessingJobArn": f"arn:aws:sagemaker:us-east-1:000000000000:processing-job/{name}"}

    def _DescribeProcessingJob(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = params["ProcessingJobName"]
        job = self._DescribeTrainingJob({"TrainingJobName": name})
        kept = {key: value for key, value in job.items() if not key.startswith("TrainingJob")}
        return {"ProcessingJobName": name, "ProcessingJobStatus": job["TrainingJobStatus"], **kept}

    def _StopProcessingJob(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._jobs[params["ProcessingJobName"]]["Stopped"] = True
        return {}

    def _ListTags(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Tags": self._jobs[params["ResourceArn"].rpartition("/")[2]]["Tags"]}

    def _DescribeEndpoint(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if params["EndpointName"] != "there":
            raise validation('Could not find endpoint "missing".')
        return {
            "EndpointName": "there",
            "EndpointArn": "arn:aws:sagemaker:us-east-1:000000000000:endpoint/there",
            "EndpointStatus": "InService",
            "CreationTime": 1_700_000_000.5,
            "LastModifiedTime": 1_700_000_000.5,
        }

    def __getattr__(self, name: str) -> Any:
        """Everything that only creates succeeds."""
        if name.startswith(("_Create", "_Update", "_Delete", "_List", "_Describe")):
            return lambda _params: {}
        raise AttributeError(name)


if __name__ == "__main__":
    raise SystemExit(server.main(sagemaker=lambda account, _wait_scale: FakeSageMaker(account)))
