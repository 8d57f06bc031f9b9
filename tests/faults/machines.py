"""Step Functions and SageMaker as a dispatcher sees them: executions, jobs and packages with set endings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.faults.account import ACCOUNT, REGION, Clock, RefusedError

_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


@dataclass
class Execution:
    """One execution of a state machine."""

    machine: str
    name: str
    text: str
    started: float
    status: str = "RUNNING"
    ended: float | None = None
    output: str | None = None
    error: str = ""

    @property
    def input(self) -> dict[str, Any]:
        """What it was started with."""
        found: dict[str, Any] = json.loads(self.text)
        return found

    @property
    def arn(self) -> str:
        return f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{self.machine}:{self.name}"


class States:
    """State machines.

    Attributes:
        executions: By ARN, in the order they started.
        started: Called with each new execution.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.machines: set[str] = set()
        self.executions: dict[str, Execution] = {}
        self.started: Callable[[Execution], None] = lambda execution: None

    def perform(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a call."""
        if operation == "StartExecution":
            return self._start(params)
        if operation == "DescribeExecution":
            return self._describe(params)
        raise NotImplementedError(operation)

    def _start(self, params: Mapping[str, Any]) -> dict[str, Any]:
        machine, name = params["stateMachineArn"].rpartition(":")[2], params["name"]
        if machine not in self.machines:
            raise RefusedError("StateMachineDoesNotExist", 400, params["stateMachineArn"])
        if not _NAME.fullmatch(name):
            raise RefusedError("InvalidName", 400, name)
        new = Execution(machine, name, params.get("input", "{}"), self._clock.now)
        found = self.executions.get(new.arn)
        if found is None:
            self.executions[new.arn] = found = new
            self.started(new)
        elif found.status != "RUNNING" or json.loads(found.text) != json.loads(new.text):
            # https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
            raise RefusedError("ExecutionAlreadyExists", 400, f"Execution Already Exists: '{new.arn}'")
        return {"executionArn": found.arn, "startDate": datetime.fromtimestamp(found.started, UTC)}

    def _describe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        found = self.executions.get(params["executionArn"])
        if found is None:
            raise RefusedError(
                "ExecutionDoesNotExist", 400, f"Execution Does Not Exist: '{params['executionArn']}'"
            )
        answer = {
            "executionArn": found.arn,
            "stateMachineArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{found.machine}",
            "name": found.name,
            "status": found.status,
            "startDate": datetime.fromtimestamp(found.started, UTC),
            "input": found.text,
        }
        if found.ended is not None:
            answer["stopDate"] = datetime.fromtimestamp(found.ended, UTC)
        if found.output is not None:
            answer["output"] = found.output
        if found.error:
            answer |= {"error": found.error, "cause": f"{found.error}, as the story has it"}
        return answer

    def event(self, execution: Execution) -> dict[str, Any]:
        """EventBridge's event of an execution that has ended."""
        return {
            "version": "0",
            "id": f"{execution.name}-{execution.status}",
            "detail-type": "Step Functions Execution Status Change",
            "source": "aws.states",
            "account": ACCOUNT,
            "time": datetime.fromtimestamp(self._clock.now, UTC).isoformat(timespec="seconds"),
            "region": REGION,
            "resources": [execution.arn],
            "detail": {
                "executionArn": execution.arn,
                "stateMachineArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{execution.machine}",
                "name": execution.name,
                "status": execution.status,
                "startDate": int(execution.started * 1000),
                "stopDate": int((execution.ended or 0) * 1000),
                "input": execution.text,
                "output": execution.output,
            },
        }


@dataclass
class Package:
    """A registered model package."""

    arn: str
    approval: str
    properties: dict[str, str] = field(default_factory=dict)


class SageMaker:
    """Training jobs and model packages.

    Attributes:
        jobs: Name to what DescribeTrainingJob answers.
        packages: By ARN, in the order they were registered.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.packages: dict[str, Package] = {}

    def perform(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a call."""
        if operation == "DescribeTrainingJob":
            job = self.jobs.get(params["TrainingJobName"])
            if job is None:
                raise RefusedError("ValidationException", 400, "Requested resource not found.")
            return dict(job)
        if operation == "DescribeModelPackage":
            package = self.packages.get(params["ModelPackageName"])
            if package is None:
                raise RefusedError("ValidationException", 400, "ModelPackage does not exist")
            return {
                "ModelPackageArn": package.arn,
                "ModelApprovalStatus": package.approval,
                "ModelPackageStatus": "Completed",
                "CustomerMetadataProperties": dict(package.properties),
            }
        raise NotImplementedError(operation)
