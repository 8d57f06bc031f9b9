"""Jobs that are killed, hang, cannot store what they made, or outlast the credentials of their role."""

from __future__ import annotations

import io
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from sandbox.sagemaker import archive
from sandbox.sagemaker.containers import OnLine, TrainingRequest
from sandbox.sagemaker.errors import validation
from tests.sandbox.sagemaker.fakes import FakeS3, s3_error, within
from tests.sandbox.sagemaker.harness import FAST, Service
from tests.sandbox.sagemaker.test_training_jobs import ended, request

MODEL = ("artifacts", "training/flights/job-1/output/model.tar.gz")


def _stores(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
    (made.tree / "model" / "model.joblib").write_bytes(b"m" * 1000)
    return 0


def _assert_nothing_is_left(service: Service) -> None:
    with within() as wait:  # a job has ended as soon as it says so, and cleans up after it
        wait(lambda: not list(service.platform.root.iterdir()))
    assert all(job.wait(0) is not None for job in service.containers.jobs), "no container"


def _last_event(service: Service) -> dict[str, Any]:
    service.sagemaker.flush()
    return service.platform.events_of("SageMaker Training Job State Change")[-1]


def test_a_killed_container_fails_its_job_with_the_signals_exit_code_and_leaves_nothing(
    service: Service,
) -> None:
    def killed(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        (made.tree / "model" / "model.joblib").write_bytes(b"half")
        return -9

    service.containers.script = killed
    service("CreateTrainingJob", **request())
    job = ended(service)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"] == "AlgorithmError: , exit code: 137"
    assert _last_event(service)["TrainingJobStatus"] == "Failed"
    # As on AWS what it left is stored; that it does not load is the model's own matter.
    with tarfile.open(fileobj=io.BytesIO(service.platform.s3.objects[MODEL])) as tar:
        assert tar.getnames() == ["model.joblib"]
    _assert_nothing_is_left(service)


def test_a_job_that_may_not_store_its_model_fails_with_the_reason(service: Service) -> None:
    service.containers.script = _stores
    service.platform.s3.denied.append("artifacts/training")
    service("CreateTrainingJob", **request())
    job = ended(service)
    assert job["TrainingJobStatus"] == "Failed"
    where = "s3://artifacts/training/flights/job-1/output/model.tar.gz"
    assert job["FailureReason"] == f"ClientError: PutObject failed for {where}: AccessDenied: AccessDenied"
    assert _last_event(service)["FailureReason"] == job["FailureReason"]
    assert MODEL not in service.platform.s3.objects
    _assert_nothing_is_left(service)


def test_a_job_whose_upload_meets_an_outage_fails_and_another_one_goes_through(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.containers.script = _stores
    with monkeypatch.context() as patch:

        def unavailable(self: FakeS3, **_options: Any) -> dict[str, Any]:
            raise s3_error("ServiceUnavailable", "PutObject", 503)

        patch.setattr(FakeS3, "put_object", unavailable)
        service("CreateTrainingJob", **request())
        job = ended(service)
    assert job["TrainingJobStatus"] == "Failed"
    assert "ServiceUnavailable" in job["FailureReason"]
    service("CreateTrainingJob", **request("job-2"))
    assert ended(service, "job-2")["TrainingJobStatus"] == "Completed"
    _assert_nothing_is_left(service)


def test_a_job_whose_second_upload_fails_is_not_completed(service: Service) -> None:
    """The model is stored, what was measured of it is not."""

    def both(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        (made.tree / "output/data/evaluation.json").write_text("{}")
        return _stores(made, on_line, stop)

    service.containers.script = both
    service.platform.s3.denied.append("artifacts/training/flights/job-1/output/output.tar.gz")
    service("CreateTrainingJob", **request())
    job = ended(service)
    assert job["TrainingJobStatus"] == "Failed"
    assert "output.tar.gz: AccessDenied" in job["FailureReason"]


def test_a_full_disk_while_the_model_is_packed_fails_the_job_with_that_reason(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_folder: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(archive, "pack", full)
    service.containers.script = _stores
    service("CreateTrainingJob", **request())
    job = ended(service)
    assert job["TrainingJobStatus"] == "Failed"
    assert "No space left on device" in job["FailureReason"]
    assert MODEL not in service.platform.s3.objects
    _assert_nothing_is_left(service)


def test_a_hanging_job_ends_at_its_limit_with_a_clean_status_and_an_event(service: Service) -> None:
    service.containers.script = lambda made, on_line, stop: stop.wait(30) and -15
    service("CreateTrainingJob", **request(StoppingCondition={"MaxRuntimeInSeconds": 1}))
    job = ended(service)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert "MaxRuntimeInSeconds" in job["SecondaryStatusTransitions"][-1]["StatusMessage"]
    assert "FailureReason" not in job
    event = _last_event(service)
    assert (event["TrainingJobStatus"], event["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    _assert_nothing_is_left(service)


class _Sessions:
    """Credentials by number; the S3 client of one that is over refuses, as S3 does."""

    def __init__(self, service: Service) -> None:
        self.number, self.service = 0, service

    def role_credentials(self, role_arn: str, session_name: str) -> dict[str, str]:
        if role_arn not in self.service.platform.roles:
            raise validation(f"Could not assume role {role_arn}.")
        return {"AWS_ACCESS_KEY_ID": str(self.number), "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}

    def s3_client(self, credentials: dict[str, str]) -> Any:
        if int(credentials["AWS_ACCESS_KEY_ID"]) == self.number:
            return self.service.platform.s3
        over = FakeS3()

        def refuse(**_options: Any) -> dict[str, Any]:
            raise s3_error("ExpiredToken", "PutObject", 400)

        over.put_object = refuse  # type: ignore[method-assign]
        return over


def test_a_job_longer_than_the_credentials_of_its_role_still_stores_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(tmp_path / "r", FAST)
    sessions = _Sessions(service)
    monkeypatch.setattr(service.platform, "role_credentials", sessions.role_credentials)
    monkeypatch.setattr(service.platform, "s3_client", sessions.s3_client)

    def longer(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        sessions.number += 1  # the session that the job began with is over
        return _stores(made, on_line, stop)

    service.containers.script = longer
    service("CreateTrainingJob", **request())
    job = ended(service)
    service.close()
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert MODEL in service.platform.s3.objects
