"""Small builders of the Amazon States Language, shared by the two state machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.naming import Names

State = dict[str, Any]

CALL_TIMEOUT_SECONDS = 60

# Errors that pass by themselves. AWS SDK integrations report everything an API does not model, throttling
# included, under the service's own name: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
_TRANSIENT = {
    "sagemaker": ["SageMaker.SageMakerException", "SageMaker.ThrottlingException", "States.Timeout"],
    "training": ["SageMaker.AmazonSageMakerException", "SageMaker.ThrottlingException"],
    "lambda": [
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
    ],
    "sns": ["SNS.AmazonSNSException", "SNS.ThrottledException", "States.Timeout"],
}


def retry(kind: str, attempts: int = 4) -> list[State]:
    """Try again after about 2, 4, 8, 16 seconds, spread at random so that callers do not move in step."""
    return [
        {
            "ErrorEquals": _TRANSIENT[kind],
            "IntervalSeconds": 2,
            "BackoffRate": 2.0,
            "MaxAttempts": attempts,
            "MaxDelaySeconds": 60,
            "JitterStrategy": "FULL",
        }
    ]


def catch(target: str, path: str = "$.error") -> list[State]:
    """Whatever goes wrong ends up in one state, with what was known before beside the error."""
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": path, "Next": target}]


def task(
    resource: str,
    parameters: Mapping[str, Any],
    *,
    kind: str,
    then: str,
    on_error: str,
    result: str | None,
    select: Mapping[str, str] | None = None,
    timeout_seconds: int = CALL_TIMEOUT_SECONDS,
    comment: str = "",
) -> State:
    """One call.

    Args:
        resource: ARN of the integration.
        parameters: Keys ending in ``.$`` hold paths.
        kind: Which errors pass by themselves: a key of ``_TRANSIENT``.
        then: The next state.
        on_error: Where every other error goes.
        result: Path the answer is put at; None drops it.
        select: What is kept of the answer; everything when left out.
        timeout_seconds: The longest the call may take.
        comment: Shown in the console.
    """
    state: State = {"Type": "Task"}
    if comment:
        state["Comment"] = comment
    state |= {"Resource": resource, "Parameters": dict(parameters), "TimeoutSeconds": timeout_seconds}
    if select:
        state["ResultSelector"] = dict(select)
    return state | {
        "ResultPath": result,
        "Retry": retry(kind),
        "Catch": catch(on_error),
        "Next": then,
    }


def assign(path: str, values: Mapping[str, Any], then: str) -> State:
    """Put values beside what is known already."""
    return {"Type": "Pass", "Parameters": dict(values), "ResultPath": path, "Next": then}


def choice(rules: Sequence[Mapping[str, Any]], default: str) -> State:
    """The first rule that holds decides."""
    return {"Type": "Choice", "Choices": [dict(rule) for rule in rules], "Default": default}


def count(path: str, then: str) -> State:
    """Add one to a counter."""
    return assign(path, {"count.$": f"States.MathAdd({path}.count, 1)"}, then)


def find_endpoint(names: Names, model: str, then: str) -> State:
    """What the endpoint of a model is doing, and with which configuration."""
    return task(
        names.integration("aws-sdk:sagemaker:describeEndpoint"),
        {"EndpointName": names.model(model).base},
        kind="sagemaker",
        then=then,
        on_error="StepFailed",
        result="$.endpoint",
    )


def find_served_model(names: Names, then: str) -> dict[str, State]:
    """From ``$.endpoint`` to the model behind it: ``$.serving`` holds its archive and its container."""
    return {
        "FindConfig": task(
            names.integration("aws-sdk:sagemaker:describeEndpointConfig"),
            {"EndpointConfigName.$": "$.endpoint.EndpointConfigName"},
            kind="sagemaker",
            then="FindModel",
            on_error="StepFailed",
            result="$.config",
            select={"ModelName.$": "$.ProductionVariants[0].ModelName"},
        ),
        "FindModel": task(
            names.integration("aws-sdk:sagemaker:describeModel"),
            {"ModelName.$": "$.config.ModelName"},
            kind="sagemaker",
            then=then,
            on_error="StepFailed",
            result="$.serving",
            select={"ModelDataUrl.$": "$.PrimaryContainer.ModelDataUrl", "Container.$": "$.PrimaryContainer"},
        ),
    }


def announce_and_fail(
    names: Names, topic_arn: str, subject: str, details: Mapping[str, str]
) -> dict[str, State]:
    """The end of every failure: tell people, then fail with ``$.failure``.

    Args:
        names: Names of the stack.
        topic_arn: Where people listen.
        subject: At most 100 characters are sent: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
        details: Words and the path of what follows them, a line each.
    """
    lines = ["{}\n{}\n", *(f"{words}: {{}}" for words in details)]
    paths = ", ".join(["$.failure.error", "$.failure.cause", *details.values()])
    message = "\n".join(lines)
    return {
        "Notify": task(
            names.integration("sns:publish"),
            {
                "TopicArn": topic_arn,
                "Subject": subject[:100],
                "Message.$": f"States.Format('{message}', {paths})",
            },
            kind="sns",
            then="Failed",
            on_error="Failed",
            result=None,
        ),
        "Failed": {"Type": "Fail", "ErrorPath": "$.failure.error", "CausePath": "$.failure.cause"},
    }


def tags(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as the SageMaker API takes them."""
    return [{"Key": key, "Value": value} for key, value in sorted(values.items())]
