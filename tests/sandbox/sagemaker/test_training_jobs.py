from __future__ import annotations

import io
import json
import tarfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.sagemaker.containers import OnLine, TrainingRequest
from tests.sandbox.sagemaker.fakes import IMAGE, ROLE, FakeJob, FakeS3, within
from tests.sandbox.sagemaker.harness import FAST, Service

LOGS = "/aws/sagemaker/TrainingJobs"


def request(name: str = "job-1", **more: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://artifacts/training/flights"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **more,
    }


def channel(name: str, uri: str, kind: str = "S3Prefix", **more: Any) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": uri}},
        **more,
    }


def ended(service: Service, name: str = "job-1") -> dict[str, Any]:
    return service.until(
        "DescribeTrainingJob",
        "TrainingJobStatus",
        "Completed",
        "Failed",
        "Stopped",
        TrainingJobName=name,
    )


def unpacked(s3: FakeS3, key: str) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(s3.objects["artifacts", key])) as tar:
        return {member.name: file.read() for member in tar if (file := tar.extractfile(member)) is not None}


def test_a_job_goes_through_the_documented_stages_and_leaves_its_artefacts(service: Service) -> None:
    service.platform.s3.objects["data", "train/a.csv"] = b"1,2"

    def script(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        assert (made.tree / "input/data/train/a.csv").read_bytes() == b"1,2"
        (made.tree / "model/model.joblib").write_bytes(b"m")
        (made.tree / "output/data/evaluation.json").write_text("{}")
        return 0

    service.containers.script = script
    answer = service(
        "CreateTrainingJob",
        **request(InputDataConfig=[channel("train", "s3://data/train/")], HyperParameters={"depth": "3"}),
    )
    assert answer["TrainingJobArn"] == "arn:aws:sagemaker:us-east-1:000000000000:training-job/job-1"
    job = ended(service)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    stages = [stage["Status"] for stage in job["SecondaryStatusTransitions"]]
    assert stages == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(stage["EndTime"] >= stage["StartTime"] for stage in job["SecondaryStatusTransitions"])
    artifact = "training/flights/job-1/output/model.tar.gz"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://artifacts/{artifact}"
    assert unpacked(service.platform.s3, artifact) == {"model.joblib": b"m"}
    output = unpacked(service.platform.s3, "training/flights/job-1/output/output.tar.gz")
    assert output == {"evaluation.json": b"{}"}
    assert job["HyperParameters"] == {"depth": "3"}
    assert job["TrainingTimeInSeconds"] >= 1


def test_the_same_model_folder_gives_the_same_archive_bytes(service: Service) -> None:
    def script(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        (made.tree / "model/code").mkdir()
        (made.tree / "model/code/b.py").write_text("b")
        (made.tree / "model/a.json").write_text("a")
        return 0

    service.containers.script = script
    for name in ("job-1", "job-2"):
        service("CreateTrainingJob", **request(name))
        ended(service, name)
    objects = service.platform.s3.objects
    first, second = (
        objects["artifacts", f"training/flights/{name}/output/model.tar.gz"] for name in ("job-1", "job-2")
    )
    assert first == second


def test_a_failing_container_gives_its_failure_file_and_exit_code_as_the_reason(service: Service) -> None:
    def script(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        (made.tree / "output/failure").write_text("no rows left after the filter")
        return 1

    service.containers.script = script
    service("CreateTrainingJob", **request())
    job = ended(service)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: no rows left after the filter, exit code: 1"


def test_a_long_failure_text_is_cut_to_1024_characters(service: Service) -> None:
    def script(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        (made.tree / "output/failure").write_text("x" * 5000)
        return 3

    service.containers.script = script
    service("CreateTrainingJob", **request())
    assert len(ended(service)["FailureReason"]) == 1024


def test_a_channel_without_objects_fails_the_job_before_the_container_starts(service: Service) -> None:
    service("CreateTrainingJob", **request(InputDataConfig=[channel("train", "s3://data/none/")]))
    job = ended(service)
    assert job["FailureReason"].startswith('ClientError: No S3 objects found under S3 URL "s3://data/none/"')
    assert service.containers.jobs == []


def test_a_role_without_rights_on_the_data_fails_the_job_with_access_denied(service: Service) -> None:
    service.platform.s3.objects["data", "train/a.csv"] = b"1"
    service.platform.s3.denied = ["data/"]
    service("CreateTrainingJob", **request(InputDataConfig=[channel("train", "s3://data/train/")]))
    reason = ended(service)["FailureReason"]
    assert reason.startswith("ClientError: Data download failed:")
    assert "AccessDenied" in reason


def test_a_role_that_may_not_write_the_artefact_fails_the_job(service: Service) -> None:
    service.platform.s3.denied = ["artifacts/"]
    service("CreateTrainingJob", **request())
    reason = ended(service)["FailureReason"]
    assert reason.startswith(
        "ClientError: PutObject failed for s3://artifacts/training/flights/job-1/output/"
    )


def test_a_manifest_channel_holds_its_files_at_their_paths_below_the_prefix(service: Service) -> None:
    objects = service.platform.s3.objects
    objects["data", "accepted/flights/ab-2013-01.csv"] = b"jan"
    objects["data", "accepted/flights/cd-2013-02.csv"] = b"feb"
    manifest = [
        {"prefix": "s3://data/"},
        "accepted/flights/ab-2013-01.csv",
        "accepted/flights/cd-2013-02.csv",
    ]
    objects["data", "manifests/flights/1.json"] = json.dumps(manifest).encode()
    found: dict[str, bytes] = {}

    def script(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        root = made.tree / "input/data/data"
        found.update({p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.csv")})
        return 0

    service.containers.script = script
    source = channel("data", "s3://data/manifests/flights/1.json", "ManifestFile")
    service("CreateTrainingJob", **request(InputDataConfig=[source]))
    ended(service)
    assert found == {
        "accepted/flights/ab-2013-01.csv": b"jan",
        "accepted/flights/cd-2013-02.csv": b"feb",
    }


def test_a_manifest_that_names_a_missing_object_fails_the_job(service: Service) -> None:
    manifest = [{"prefix": "s3://data/"}, "gone.csv"]
    service.platform.s3.objects["data", "m.json"] = json.dumps(manifest).encode()
    source = channel("data", "s3://data/m.json", "ManifestFile")
    service("CreateTrainingJob", **request(InputDataConfig=[source]))
    assert "s3://data/gone.csv: NoSuchKey" in ended(service)["FailureReason"]


def test_stopping_a_job_signals_the_container_and_keeps_what_it_saved(service: Service) -> None:
    started = threading.Event()

    def script(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        (made.tree / "model/half").write_text("half")
        started.set()
        stop.wait(5)
        return 1

    service.containers.script = script
    service("CreateTrainingJob", **request())
    assert started.wait(5)
    service("StopTrainingJob", TrainingJobName="job-1")
    job = ended(service)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "FailureReason" not in job
    assert "Stopping" in [stage["Status"] for stage in job["SecondaryStatusTransitions"]]
    assert service.containers.jobs[0].grace == 1.0
    assert unpacked(service.platform.s3, "training/flights/job-1/output/model.tar.gz") == {"half": b"half"}


def test_a_job_over_its_time_is_stopped_with_max_runtime_exceeded(service: Service) -> None:
    def script(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        stop.wait(5)
        return 1

    service.containers.script = script
    service("CreateTrainingJob", **request(StoppingCondition={"MaxRuntimeInSeconds": 1}))
    job = ended(service)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_an_unexpected_error_leaves_no_container(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_job: FakeJob, _timeout_seconds: float | None) -> int | None:
        raise OSError("lost sight of it")

    monkeypatch.setattr(FakeJob, "wait", lost)
    service.containers.script = lambda made, on_line, stop: int(stop.wait(5))
    service("CreateTrainingJob", **request())
    assert ended(service)["FailureReason"] == "InternalServerError: OSError: lost sight of it"
    with within() as wait:
        wait(service.containers.jobs[0].stopped.is_set)


def test_stopping_a_job_that_has_ended_is_refused(service: Service) -> None:
    service("CreateTrainingJob", **request())
    ended(service)
    error = service.error("StopTrainingJob", TrainingJobName="job-1")
    assert (error.code, error.message) == (
        "ValidationException",
        "The request was rejected because the training job is in status Completed.",
    )


def test_a_used_name_is_refused_until_the_job_is_deleted(service: Service) -> None:
    service("CreateTrainingJob", **request())
    ended(service)
    error = service.error("CreateTrainingJob", **request())
    assert error.code == "ResourceInUse"
    assert error.message.startswith("Training job names must be unique within an AWS account and region")
    service("DeleteTrainingJob", TrainingJobName="job-1")
    error = service.error("DescribeTrainingJob", TrainingJobName="job-1")
    assert (error.code, error.message) == ("ValidationException", "Requested resource not found.")
    service("CreateTrainingJob", **request())
    assert ended(service)["TrainingJobStatus"] == "Completed"


def test_a_running_job_cannot_be_deleted(service: Service) -> None:
    service.containers.script = lambda made, on_line, stop: int(stop.wait(5))
    service("CreateTrainingJob", **request())
    assert service.error("DeleteTrainingJob", TrainingJobName="job-1").code == "ResourceInUse"
    service("StopTrainingJob", TrainingJobName="job-1")
    ended(service)


def test_metric_patterns_read_the_log_and_the_last_value_counts(service: Service) -> None:
    def script(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        on_line("challenger_roc_auc=0.61;")
        on_line("challenger_roc_auc=0.72; champion_roc_auc=0.70;")
        on_line("challenger_f1=not a number;")
        return 0

    service.containers.script = script
    algorithm = {
        "TrainingImage": IMAGE,
        "TrainingInputMode": "File",
        "MetricDefinitions": [
            {"Name": "challenger:roc_auc", "Regex": "challenger_roc_auc=([-+0-9.eE]+);"},
            {"Name": "champion:roc_auc", "Regex": "champion_roc_auc=([-+0-9.eE]+);"},
            {"Name": "challenger:f1", "Regex": "challenger_f1=(.*);"},
        ],
    }
    service("CreateTrainingJob", **request(AlgorithmSpecification=algorithm))
    final = {metric["MetricName"]: metric["Value"] for metric in ended(service)["FinalMetricDataList"]}
    assert final == {"challenger:roc_auc": 0.72, "champion:roc_auc": 0.70}
    put = {(space, datum["MetricName"]): datum["Dimensions"] for space, datum in service.platform.metrics}
    assert put[LOGS, "challenger:roc_auc"] == [{"Name": "TrainingJobName", "Value": "job-1"}]
    [(group, stream)] = [key for key in service.platform.logs if key[0] == LOGS]
    assert stream.startswith("job-1/algo-1-")
    assert service.platform.logs[group, stream][0] == "challenger_roc_auc=0.61;"


def test_every_change_of_state_is_an_event_with_the_describe_answer(service: Service) -> None:
    service("CreateTrainingJob", **request(Tags=[{"Key": "stack", "Value": "s"}]))
    job = ended(service)
    service.sagemaker.flush()
    details = service.platform.events_of("SageMaker Training Job State Change")
    assert [detail["SecondaryStatus"] for detail in details] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    last = details[-1]
    assert last["TrainingJobStatus"] == "Completed"
    assert last["CreationTime"] == round(job["CreationTime"] * 1000)
    assert last["Tags"] == {"stack": "s"}
    assert last["ModelArtifacts"] == job["ModelArtifacts"]


def test_an_isolated_container_gets_neither_credentials_nor_an_endpoint(service: Service) -> None:
    service("CreateTrainingJob", **request(EnableNetworkIsolation=True, Environment={"A": "1"}))
    ended(service)
    made: TrainingRequest = service.containers.jobs[0].request
    assert made.credentials is None
    assert made.network_isolation
    assert "AWS_ENDPOINT_URL" not in made.environment
    assert made.environment["A"] == "1"
    assert made.environment["TRAINING_JOB_NAME"] == "job-1"


def test_a_container_that_is_not_isolated_gets_the_roles_credentials(service: Service) -> None:
    service("CreateTrainingJob", **request())
    ended(service)
    made: TrainingRequest = service.containers.jobs[0].request
    assert made.credentials is not None
    assert made.credentials["AWS_SESSION_TOKEN"] == ROLE
    assert made.environment["AWS_ENDPOINT_URL"] == service.platform.endpoint_url


def test_the_key_of_the_output_is_passed_to_s3(service: Service) -> None:
    output = {"S3OutputPath": "s3://artifacts/training/flights", "KmsKeyId": "alias/upkeep"}
    service("CreateTrainingJob", **request(OutputDataConfig=output))
    ended(service)
    options = service.platform.s3.options["artifacts", "training/flights/job-1/output/model.tar.gz"]
    assert options == {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/upkeep"}


def test_a_role_that_cannot_be_assumed_is_refused_at_once(service: Service) -> None:
    error = service.error("CreateTrainingJob", **request(RoleArn="arn:aws:iam::000000000000:role/nobody"))
    assert error.code == "ValidationException"
    assert service("ListTrainingJobs")["TrainingJobSummaries"] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "TrainingImage"),
        (
            {"InputDataConfig": [channel("a", "s3://d/m", "AugmentedManifestFile")]},
            "AugmentedManifestFile is not available",
        ),
        (
            {"InputDataConfig": [channel("a", "s3://d/1"), channel("a", "s3://d/2")]},
            "Channel names must be unique; a appears more than once",
        ),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": IMAGE,
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "m", "Regex": "(["}],
                }
            },
            "the Regex of m is not a regular expression",
        ),
        ({"StoppingCondition": {"MaxWaitTimeInSeconds": 5}}, "without Managed Spot"),
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds"),
        (
            {"AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "Pipe"}},
            "no Pipe mode",
        ),
    ],
)
def test_a_request_that_cannot_work_is_refused_with_the_reason(
    service: Service, change: dict[str, Any], words: str
) -> None:
    error = service.error("CreateTrainingJob", **request(**change))
    assert error.code == "ValidationException"
    assert words in error.message


def test_a_gzipped_channel_arrives_decompressed(service: Service) -> None:
    import gzip

    service.platform.s3.objects["data", "train/a.csv.gz"] = gzip.compress(b"1,2")
    found: list[bytes] = []

    def script(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        found.append((made.tree / "input/data/train/a.csv").read_bytes())
        return 0

    service.containers.script = script
    source = channel("train", "s3://data/train/", CompressionType="Gzip")
    service("CreateTrainingJob", **request(InputDataConfig=[source]))
    assert ended(service)["TrainingJobStatus"] == "Completed"
    assert found == [b"1,2"]


def test_closing_the_service_ends_a_running_job_without_waiting_for_its_grace(service: Service) -> None:
    running = threading.Event()

    def script(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        running.set()
        stop.wait(30)
        return 0

    service.containers.script = script
    service("CreateTrainingJob", **request())
    assert running.wait(5)
    service.sagemaker._close()
    assert service.containers.jobs[0].grace == 0


def test_checkpoints_come_from_s3_and_go_back(service: Service) -> None:
    service.platform.s3.objects["data", "checkpoints/old/1"] = b"1"

    def script(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        assert (made.tree / "checkpoints/old/1").read_bytes() == b"1"
        (made.tree / "checkpoints/2").write_text("2")
        return 0

    service.containers.script = script
    service("CreateTrainingJob", **request(CheckpointConfig={"S3Uri": "s3://data/checkpoints"}))
    job = ended(service)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert service.platform.s3.objects["data", "checkpoints/2"] == b"2"


@pytest.mark.parametrize("key", ["checkpoints/../../../escaped", "checkpoints//escaped"])
def test_no_checkpoint_is_written_outside_the_jobs_folder(service: Service, key: str) -> None:
    service.platform.s3.objects["data", key] = b"1"
    seen: list[bool] = []

    def script(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        seen.append((made.tree / "checkpoints/escaped").exists())
        return 0

    service.containers.script = script
    service("CreateTrainingJob", **request(CheckpointConfig={"S3Uri": "s3://data/checkpoints"}))
    job = ended(service)
    if ".." in key:
        assert "would be written outside" in job["FailureReason"]
    else:
        assert seen == [True]


def test_jobs_beyond_the_limit_wait_for_their_turn(service: Service) -> None:
    let_go = threading.Event()

    def script(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        let_go.wait(5)
        return 0

    service.containers.script = script
    for number in range(6):
        service("CreateTrainingJob", **request(f"job-{number}"))
    with within() as wait:
        wait(lambda: len(service.containers.jobs) == 4)
    assert service("DescribeTrainingJob", TrainingJobName="job-5")["SecondaryStatus"] == "Starting"
    let_go.set()
    for number in range(6):
        assert ended(service, f"job-{number}")["TrainingJobStatus"] == "Completed"


TAKEN_BACK = replace(FAST, spot_interruption_seconds=0.05)
SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200},
    "CheckpointConfig": {"S3Uri": "s3://data/checkpoints"},
}


def test_a_spot_job_that_is_interrupted_starts_again_with_its_checkpoints_alone(tmp_path: Path) -> None:
    service = Service(tmp_path / "r", TAKEN_BACK)
    starts: list[list[str]] = []

    def script(made: TrainingRequest, on_line: OnLine, stop: threading.Event) -> int:
        starts.append(sorted(path.name for path in (made.tree / "checkpoints").iterdir()))
        (made.tree / "checkpoints" / f"{len(starts)}.joblib").write_bytes(b"trees")
        (made.tree / "model" / f"{len(starts)}").write_bytes(b"m")
        return 0 if len(starts) == 2 else (stop.wait(10) and -15)

    service.containers.script = script
    service("CreateTrainingJob", **request(**SPOT))
    job = ended(service)
    service.close()
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    stages = [stage["Status"] for stage in job["SecondaryStatusTransitions"]]
    again = ["Starting", "Downloading", "Training"]
    assert stages == [*again, "Interrupted", *again, "Uploading", "Completed"]
    assert starts == [[], ["1.joblib"]]
    assert list(unpacked(service.platform.s3, "training/flights/job-1/output/model.tar.gz")) == ["2"]


def test_jobs_that_pay_the_full_price_are_never_interrupted(tmp_path: Path) -> None:
    service = Service(tmp_path / "r", TAKEN_BACK)
    service.containers.script = lambda made, on_line, stop: int(stop.wait(0.4))
    service("CreateTrainingJob", **request())
    assert ended(service)["TrainingJobStatus"] == "Completed"
    service.close()
