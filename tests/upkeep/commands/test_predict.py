import io
import json

import pytest

from tests.upkeep.fakes import FakeClient, answering, raising
from tests.upkeep.test_rows import SPEC
from tests.upkeep.test_serving import package

ROW = '{"carrier": "UA", "distance": 1400, "night": false}'


def clients(invoke=None):
    def answer(**_arguments):
        return {
            "Body": io.BytesIO(b'{"predictions": [{"score": 0.25, "label": 0}]}'),
            "ContentType": "application/json",
            "CustomAttributes": "model=flights;run=0123456789",
            "InvokedProductionVariant": "AllTraffic",
            "ResponseMetadata": {"HTTPStatusCode": 200},
        }

    return {
        "s3": FakeClient(get_object=lambda **_a: {"Body": io.BytesIO(SPEC.to_json().encode())}),
        "sagemaker_runtime": FakeClient(invoke_endpoint=invoke or answer),
        "sagemaker": FakeClient(
            list_model_packages=answering({"ModelPackageSummaryList": [{"ModelPackageArn": "arn:pkg/3"}]}),
            describe_model_package=answering(package()),
        ),
    }


def test_a_row_gets_its_prediction_and_the_version_that_answered(run):
    said = run(["predict", "--json-row", ROW], **clients())
    assert said.code == 0
    assert said.out.splitlines() == [
        "ROW   SCORE  LABEL",
        "  1  0.2500      0",
        "Answered by version 3 (run 01234567).",
    ]


def test_json_has_version_run_variant_and_predictions(run):
    found = run(["predict", "-j", ROW, "--json"], **clients()).data
    assert found == {
        "model": "flights",
        "version": 3,
        "run": "0123456789",
        "variant": "AllTraffic",
        "predictions": [{"score": 0.25, "label": 0}],
    }


def test_a_request_can_be_named_and_sent_to_one_variant(run):
    found = clients()
    run(["predict", "-j", ROW, "--inference-id", "f1", "--target-variant", "Challenger"], **found)
    run(["predict", "-j", ROW], **found)
    named, plain = found["sagemaker_runtime"].asked("invoke_endpoint")
    assert (named["InferenceId"], named["TargetVariant"]) == ("f1", "Challenger")
    assert not {"InferenceId", "TargetVariant"} & set(plain)


def test_an_id_names_one_request_only(run, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("carrier,distance,night\n" + "UA,1400,false\n" * 1001)
    said = run(["predict", "--file", str(path), "--inference-id", "f1"], **clients())
    assert said.code == 1
    assert "1,000 rows at most; found 1,001" in said.err


def test_rows_of_a_training_file_are_sent_without_target_and_time(run, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("departure,carrier,distance,night,late\n2013-01-01,UA,1400,false,1\n")
    found = clients()
    assert run(["predict", "--file", str(path)], **found).code == 0
    (asked,) = found["sagemaker_runtime"].asked("invoke_endpoint")
    assert json.loads(asked["Body"]) == {"instances": [{"carrier": "UA", "distance": 1400.0, "night": False}]}


def test_rows_come_from_stdin_too(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(ROW))
    assert run(["predict", "--file", "-"], **clients()).code == 0


def test_a_refused_row_shows_the_containers_own_message(run):
    error = FakeClient.exceptions.ModelError(
        {
            "Error": {"Code": "ModelError", "Message": "Received client error (400)"},
            "OriginalStatusCode": 400,
            "OriginalMessage": '{"error": "row 1: column distance: found \'far\', expected a number"}',
        },
        "InvokeEndpoint",
    )
    said = run(["predict", "-j", '{"distance": "far"}'], **clients(raising(error)))
    assert (said.code, said.out) == (1, "")
    assert (
        "refused the request (HTTP 400): row 1: column distance: found 'far', expected a number" in said.err
    )


@pytest.mark.parametrize("options", [[], ["--file", "a.csv", "-j", "{}"]])
def test_rows_come_from_exactly_one_place(run, options):
    said = run(["predict", *options], **clients())
    assert said.code == 1
    assert "either --file FILE" in said.err


def test_a_file_that_does_not_exist_is_named(run):
    said = run(["predict", "--file", "none.csv"], **clients())
    assert (said.code, said.err) == (1, "Error: none.csv: No such file or directory.\n")
