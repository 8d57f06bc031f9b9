"""A stack with one model on moto, where data, runs and time are made by hand."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import botocore.client
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends
from moto.stepfunctions.models import stepfunctions_backends

from models.spec import ModelSpec, Triggers
from tests.training.examples import declare
from tests.training.lambdas import ACCOUNT, ARTIFACTS, DATA, ENVIRONMENT, PREFIX, REGION
from training.aws import client
from training.dispatch.handler import handler
from training.ledger.records import DataRecord, ObjectRecord, QuarantineRecord, RunRecord

CONTEXT = SimpleNamespace(
    invoked_function_arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{PREFIX}-dispatch",
    aws_request_id="1",
    get_remaining_time_in_millis=lambda: 120_000,
)
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{PREFIX}-toy-retrain"
QUICK = Triggers(quiet_seconds=0, cooldown_seconds=0, max_per_day=1000, max_usd_per_month=1e6)
assert ACCOUNT == DEFAULT_ACCOUNT_ID


class Killed(BaseException):
    """The function ended in the middle, as when Lambda's time is up."""


class World:
    """The model ``toy`` of the stack."""

    def __init__(self, store: Any, ledger: Any, clock: Any) -> None:
        self.store, self.ledger, self.clock = store, ledger, clock
        self.deploy(QUICK)
        self.make_machine("toy")

    def deploy(self, triggers: Triggers, **changes: Any) -> ModelSpec:
        """Put the spec where the functions read it."""
        spec = replace(declare(), triggers=triggers, **changes)
        self.spec = spec
        self.store.put(f"specs/{spec.name}.json", spec.to_json(), ARTIFACTS)
        return spec

    def make_machine(self, model: str) -> None:
        client("stepfunctions").create_state_machine(
            name=f"{PREFIX}-{model}-retrain",
            definition='{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}',
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/x",
        )

    def push(self, name: str, *, delivery: str = "", model: str = "toy", **values: Any) -> DataRecord:
        """A file was accepted, as the intake writes it down."""
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        key = f"incoming/{model}/{delivery + '/' if delivery else ''}{name}"
        known = {"rows": 10, "first": "2026-01-01T00:00:00", "last": "2026-01-02T00:00:00", "contract": "c1"}
        record = DataRecord(
            model=model,
            raw_sha256=sha256,
            key=f"accepted/{model}/{sha256[:20]}.parquet",
            source=key,
            delivery=delivery,
            accepted_at=self.clock.at,
            **(known | values),
        )
        self.ledger.note_arrival(model)
        self.ledger.record_data(record)
        self.settle(key, "accepted", sha256=sha256, delivery=delivery)
        return record

    def settle(self, key: str, state: str, **values: Any) -> None:
        """The intake has looked at an object."""
        record = ObjectRecord.of(key, "v1", owner="m", **values)
        self.ledger.claim(record)
        self.ledger.settle(replace(record, state=state))

    def refuse(self, name: str, *, delivery: str = "", model: str = "toy", **values: Any) -> QuarantineRecord:
        """A file was quarantined."""
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        key = f"incoming/{model}/{delivery + '/' if delivery else ''}{name}"
        entry = QuarantineRecord(
            model=model,
            id=sha256[:16],
            key=f"quarantine/{model}/{sha256[:16]}-{name}",
            source=key,
            name=name,
            size=1234,
            delivery=delivery,
            at=self.clock.at,
            **(
                {"findings": [{"column": "size", "rule": "range", "count": 3, "text": "found 4711"}]} | values
            ),
        )
        self.ledger.note_arrival(model)
        item = entry.to_item()
        client("dynamodb").put_item(TableName=ENVIRONMENT["LEDGER_TABLE"], Item=item)
        self.settle(key, "quarantined", sha256=sha256, delivery=delivery)
        return entry

    def wake(self, *bodies: Any) -> list[str]:
        """Call the function with messages; the ids of those that come again."""
        given = bodies or ({"model": "toy", "why": "arrival"},)
        records = [
            {
                "messageId": str(place),
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{PREFIX}-dispatch",
                "body": body if isinstance(body, str) else json.dumps(body),
            }
            for place, body in enumerate(given)
        ]
        answer = handler({"Records": records}, CONTEXT)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def sweep(self) -> list[str]:
        """Call the function as the schedule does."""
        return self.wake({"source": "aws.events", "detail-type": "Scheduled Event", "account": ACCOUNT})

    @property
    def runs(self) -> list[RunRecord]:
        """Oldest first."""
        return list(reversed(self.ledger.runs("toy")))

    @property
    def executions(self) -> list[Any]:
        """moto's own, so that a test can end them."""
        backend = stepfunctions_backends[ACCOUNT][REGION]
        return [one for machine in backend.state_machines for one in machine.executions]

    @property
    def notices(self) -> list[tuple[str, str]]:
        """Subjects and texts of what people were told."""
        topic = sns_backends[ACCOUNT][REGION].topics[ENVIRONMENT["ALERTS_TOPIC_ARN"]]
        return [(sent[2], sent[1]) for sent in topic.sent_notifications]

    @property
    def store_bucket(self) -> str:
        """The data bucket."""
        return DATA

    def forget_executions(self) -> None:
        """Step Functions knows of none any more."""
        for machine in stepfunctions_backends[ACCOUNT][REGION].state_machines:
            machine.executions.clear()

    def messages(self, role: str) -> list[dict[str, Any]]:
        """Take everything out of a queue, delayed messages too."""
        from moto.sqs.models import sqs_backends

        queue = sqs_backends[ACCOUNT][REGION].queues[f"{PREFIX}-{role}"]
        bodies = [json.loads(message.body) for message in queue._messages]
        queue._messages.clear()
        return bodies

    def end(
        self, status: str = "SUCCEEDED", *, approval: str = "Rejected", seconds: int = 360, place: int = -1
    ):
        """An execution ends."""
        execution = self.executions[place]
        execution.status = status
        execution.stop_date = execution.start_date
        run_id = execution.name
        decision = "promote" if approval == "Approved" else "refuse"
        if status == "SUCCEEDED":
            package = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/{PREFIX}-toy/1"
            verdict = {"decision": decision, "approval": approval, "reason": "because"}
            execution.output = json.dumps({"decision": verdict, "model_package_arn": package})
        else:
            execution.error, execution.cause = "TrainingFailed", "the job said no"
        self.bill(run_id, seconds)
        return {
            "source": "aws.states",
            "detail-type": "Step Functions Execution Status Change",
            "account": ACCOUNT,
            "detail": {"stateMachineArn": MACHINE, "name": run_id, "status": status},
        }

    def bill(self, run_id: str, seconds: int) -> None:
        """SageMaker knows a job, and for how long it is billed."""
        from moto.sagemaker.models import sagemaker_backends

        jobs = sagemaker_backends[ACCOUNT][REGION].training_jobs
        name = f"{PREFIX}-toy-{run_id}"
        jobs[name] = SimpleNamespace(
            response_object={"TrainingJobName": name, "BillableTimeInSeconds": seconds}
        )


