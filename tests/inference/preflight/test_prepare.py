"""The processing job of a check is described from what is known, the same way each time."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from inference.preflight import places, prepare
from inference.preflight.places import Served
from inference.preflight.prepare import CheckPlan
from inference.preflight.settings import load
from tests.inference.preflight.fakes import OWNER, FakeS3, captured
from tests.inference.preflight.running import tarball

NAME = places.job_name("upkeep-dev-flights", "r2", "execution-1")
FOLDER = f"checks/flights/r2/{NAME}/"
CAPTURE = "capture/flights/upkeep-dev-flights/AllTraffic/2026/11/21/10/a.jsonl"
PLAN = CheckPlan(
    model="flights",
    run_id="r2",
    job_name=NAME,
    endpoint="upkeep-dev-flights",
    variant="AllTraffic",
    challenger=Served(
        model_data_url="s3://artifacts/training/flights/j2/output/model.tar.gz",
        environment={"OMP_NUM_THREADS": "1", "UPKEEP_PASSPORT_SHA256": "ab" * 32},
        name="1.2.0",
    ),
    champion=Served(model_data_url="s3://artifacts/training/flights/j1/output/model.tar.gz", name="1.1.0"),
    image="492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3",
    role_arn="arn:aws:iam::123456789012:role/upkeep-dev-flights",
    key_arn="arn:aws:kms:eu-central-1:123456789012:key/1",
    instance_type="ml.m5.large",
    features=["carrier", "distance"],
    check_requests=3,
    max_latency_milliseconds=250.0,
    code_uri="s3://artifacts/code/1/code.tar.gz",
    data_bucket="data",
    artifacts_bucket="artifacts",
    owner=OWNER,
    tags={"upkeep:model": "flights", "a": "b"},
)


@pytest.fixture
def s3() -> FakeS3:
    s3 = FakeS3()
    for job in ("j1", "j2"):
        s3.put("artifacts", f"training/flights/{job}/output/model.tar.gz", b"model")
    s3.put("data", CAPTURE, "\n".join(captured(f'{{"instances": [{n}]}}') for n in range(5)))
    return s3


def inputs(parameters: dict[str, Any]) -> dict[str, str]:
    return {item["InputName"]: item["S3Input"]["S3Uri"] for item in parameters["ProcessingInputs"]}


def written(s3: FakeS3, name: str) -> str:
    return s3.objects["artifacts", f"{FOLDER}input/{name}"].decode()


def test_the_api_takes_the_parameters(s3: FakeS3) -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    shape = model.operation_model("CreateProcessingJob").input_shape
    assert shape is not None
    report = ParamValidator().validate(prepare.prepare(s3, PLAN), shape)
    assert not report.has_errors(), report.generate_report()


def test_the_job_has_no_network_and_reads_code_check_and_both_models(s3: FakeS3) -> None:
    parameters = prepare.prepare(s3, PLAN)
    assert parameters["NetworkConfig"] == {"EnableNetworkIsolation": True}
    assert inputs(parameters) == {
        "code": "s3://artifacts/code/1/code.tar.gz",
        "check": f"s3://artifacts/{FOLDER}input/",
        "challenger": PLAN.challenger.model_data_url,
        "champion": "s3://artifacts/training/flights/j1/output/model.tar.gz",
    }
    output = parameters["ProcessingOutputConfig"]
    assert output["Outputs"][0]["S3Output"]["S3Uri"] == f"s3://artifacts/{FOLDER}".rstrip("/")
    assert output["KmsKeyId"] == PLAN.key_arn
    assert parameters["Tags"] == [{"Key": "a", "Value": "b"}, {"Key": "upkeep:model", "Value": "flights"}]


def test_the_newest_recorded_requests_are_written_for_the_job(s3: FakeS3) -> None:
    prepare.prepare(s3, PLAN)
    bodies = [json.loads(line)["body"] for line in written(s3, places.REQUESTS).splitlines()]
    assert bodies == ['{"instances": [2]}', '{"instances": [3]}', '{"instances": [4]}']
    assert json.loads(written(s3, places.PLAN))["source"] == "recorded"


def test_the_job_reads_the_plan_back(s3: FakeS3, tmp_path: Any) -> None:
    prepare.prepare(s3, PLAN)
    for name in (places.PLAN, places.REQUESTS):
        (tmp_path / name).write_text(written(s3, name))
    settings = load(tmp_path)
    assert settings.challenger.environment == PLAN.challenger.environment
    assert settings.champion is not None
    assert (settings.champion.name, settings.features) == ("1.1.0", ("carrier", "distance"))
    assert len(settings.requests) == 3


def test_without_recorded_requests_the_sample_of_the_training_is_asked(s3: FakeS3) -> None:
    del s3.objects["data", CAPTURE]
    sample = {"run_id": "r2", "instances": [{"carrier": "UA"}, {"carrier": "AA"}], "predictions": []}
    s3.put(
        "artifacts", "training/flights/j2/output/output.tar.gz", tarball({"sample.json": json.dumps(sample)})
    )
    prepare.prepare(s3, PLAN)
    counts = [
        len(json.loads(json.loads(line)["body"])["instances"])
        for line in written(s3, places.REQUESTS).splitlines()
    ]
    assert counts == [1, 1, 2]
    assert json.loads(written(s3, places.PLAN))["source"] == "sample"


def test_without_a_sample_only_the_start_is_checked(s3: FakeS3) -> None:
    del s3.objects["data", CAPTURE]
    prepare.prepare(s3, PLAN)
    assert written(s3, places.REQUESTS) == ""


def test_a_champion_whose_archive_is_gone_is_left_out(s3: FakeS3) -> None:
    del s3.objects["artifacts", "training/flights/j1/output/model.tar.gz"]
    assert "champion" not in inputs(prepare.prepare(s3, PLAN))
    assert json.loads(written(s3, places.PLAN))["champion"] is None


def test_a_first_version_has_nothing_to_be_compared_with(s3: FakeS3) -> None:
    assert "champion" not in inputs(prepare.prepare(s3, replace(PLAN, champion=None)))


def test_calling_it_again_describes_the_same_job_and_writes_the_same_keys(s3: FakeS3) -> None:
    first, keys = prepare.prepare(s3, PLAN), set(s3.objects)
    keys |= {("artifacts", f"{FOLDER}input/{name}") for name in (places.PLAN, places.REQUESTS)}
    assert prepare.prepare(s3, PLAN) == first
    assert set(s3.objects) == keys


def test_a_further_attempt_has_another_name_of_at_most_63_characters() -> None:
    names = {places.job_name("upkeep-" + "x" * 50, "r", attempt) for attempt in ("1", "2", "e" * 500)}
    assert len(names) == 3
    assert all(len(name) <= 63 and name.startswith("upkeep-x") for name in names)
    assert NAME.startswith("upkeep-dev-flights-check-")


def test_the_entry_point_fits_the_api() -> None:
    assert all(len(word) <= 256 and "\n" not in word for word in prepare.ENTRYPOINT)


@pytest.mark.parametrize(
    ("serving", "job"),
    [("ml.c5.xlarge", "ml.c5.xlarge"), ("ml.t2.medium", "ml.m5.large"), ("ml.c7g.large", "ml.m5.large")],
)
def test_an_instance_that_processing_jobs_do_not_have_is_replaced(serving: str, job: str) -> None:
    assert prepare.instance_type(serving) == job
