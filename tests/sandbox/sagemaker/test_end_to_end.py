"""One model's life with the image's own toolkits: trained, served, invoked, updated, deleted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.sagemaker.image_containers import ImageContainers
from sandbox.sagemaker.service import SageMaker
from sandbox.sagemaker.settings import Settings
from tests.sandbox.sagemaker.fakes import IMAGE, ROLE, tarball, within
from tests.sandbox.sagemaker.harness import Service

pytestmark = pytest.mark.image

TRAIN = b"""
import os, pathlib, sys
model = pathlib.Path(os.environ["SM_MODEL_DIR"])
rows = pathlib.Path(os.environ["SM_CHANNEL_DATA"], "accepted/a.csv").read_text().splitlines()
if os.environ["SM_HP_MODE"] == "fail":
    sys.exit(3)
total = sum(float(row) for row in rows)
(model / "total.txt").write_text(str(total))
(model / "code/inference").mkdir(parents=True)
source = pathlib.Path(__file__).parents[1] / "inference"
for path in source.glob("*.py"):
    (model / "code/inference" / path.name).write_bytes(path.read_bytes())
(pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"]) / "evaluation.json").write_text("{}")
print(f"challenger_total={total};")
"""
SERVE = b"""
import os, flask
def model_fn(model_dir):
    return float(open(os.path.join(model_dir, "total.txt")).read())
def transform_fn(model, body, content_type, accept):
    if body == "refuse":
        return flask.Response("no", 422)
    return flask.Response(str(model + float(body)), 200, mimetype="text/csv")
"""
ENVIRONMENT = {
    "SAGEMAKER_PROGRAM": "inference.serving",
    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
    "PIP_NO_BUILD_ISOLATION": "false",
    "PIP_NO_INDEX": "1",
}


class RealService(Service):
    """The service of the other tests with real containers."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._loop.run_until_complete(self.sagemaker.close())
        settings = Settings(startup_timeout_seconds=90, time_scale=0.001, health_seconds=0.1)
        self.sagemaker = SageMaker(self.platform, settings=settings, containers=ImageContainers())


@pytest.fixture(scope="module")
def real() -> Iterator[RealService]:
    folder = Path(tempfile.mkdtemp(prefix="uk-"))
    service = RealService(folder / "sm")
    code = {
        "training/__init__.py": b"",
        "training/train.py": TRAIN,
        "inference/__init__.py": b"",
        "inference/serving.py": SERVE,
    }
    objects = service.platform.s3.objects
    objects["artifacts", "code/1/code.tar.gz"] = tarball(code)
    objects["data", "accepted/a.csv"] = b"1\n2\n3\n"
    objects["data", "manifests/1.json"] = json.dumps([{"prefix": "s3://data/"}, "accepted/a.csv"]).encode()
    yield service
    service.close()
    left = [path.name for path in service.platform.root.iterdir()]
    shutil.rmtree(folder)
    assert left == []


def train(service: Service, name: str, mode: str) -> dict[str, Any]:
    def channel(channel_name: str, kind: str, uri: str) -> dict[str, Any]:
        source = {"S3DataType": kind, "S3Uri": uri}
        return {"ChannelName": channel_name, "DataSource": {"S3DataSource": source}}

    service(
        "CreateTrainingJob",
        TrainingJobName=name,
        RoleArn=ROLE,
        AlgorithmSpecification={
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "challenger:total", "Regex": "challenger_total=([-+0-9.eE]+);"}],
        },
        HyperParameters={
            "sagemaker_program": "training/train.py",
            "sagemaker_submit_directory": "/opt/ml/input/data/code/code.tar.gz",
            "mode": mode,
        },
        InputDataConfig=[
            channel("code", "S3Prefix", "s3://artifacts/code/1/code.tar.gz"),
            channel("data", "ManifestFile", "s3://data/manifests/1.json"),
        ],
        OutputDataConfig={"S3OutputPath": "s3://artifacts/training"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 120},
        EnableNetworkIsolation=True,
    )
    return service.until(
        "DescribeTrainingJob",
        "TrainingJobStatus",
        "Completed",
        "Failed",
        "Stopped",
        seconds=150,
        TrainingJobName=name,
    )


