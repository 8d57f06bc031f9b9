"""The release function: the only one that changes what an endpoint serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

from infra import preflight
from infra.alarms import ROLLOUT_KINDS, rollout_alarm
from infra.functions import LambdaFunction, LambdaFunctionArgs
from infra.ledger import Ledger
from infra.naming import Names
from infra.permissions import Permission
from infra.storage import Storage
from models.spec import ModelSpec

HANDLER = "inference.release.handler.handler"
# The function stops going on by itself long before (`handler.SECONDS`); a passport reads the whole artifact.
TIMEOUT_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class ReleaseFunctionArgs:
    """What `release_function` needs.

    Attributes:
        names: Names of the stack.
        specs: The models.
        role_arns: Per model, the role of its containers.
        storage: Buckets and key.
        ledger: Where rollouts are written down.
        archive: Path of the zip.
        log_retention_days: How long its log is kept.
    """

    names: Names
    specs: Mapping[str, ModelSpec]
    role_arns: Mapping[str, pulumi.Input[str]]
    storage: Storage
    ledger: Ledger
    archive: Path
    log_retention_days: int


def release_function(args: ReleaseFunctionArgs) -> LambdaFunction:
    """Declare the function."""
    return LambdaFunction(
        "release",
        LambdaFunctionArgs(
            names=args.names,
            role="release",
            handler=HANDLER,
            description="Brings approved versions into service, and takes them back",
            archive=args.archive,
            permissions=_permissions(args),
            environment={"LEDGER_TABLE": args.ledger.table},
            timeout_seconds=TIMEOUT_SECONDS,
            memory_mb=512,
            log_retention_days=args.log_retention_days,
        ),
    )


def watch_alarms(names: Names, spec: ModelSpec) -> Permission:
    """See the alarms that take a rollout back; SageMaker asks for it in the name of the serving role too.

    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
    """
    base = names.model(spec.name).base
    alarms = [*(rollout_alarm(base, kind) for kind in ROLLOUT_KINDS), *spec.serving.rollback_alarms]
    return Permission(
        sid="WatchRollout",
        actions=["cloudwatch:DescribeAlarms"],
        resources=[names.arn("cloudwatch", f"alarm:{name}") for name in dict.fromkeys(alarms)],
    )


def _permissions(args: ReleaseFunctionArgs) -> list[Permission]:
    names, storage, specs = args.names, args.storage, list(args.specs.values())
    bases = [names.model(spec.name).base for spec in specs]
    if not bases:
        return [args.ledger.keep("Record")]

    def of(kind: str, *patterns: str) -> list[str]:
        return [names.sagemaker_arn(kind, base + pattern) for base in bases for pattern in patterns]

    return [
        args.ledger.keep("Record"),
        Permission(
            sid="Registry",
            actions=["sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage"],
            resources=of("model-package", "/*"),
        ),
        Permission(
            sid="Models",
            actions=["sagemaker:AddTags", "sagemaker:CreateModel", "sagemaker:DescribeModel"],
            resources=of("model", "-*"),
        ),
        Permission(
            sid="Configs",
            actions=[
                "sagemaker:AddTags",
                "sagemaker:CreateEndpointConfig",
                "sagemaker:DescribeEndpointConfig",
            ],
            resources=of("endpoint-config", "-*"),
        ),
        Permission(
            sid="Endpoints",
            actions=["sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint"],
            resources=of("endpoint", ""),
        ),
        Permission(
            sid="Rollout",
            actions=["sagemaker:UpdateEndpoint"],
            resources=[*of("endpoint", ""), *of("endpoint-config", "-*")],
        ),
        Permission(
            sid="Weights",
            actions=["sagemaker:UpdateEndpointWeightsAndCapacities"],
            resources=of("endpoint", ""),
        ),
        Permission(
            sid="PassRole",
            actions=["iam:PassRole"],
            resources=[args.role_arns[spec.name] for spec in specs],
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
        # Alarms by name are asked for on all of them: aws-samples/amazon-cloudwatch-auto-alarms issue 1.
        Permission(
            sid="WatchRollout",
            actions=["cloudwatch:DescribeAlarms"],
            resources=[names.arn("cloudwatch", "alarm:*")],
        ),
        Permission(
            sid="StopRollout",
            actions=["cloudwatch:SetAlarmState"],
            resources=[names.arn("cloudwatch", f"alarm:{rollout_alarm(base, 'stop')}") for base in bases],
        ),
        Permission(
            sid="SeeWhoHasTheClaim",
            actions=["states:DescribeExecution"],
            resources=[
                names.arn("states", f"execution:{names.model(spec.name).release}:*") for spec in specs
            ],
        ),
        *preflight.function_permissions(names, storage, [spec.name for spec in specs]),
        storage.read("ReadDecisions", "artifacts", *(f"decisions/{spec.name}/*" for spec in specs)),
        storage.browse(
            "ListDecisions", "artifacts", *(f"decisions/{spec.name}/" for spec in specs), tell_missing=True
        ),
        storage.read("ReadManifests", "data", *(f"manifests/{spec.name}/*" for spec in specs)),
        storage.browse(
            "ListManifests", "data", *(f"manifests/{spec.name}/" for spec in specs), tell_missing=True
        ),
        storage.encrypt(),
    ]
