"""What the release of a model is made from: plain data for the state machine and its function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inference.release.plan import Plan
from infra.alarms import ROLLOUT_KINDS, rollout_alarm
from infra.naming import VARIANT, Names
from infra.serving import data_capture, deployment_config, deployment_seconds, serving_environment
from models.spec import ModelSpec

# The check may be tried twice, each with a wait for an instance (infra.preflight.TIMEOUT_SECONDS); and alarms
# that ring before the rollout, or an update of AWS's own, are waited for.
CHECKS_SECONDS = 2 * 3600
PATIENCE_SECONDS = 1800


@dataclass(frozen=True, kw_only=True)
class ReleasePlan:
    """What the definition is made from.

    Attributes:
        names: Names of the stack.
        spec: The model.
        role_arn: Role of the serving container.
        key_arn: Key that recorded requests are encrypted with.
        topic_arn: Where people listen.
        function_arn: The release function.
        seed_config: Endpoint configuration that the stack began with.
        code_key: Key of the stack's code archive in the artifacts bucket.
        tags: Put on models, endpoint configurations and checks.
    """

    names: Names
    spec: ModelSpec
    role_arn: str
    key_arn: str
    topic_arn: str
    function_arn: str
    seed_config: str
    code_key: str
    tags: Mapping[str, str]

    @property
    def patience_seconds(self) -> int:
        """How long one rollout may take from its claim to its end."""
        return deployment_seconds(self.spec) + CHECKS_SECONDS + PATIENCE_SECONDS

    @property
    def timeout_seconds(self) -> int:
        """How long an execution may take: another rollout may go first, and this one may be taken back."""
        return 2 * self.patience_seconds + deployment_seconds(self.spec)


def rollback_alarms(base: str, spec: ModelSpec) -> tuple[str, ...]:
    """Names of the alarms that take a rollout back: ours, and those of the spec."""
    return (*(rollout_alarm(base, kind) for kind in ROLLOUT_KINDS), *spec.serving.rollback_alarms)


def function_plan(plan: ReleasePlan) -> Plan:
    """What the function is told with every call."""
    names, spec = plan.names, plan.spec
    base = names.model(spec.name).base
    alarms = rollback_alarms(base, spec)
    data, artifacts = names.bucket("data"), names.bucket("artifacts")
    return Plan(
        model=spec.name,
        base=base,
        variant=VARIANT,
        role_arn=plan.role_arn,
        key_arn=plan.key_arn,
        environment=serving_environment(spec, names.region),
        instance_type=spec.serving.instance_type,
        instance_count=spec.serving.instance_count,
        capture=data_capture(data, spec.name, spec.serving.capture_percent, plan.key_arn),
        deployment=deployment_config(spec, alarms),
        stop_alarm=rollout_alarm(base, "stop"),
        alarms=alarms,
        seed_config=plan.seed_config,
        check_requests=spec.serving.check_requests,
        max_latency_milliseconds=spec.gate.max_latency_milliseconds,
        features=tuple(feature.name for feature in spec.features),
        code_uri=f"s3://{artifacts}/{plan.code_key}",
        data_bucket=data,
        artifacts_bucket=artifacts,
        patience_seconds=plan.patience_seconds,
        tags=plan.tags,
    )
