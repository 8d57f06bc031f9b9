"""Asks an endpoint the rows whose answers its model's training wrote down.

That an endpoint names a configuration proves little; what answers, and how, does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from inference.release.observe import archives_of, read_package
from inference.release.tools import Tools, is_passing
from training.aws import code
from training.outputs import OutputError, output_uri, read_document
from training.words import description

SAMPLE = "sample.json"
TOLERANCE = 1e-6
_JSON = "application/json"


class UnverifiedError(Exception):
    """The endpoint does not serve what it should; the text says what it does."""


def problem_of_answers(tools: Tools, config: str, package_arn: str) -> str:
    """What is wrong with what the endpoint serves; empty when it answers as it did in training.

    Args:
        tools: Clients.
        config: The configuration that is in service.
        package_arn: The version that it should serve.
    """
    try:
        url = _model_data(tools, config, package_arn)
        sample = read_document(
            tools.s3, output_uri(url), SAMPLE, bucket=tools.plan.artifacts_bucket, owner=tools.account
        )
        compare(sample, _ask(tools, sample))
    except (UnverifiedError, OutputError) as error:
        return description(str(error))
    return ""


def compare(sample: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Compare an endpoint's answer with the one the training expected.

    Raises:
        UnverifiedError: Another version answers, or it answers otherwise.
    """
    version, run_id = answer.get("model_version"), sample["run_id"]
    if version != run_id:
        raise UnverifiedError(f"the endpoint answers with version {version}, expected {run_id}")
    found, expected = answer.get("predictions"), sample["predictions"]
    if not isinstance(found, list) or len(found) != len(expected):
        count = len(found) if isinstance(found, list) else "no"
        raise UnverifiedError(f"the endpoint answered {count} predictions, expected {len(expected)}")
    for row, (got, want) in enumerate(zip(found, expected, strict=True), 1):
        score = got.get("score") if isinstance(got, dict) else None
        close = isinstance(score, (int, float)) and abs(score - want["score"]) <= TOLERANCE * max(
            1.0, abs(want["score"])
        )
        if not close or got.get("label") != want.get("label"):
            raise UnverifiedError(f"row {row}: the endpoint answers {got}, expected {want}")


def _model_data(tools: Tools, config: str, package_arn: str) -> str:
    """The served model's archive, which has to be the package's."""
    served = list(archives_of(tools, config).values())
    package = read_package(tools, package_arn)
    if package is None:
        raise UnverifiedError(f"model package {package_arn} is gone")
    meant = package["InferenceSpecification"]["Containers"][0].get("ModelDataUrl")
    if meant is None or served != [meant]:
        found = ", ".join(served) or "nothing"
        raise UnverifiedError(f"configuration {config} serves {found}, the approved package holds {meant}")
    return str(meant)


def _ask(tools: Tools, sample: Mapping[str, Any]) -> dict[str, Any]:
    name = tools.plan.base
    try:
        answer = tools.runtime.invoke_endpoint(
            EndpointName=name,
            ContentType=_JSON,
            Accept=_JSON,
            Body=json.dumps({"instances": sample["instances"]}).encode(),
        )
    except tools.runtime.exceptions.ClientError as error:
        # A model's own 5xx comes as ModelError and tells of the model; everything else of that kind passes.
        if is_passing(error) and code(error) != "ModelError":
            raise
        said = error.response.get("OriginalMessage") or error.response["Error"].get("Message", "")
        status = error.response.get("OriginalStatusCode") or code(error)
        raise UnverifiedError(f"endpoint {name} refused the sample request: {status} {said}"[:500]) from error
    try:
        data = json.loads(answer["Body"].read())
    except ValueError as error:
        raise UnverifiedError(f"endpoint {name} answered no JSON: {error}") from error
    if not isinstance(data, dict):
        raise UnverifiedError(f"endpoint {name} answered a {type(data).__name__}, expected an object")
    return data
