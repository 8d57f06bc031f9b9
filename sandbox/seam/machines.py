"""Step Functions: SageMaker's integrations, and every task under the state machine's role."""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import contextvars
import functools
import time
from typing import Any, cast

from sandbox import statemachines
from sandbox.lifecycle import ACCOUNT, REGION
from sandbox.seam import encryption, key_states, sessions
from sandbox.seam.internals import ministack
from sandbox.seam.roles import in_account, role_denial


class Execution:
    """A task of a running execution, as `sandbox.statemachines` sees it."""

    def __init__(self, record: dict[str, Any], timeout_seconds: float | None) -> None:
        self._record = record
        self._deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self.arn: str = record["executionArn"]
        machine = ministack("services.stepfunctions")._state_machines[record["stateMachineArn"]]
        self.role_arn: str = machine["roleArn"]

    @property
    def wanted(self) -> bool:
        """Whether anyone still waits for the task: the execution runs and the task has time left."""
        in_time = self._deadline is None or time.monotonic() < self._deadline
        return self._record["status"] == "RUNNING" and in_time

    def credentials(self) -> dict[str, str]:
        """The state machine's role, as AWS_* variables."""
        return sessions.of_role(self.role_arn, str(self._record["name"])[:64])


_execution: contextvars.ContextVar[Execution | None] = contextvars.ContextVar(
    "upkeep_execution", default=None
)


def extend_state_machines(endpoint_url: str) -> None:
    """Add SageMaker's integrations, and run every task under the state machine's role."""
    machines = ministack("services.stepfunctions")
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
    machines = ministack("services.stepfunctions")
    return cast("dict[str, Any]", machines._sdk_json_params({}, "sagemaker", operation, data))


def _from_wire(operation: str, answer: dict[str, Any]) -> dict[str, Any]:
    machines = ministack("services.stepfunctions")
    return cast("dict[str, Any]", machines._sdk_json_result("sagemaker", operation, answer))


def _refuse_task(resource: str, data: Any, execution: Execution) -> None:
    """Raise TaskFailedError when the machine's role may not do what the task asks of another service."""
    machines = ministack("services.stepfunctions")
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
    unusable = in_account(
        lambda: key_states.problem(encryption.resource_key(permission.resource)) if service == "sns" else None
    )
    if unusable is not None:
        raise statemachines.TaskFailedError("SNS.KmsDisabledException", unusable.words)
