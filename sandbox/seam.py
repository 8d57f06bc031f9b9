"""The seam to MiniStack: the only file that knows its internals.

MiniStack publishes no interface for what is done here, so `check()` names everything relied on and fails
first when a new version moves it.
"""

# ruff: noqa: SLF001 - MiniStack's private names are what this file is for

from __future__ import annotations

import asyncio
import contextvars
import functools
import hashlib
import importlib
import importlib.metadata
import json
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

from sandbox import authorization, calls, statemachines
from sandbox.authorization import PassedRole, Permission
from sandbox.calls import Call
from sandbox.lifecycle import ACCOUNT, HOST, REGION
from sandbox.sagemaker.errors import ApiError

Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, list[str]]], Awaitable[Answer]]

SERVICES = (
    "s3",
    "sqs",
    "sns",
    "iam",
    "sts",
    "kms",
    "lambda",
    "logs",
    "monitoring",
    "events",
    "scheduler",
    "states",
)

# Everything of MiniStack's that is called or replaced below.
RELIED_ON = {
    "app": "app SERVICE_HANDLERS _collect_scripts _extract_s3_vhost_bucket call_service_handler_sync",
    "core.iam_actions": "SERVICE_TO_IAM_NAMESPACE _BOTOCORE_SERVICE_MAP extract_resource_arn request_tag_context "
    "access_denied_response identity_denial_message",
    "core.iam_evaluator": "AuthError EvalContext enforce parse_policy_document _conditions_met _action_matches "
    "_service_principal_matches",
    "core.lambda_runtime": "reset",
    "core.responses": "request_scope set_request_account_id set_request_region",
    "core.router": "SERVICE_PATTERNS detect_service extract_access_key_id extract_region",
    "services.cloudwatch": "_alarms _composite_alarms _put_metric_data _record_history",
    "services.cloudwatch_logs": "_log_groups _create_log_group _create_log_stream _put_log_events",
    "services.eventbridge": "_put_events",
    "services.iam": "_roles",
    "services.stepfunctions": "_ExecutionError _execute_task _invoke_resource _state_machines _sdk_json_params "
    "_sdk_json_result _resolve_lambda_function_ref _AWS_SDK_ERROR_PREFIX _AWS_SDK_SERVICE_MAP",
    "services.sts": "register_session",
}

_ENDPOINT_PATH = re.compile(r"/endpoints/([^/]+)/invocations")


def prepare(*, port: int, run_dir: Path, wait_scale: float) -> None:
    """Set the environment MiniStack reads when it is imported; call before anything imports it."""
    temporary = run_dir / "tmp"
    temporary.mkdir(mode=0o700, exist_ok=True)
    os.environ.update(
        {
            "AUTH": "true",
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(port),
            "SERVICES": ",".join(SERVICES),
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            # What localstack-client signs with unless told otherwise; MiniStack's own `test` is root besides.
            "AWS_ACCESS_KEY_ID": "accesskey",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "0",
            "S3_PERSIST": "0",
            "STATE_DIR": str(run_dir / "state"),
            "S3_DATA_DIR": str(run_dir / "s3"),
            "LAMBDA_EXECUTOR": "local",
            "DOCKER_HOST": f"unix://{run_dir}/no-docker.sock",
            "SFN_WAIT_SCALE": str(wait_scale),
            "TMPDIR": str(temporary),
        }
    )
    # Lambda workers inherit the environment and must find their code in their bundle, not in this checkout.
    os.environ.pop("PYTHONPATH", None)


def check() -> None:
    """Raise RuntimeError naming what MiniStack no longer has of what this file relies on."""
    missing = [
        f"ministack.{module}.{name}"
        for module, names in RELIED_ON.items()
        for name in names.split()
        if not hasattr(_ministack(module), name)
    ]
    if missing:
        version = importlib.metadata.version("ministack")
        raise RuntimeError(
            f"ministack {version} has moved {', '.join(missing)}; sandbox/seam.py needs to follow."
        )


