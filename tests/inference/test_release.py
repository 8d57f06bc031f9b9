"""A release counts only when the endpoint itself shows that the new version serves."""

import io
import json
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from inference import release
from tests.training.examples import tar_bytes
from tests.training.lambdas import ARTIFACTS, CONTEXT, emitted

URL = f"s3://{ARTIFACTS}/training/toy/job/output/model.tar.gz"
EVENT = {
    "model": "toy",
    "endpoint": "upkeep-test-toy",
    "expected_config": "config-2",
    "model_package_arn": "arn:aws:sagemaker:us-east-1:123456789012:model-package/upkeep-test-toy/2",
    "model_name": "model-2",
}
SAMPLE = {
    "run_id": "run2",
    "instances": [{"kind": "a"}, {"kind": "b"}],
    "predictions": [{"score": 0.25, "label": 0}, {"score": 0.75, "label": 1}],
}
ANSWER = {"predictions": SAMPLE["predictions"], "model": "toy", "model_version": "run2"}


class Endpoint:
    """SageMaker with one endpoint, as far as the check asks."""

    def __init__(self):
        self.exceptions = SimpleNamespace(ClientError=ClientError)
        self.endpoint = {"EndpointStatus": "InService", "EndpointConfigName": "config-2"}
        self.config = {"ProductionVariants": [{"ModelName": "model-2"}]}
        self.model = {"PrimaryContainer": {"ModelDataUrl": URL}}
        self.package = {"InferenceSpecification": {"Containers": [{"ModelDataUrl": URL}]}}
        self.answer = ANSWER
        self.asked = None

    def _give(self, found):
        if isinstance(found, Exception):
            raise found
        return found

    def describe_endpoint(self, *, EndpointName):  # noqa: N803 - boto3's names, here and below
        return self._give(self.endpoint)

    def describe_endpoint_config(self, *, EndpointConfigName):  # noqa: N803
        return self._give(self.config)

    def describe_model(self, *, ModelName):  # noqa: N803
        return self._give(self.model)

    def describe_model_package(self, *, ModelPackageName):  # noqa: N803
        return self._give(self.package)

    def invoke_endpoint(self, *, Body, **rest):  # noqa: N803
        self.asked = json.loads(Body) | rest
        body = self._give(self.answer)
        return {"Body": io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())}


@pytest.fixture
def endpoint(store, monkeypatch):
    store.put(
        "training/toy/job/output/output.tar.gz",
        tar_bytes({"sample.json": json.dumps(SAMPLE).encode()}),
        ARTIFACTS,
    )
    endpoint = Endpoint()
    s3 = store.s3
    monkeypatch.setattr(release, "client", lambda name: s3 if name == "s3" else endpoint)
    return endpoint


def _refuses(endpoint, words):
    result = release.handler(EVENT, CONTEXT)
    assert result["verified"] is False
    assert words in result["reason"]
    return result


def test_a_release_that_serves_is_verified(endpoint, capsys):
    assert release.handler(EVENT, CONTEXT) == {
        "verified": True,
        "serving_config": "config-2",
        "served_version": "run2",
        "reason": "version run2 serves and answers 2 real rows as it did in training",
    }
    assert endpoint.asked == {
        "instances": SAMPLE["instances"],
        "EndpointName": "upkeep-test-toy",
        "ContentType": "application/json",
        "Accept": "application/json",
    }
    assert emitted(capsys.readouterr().out)[0]["ReleasesVerified"] == [1.0]


def test_a_silent_rollback_is_seen(endpoint, capsys):
    endpoint.endpoint["EndpointConfigName"] = "config-1"
    result = _refuses(
        endpoint, "serves the configuration config-1, expected config-2; the update was rolled back"
    )
    assert result["serving_config"] == "config-1"
    assert emitted(capsys.readouterr().out)[0]["ReleasesFailed"] == [1.0]


def test_an_endpoint_that_failed_is_told_with_sagemakers_reason(endpoint):
    endpoint.endpoint |= {"EndpointStatus": "Failed", "FailureReason": "ping"}
    _refuses(endpoint, "endpoint upkeep-test-toy is Failed, expected InService: ping")


def test_a_reason_fits_the_packages_description(endpoint):
    endpoint.endpoint |= {"EndpointStatus": "Failed", "FailureReason": "line\n" * 1000}
    reason = _refuses(endpoint, "is Failed, expected InService: line line")["reason"]
    assert len(reason) == 1024
    assert reason.endswith("...")
    assert "\n" not in reason


def test_another_model_in_the_configuration_is_seen(endpoint):
    endpoint.config = {"ProductionVariants": [{"ModelName": "model-1"}]}
    _refuses(endpoint, "configuration config-2 holds the model model-1, expected model-2")


def test_another_archive_than_the_approved_one_is_seen(endpoint):
    endpoint.model = {"PrimaryContainer": {"ModelDataUrl": "s3://elsewhere/model.tar.gz"}}
    _refuses(endpoint, "model model-2 serves s3://elsewhere/model.tar.gz, the approved package holds s3://")


def test_a_model_made_from_the_package_itself_is_the_approved_one(endpoint):
    endpoint.model = {"Containers": [{"ModelPackageName": EVENT["model_package_arn"]}]}
    assert release.handler(EVENT, CONTEXT)["verified"] is True


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ANSWER | {"model_version": "run1"}, "the endpoint answers with version run1, expected run2"),
        (ANSWER | {"predictions": []}, "the endpoint answered 0 predictions, expected 2"),
        (ANSWER | {"predictions": None}, "the endpoint answered no predictions, expected 2"),
        (
            ANSWER | {"predictions": [{"score": 0.25, "label": 0}, {"score": 0.7501, "label": 1}]},
            "row 2: the endpoint",
        ),
        (
            ANSWER | {"predictions": [{"score": 0.25, "label": 1}, {"score": 0.75, "label": 1}]},
            "row 1: the endpoint",
        ),
        (ANSWER | {"predictions": [None, 1]}, "row 1: the endpoint answers None"),
        (b"<html>", "answered no JSON"),
        ([1], "answered a list, expected an object"),
        (
            ClientError(
                {
                    "Error": {"Code": "ModelError", "Message": "x"},
                    "OriginalStatusCode": 500,
                    "OriginalMessage": "broken",
                },
                "InvokeEndpoint",
            ),
            "refused the sample request: 500 broken",
        ),
    ],
)
def test_a_wrong_answer_is_a_failed_release(endpoint, answer, words):
    endpoint.answer = answer
    _refuses(endpoint, words)


def test_answers_within_the_noise_of_another_machine_are_the_same(endpoint):
    endpoint.answer = ANSWER | {
        "predictions": [{"score": 0.25 + 1e-9, "label": 0}, {"score": 0.75 - 1e-9, "label": 1}]
    }
    assert release.handler(EVENT, CONTEXT)["verified"] is True


def test_something_that_is_not_there_is_a_failed_release(endpoint):
    endpoint.model = ClientError(
        {"Error": {"Code": "ValidationException", "Message": "Could not find model"}}, "DescribeModel"
    )
    _refuses(endpoint, "model model-2: Could not find model")


def test_a_training_without_a_sample_is_a_failed_release(endpoint, store):
    store.put("training/toy/job/output/output.tar.gz", tar_bytes({}), ARTIFACTS)
    _refuses(endpoint, "holds no sample.json")


def test_a_call_that_is_not_allowed_fails_the_function_not_the_release(endpoint):
    endpoint.endpoint = ClientError({"Error": {"Code": "AccessDeniedException"}}, "DescribeEndpoint")
    with pytest.raises(ClientError):
        release.handler(EVENT, CONTEXT)
