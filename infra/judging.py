"""The function that the retrain machine asks: the judge of a challenger."""

from __future__ import annotations

from pathlib import Path

from infra.functions import LambdaFunction, LambdaFunctionArgs
from infra.ledger import Ledger
from infra.naming import Names
from infra.permissions import Permission
from infra.storage import Storage

JUDGE_HANDLER = "training.judge.handler"


def judge_function(
    names: Names, storage: Storage, ledger: Ledger, archive: Path, approval: str, log_retention_days: int
) -> LambdaFunction:
    """Reads what a training job found out and left, decides by the spec's gate, and seals what it decided on.

    Nobody but the state machine registers a package: the function may look at the bytes and write down what
    it found, and touches neither the registry nor an endpoint.
    """
    return LambdaFunction(
        "judge",
        LambdaFunctionArgs(
            names=names,
            role="judge",
            handler=JUDGE_HANDLER,
            description="Decides whether a challenger may replace what serves, and says why",
            archive=archive,
            permissions=[
                # Also the decision and the number that an earlier call for the same run has written.
                storage.read(
                    "ReadEvidence", "artifacts", "training/*", "specs/*", "decisions/*", "versions/*"
                ),
                storage.browse(
                    "ListEvidence",
                    "artifacts",
                    *("training/", "specs/", "decisions/", "versions/"),
                    tell_missing=True,
                ),
                _write_once(names, "WriteDecision", "decisions/*", "versions/*"),
                storage.read("ReadManifest", "data", "manifests/*"),
                storage.browse("ListManifest", "data", "manifests/", tell_missing=True),
                storage.encrypt(),
                ledger.note("NoteHoldout"),
            ],
            environment={
                "PREFIX": names.prefix,
                "STACK": names.stack,
                "ARTIFACTS_BUCKET": storage.artifacts,
                "DATA_BUCKET": storage.data,
                "LEDGER_TABLE": ledger.table,
                "APPROVAL": approval,
            },
            # The artifact is read, unpacked and hashed as it streams by: at a whole CPU, which is what this
            # memory comes with, some 100 MB a second.
            # https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
            timeout_seconds=600,
            memory_mb=1769,
            log_retention_days=log_retention_days,
        ),
    )


def _write_once(names: Names, sid: str, *patterns: str) -> Permission:
    """Create objects in the artifacts bucket, and never replace one.

    What was decided stays: not even the function that decides can write a second decision about a run. The
    key is there when the request has the header `If-None-Match`, which S3 then keeps.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
    """
    bucket = names.bucket("artifacts")
    return Permission(
        sid=sid,
        actions=["s3:PutObject"],
        resources=[names.bucket_arn(bucket, pattern) for pattern in patterns],
        conditions={"Null": {"s3:if-none-match": "false"}},
    )