def _ministack(module: str) -> Any:
    return importlib.import_module(f"ministack.{module}")


# ----------------------------------------------------------------------------------------- roles and policies


def _in_account(function: Callable[[], Any]) -> Any:
    """Run outside any request, in the sandbox's account and region."""

    def scoped() -> Any:
        with _ministack("core.responses").request_scope(ACCOUNT, REGION):
            return function()

    return contextvars.Context().run(scoped)


def role_session(role_arn: str, session_name: str) -> dict[str, str]:
    """Credentials of a role, as AWS_* variables: one session per role and name, known to the emulator's IAM."""
    role_name = role_arn.rpartition("/")[2]
    digest = hashlib.sha256(f"{role_arn}:{session_name}".encode()).hexdigest()
    key, secret = f"ASIA{digest[:16].upper()}", hashlib.sha256(f"secret:{digest}".encode()).hexdigest()
    token = hashlib.sha256(f"token:{digest}".encode()).hexdigest()
    session = {
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role_name}/{session_name}",
        "UserId": f"{role_name}:{session_name}",
        "SecretAccessKey": secret,
        "SessionToken": token,
    }
    _ministack("services.sts").register_session(key, session)
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def denial(access_key: str, permission: Permission, service: str) -> str | None:
    """AWS's sentence when a caller may not, None when it may. Call in a request's or the account's scope."""
    evaluator = _ministack("core.iam_evaluator")
    denied = evaluator.enforce(
        access_key, permission.action, service, REGION, permission.resource, dict(permission.context)
    )
    if denied is None:
        return None
    if isinstance(denied, evaluator.AuthError):
        return str(denied.message)
    explicit = denied.decision == "Deny"
    actions = _ministack("core.iam_actions")
    return str(
        actions.identity_denial_message(
            permission.action, denied.principal_arn, permission.resource, explicit
        )
    )


def role_denial(role_arn: str, permission: Permission, service: str) -> str | None:
    """The same for a role, outside any request."""
    credentials = role_session(role_arn, "upkeep-check")
    return cast(
        "str | None", _in_account(lambda: denial(credentials["AWS_ACCESS_KEY_ID"], permission, service))
    )


def trusts(role_arn: str, service: str, source_arn: str) -> bool:
    """Whether a role exists and its trust policy lets a service assume it for a resource of this account.

    MiniStack evaluates trust only for people and roles. Statements are matched with its evaluator, with the
    keys AWS sets for a service: aws:SourceAccount and aws:SourceArn.
    """
    return bool(_in_account(lambda: _trusts(role_arn, service, source_arn)))


def _trusts(role_arn: str, service: str, source_arn: str) -> bool:
    role = _ministack("services.iam")._roles.get(role_arn.rpartition("/")[2])
    if role is None or role.get("Arn") != role_arn:
        return False
    evaluator = _ministack("core.iam_evaluator")
    context = evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=ACCOUNT,
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=REGION,
        service_context={"aws:sourceaccount": ACCOUNT, "aws:sourcearn": source_arn},
    )
    document = role["AssumeRolePolicyDocument"]
    statements = (json.loads(document) if isinstance(document, str) else document).get("Statement", [])
    effects = {
        statement.get("Effect")
        for statement in ([statements] if isinstance(statements, dict) else statements)
        if evaluator._service_principal_matches(statement.get("Principal"), service)
        and evaluator._action_matches("sts:AssumeRole", _listed(statement.get("Action")), [])
        and evaluator._conditions_met(statement.get("Condition", {}), context)
    }
    return effects == {"Allow"}


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


# ---------------------------------------------------------------------------------- the account for SageMaker


