"""The way in: files below incoming/ become events, events a queue, the queue calls the intake function."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.functions import LambdaFunction, LambdaFunctionArgs
from infra.ledger import Ledger
from infra.naming import MAX_RULE, Names, shorten
from infra.permissions import Permission
from infra.queues import WorkQueue
from infra.storage import Storage

HANDLER = "training.intake.handler.handler"
# The longest a call may take; a file of the largest size allowed needs some minutes of it:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
TIMEOUT_SECONDS = 900
# The function lets a failed message rest 1, 5, 25 and 90 minutes, so that an outage is outlived.
MAX_RECEIVES = 5
BATCH_SIZE = 10
# A minute's worth of many small files; every call takes memory for itself, none of them starts a training.
MAX_CONCURRENCY = 10
# DuckDB spills what does not fit into memory to /tmp, where the file and what is made of it lie too. 10 GB is
# the most there is: https://docs.aws.amazon.com/lambda/latest/dg/configuration-ephemeral-storage.html
MEMORY_MB = 1769
EPHEMERAL_STORAGE_MB = 10240


@dataclass(frozen=True, kw_only=True)
class IntakeArgs:
    """What `Intake` needs.

    Attributes:
        names: Names of the stack.
        storage: Key and buckets.
        ledger: Where it is written down what became of every object.
        queue: Events of arrived objects.
        dispatch_queue: Where it says that there is new data.
        archive: Path of the functions' zip.
        log_retention_days: How long the function's log is kept.
    """

    names: Names
    storage: Storage
    ledger: Ledger
    queue: WorkQueue
    dispatch_queue: WorkQueue
    archive: Path
    log_retention_days: int


class Intake(pulumi.ComponentResource):
    """Rule and function.

    Attributes:
        function: Checks files and sorts them.
    """

    function: LambdaFunction

    def __init__(self, name: str, args: IntakeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:intake:Intake", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        names, storage = args.names, args.storage
        rule = aws.cloudwatch.EventRule(
            f"{name}-arrivals-rule",
            name=arrivals_rule(names),
            description="A file arrived below incoming/",
            event_pattern=json.dumps(arrival_pattern(names.bucket("data"))),
            opts=child,
        )
        args.queue.receive(rule, f"{name}-arrivals-target", "intake", child)
        self.function = LambdaFunction(
            name,
            LambdaFunctionArgs(
                names=names,
                role="intake",
                handler=HANDLER,
                description="Checks arriving files, sorts them, and writes down what became of each",
                archive=args.archive,
                permissions=_permissions(args),
                environment={
                    "PREFIX": names.prefix,
                    "DATA_BUCKET": storage.data,
                    "ARTIFACTS_BUCKET": storage.artifacts,
                    "LEDGER_TABLE": args.ledger.table,
                    "INTAKE_QUEUE_URL": args.queue.url,
                    "DISPATCH_QUEUE_URL": args.dispatch_queue.url,
                    "MAX_RECEIVES": str(MAX_RECEIVES),
                },
                timeout_seconds=TIMEOUT_SECONDS,
                memory_mb=MEMORY_MB,
                ephemeral_storage_mb=EPHEMERAL_STORAGE_MB,
                log_retention_days=args.log_retention_days,
            ),
            child,
        )
        args.queue.feed(
            f"{name}-mapping",
            self.function,
            batch_size=BATCH_SIZE,
            max_concurrency=MAX_CONCURRENCY,
            opts=child,
        )
        self.register_outputs({"function_name": self.function.function_name})


def arrivals_rule(names: Names) -> str:
    """Name of the rule that tells of arrived objects."""
    return shorten(names.named("arrivals"), MAX_RULE)


def arrival_pattern(bucket: str) -> dict[str, Any]:
    """The event of a finished upload below incoming/."""
    return {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": "incoming/"}]}},
    }


def _permissions(args: IntakeArgs) -> list[Permission]:
    storage = args.storage
    return [
        args.queue.work_off(),
        args.queue.defer("TryAgainLater"),
        args.dispatch_queue.send("TellOfNewData"),
        args.ledger.keep("Record", "dynamodb:BatchGetItem"),
        storage.read_versions("ReadFiles", "data", "incoming/*"),
        storage.read("KnowAccepted", "data", "accepted/*"),
        storage.write("KeepRows", "data", "accepted/*", "rejected/*"),
        storage.receive_copies("Quarantine", "data", "quarantine/*"),
        storage.remove_versions("TakeFilesAway", "data", "incoming/*"),
        storage.browse("ListFiles", "data", "incoming/", "accepted/", tell_missing=True),
        storage.read("ReadSpecs", "artifacts", "specs/*"),
        storage.browse("ListSpecs", "artifacts", "specs/", tell_missing=True),
        storage.encrypt(),
    ]
