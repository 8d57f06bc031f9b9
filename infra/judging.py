"""The two functions that state machines ask: the judge of a challenger, and the witness of a release."""

from __future__ import annotations

from pathlib import Path

from infra.functions import LambdaFunction, LambdaFunctionArgs
from infra.naming import VARIANT, Names
from infra.permissions import Permission
from infra.storage import Storage

JUDGE_HANDLER = "training.judge.handler"
VERIFY_HANDLER = "inference.release.handler"


def judge_function(
    names: Names, storage: Storage, archive: Path, approval: str, log_retention_days: int
) -> LambdaFunction:
    """Reads a training job's evaluation and decides by the spec's gate."""
    return LambdaFunction(
        "judge",
        LambdaFunctionArgs(
            names=names,
            role="judge",
            handler=JUDGE_HANDLER,
            description="Decides whether a challenger may replace what serves, and says why",
            archive=archive,
            permissions=[
                storage.read("ReadEvaluation", "artifacts", "training/*", "specs/*"),
                storage.browse("ListEvaluation", "artifacts", "training/", "specs/", tell_missing=True),
                storage.write("WriteDecision", "artifacts", "decisions/*"),
                storage.encrypt(),
            ],
            environment={
                "PREFIX": names.prefix,
                "ARTIFACTS_BUCKET": storage.artifacts,
                "APPROVAL": approval,
            },
            timeout_seconds=120,
            memory_mb=512,
            log_retention_days=log_retention_days,
        ),
    )


def verify_function(names: Names, storage: Storage, archive: Path, log_retention_days: int) -> LambdaFunction:
    """Reads back what an endpoint serves and sends it a real request."""
    own = names.prefix
    return LambdaFunction(
        "release",
        LambdaFunctionArgs(
            names=names,
            role="release",
            handler=VERIFY_HANDLER,
            description=f"Proves that an endpoint's variant {VARIANT} serves what was released",
            archive=archive,
            permissions=[
                Permission(
                    sid="ReadBack",
                    actions=[
                        "sagemaker:DescribeEndpoint",
                        "sagemaker:DescribeEndpointConfig",
                        "sagemaker:DescribeModel",
                        "sagemaker:DescribeModelPackage",
                        "sagemaker:InvokeEndpoint",
                    ],
                    resources=[
                        names.sagemaker_arn(kind, f"{own}-*")
                        for kind in ("endpoint", "endpoint-config", "model", "model-package")
                    ],
                ),
                storage.read("ReadSample", "artifacts", "training/*"),
                storage.browse("ListSample", "artifacts", "training/", tell_missing=True),
                storage.decrypt(),
            ],
            environment={
                "PREFIX": names.prefix,
                "ARTIFACTS_BUCKET": storage.artifacts,
            },
            timeout_seconds=240,
            memory_mb=512,
            log_retention_days=log_retention_days,
        ),
    )
