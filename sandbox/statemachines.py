"""What Step Functions does for a Task of its SageMaker integrations, and what permission other tasks need.

Every call is a real one: signed with the session of the state machine's role and sent to the sandbox, so that
strict validation, IAM and PassRole hold as for any caller. Sources: "Create and manage Amazon SageMaker AI
jobs with Step Functions" (https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html),
"Learning to use AWS service SDK integrations" (…/supported-services-awssdk.html).
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.authorization import Permission

_OPTIMISED = re.compile(r"arn:aws[\w-]*:states:::sagemaker:(\w+?)(\.sync)?")
_SDK = re.compile(r"arn:aws[\w-]*:states:::aws-sdk:sagemaker:(\w+)")
_OTHER = re.compile(r"arn:aws[\w-]*:states:::(?:aws-sdk:)?(\w+):(\w+)(?:\.\w+(?::\d)?)?")
_POLL_SECONDS = 0.2
_CALL_TIMEOUT_SECONDS = 60.0

# The APIs of the optimised integration; .sync exists for the jobs.
OPTIMISED = frozenset(
    {
        "createEndpoint",
        "createEndpointConfig",
        "createHyperParameterTuningJob",
        "createLabelingJob",
        "createModel",
        "createProcessingJob",
        "createTrainingJob",
        "createTransformJob",
        "updateEndpoint",
    }
)
SYNC = frozenset(api for api in OPTIMISED if api.endswith("Job"))

Convert = Callable[[str, dict[str, Any]], dict[str, Any]]


class Execution(Protocol):
    """The running task's execution."""

    arn: str

    @property
    def wanted(self) -> bool:
        """Whether anyone still waits for the task."""

    def credentials(self) -> dict[str, str]:
        """The state machine's role, as AWS_* variables."""


class TaskFailedError(Exception):
    """The task ends with an error name and a cause, for Retry and Catch to see."""

    def __init__(self, error: str, cause: str) -> None:
        self.error = error
        self.cause = cause
        super().__init__(f"{error}: {cause}")


class _ApiFailedError(Exception):
    """SageMaker refused a call."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


def is_sagemaker(resource: str) -> bool:
    """Whether a task's resource is one of SageMaker's integrations."""
    return bool(_OPTIMISED.fullmatch(resource) or _SDK.fullmatch(resource))


class SageMakerTasks:
    """Runs the tasks of SageMaker's two integrations.

    `to_wire` and `from_wire` translate between the names of the AWS SDK for Java, which state machines use,
    and the API's.
    """

    def __init__(self, endpoint_url: str, region: str, to_wire: Convert, from_wire: Convert) -> None:
        self._address = urlsplit(endpoint_url).netloc
        self._url = endpoint_url
        self._region = region
        self._to_wire = to_wire
        self._from_wire = from_wire

    def run(self, resource: str, data: Any, execution: Execution) -> dict[str, Any]:
        """Run one task to its result. Raises TaskFailedError."""
        params = data if isinstance(data, dict) else {}
        sdk = _SDK.fullmatch(resource)
        if sdk:
            operation = _pascal(sdk[1])
            try:
                return self._from_wire(
                    operation, self._call(operation, self._to_wire(operation, params), execution)
                )
            except _ApiFailedError as error:
                raise TaskFailedError(sdk_error(error.code), error.message) from error
        optimised = _OPTIMISED.fullmatch(resource)
        if optimised is None or optimised[1] not in (SYNC if optimised[2] else OPTIMISED):
            raise TaskFailedError("States.Runtime", f"{resource} is not an integration of Step Functions.")
        return self._optimised(_pascal(optimised[1]), bool(optimised[2]), params, execution)

    def _optimised(
        self, operation: str, sync: bool, params: dict[str, Any], execution: Execution
    ) -> dict[str, Any]:
        try:
            if not sync:
                return _milliseconds(self._call(operation, params, execution))
            self._call(
                operation, {**params, "Tags": _with_marks(params.get("Tags"), execution.arn)}, execution
            )
            return self._wait(operation.removeprefix("Create"), params, execution)
        except _ApiFailedError as error:
            raise TaskFailedError(optimised_error(error.code), error.message) from error

    def _wait(self, job: str, params: dict[str, Any], execution: Execution) -> dict[str, Any]:
        """Wait for a job's end; stop it when nobody waits for it any more."""
        name = {f"{job}Name": params[f"{job}Name"]}
        while True:
            description = _milliseconds(self._call(f"Describe{job}", name, execution))
            status = description[f"{job}Status"]
            if status == "Completed":
                return description
            if status in ("Failed", "Stopped"):
                raise TaskFailedError("States.TaskFailed", json.dumps(description))
            if not execution.wanted:
                self._call(f"Stop{job}", name, execution)
                raise TaskFailedError(
                    "States.Timeout", f"Nobody waits for the {job} {name} any more; it was stopped."
                )
            time.sleep(_POLL_SECONDS)

    def _call(self, operation: str, params: dict[str, Any], execution: Execution) -> dict[str, Any]:
        """One signed call. Raises _ApiFailedError with SageMaker's code."""
        credentials = execution.credentials()
        request = AWSRequest(
            "POST",
            f"{self._url}/",
            headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"SageMaker.{operation}"},
            data=json.dumps(params).encode(),
        )
        signer = Credentials(*(credentials[f"AWS_{part}"] for part in _CREDENTIAL_PARTS))
        SigV4Auth(signer, "sagemaker", self._region).add_auth(request)
        connection = http.client.HTTPConnection(self._address, timeout=_CALL_TIMEOUT_SECONDS)
        try:
            connection.request("POST", "/", body=request.data, headers=dict(request.headers))
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read() or b"{}")
        finally:
            connection.close()
        if response.status >= 400:
            raise _ApiFailedError(
                str(answer.get("__type", "InternalFailure")).rpartition("#")[2],
                str(answer.get("message") or answer.get("Message") or answer),
            )
        return answer


