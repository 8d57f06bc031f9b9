"""Stand-ins for a deployed stack: outputs as a deployment exports them, and scripted AWS clients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from upkeep import outputs
from upkeep.outputs import StackOutputs

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
RETRAIN = "arn:aws:states:us-east-1:000000000000:stateMachine:upkeep-dev-flights-retrain"
RELEASE = "arn:aws:states:us-east-1:000000000000:stateMachine:upkeep-dev-flights-release"
RAW = {
    "region": "us-east-1",
    "data_bucket": "upkeep-dev-data-000000000000",
    "artifacts_bucket": "upkeep-dev-artifacts-000000000000",
    "alerts_topic_arn": "arn:aws:sns:us-east-1:000000000000:upkeep-dev-alerts",
    "intake_queue_url": "",
    "intake_dead_letters_url": "",
    "dashboard_name": "upkeep-dev",
    "dashboard_url": "https://console.aws.amazon.com/cloudwatch",
    "models": {
        "flights": {
            "endpoint": "upkeep-dev-flights",
            "package_group": "upkeep-dev-flights",
            "retrain_state_machine_arn": RETRAIN,
            "release_state_machine_arn": RELEASE,
            "incoming": "s3://upkeep-dev-data-000000000000/incoming/flights/",
            "seed_job": "upkeep-dev-flights-seed-abc1234",
        }
    },
}


def stack_outputs(**changes: Any) -> StackOutputs:
    """Outputs of a stack `dev` with one model, `flights`."""
    return outputs.parse({**RAW, **changes}, "dev")


class FakeContext:
    """A context whose clients are given; `poll_seconds` as on this machine."""

    stack = "dev"
    endpoint_url = None
    poll_seconds = 0.0

    def __init__(self, clients: Mapping[str, Any], **changes: Any) -> None:
        self.outputs = stack_outputs(**changes)
        self.region = self.outputs.region
        self._clients = clients

    def client(self, service: str, region_name: str | None = None, config: Any = None) -> Any:
        return self._clients[service]

    def model(self, name: str | None) -> outputs.ModelOutputs:
        return self.outputs.model(name)


class FakeClient:
    """A client that answers from functions by operation name and remembers what it was asked.

    A paginator gives the operation's answer as its only page.
    """

    class exceptions:  # noqa: N801 - boto3's own spelling
        ClientError = ClientError
        ModelError = type("ModelError", (ClientError,), {})
        ResourceNotFoundException = type("ResourceNotFoundException", (ClientError,), {})

    def __init__(self, **answers: Callable[..., Any]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation not in self.answers:
            raise AssertionError(f"not expected to be called: {operation}")

        def call(**arguments: Any) -> Any:
            self.calls.append((operation, arguments))
            return self.answers[operation](**arguments)

        return call

    def get_paginator(self, operation: str) -> Any:
        client = self

        class Paginator:
            def paginate(self, **arguments: Any) -> Iterable[Any]:
                arguments.pop("PaginationConfig", None)
                yield getattr(client, operation)(**arguments)

        return Paginator()

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """The arguments of all calls of an operation."""
        return [arguments for name, arguments in self.calls if name == operation]


def refusal(code: str, message: str = "no", operation: str = "Operation") -> ClientError:
    """An error as AWS answers it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def missing(what: str = "thing") -> ClientError:
    """How SageMaker says that something does not exist."""
    return refusal("ValidationException", f'Could not find {what} "x".')


def raising(error: Exception) -> Callable[..., Any]:
    """A function that raises whatever it is asked."""

    def call(**_arguments: Any) -> Any:
        raise error

    return call


def answering(value: Any) -> Callable[..., Any]:
    """A function that gives the same answer to everything."""
    return lambda **_arguments: value
