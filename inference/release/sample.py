"""Lambda: after a release, reads back what the endpoint really serves and asks it real questions.

SageMaker can roll an endpoint back on its own, without an error anywhere; only a comparison with what was
meant to serve shows it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger

from monitoring import metrics
from training.aws import Place, client, code, require
from training.outputs import OutputError, output_uri, read_document
from training.words import description

_log = Logger(service="release")
SAMPLE = "sample.json"
TOLERANCE = 1e-6
_JSON = "application/json"


class UnverifiedError(Exception):
    """The endpoint does not serve what it should; the text says what it does."""


@dataclass
class _Serving:
    """What was read back so far."""

    config: str | None = None
    version: str | None = None


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Verify a release; called by the release state machine.

    Args:
        event: ``model``, ``endpoint``, ``expected_config``, ``model_package_arn``, ``model_name``.
        context: Lambda's context.

    Returns:
        ``verified``, ``serving_config``, ``served_version`` and ``reason``, which becomes the package's
        description; a bad release is an answer, no exception.
    """
    bucket, prefix = require(os.environ, "ARTIFACTS_BUCKET", "PREFIX")
    account = Place.of(context.invoked_function_arn).account
    serving = _Serving()
    try:
        reason = _verify(event, serving, bucket, account)
        verified = True
    except (UnverifiedError, OutputError) as error:
        reason, verified = description(str(error)), False
    _log.info(reason, extra={"model": event["model"], "verified": verified, "config": serving.config})
    metrics.emit(
        prefix, event["model"], {metrics.RELEASES_VERIFIED if verified else metrics.RELEASES_FAILED: 1}
    )
    return {
        "verified": verified,
        "serving_config": serving.config,
        "served_version": serving.version,
        "reason": reason,
    }


def _verify(event: Mapping[str, Any], serving: _Serving, bucket: str, account: str) -> str:
    sagemaker = client("sagemaker")
    name = str(event["endpoint"])
    endpoint = _describe(sagemaker.describe_endpoint, sagemaker, f"endpoint {name}", EndpointName=name)
    serving.config = endpoint.get("EndpointConfigName")
    status = endpoint.get("EndpointStatus")
    if status != "InService":
        why = endpoint.get("FailureReason")
        raise UnverifiedError(
            f"endpoint {name} is {status}, expected InService" + (f": {why}" if why else "")
        )
    if serving.config != event["expected_config"]:
        raise UnverifiedError(
            f"endpoint {name} serves the configuration {serving.config}, expected "
            f"{event['expected_config']}; "
            "the update was rolled back or another one came between"
        )
    config = _describe(
        sagemaker.describe_endpoint_config,
        sagemaker,
        f"configuration {serving.config}",
        EndpointConfigName=serving.config,
    )
    models = [variant.get("ModelName") for variant in config["ProductionVariants"]]
    if models != [event["model_name"]]:
        raise UnverifiedError(
            f"configuration {serving.config} holds the model {', '.join(map(str, models))}, expected "
            f"{event['model_name']}"
        )
    data_url = _model_data(sagemaker, event)
    sample = read_document(client("s3"), output_uri(data_url), SAMPLE, bucket=bucket, owner=account)
    answer = _ask(name, sample)
    serving.version = answer.get("model_version")
    return compare(sample, answer)


def compare(sample: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """Compare an endpoint's answer with the one the training expected.

    Returns:
        What was verified, in words.

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
    return f"version {run_id} serves and answers {len(expected)} real rows as it did in training"


def _model_data(sagemaker: Any, event: Mapping[str, Any]) -> str:
    """The served model's archive, which has to be the package's."""
    name = event["model_name"]
    model = _describe(sagemaker.describe_model, sagemaker, f"model {name}", ModelName=name)
    containers: list[dict[str, Any]] = model.get("Containers", [])
    container = model.get("PrimaryContainer") or (containers[0] if containers else {})
    served = container.get("ModelDataUrl")
    package = _describe(
        sagemaker.describe_model_package,
        sagemaker,
        f"model package {event['model_package_arn']}",
        ModelPackageName=event["model_package_arn"],
    )
    meant = package["InferenceSpecification"]["Containers"][0].get("ModelDataUrl")
    # A model may be made from the package itself; then SageMaker keeps no URL with the model.
    from_package = container.get("ModelPackageName") == event["model_package_arn"]
    if meant is None or (served != meant and not from_package):
        raise UnverifiedError(f"model {name} serves {served}, the approved package holds {meant}")
    return str(meant)


def _ask(endpoint: str, sample: Mapping[str, Any]) -> dict[str, Any]:
    runtime = client("sagemaker-runtime")
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint,
            ContentType=_JSON,
            Accept=_JSON,
            Body=json.dumps({"instances": sample["instances"]}).encode(),
        )
    except runtime.exceptions.ClientError as error:
        said = error.response.get("OriginalMessage") or error.response["Error"].get("Message", "")
        status = error.response.get("OriginalStatusCode") or code(error)
        raise UnverifiedError(
            f"endpoint {endpoint} refused the sample request: {status} {said}"[:500]
        ) from error
    try:
        data = json.loads(answer["Body"].read())
    except ValueError as error:
        raise UnverifiedError(f"endpoint {endpoint} answered no JSON: {error}") from error
    if not isinstance(data, dict):
        raise UnverifiedError(f"endpoint {endpoint} answered a {type(data).__name__}, expected an object")
    return data


def _describe(call: Any, sagemaker: Any, what: str, **arguments: Any) -> dict[str, Any]:
    """Describe a resource; one that is not there is a failed release, not a failed function."""
    try:
        result: dict[str, Any] = call(**arguments)
    except sagemaker.exceptions.ClientError as error:
        if code(error) in ("ValidationException", "ResourceNotFound", "ResourceNotFoundException"):
            raise UnverifiedError(f"{what}: {error.response['Error'].get('Message', 'not found')}") from error
        raise
    return result
