"""An account with the stack's buckets, and what Lambda hands to a handler."""

from __future__ import annotations

import json
from threading import Lock
from types import SimpleNamespace
from typing import Any

from training.aws import client

ACCOUNT, REGION, PREFIX = "123456789012", "us-east-1", "upkeep-test"
DATA, ARTIFACTS = f"{PREFIX}-data-{ACCOUNT}", f"{PREFIX}-artifacts-{ACCOUNT}"
LEDGER = f"{PREFIX}-ledger"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "DATA_BUCKET": DATA,
    "ARTIFACTS_BUCKET": ARTIFACTS,
    "PREFIX": PREFIX,
    "LEDGER_TABLE": LEDGER,
    "DISPATCH_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{PREFIX}-dispatch",
    "INTAKE_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{PREFIX}-intake",
    "ALERTS_TOPIC_ARN": f"arn:aws:sns:{REGION}:{ACCOUNT}:{PREFIX}-alerts",
    "MAX_RECEIVES": "3",
    "APPROVAL": "gate",
    "POWERTOOLS_SERVICE_NAME": "anything",
}
CONTEXT = SimpleNamespace(
    invoked_function_arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{PREFIX}-x",
    aws_request_id="1",
    get_remaining_time_in_millis=lambda: 600_000,
)


def make_table(name: str = LEDGER) -> None:
    """The ledger's table, with the keys the stack gives it."""
    client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
    )


class OneAtATime:
    """Lets one call of DynamoDB run at a time, also from several threads.

    moto undoes a transaction that fails by putting back all tables as they were, and with them loses what
    others wrote in the meantime.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._events = client("dynamodb").meta.events

    def __enter__(self) -> None:
        self._events.register("before-call", self._acquire)
        for name in ("after-call", "after-call-error"):
            self._events.register_first(name, self._release)

    def __exit__(self, *_: object) -> None:
        self._events.unregister("before-call", self._acquire)
        for name in ("after-call", "after-call-error"):
            self._events.unregister(name, self._release)

    def _acquire(self, **_: object) -> None:
        self._lock.acquire()

    def _release(self, **_: object) -> None:
        self._lock.release()


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, at: float = 1_750_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


class Store:
    """The two buckets, versioned as the stack makes them, the ledger's table, the queues and the topic."""

    def __init__(self) -> None:
        self.s3: Any = client("s3")
        for bucket in (DATA, ARTIFACTS):
            self.s3.create_bucket(Bucket=bucket)
            self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        make_table()
        for role in ("dispatch", "intake"):
            client("sqs").create_queue(QueueName=f"{PREFIX}-{role}")
        client("sns").create_topic(Name=f"{PREFIX}-alerts")

    def put(self, key: str, body: str | bytes, bucket: str = DATA) -> str:
        data = body.encode() if isinstance(body, str) else body
        return str(self.s3.put_object(Bucket=bucket, Key=key, Body=data)["VersionId"])

    def get(self, key: str, bucket: str = DATA) -> bytes:
        return bytes(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def json(self, key: str, bucket: str = DATA) -> Any:
        return json.loads(self.get(key, bucket))

    def keys(self, prefix: str = "", bucket: str = DATA) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]


def emitted(text: str) -> list[dict[str, Any]]:
    """The metric documents in a log, without powertools' own fields."""
    documents = [json.loads(line) for line in text.splitlines() if '"_aws"' in line]
    for found in documents:
        found["dimensions"] = found.pop("_aws")["CloudWatchMetrics"][0]["Dimensions"]
    return documents
