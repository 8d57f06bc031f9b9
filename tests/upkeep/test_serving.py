# ruff: noqa: N803 - arguments are spelt as boto3 spells them
import io
import json

import pytest

from tests.upkeep.fakes import START, FakeClient, FakeContext, answering, missing, raising
from upkeep import serving
from upkeep.errors import UpkeepError
from upkeep.serving import Answer

SEED_URL = "s3://a/training/flights/upkeep-dev-flights-seed-abc1234/output/model.tar.gz"
RUN_URL = "s3://a/training/flights/upkeep-dev-flights-0123456789/output/model.tar.gz"


def package(version=3, url=RUN_URL, run_id="0123456789", **changes):
    return {
        "ModelPackageArn": f"arn:pkg/{version}",
        "ModelPackageVersion": version,
        "CreationTime": START,
        "ModelApprovalStatus": "Approved",
        "CustomerMetadataProperties": {"run_id": run_id},
        "InferenceSpecification": {"Containers": [{"Image": "i", "ModelDataUrl": url}]},
        **changes,
    }


def context(url=RUN_URL, packages=(), **changes):
    endpoint = {"EndpointConfigName": "config-7", "EndpointStatus": "InService", "LastModifiedTime": START}
    listed = {"ModelPackageSummaryList": [{"ModelPackageArn": p["ModelPackageArn"]} for p in packages]}
    by_arn = {p["ModelPackageArn"]: p for p in packages}
    answers = {
        "describe_endpoint": answering(endpoint),
        "describe_endpoint_config": answering({"ProductionVariants": [{"ModelName": "model-7"}]}),
        "describe_model": answering({"PrimaryContainer": {"ModelDataUrl": url}}),
        "list_model_packages": answering(listed),
        "describe_model_package": lambda ModelPackageName: by_arn[ModelPackageName],
        **changes,
    }
    return FakeContext({"sagemaker": FakeClient(**answers)})


def test_what_serves_is_read_back_down_to_the_artefact():
    there = context(packages=[package()])
    found = serving.read_serving(there, there.model(None))
    assert (found.status, found.config, found.model_name) == ("InService", "config-7", "model-7")
    assert (found.version, found.run_id, found.model_data_url) == (3, "0123456789", RUN_URL)


def test_the_seed_is_version_0():
    there = context(url=SEED_URL, packages=[package()])
    found = serving.read_serving(there, there.model(None))
    assert (found.version, found.run_id) == (0, "seed-abc1234")


def test_an_artefact_the_registry_does_not_know_has_no_version():
    there = context(url="s3://elsewhere/model.tar.gz")
    found = serving.read_serving(there, there.model(None))
    assert (found.version, found.run_id) == (None, "")


def test_a_model_made_from_a_package_leads_to_the_packages_artefact():
    there = context(
        packages=[package()], describe_model=answering({"Containers": [{"ModelPackageName": "arn:pkg/3"}]})
    )
    assert serving.read_serving(there, there.model(None)).version == 3


def test_an_endpoint_that_does_not_exist_is_missing():
    there = context(describe_endpoint=raising(missing("endpoint")))
    assert serving.read_serving(there, there.model(None)).status == "Missing"


def runtime(invoke):
    return FakeContext({"sagemaker-runtime": FakeClient(invoke_endpoint=invoke)})


def test_an_answer_says_which_run_gave_it():
    answer = {
        "Body": io.BytesIO(b'{"predictions": [{"score": 0.25, "label": 0}], "model_version": "0123"}'),
        "ContentType": "application/json",
        "CustomAttributes": "model=flights;run=0123",
        "ResponseMetadata": {"HTTPStatusCode": 200},
    }
    there = runtime(answering(answer))
    found = serving.predict(there, there.model(None), b"{}", serving.JSON)
    assert (found.model, found.run, found.ok) == ("flights", "0123", True)
    assert found.predictions() == [{"score": 0.25, "label": 0}]


def test_a_containers_4xx_is_an_answer_with_its_message():
    error = FakeClient.exceptions.ModelError(
        {
            "Error": {"Code": "ModelError", "Message": "Received client error (400) from primary"},
            "OriginalStatusCode": 400,
            "OriginalMessage": '{"error": "row 1: column distance: found \'far\'"}',
        },
        "InvokeEndpoint",
    )
    there = runtime(raising(error))
    found = serving.predict(there, there.model(None), b"{}", serving.JSON)
    assert (found.status, found.ok) == (400, False)
    assert serving.error_text(found) == "row 1: column distance: found 'far'"


def test_an_endpoint_that_is_not_there_says_where_to_look():
    there = runtime(raising(missing("endpoint")))
    with pytest.raises(UpkeepError, match=r"upkeep-dev-flights does not answer.*upkeep status"):
        serving.predict(there, there.model(None), b"{}", serving.JSON)


@pytest.mark.parametrize(
    ("body", "content_type", "predictions"),
    [
        (b"[0.1, 0.2]", "application/json", [0.1, 0.2]),
        (b'{"score": 1}\n{"score": 2}\n', "application/jsonlines", [{"score": 1}, {"score": 2}]),
        (b"0.1\n0.2\n", "text/csv", ["0.1", "0.2"]),
        (b'{"predictions": [1]}', "application/x-amz-json-1.1", [1]),
    ],
)
def test_predictions_are_read_in_every_content_type(body, content_type, predictions):
    assert Answer(status=200, body=body, content_type=content_type).predictions() == predictions


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html><title>500</title> <h1>Server Error</h1></html>", "500 Server Error"),
        (b"", "HTTP 502"),
        (json.dumps({"error": {"message": "inner"}}).encode(), "inner"),
    ],
)
def test_an_error_is_shown_without_its_wrapping(body, said):
    assert serving.error_text(Answer(status=502, body=body, content_type="text/html")) == said


def test_attributes_may_be_absent():
    assert serving.parse_attributes("") == {}
