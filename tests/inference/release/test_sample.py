"""A release counts only when the endpoint itself shows that the new version serves."""

import io
import json
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from inference.release.sample import problem_of_answers
from inference.release.tools import Tools
from tests.inference.release import fakes
from tests.inference.release.fakes import GROUP, PLAN, SAMPLE
from tests.training.examples import tar_bytes
from tests.training.lambdas import ACCOUNT, ARTIFACTS, Clock

URL = f"s3://{ARTIFACTS}/training/toy/run1/output/model.tar.gz"
ARN = f"{GROUP}/1"
GOOD = {"predictions": SAMPLE["predictions"], "model_version": "run1"}


class Objects:
    """S3 with one archive."""

    exceptions = SimpleNamespace(ClientError=ClientError)

    def __init__(self):
        self.archive = tar_bytes({"sample.json": json.dumps(SAMPLE).encode()})

    def get_object(self, **_):
        return {"ContentLength": len(self.archive), "Body": io.BytesIO(self.archive)}


class Runtime:
    """An endpoint that gives one answer."""

    exceptions = SimpleNamespace(ClientError=ClientError)

    def __init__(self, answer):
        self.answer, self.asked = answer, None

    def invoke_endpoint(self, **asked):
        self.asked = asked
        if isinstance(self.answer, Exception):
            raise self.answer
        body = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        return {"Body": io.BytesIO(body)}


@pytest.fixture
def sagemaker():
    made = fakes.SageMaker(Clock())
    made.serve("new", URL)
    made.packages[ARN] = {"InferenceSpecification": {"Containers": [{"ModelDataUrl": URL}]}}
    return made


def _problem(sagemaker, answer=GOOD, objects=None):
    tools = Tools(
        plan=PLAN, execution="me", account=ACCOUNT, ledger=None, sagemaker=sagemaker, runtime=Runtime(answer),
        s3=objects or Objects(), cloudwatch=None, states=None, now=Clock(),
    )  # fmt: skip
    found = problem_of_answers(tools, "new", ARN)
    return found, tools.runtime.asked


def test_an_endpoint_that_answers_as_in_training_has_no_problem(sagemaker):
    found, asked = _problem(sagemaker)
    assert found == ""
    assert (asked["EndpointName"], json.loads(asked["Body"])) == (
        PLAN.base,
        {"instances": SAMPLE["instances"]},
    )


def test_answers_within_the_noise_of_another_machine_are_the_same(sagemaker):
    near = [{"score": 0.25 + 1e-9, "label": 0}, {"score": 0.75 - 1e-9, "label": 1}]
    assert _problem(sagemaker, GOOD | {"predictions": near})[0] == ""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (GOOD | {"model_version": "run0"}, "the endpoint answers with version run0, expected run1"),
        (GOOD | {"predictions": []}, "the endpoint answered 0 predictions, expected 2"),
        (GOOD | {"predictions": None}, "the endpoint answered no predictions, expected 2"),
        (GOOD | {"predictions": [SAMPLE["predictions"][0], {"score": 0.7501, "label": 1}]}, "row 2: the"),
        (GOOD | {"predictions": [{"score": 0.25, "label": 1}, SAMPLE["predictions"][1]]}, "row 1: the"),
        (GOOD | {"predictions": [None, 1]}, "row 1: the endpoint answers None"),
        (b"<html>", "answered no JSON"),
        ([1], "answered a list, expected an object"),
        (
            ClientError(
                {
                    "Error": {"Code": "ModelError", "Message": "x"},
                    "ResponseMetadata": {"HTTPStatusCode": 424},
                    "OriginalStatusCode": 500,
                    "OriginalMessage": "broken",
                },
                "InvokeEndpoint",
            ),
            "refused the sample request: 500 broken",
        ),
    ],
)
def test_a_wrong_answer_is_a_problem_with_what_was_expected(sagemaker, answer, words):
    assert words in _problem(sagemaker, answer)[0]


def test_another_archive_than_the_approved_one_is_seen(sagemaker):
    sagemaker.serve("new", "s3://elsewhere/model.tar.gz")
    assert "serves s3://elsewhere/model.tar.gz, the approved package holds s3://" in _problem(sagemaker)[0]


def test_a_second_model_beside_it_is_seen(sagemaker):
    sagemaker.serve("other", "s3://other/model.tar.gz")
    sagemaker.configs["new"]["ProductionVariants"].append({"ModelName": "other"})
    assert "s3://other/model.tar.gz" in _problem(sagemaker)[0]


def test_a_model_made_from_the_package_itself_is_the_approved_one(sagemaker):
    sagemaker.models["new"] = {"Containers": [{"ModelPackageName": ARN}]}
    assert _problem(sagemaker)[0] == ""


def test_a_training_without_a_sample_is_a_problem(sagemaker):
    objects = Objects()
    objects.archive = tar_bytes({})
    assert "holds no sample.json" in _problem(sagemaker, objects=objects)[0]


def test_a_package_that_is_gone_is_a_problem(sagemaker):
    sagemaker.packages.clear()
    assert "is gone" in _problem(sagemaker)[0]


def test_a_reason_fits_the_packages_description(sagemaker):
    found, _ = _problem(sagemaker, GOOD | {"predictions": [{"score": "x" * 3000}, None]})
    assert len(found) <= 1024
    assert "\n" not in found


def test_throttling_tells_nothing_of_the_model(sagemaker):
    with pytest.raises(ClientError):
        _problem(sagemaker, fakes.refusal("InvokeEndpoint", "slow down", "ThrottlingException"))
