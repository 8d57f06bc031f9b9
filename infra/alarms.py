"""Alarms: what is wrong, since when, and where it says what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.naming import VARIANT, Names
from models.spec import ModelSpec
from monitoring import metrics
from training.ledger.records import NO_MODEL

PERIOD_SECONDS = 300
ROLLOUT_PERIOD_SECONDS = 60
RUNBOOK = "docs/how-to/alarms.md"
MICROSECONDS_PER_MILLISECOND = 1000


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One alarm as data.

    Attributes:
        key: Last part of its names.
        description: What it means, for the person who gets the message.
        section: Heading of the runbook.
        namespace: Of the metric.
        metric: Its name.
        dimensions: Which resource it is about.
        statistic: ``Sum``, ``Maximum``, or a percentile such as ``p99``.
        threshold: Reached or passed, the alarm goes off.
        periods: For so many periods in a row.
        period_seconds: Length of one.
        missing: What no data means. Most metrics here exist only while something happens, so silence is fine.
        notify: Whether the topic is told. False where the function that counts has told it already, with the
            names and the reasons: one thing that happened is one message.
    """

    key: str
    description: str
    section: str
    namespace: str
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    statistic: str = "Sum"
    threshold: float = 1
    periods: int = 1
    period_seconds: int = PERIOD_SECONDS
    missing: str = "notBreaching"
    notify: bool = True


def endpoint_alarms(endpoint: str, spec: ModelSpec) -> list[Alarm]:
    """Errors and latency of a model's endpoint.

    https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
    """
    watch = spec.monitoring
    about: dict[str, Any] = {
        "namespace": "AWS/SageMaker",
        "dimensions": {"EndpointName": endpoint, "VariantName": VARIANT},
    }
    errors = [
        Alarm(
            key=f"endpoint-{kind}xx",
            description=f"{endpoint} {did} {most} or more requests in 5 minutes",
            section="endpoint-errors",
            metric=f"Invocation{kind}XXErrors",
            threshold=most,
            **about,
        )
        for kind, did, most in (
            (5, "failed on", watch.max_server_errors),
            (4, "refused", watch.max_client_errors),
        )
    ]
    latency = Alarm(
        key="endpoint-latency",
        description=f"1 % of the requests to {endpoint} take {watch.max_latency_milliseconds} ms or more",
        section="endpoint-latency",
        # In microseconds, and the container's time only.
        metric="ModelLatency",
        statistic="p99",
        threshold=watch.max_latency_milliseconds * MICROSECONDS_PER_MILLISECOND,
        periods=2,
        **about,
    )
    return [*errors, latency]


def rollout_alarm(base: str, kind: str) -> str:
    """Name of an alarm that takes a rollout back; kind is 5xx, latency, quality or stop."""
    return f"{base}-rollout-{kind}"


ROLLOUT_KINDS = ("5xx", "latency", "quality", "stop")


def rollout_alarms(endpoint: str, prefix: str, spec: ModelSpec) -> list[Alarm]:
    """Alarms that SageMaker watches while a new version takes over: a bad minute takes it back, or two slow.

    Nobody is told of them: the release that they end tells people, with their names.
    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
    """
    watch = spec.monitoring
    shared: dict[str, Any] = {
        "section": "rollout-alarms",
        "period_seconds": ROLLOUT_PERIOD_SECONDS,
        "notify": False,
    }
    about: dict[str, Any] = {
        "namespace": "AWS/SageMaker",
        "dimensions": {"EndpointName": endpoint, "VariantName": VARIANT},
    }
    own: dict[str, Any] = {
        "namespace": metrics.NAMESPACE,
        "dimensions": {metrics.STACK: prefix, metrics.MODEL: spec.name},
    }
    return [
        Alarm(
            key="rollout-5xx",
            description=f"{endpoint} failed on {watch.max_server_errors} or more requests in a minute",
            metric="Invocation5XXErrors",
            threshold=watch.max_server_errors,
            **about,
            **shared,
        ),
        Alarm(
            key="rollout-latency",
            description=f"1 % of the requests to {endpoint} take {watch.max_latency_milliseconds} ms or more",
            metric="ModelLatency",
            statistic="p99",
            threshold=watch.max_latency_milliseconds * MICROSECONDS_PER_MILLISECOND,
            # Of few requests the slowest is the p99: one slow minute is an accident, a second one is not.
            periods=2,
            **about,
            **shared,
        ),
        Alarm(
            key="rollout-quality",
            description=f"Somebody who knows the true answers says that those of {endpoint} are too bad",
            metric=metrics.PREDICTION_QUALITY_BREACHES,
            **own,
            **shared,
        ),
        Alarm(
            key="rollout-stop",
            description=f"A person stops the rollout on {endpoint}",
            metric=metrics.ROLLOUT_STOPS,
            # Set by hand, it stays as it was set:
            # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
            missing="ignore",
            **own,
            **shared,
        ),
    ]


