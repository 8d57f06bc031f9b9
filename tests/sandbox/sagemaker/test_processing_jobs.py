from __future__ import annotations

import json
import threading
from typing import Any

from sandbox.sagemaker.containers import OnLine, ProcessingRequest
from tests.sandbox.sagemaker.fakes import IMAGE, ROLE
from tests.sandbox.sagemaker.harness import Service


def request(name: str = "p-1", **more: Any) -> dict[str, Any]:
    return {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/run.py"],
            "ContainerArguments": ["--out", "/opt/ml/processing/output"],
        },
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}
        },
        "ProcessingInputs": [
            {
                "InputName": "code",
                "S3Input": {
                    "S3Uri": "s3://data/code/run.py",
                    "LocalPath": "/opt/ml/processing/input/code",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "report",
                    "S3Output": {
                        "S3Uri": "s3://data/reports",
                        "LocalPath": "/opt/ml/processing/output",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        **more,
    }


def ended(service: Service) -> dict[str, Any]:
    return service.until(
        "DescribeProcessingJob",
        "ProcessingJobStatus",
        "Completed",
        "Failed",
        "Stopped",
        ProcessingJobName="p-1",
    )


def test_inputs_arrive_the_process_runs_and_outputs_go_back(service: Service) -> None:
    service.platform.s3.objects["data", "code/run.py"] = b"print()"

    def script(made: ProcessingRequest, on_line: OnLine, stop: threading.Event) -> int:
        assert (made.tree / "processing/input/code/run.py").read_bytes() == b"print()"
        config = json.loads((made.tree / "config/processingjobconfig.json").read_text())
        assert config["ProcessingJobName"] == "p-1"
        (made.tree / "processing/output/deep").mkdir()
        (made.tree / "processing/output/deep/report.json").write_text("{}")
        on_line("done")
        return 0

    service.containers.script = script
    service("CreateProcessingJob", **request())
    job = ended(service)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert service.platform.s3.objects["data", "reports/deep/report.json"] == b"{}"
    service.sagemaker.flush()
    assert list(service.platform.logs.values()) == [["done"]]
    made = service.containers.jobs[0].request
    assert made.entrypoint == ["python3", "/opt/ml/processing/input/code/run.py"]
    assert made.arguments == ["--out", "/opt/ml/processing/output"]
    statuses = [
        detail["ProcessingJobStatus"]
        for detail in service.platform.events_of("SageMaker Processing Job State Change")
    ]
    assert statuses == ["InProgress", "Completed"]
    listed = service("ListProcessingJobs", StatusEquals="Completed")["ProcessingJobSummaries"]
    assert [row["ProcessingJobName"] for row in listed] == ["p-1"]


def test_a_failing_process_fails_the_job(service: Service) -> None:
    service.containers.script = lambda made, on_line, stop: 7
    service("CreateProcessingJob", **request(ProcessingInputs=[]))
    assert ended(service)["FailureReason"] == "AlgorithmError: , exit code: 7"


def test_a_missing_input_fails_the_job(service: Service) -> None:
    service("CreateProcessingJob", **request())
    assert "No S3 objects found" in ended(service)["FailureReason"]


def test_a_job_can_be_stopped_once(service: Service) -> None:
    service.containers.script = lambda made, on_line, stop: int(stop.wait(5))
    service("CreateProcessingJob", **request(ProcessingInputs=[]))
    service("StopProcessingJob", ProcessingJobName="p-1")
    assert ended(service)["ProcessingJobStatus"] == "Stopped"
    error = service.error("StopProcessingJob", ProcessingJobName="p-1")
    assert error.message == "The request was rejected because the processing job is in status Stopped."


def test_a_used_name_a_missing_job_and_a_bad_path_are_refused(service: Service) -> None:
    service("CreateProcessingJob", **request(ProcessingInputs=[]))
    assert service.error("CreateProcessingJob", **request()).code == "ResourceInUse"
    assert service.error("DescribeProcessingJob", ProcessingJobName="x").message == (
        "Could not find requested job with name: x"
    )
    bad = request("p-2")
    bad["ProcessingInputs"][0]["S3Input"]["LocalPath"] = "/etc"
    assert "must be a folder below /opt/ml/processing/" in service.error("CreateProcessingJob", **bad).message
    climbing = request("p-3")
    climbing["ProcessingInputs"][0]["S3Input"]["LocalPath"] = "/opt/ml/processing/../../etc"
    service("CreateProcessingJob", **climbing)
    failed = service.until("DescribeProcessingJob", "ProcessingJobStatus", "Failed", ProcessingJobName="p-3")
    assert "is not below /opt/ml/processing" in failed["FailureReason"]


def test_only_a_job_that_has_ended_can_be_deleted_and_its_name_is_free_again(service: Service) -> None:
    service.platform.s3.objects["data", "code/run.py"] = b"print(1)"
    service.containers.script = lambda made, on_line, stop: int(stop.wait(10) and 0)
    service("CreateProcessingJob", **request())
    name = {"ProcessingJobName": request()["ProcessingJobName"]}
    assert "InProgress" in service.error("DeleteProcessingJob", **name).message
    service("StopProcessingJob", **name)
    service.until("DescribeProcessingJob", "ProcessingJobStatus", "Stopped", **name)
    service("DeleteProcessingJob", **name)
    assert "not find" in service.error("DescribeProcessingJob", **name).message
    service("CreateProcessingJob", **request())
    service("StopProcessingJob", **name)