def test_a_model_is_trained_served_invoked_and_replaced(real: RealService) -> None:
    job = train(real, "good", "work")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["FinalMetricDataList"][0]["Value"] == 6.0
    data = job["ModelArtifacts"]["S3ModelArtifacts"]

    real(
        "CreateModel",
        ModelName="m",
        ExecutionRoleArn=ROLE,
        EnableNetworkIsolation=True,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": data, "Environment": ENVIRONMENT},
    )
    real.config("c", {"ModelName": "m"})
    real("CreateEndpoint", EndpointName="shop", EndpointConfigName="c")
    created = real.until(
        "DescribeEndpoint", "EndpointStatus", "InService", "Failed", seconds=120, EndpointName="shop"
    )
    assert created["EndpointStatus"] == "InService", created.get("FailureReason")
    status, headers, body = real.invoke("shop", b"4", Content_Type="text/csv")
    assert (status, body) == (200, b"10.0")
    assert headers["Content-Type"].startswith("text/csv")
    assert real.invoke("shop", b"refuse", Content_Type="text/csv")[0] == 424

    # A model that cannot start: the endpoint goes on serving the old one.
    bad = {**ENVIRONMENT, "SAGEMAKER_PROGRAM": "inference.nothing"}
    real(
        "CreateModel",
        ModelName="bad",
        ExecutionRoleArn=ROLE,
        EnableNetworkIsolation=True,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": data, "Environment": bad},
    )
    real.config("c-bad", {"ModelName": "bad"})
    real("UpdateEndpoint", EndpointName="shop", EndpointConfigName="c-bad")
    after = real.until("DescribeEndpoint", "EndpointStatus", "InService", seconds=120, EndpointName="shop")
    assert after["EndpointConfigName"] == "c"
    assert "did not pass the ping health check" in after["FailureReason"]
    assert real.invoke("shop", b"4", Content_Type="text/csv")[2] == b"10.0"

    # A server that is killed comes back.
    live = real.sagemaker._endpoints.live("shop")
    assert live is not None
    container: Any = live.router.current()[0].fleet._instances[0].container
    supervisor = container._process._process.pid
    [serve] = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    os.kill(int(serve), signal.SIGKILL)
    with within(90) as wait:
        wait(lambda: not container.alive())
        wait(lambda: real.invoke("shop", b"4", Content_Type="text/csv")[2] == b"10.0")


def test_a_failing_script_gives_the_toolkits_words_as_the_reason(real: RealService) -> None:
    job = train(real, "bad", "fail")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError")
    assert job["FailureReason"].endswith(", exit code: 1")


def test_a_processing_job_runs_its_entrypoint_on_the_trees_folders(real: RealService) -> None:
    script = (
        b"import sys, pathlib, sklearn\n"
        b"text = pathlib.Path(sys.argv[1]).read_text()\n"
        b"pathlib.Path(sys.argv[2], 'out.txt').write_text(text.upper() + sklearn.__version__[:1])\n"
    )
    real.platform.s3.objects["data", "scripts/run.py"] = script
    real.platform.s3.objects["data", "texts/in.txt"] = b"hello"

    def source(name: str, uri: str) -> dict[str, Any]:
        local = f"/opt/ml/processing/{name}"
        s3 = {"S3Uri": uri, "LocalPath": local, "S3DataType": "S3Prefix", "S3InputMode": "File"}
        return {"InputName": name, "S3Input": s3}

    target = {"S3Uri": "s3://data/results", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "EndOfJob"}
    real(
        "CreateProcessingJob",
        ProcessingJobName="p",
        RoleArn=ROLE,
        AppSpecification={
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/run.py"],
            "ContainerArguments": ["/opt/ml/processing/texts/in.txt", "/opt/ml/processing/out"],
        },
        ProcessingResources={
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}
        },
        ProcessingInputs=[source("code", "s3://data/scripts/run.py"), source("texts", "s3://data/texts/")],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": target}]},
    )
    job = real.until(
        "DescribeProcessingJob",
        "ProcessingJobStatus",
        "Completed",
        "Failed",
        seconds=60,
        ProcessingJobName="p",
    )
    assert job["ProcessingJobStatus"] == "Completed", (job.get("FailureReason"), real.platform.logs)
    assert real.platform.s3.objects["data", "results/out.txt"] == b"HELLO1"