def machine_alarms(key: str, what: str, arn: pulumi.Input[str]) -> list[Alarm]:
    """Executions of a state machine that did not end well.

    https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
    """
    return [
        Alarm(
            key=f"{key}-{suffix}",
            description=f"{what} {words}; what served before serves on",
            section="failed-executions",
            namespace="AWS/States",
            metric=metric,
            dimensions={"StateMachineArn": arn},
        )
        for suffix, metric, words in (
            ("failed", "ExecutionsFailed", "failed"),
            ("timed-out", "ExecutionsTimedOut", "took too long and was stopped"),
        )
    ]


def function_alarm(function: str, role: str) -> Alarm:
    """Calls of a function that ended in an error."""
    return Alarm(
        key=f"{role}-errors",
        description=f"{function} failed",
        section="function-errors",
        namespace="AWS/Lambda",
        metric="Errors",
        dimensions={"FunctionName": function},
    )


def intake_alarms(prefix: str, model: str) -> list[Alarm]:
    """What the intake and the dispatcher found out about a model's data."""
    about: dict[str, Any] = {
        "namespace": metrics.NAMESPACE,
        "dimensions": {metrics.STACK: prefix, metrics.MODEL: model},
    }
    return [
        Alarm(
            key="quarantine",
            description=f"A delivery for {model} holds files that were refused",
            section="quarantine",
            metric=metrics.DELIVERIES_QUARANTINED,
            notify=False,
            **about,
        ),
        Alarm(
            key="delivery-overdue",
            description=f"A delivery for {model} lacks its manifest, or files that the manifest lists",
            section="overdue-deliveries",
            metric=metrics.DELIVERIES_OVERDUE,
            **about,
        ),
        Alarm(
            key="held",
            description=f"New data for {model} waits: a limit of the model spec holds its training back",
            section="held-trainings",
            metric=metrics.TRAININGS_HELD,
            notify=False,
            **about,
        ),
    ]


def stray_files_alarm(prefix: str) -> Alarm:
    """Files that are meant for no model of the stack; the intake refuses them too."""
    return Alarm(
        key="quarantine",
        description="Files were pushed that belong to no model",
        section="quarantine",
        namespace=metrics.NAMESPACE,
        metric=metrics.DELIVERIES_QUARANTINED,
        dimensions={metrics.STACK: prefix, metrics.MODEL: NO_MODEL},
        notify=False,
    )


def dead_letters_alarm(queue: str, key: str = "dead-letters") -> Alarm:
    """Events that were given up."""
    return Alarm(
        key=key,
        description=f"{queue} holds events that could not be worked on",
        section="dead-letters",
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": queue},
        statistic="Maximum",
        # SQS stops reporting on a queue that nobody used for hours; what it said last still holds.
        missing="ignore",
    )


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """What `Alarms` needs.

    Attributes:
        names: Names of the stack.
        prefix: Start of the alarms' names: the stack's, or a model's.
        alarms: What to watch.
        topic_arn: Who is told, of the beginning and of the end.
    """

    names: Names
    prefix: str
    alarms: Sequence[Alarm]
    topic_arn: pulumi.Input[str]


class Alarms(pulumi.ComponentResource):
    """A group of alarms.

    Attributes:
        arns: For the dashboard.
    """

    arns: list[pulumi.Output[str]]

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:alarms:Alarms", name, {}, opts)
        self.alarms = [self._create(name, args, alarm) for alarm in args.alarms]
        self.arns = [alarm.arn for alarm in self.alarms]
        self.register_outputs({})

    def _create(self, name: str, args: AlarmsArgs, alarm: Alarm) -> aws.cloudwatch.MetricAlarm:
        percentile = alarm.statistic.startswith("p")
        return aws.cloudwatch.MetricAlarm(
            f"{name}-{alarm.key}",
            name=f"{args.prefix}-{alarm.key}",
            alarm_description=f"{alarm.description}. What to do: {RUNBOOK}#{alarm.section}",
            namespace=alarm.namespace,
            metric_name=alarm.metric,
            dimensions=alarm.dimensions,
            statistic=None if percentile else alarm.statistic,
            extended_statistic=alarm.statistic if percentile else None,
            period=alarm.period_seconds,
            evaluation_periods=alarm.periods,
            datapoints_to_alarm=alarm.periods,
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=alarm.threshold,
            treat_missing_data=alarm.missing,
            actions_enabled=True,
            alarm_actions=[args.topic_arn] if alarm.notify else [],
            ok_actions=[args.topic_arn] if alarm.notify else [],
            opts=pulumi.ResourceOptions(parent=self),
        )