class Account:
    """What SageMaker needs from the rest of the sandbox (`sandbox.sagemaker.platform.Platform`)."""

    account_id = ACCOUNT
    region = REGION

    def __init__(self, port: int, run_dir: Path) -> None:
        self.endpoint_url = f"http://{HOST}:{port}"
        self.root = run_dir / "sm"
        self.root.mkdir(mode=0o700, exist_ok=True)

    def role_credentials(self, role_arn: str, session_name: str) -> dict[str, str]:
        """Assume a role for SageMaker; raises ApiError ValidationException when that is not allowed."""
        if not trusts(role_arn, "sagemaker.amazonaws.com", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:*"):
            raise ApiError(
                "ValidationException", _cannot_assume(PassedRole(role_arn, "sagemaker.amazonaws.com"))
            )
        return role_session(role_arn, session_name[:64])

    def s3_client(self, credentials: dict[str, str]) -> Any:
        """A boto3 S3 client that acts with `credentials` (AWS_* variables)."""
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=credentials.get("AWS_SESSION_TOKEN"),
            config=Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 3}),
        )

    def put_event(self, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        """Put an EventBridge event with source aws.sagemaker on the default bus."""
        put_event("aws.sagemaker", detail_type, detail, resources)

    def put_logs(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        """Append (epoch milliseconds, text) to a log stream; creates group and stream."""
        _in_account(lambda: _put_logs(group, stream, lines))

    def put_metrics(self, namespace: str, data: list[dict[str, Any]]) -> None:
        """Put CloudWatch MetricData entries."""
        cloudwatch = _ministack("services.cloudwatch")
        _in_account(
            lambda: cloudwatch._put_metric_data({}, {"Namespace": namespace, "MetricData": data}, False, True)
        )

    def alarm_states(self, names: list[str]) -> dict[str, str]:
        """The states of the alarms that exist among `names`."""
        cloudwatch = _ministack("services.cloudwatch")

        def states() -> dict[str, str]:
            found = {
                name: cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name) for name in names
            }
            return {name: alarm["StateValue"] for name, alarm in found.items() if alarm}

        return cast("dict[str, str]", _in_account(states))


def put_event(source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
    """Put an event of an AWS service on the default bus."""
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail, default=_epoch_milliseconds),
        "Resources": resources,
    }
    _in_account(
        lambda: _ministack("services.eventbridge")._put_events({"Entries": [entry]}, allow_aws_source=True)
    )


def _epoch_milliseconds(value: Any) -> int:
    """Times in service events are epoch milliseconds."""
    return int(value.timestamp() * 1000)


def _epoch_seconds(value: Any) -> float:
    """Times in JSON answers are epoch seconds."""
    return float(value.timestamp())


def _put_logs(group: str, stream: str, lines: list[tuple[int, str]]) -> None:
    logs = _ministack("services.cloudwatch_logs")
    name = {"logGroupName": group}
    if group not in logs._log_groups:
        logs._create_log_group(name)
    if stream not in logs._log_groups[group]["streams"]:
        logs._create_log_stream({**name, "logStreamName": stream})
    events = [{"timestamp": stamp, "message": text} for stamp, text in lines]
    logs._put_log_events({**name, "logStreamName": stream, "logEvents": events})


# -------------------------------------------------------------------------------------------------- SageMaker


class SageMakerHandler:
    """SageMaker's control plane and runtime, as a MiniStack service."""

    def __init__(self, service: Any) -> None:
        self._service = service

    async def __call__(
        self, _method: str, path: str, headers: dict[str, str], body: bytes, _query: dict[str, list[str]]
    ) -> Answer:
        """Answer one request."""
        endpoint = _ENDPOINT_PATH.fullmatch(path)
        try:
            if endpoint:
                status, answered, content = await self._service.invoke_endpoint(
                    calls.unquoted(endpoint[1]), body, dict(headers)
                )
                return status, dict(answered), content
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            answer = await self._service.handle(operation, json.loads(body or b"{}"))
        except ApiError as error:
            return error_answer(error.code, error.message, error.status)
        return (
            200,
            {"Content-Type": "application/x-amz-json-1.1"},
            json.dumps(answer, default=_epoch_seconds).encode(),
        )