_CREDENTIAL_PARTS = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")


def _pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


def _with_marks(tags: Any, execution_arn: str) -> list[dict[str, str]]:
    """The tags Step Functions puts on a job it waits for; seen in SageMaker's events of such jobs."""
    return [
        *(tags or []),
        {"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"},
        {"Key": "AWS_STEP_FUNCTIONS_EXECUTION_ARN", "Value": execution_arn},
    ]


def _milliseconds(answer: dict[str, Any]) -> dict[str, Any]:
    """The optimised integration gives times as epoch milliseconds, the API as seconds."""

    def convert(name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: convert(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [convert(name, item) for item in value]
        timed = isinstance(value, (int, float)) and re.fullmatch(r"\w*(Time|Timestamp)", name)
        return int(value * 1000) if timed else value

    return {name: convert(name, value) for name, value in answer.items()}


def optimised_error(code: str) -> str:
    """The error name of the optimised integration: classes of the first SDK for Java."""
    return f"SageMaker.{_class_name(code) or 'AmazonSageMakerException'}"


def sdk_error(code: str) -> str:
    """The error name of the SDK integration: classes of the second SDK for Java."""
    return f"SageMaker.{_class_name(code) or 'SageMakerException'}"


def _class_name(code: str) -> str | None:
    """The SDKs' class for an error the API's model declares; others come as the service's own exception.

    A ValidationException, which is how SageMaker says that something does not exist, is not declared.
    """
    declared = {"ResourceInUse", "ResourceLimitExceeded", "ResourceNotFound", "ConflictException"}
    return f"{code.removesuffix('Exception')}Exception" if code in declared else None


def needed_permission(
    resource: str, params: Mapping[str, Any], region: str, account: str
) -> tuple[Permission, str] | None:
    """What the role needs for a task of another service, and the emulator's name of that service.

    None for what is not known here: activities, and SDK integrations without a rule below.
    """
    if ":function:" in resource:
        return Permission("lambda:InvokeFunction", resource), "lambda"
    found = _OTHER.match(resource)
    if found is None:
        return None
    service, api = found.groups()
    kind, _, name = _TARGETS.get((service, api), "").partition(" ")
    if not kind:
        return None
    value = str(params.get(name, ""))
    if kind == "lambda":
        arn = value if value.startswith("arn:") else f"arn:aws:lambda:{region}:{account}:function:{value}"
        return Permission("lambda:InvokeFunction", arn), "lambda"
    if kind == "sns":
        return Permission("sns:Publish", value or "*"), "sns"
    if kind == "sqs":
        return Permission(
            "sqs:SendMessage", f"arn:aws:sqs:{region}:{account}:{value.rpartition('/')[2]}"
        ), "sqs"
    if kind == "states":
        return Permission("states:StartExecution", value), "states"
    bus = next((entry.get("EventBusName") for entry in params.get("Entries") or []), None) or "default"
    bus_arn = bus if bus.startswith("arn:") else f"arn:aws:events:{region}:{account}:event-bus/{bus}"
    return Permission("events:PutEvents", bus_arn), "events"


_TARGETS = {
    ("lambda", "invoke"): "lambda FunctionName",
    ("sns", "publish"): "sns TopicArn",
    ("sqs", "sendMessage"): "sqs QueueUrl",
    ("events", "putEvents"): "events",
    ("eventbridge", "putEvents"): "events",
    ("states", "startExecution"): "states StateMachineArn",
    ("sfn", "startExecution"): "states StateMachineArn",
}


def denied_error(resource: str, sdk_prefixes: Mapping[str, str]) -> str:
    """The error name of a task whose role lacks the permission."""
    found = _OTHER.match(resource)
    service = found[1] if found else "lambda"
    if "aws-sdk:" in resource:
        prefix = sdk_prefixes.get(service, service.capitalize())
        return f"{prefix}.{prefix}Exception"
    return _DENIED.get(service, "States.Permissions")


_DENIED = {
    "lambda": "Lambda.AWSLambdaException",
    "sns": "SNS.AuthorizationErrorException",
    "sqs": "SQS.AmazonSQSException",
    "events": "EventBridge.AmazonEventBridgeException",
    "states": "StepFunctions.AWSStepFunctionsException",
}
