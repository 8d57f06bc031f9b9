"""A stack on moto that operators work on: S3, SQS, DynamoDB, and the real intake function."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from types import SimpleNamespace

import boto3

from tests.training.lambdas import ACCOUNT, ARTIFACTS, CONTEXT, DATA, LEDGER, PREFIX, REGION, make_table
from tests.upkeep.fakes import RETRAIN, START, FakeClient, FakeContext, answering, refusal
from tests.upkeep.test_rows import SPEC
from training import versions
from training.intake.handler import handler
from training.ledger.records import SUCCEEDED, RunRecord
from upkeep.ledger import OperatorLedger

HEADER = "departure,carrier,distance,night,late"
ACTOR = f"arn:aws:sts::{ACCOUNT}:assumed-role/moto"
SEED_URL = f"s3://{ARTIFACTS}/training/flights/upkeep-dev-flights-seed-abc1234/output/model.tar.gz"


def flights(rows, day=1, carrier="UA", extra=""):
    """Rows of flights: good ones with both labels."""
    lines = [
        f"2013-01-{day:02d}T{hour:02d}:00:00,{carrier},{1000 + hour},true,{hour % 2}{extra and f',{extra}'}"
        for hour in range(rows)
    ]
    return "\n".join([HEADER + (",customer" if extra else ""), *lines]) + "\n"


class Account:
    """SageMaker with an endpoint and a registry, and Step Functions that knows its executions."""

    def __init__(self):
        self.packages = []
        self.url = SEED_URL
        self.sagemaker = FakeClient(
            describe_endpoint=lambda **_a: {
                "EndpointConfigName": "c",
                "EndpointStatus": "InService",
                "LastModifiedTime": START,
            },
            describe_endpoint_config=answering({"ProductionVariants": [{"ModelName": "m"}]}),
            describe_model=lambda **_a: {"PrimaryContainer": {"ModelDataUrl": self.url}},
            list_model_packages=lambda **_a: {
                "ModelPackageSummaryList": [{"ModelPackageArn": p["ModelPackageArn"]} for p in self.packages]
            },
            describe_model_package=lambda ModelPackageName: next(  # noqa: N803 - boto3's own spelling
                p for p in self.packages if p["ModelPackageArn"] == ModelPackageName
            ),
        )
        self.executions = {}
        self.states = FakeClient(
            list_executions=lambda **_a: {
                "executions": [
                    {"name": name, "executionArn": found["executionArn"], "startDate": START}
                    for name, found in self.executions.items()
                ]
            },
            describe_execution=self._describe,
            get_execution_history=answering({"events": []}),
        )

    def _describe(self, executionArn):  # noqa: N803 - boto3's own spelling
        found = self.executions.get(executionArn.rpartition(":")[2])
        if found is None:
            raise refusal("ExecutionDoesNotExist", operation="DescribeExecution")
        return found


class Stand:
    """The stack, its operator's context, and what a test does to it."""

    def __init__(self, clock):
        self.clock = clock
        self.s3, self.sqs = (boto3.client(name, region_name=REGION) for name in ("s3", "sqs"))
        for bucket in (DATA, ARTIFACTS):
            self.s3.create_bucket(Bucket=bucket)
            self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        make_table()
        roles = ("intake", "intake-dead", "dispatch", "dispatch-dead")
        self.queues = {r: self.sqs.create_queue(QueueName=f"{PREFIX}-{r}")["QueueUrl"] for r in roles}
        self.account = Account()
        clients = {
            "s3": self.s3,
            "sqs": self.sqs,
            "dynamodb": boto3.client("dynamodb", region_name=REGION),
            "sts": FakeClient(get_caller_identity=answering({"Arn": ACTOR})),
            "sagemaker": self.account.sagemaker,
            "stepfunctions": self.account.states,
            "cloudwatch": FakeClient(describe_alarms=answering({"MetricAlarms": []})),
        }
        model = {
            "endpoint": "upkeep-dev-flights",
            "package_group": "upkeep-dev-flights",
            "retrain_state_machine_arn": RETRAIN,
            "release_state_machine_arn": RETRAIN.replace("retrain", "release"),
            "incoming": f"s3://{DATA}/incoming/flights/",
            "seed_job": "upkeep-dev-flights-seed-abc1234",
        }
        self.outputs = {
            "data_bucket": DATA,
            "artifacts_bucket": ARTIFACTS,
            "ledger_table": LEDGER,
            "intake_queue_url": self.queues["intake"],
            "intake_dead_letters_url": self.queues["intake-dead"],
            "dispatch_queue_url": self.queues["dispatch"],
            "dispatch_dead_letters_url": self.queues["dispatch-dead"],
            "models": {"flights": model},
        }
        self.context = FakeContext(clients, **self.outputs)
        self.ledger = OperatorLedger(clients["dynamodb"], LEDGER)
        self.spec = SPEC
        self.deploy(SPEC)

    @property
    def model(self):
        """The outputs about the model."""
        return self.context.model("flights")

    def deploy(self, spec):
        """Put the spec where `upkeep up` puts it."""
        self.spec = spec
        self.s3.put_object(Bucket=ARTIFACTS, Key="specs/flights.json", Body=spec.to_json().encode())

    def contract(self, **changes):
        """Deploy the spec with another contract."""
        self.deploy(replace(self.spec, contract=replace(self.spec.contract, **changes)))

    def put(self, key, body):
        """Upload an object; its version."""
        data = body.encode() if isinstance(body, str) else body
        return self.s3.put_object(Bucket=DATA, Key=key, Body=data)["VersionId"]

    def body(self, key):
        return self.s3.get_object(Bucket=DATA, Key=key)["Body"].read()

    def keys(self, prefix=""):
        found = self.s3.list_objects_v2(Bucket=DATA, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]

    def versions(self, prefix):
        """Keys of all versions and delete markers, as often as there are."""
        found = self.s3.list_object_versions(Bucket=DATA, Prefix=prefix)
        return [item["Key"] for item in (*found.get("Versions", []), *found.get("DeleteMarkers", []))]

    def event(self, key, version=""):
        """The body of the message that tells of an object."""
        about = {"bucket": {"name": DATA}, "object": {"key": key, "version-id": version}}
        head = {"source": "aws.s3", "detail-type": "Object Created", "account": ACCOUNT}
        return json.dumps({**head, "detail": about})

    def arrive(self, name, body):
        """Upload a file and let the intake function handle it; its version."""
        key = f"incoming/flights/{name}"
        version = self.put(key, body)
        self.take_in(key, version)
        return version

    def take_in(self, key, version):
        """Let the intake function handle an object."""
        record = {
            "messageId": hashlib.sha256(f"{key}{version}".encode()).hexdigest(),
            "body": self.event(key, version),
            "attributes": {"ApproximateReceiveCount": "1"},
            "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{PREFIX}-intake",
        }
        answer = handler({"Records": [record]}, SimpleNamespace(**vars(CONTEXT)))
        assert answer == {"batchItemFailures": []}

    def wakes(self):
        """What was sent to the dispatcher, and takes it out of the queue."""
        found = []
        while got := self.sqs.receive_message(
            QueueUrl=self.queues["dispatch"], MaxNumberOfMessages=10, VisibilityTimeout=0
        ).get("Messages"):
            for one in got:
                found.append(json.loads(one["Body"]))
                self.sqs.delete_message(QueueUrl=self.queues["dispatch"], ReceiptHandle=one["ReceiptHandle"])
        return found

    def messages(self, role):
        """Bodies of the messages in a queue, which all stay there."""
        found = {}
        while got := self.sqs.receive_message(
            QueueUrl=self.queues[role], MaxNumberOfMessages=10, VisibilityTimeout=60
        ).get("Messages"):
            found |= {one["ReceiptHandle"]: one["Body"] for one in got}
        for receipt in found:
            self.sqs.change_message_visibility(
                QueueUrl=self.queues[role], ReceiptHandle=receipt, VisibilityTimeout=0
            )
        return list(found.values())

    def dead(self, role, body):
        """Put a message among the dead letters of a queue."""
        self.sqs.send_message(QueueUrl=self.queues[f"{role}-dead"], MessageBody=body)

    def train(self, serve=True, decision="promote", **changes):
        """Train on the newest data: manifests, run, decision, and the model package if it is promoted."""
        newest = versions.select("flights", DATA, self.spec.training.window, self.ledger.data("flights"))
        versions.store(self.s3, newest, ACCOUNT)
        self.clock.at += 1
        run = RunRecord(
            **{
                "model": "flights",
                "run_id": newest.id,
                "data_version": newest.id,
                "state": SUCCEEDED,
                "trigger": "data",
                "started_at": self.clock.at,
                "ended_at": self.clock.at + 60,
                "worst_usd": 0.5,
                "usd": 0.002,
                "files": len(newest.records),
                "rows": newest.rows,
                "manifest_uri": newest.manifest_uri,
                **changes,
            }
        )
        assert self.ledger.record_run(run)
        record = {"decision": decision, "reason": "better by 0.01"}
        key = f"decisions/flights/{run.run_id}.json"
        self.s3.put_object(Bucket=ARTIFACTS, Key=key, Body=json.dumps(record).encode())
        self.account.executions = {run.run_id: execution(run), **self.account.executions}
        if decision == "promote":
            url = f"s3://{ARTIFACTS}/training/flights/upkeep-dev-flights-{run.run_id}/output/model.tar.gz"
            number = len(self.account.packages) + 1
            self.account.packages.insert(0, package(number, url, run.run_id))
            self.account.url = url if serve else self.account.url
        return run


def package(number, url, run_id):
    """A model package as SageMaker describes it."""
    return {
        "ModelPackageArn": f"arn:pkg/{number}",
        "ModelPackageVersion": number,
        "CreationTime": START,
        "ModelApprovalStatus": "Approved",
        "CustomerMetadataProperties": {"run_id": run_id},
        "InferenceSpecification": {"Containers": [{"Image": "i", "ModelDataUrl": url}]},
    }


def execution(run, status="SUCCEEDED"):
    """An execution as Step Functions describes it."""
    given = {"run_id": run.run_id, "manifest_uri": run.manifest_uri, "rows": run.rows, "files": run.files}
    return {
        "executionArn": f"{RETRAIN.replace(':stateMachine:', ':execution:')}:{run.run_id}",
        "name": run.run_id,
        "status": status,
        "startDate": START,
        "stopDate": START,
        "input": json.dumps({**given, "trigger": run.trigger, "data_version": run.data_version}),
    }