def error_answer(code: str, message: str, status: int = 400) -> Answer:
    """An error in the JSON protocols."""
    content = json.dumps({"__type": code, "message": message, "Message": message}).encode()
    return status, {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}, content


def _route_sagemaker() -> None:
    """Make MiniStack route and authorise SageMaker; its runtime signs as the same service."""
    _ministack("core.router").SERVICE_PATTERNS["sagemaker"] = {
        "target_prefixes": ["SageMaker."],
        "host_patterns": [r"sagemaker\.", r"runtime\.sagemaker\."],
    }
    actions = _ministack("core.iam_actions")
    actions.SERVICE_TO_IAM_NAMESPACE["sagemaker"] = "sagemaker"
    actions._BOTOCORE_SERVICE_MAP["sagemaker"] = ["sagemaker-runtime"]


# ---------------------------------------------------------------------------------------------- authorisation


def _current(service: str) -> Call | None:
    """The call being served, when it is of this service (botocore's name)."""
    call = calls.current.get()
    return call if call is not None and call.service == service else None


def _teach_resources() -> None:
    """Give MiniStack's policy check the resources, condition keys and wording it lacks."""
    actions = _ministack("core.iam_actions")
    resource_arn, tag_context = actions.extract_resource_arn, actions.request_tag_context
    refuse = actions.access_denied_response

    @functools.wraps(resource_arn)
    def as_on_aws(service: str, *arguments: Any, **options: Any) -> str:
        call = calls.current.get()
        ours = authorization.resource(call, REGION, ACCOUNT) if call is not None else None
        return ours or str(resource_arn(service, *arguments, **options))

    @functools.wraps(tag_context)
    def with_keys(service: str, *arguments: Any, **options: Any) -> dict[str, Any]:
        call = calls.current.get()
        ours = authorization.condition_keys(call) if call is not None else {}
        return {**tag_context(service, *arguments, **options), **ours}

    @functools.wraps(refuse)
    def naming_the_resource(
        service: str, action: str, principal: str, request_id: str, **options: Any
    ) -> Any:
        resource = options.get("resource_arn", "*")
        plain = not any(options.get(name) for name in ("error_code", "message", "resource_policy_arn"))
        if plain and resource != "*":
            explicit = bool(options.get("explicit_deny"))
            options["message"] = actions.identity_denial_message(action, principal, resource, explicit)
        return refuse(service, action, principal, request_id, **options)

    actions.extract_resource_arn = as_on_aws
    actions.request_tag_context = with_keys
    actions.access_denied_response = naming_the_resource