class Calls:
    """Stands between the code and AWS: counts the calls, and ends or spoils one of them."""

    def __init__(self, monkeypatch: Any) -> None:
        self.seen: list[str] = []
        self.fail_at: int | str | None = None
        self.after = False
        self.error: BaseException = Killed()
        self.answers: dict[str, Any] = {}
        original = botocore.client.BaseClient._make_api_call

        def call(api: Any, name: str, arguments: dict[str, Any]) -> Any:
            self.seen.append(name)
            this = self.fail_at in (len(self.seen), name)
            if this and not self.after:
                raise self.error
            if name in self.answers:
                answer = self.answers[name]
                if isinstance(answer, BaseException):
                    raise answer
                result = answer(arguments) if callable(answer) else answer
            else:
                result = original(api, name, arguments)
            if this:
                raise self.error
            return result

        monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", call)

    def begin(self, fail_at: int | str | None = None, *, after: bool = False) -> None:
        """Count from here on; let the n-th call, or those of an operation, fail, carried out or not."""
        self.seen.clear()
        self.fail_at, self.after = fail_at, after


def at(text: str) -> float:
    """Seconds since 1970 of an ISO time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


__all__ = ["CONTEXT", "DATA", "MACHINE", "QUICK", "Calls", "Killed", "World", "at"]
