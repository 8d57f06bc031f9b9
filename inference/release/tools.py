"""What the function works with, and which errors pass by themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inference.release.plan import Plan
from training.aws import code
from training.ledger.table import Ledger

# SageMaker's answers to a Describe of what is not there.
_MISSING = ("ValidationException", "ResourceNotFound", "ResourceNotFoundException")
_PASSING = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestTimeout",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


class TransientError(Exception):
    """A call failed in a way that passes; the state machine asks again later."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Clients, the ledger, and what is known about the model and this execution.

    Attributes:
        plan: How versions are served.
        execution: ARN of the execution that asks.
        account: Account that must own the buckets.
        ledger: The stack's ledger.
        sagemaker: boto3 client, as are the following.
        runtime: Of sagemaker-runtime.
        s3: Of S3.
        cloudwatch: Of CloudWatch.
        states: Of Step Functions.
        now: Asked for the time, in seconds since 1970.
    """

    plan: Plan
    execution: str
    account: str
    ledger: Ledger
    sagemaker: Any
    runtime: Any
    s3: Any
    cloudwatch: Any
    states: Any
    now: Callable[[], float]


def is_passing(error: Exception) -> bool:
    """Whether an error is throttling, a fault of the service, or no answer at all."""
    response: dict[str, Any] = getattr(error, "response", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code(error) in _PASSING or status >= 500:
        return True
    # Of botocore, which is not imported here: no connection, no answer in time.
    return type(error).__module__.startswith("botocore.") and not response


def is_absent(error: Exception) -> bool:
    """Whether a Describe failed because the thing is not there."""
    return code(error) in _MISSING


def said(error: Exception) -> str:
    """What a service said, with the operation that it refused."""
    response: dict[str, Any] = getattr(error, "response", {})
    operation = getattr(error, "operation_name", "")
    message = response.get("Error", {}).get("Message") or str(error)
    return f"{operation}: {code(error)}: {message}" if operation else message


def describe(call: Callable[..., Any], **arguments: Any) -> dict[str, Any] | None:
    """What a Describe says; None when the thing is not there."""
    try:
        found: dict[str, Any] = call(**arguments)
    except Exception as error:
        if is_absent(error):
            return None
        raise
    return found