def _guard(service: str, handler: Handler) -> Handler:
    """Check what MiniStack does not: the further resources of a SageMaker call, and the roles a call hands over."""

    async def guarded(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Answer:
        call = _current(calls.botocore_name(service, path))
        if call is not None:
            access_key = _ministack("core.router").extract_access_key_id(headers, query)
            refused = _forbidden(service, call, access_key, headers) or _unassumable(call)
            if refused is not None:
                return refused
        return await handler(method, path, headers, body, query)

    return guarded


def _forbidden(service: str, call: Call, access_key: str, headers: Mapping[str, str]) -> Answer | None:
    """A denial of what the call needs beside its action on its own resource."""
    needed = [(role.permission, "iam") for role in authorization.passed_roles(call)]
    if call.service == "sagemaker":
        more = authorization.sagemaker_permissions(call, REGION, ACCOUNT)[1:]
        needed = [(permission, "sagemaker") for permission in more] + needed
    for permission, owner in needed:
        message = denial(access_key, permission, owner)
        if message is not None:
            refuse = _ministack("core.iam_actions").access_denied_response
            return cast(
                "Answer", refuse(service, permission.action, "", "", message=message, headers=dict(headers))
            )
    return None


def _unassumable(call: Call) -> Answer | None:
    """A refusal when a role the call hands over does not exist, or does not trust the service."""
    for role in authorization.passed_roles(call):
        if not trusts(role.role_arn, role.service, authorization.source_arn(call, REGION, ACCOUNT)):
            return error_answer(role.error_code, _cannot_assume(role))
    if call.service == "stepfunctions" and "definition" in call.params and "roleArn" in call.params:
        role_arn = str(call.params["roleArn"])
        for permission in authorization.managed_rule_permissions(
            str(call.params["definition"]), REGION, ACCOUNT
        ):
            if role_denial(role_arn, permission, "events") is not None:
                return error_answer(
                    "AccessDeniedException", f"'{role_arn}' is not authorized to create managed-rule."
                )
    return None


def _cannot_assume(role: PassedRole) -> str:
    return authorization.CANNOT_ASSUME[role.service].format(role=role.role_arn, service=role.service)


# --------------------------------------------------------------------------------------------- state machines


class Execution:
    """A task of a running execution, as `sandbox.statemachines` sees it."""

    def __init__(self, record: dict[str, Any], timeout_seconds: float | None) -> None:
        self._record = record
        self._deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self.arn: str = record["executionArn"]
        machine = _ministack("services.stepfunctions")._state_machines[record["stateMachineArn"]]
        self.role_arn: str = machine["roleArn"]

    @property
    def wanted(self) -> bool:
        """Whether anyone still waits for the task: the execution runs and the task has time left."""
        in_time = self._deadline is None or time.monotonic() < self._deadline
        return self._record["status"] == "RUNNING" and in_time

    def credentials(self) -> dict[str, str]:
        """The state machine's role, as AWS_* variables."""
        return role_session(self.role_arn, str(self._record["name"])[:64])


_execution: contextvars.ContextVar[Execution | None] = contextvars.ContextVar(
    "upkeep_execution", default=None
)


def _extend_state_machines(endpoint_url: str) -> None:
    """Add SageMaker's integrations, and run every task under the state machine's role."""
    machines = _ministack("services.stepfunctions")
    execute, invoke = machines._execute_task, machines._invoke_resource
    sagemaker = statemachines.SageMakerTasks(endpoint_url, REGION, _to_wire, _from_wire)

    @functools.wraps(execute)
    def under_role(state: dict[str, Any], data: Any, execution: dict[str, Any], context: Any) -> Any:
        token = _execution.set(Execution(execution, state.get("TimeoutSeconds")))
        try:
            return execute(state, data, execution, context)
        finally:
            _execution.reset(token)

    @functools.wraps(invoke)
    def invoke_under_role(resource: str, data: Any) -> Any:
        execution = _execution.get()
        if execution is None:
            return invoke(resource, data)
        try:
            if statemachines.is_sagemaker(resource):
                return sagemaker.run(resource, data, execution)
            _refuse_task(resource, data, execution)
        except statemachines.TaskFailedError as error:
            raise machines._ExecutionError(error.error, error.cause) from error
        return invoke(resource, data)

    machines._execute_task = under_role
    machines._invoke_resource = invoke_under_role


def _to_wire(operation: str, data: dict[str, Any]) -> dict[str, Any]:
    machines = _ministack("services.stepfunctions")
    return cast("dict[str, Any]", machines._sdk_json_params({}, "sagemaker", operation, data))


def _from_wire(operation: str, answer: dict[str, Any]) -> dict[str, Any]:
    machines = _ministack("services.stepfunctions")
    return cast("dict[str, Any]", machines._sdk_json_result("sagemaker", operation, answer))


def _refuse_task(resource: str, data: Any, execution: Execution) -> None:
    """Raise TaskFailedError when the state machine's role may not do what the task asks of another service."""
    machines = _ministack("services.stepfunctions")
    needed = statemachines.needed_permission(
        resource, data if isinstance(data, dict) else {}, REGION, ACCOUNT
    )
    if needed is None:
        return
    permission, service = needed
    message = role_denial(execution.role_arn, permission, service)
    if message is not None:
        prefixes = machines._AWS_SDK_ERROR_PREFIX
        raise statemachines.TaskFailedError(statemachines.denied_error(resource, prefixes), message)


# ----------------------------------------------------------------------------------------------- alarm events


def _announce_alarms() -> None:
    """Put the event "CloudWatch Alarm State Change", which MiniStack does not.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
    """
    cloudwatch = _ministack("services.cloudwatch")
    record = cloudwatch._record_history

    @functools.wraps(record)
    def announced(name: str, old: str, new: str, reason: str, *arguments: Any, **options: Any) -> None:
        record(name, old, new, reason, *arguments, **options)
        if old == new:
            return
        alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name) or {}
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000+0000", time.gmtime())
        detail = {
            "alarmName": name,
            "state": {"value": new, "reason": reason, "timestamp": stamp},
            "previousState": {"value": old},
            "configuration": {"description": alarm.get("AlarmDescription", "")},
        }
        put_event("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [alarm.get("AlarmArn", "")])

    cloudwatch._record_history = announced


# ----------------------------------------------------------------------------------------------- the emulator


class Emulator:
    """MiniStack with SageMaker beside it, behind an ASGI interface, its life tied to ours."""

    def __init__(self, sagemaker: Any) -> None:
        self._app = _ministack("app")
        self._sagemaker = sagemaker
        self._lifespan: asyncio.Task[None] | None = None

    @property
    def services(self) -> list[str]:
        """The names of the services that are served."""
        return sorted(self._app.SERVICE_HANDLERS)

    @property
    def sagemaker(self) -> dict[str, int]:
        """How many of each thing SageMaker holds."""
        counts = getattr(self._sagemaker, "counts", None)
        return counts() if counts is not None else {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        await self._app.app(scope, receive, send)

    def service_of(self, request: calls.Request) -> str:
        """MiniStack's name for the service a request is for."""
        router = _ministack("core.router")
        return str(
            router.detect_service(request.method, request.path, dict(request.headers), dict(request.query))
        )

    def s3_path(self, host: str, path: str) -> str:
        """A request's path with the bucket in front, also when the bucket is in the host name."""
        bucket = self._app._extract_s3_vhost_bucket(host)
        return f"/{bucket}{path}" if bucket else path

    async def open(self) -> None:
        """Run MiniStack's start-up: worker threads and schedulers."""
        started: asyncio.Event = asyncio.Event()
        asked = [{"type": "lifespan.startup"}]

        async def receive() -> dict[str, str]:
            if asked:
                return asked.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "lifespan.startup.complete":
                started.set()

        self._lifespan = asyncio.create_task(self._app.app({"type": "lifespan"}, receive, send))
        await started.wait()

    async def close(self) -> None:
        """End jobs, endpoints and Lambda workers. MiniStack's own shutdown would import services that never ran."""
        if self._lifespan is not None:
            self._lifespan.cancel()
        await self._sagemaker.close()
        await asyncio.to_thread(_ministack("core.lambda_runtime").reset)


def connect(account: Account, sagemaker: Any) -> Emulator:
    """MiniStack with everything of ours plugged in. Raises RuntimeError when it does not fit (`check`)."""
    check()
    app = _ministack("app")
    # Start scripts of other emulators' containers are none of ours.
    app._collect_scripts = lambda *_directories: []
    _route_sagemaker()
    _teach_resources()
    _extend_state_machines(account.endpoint_url)
    _announce_alarms()
    app.SERVICE_HANDLERS["sagemaker"] = SageMakerHandler(sagemaker)
    for service in ("sagemaker", "lambda", "states", "events", "scheduler"):
        app.SERVICE_HANDLERS[service] = _guard(service, app.SERVICE_HANDLERS[service])
    return Emulator(sagemaker)
