"""One CloudWatch dashboard per stack: the alarms on top, then a row per model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.alarms import PERIOD_SECONDS
from infra.naming import VARIANT, Names
from models.spec import ModelSpec
from monitoring import metrics

# A dashboard is 24 columns wide:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
WIDTH = 24
HEIGHT = 6

Widget = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DashboardPlan:
    """What the body is made from: plain values only.

    Attributes:
        names: Names of the stack.
        specs: The models.
        functions: Names of the Lambda functions.
        alarm_arns: All alarms of the stack.
        queue: Name of the intake queue.
        dead_letters: Name of the dead-letter queue.
    """

    names: Names
    specs: Mapping[str, ModelSpec]
    functions: Sequence[str]
    alarm_arns: Sequence[str]
    queue: str
    dead_letters: str


def dashboard_body(plan: DashboardPlan) -> dict[str, Any]:
    """The body of the dashboard."""
    rows: list[list[Widget]] = [
        [_text(plan), _alarms(plan)],
        [_intake(plan), _functions(plan)],
        *(_model_row(plan, spec) for spec in plan.specs.values()),
    ]
    widgets: list[Widget] = []
    top = 0
    for row in rows:
        width = WIDTH // len(row)
        for column, widget in enumerate(row):
            widgets.append(widget | {"x": column * width, "y": top, "width": width, "height": HEIGHT})
        top += HEIGHT
    return {"start": "-PT24H", "periodOverride": "inherit", "widgets": widgets}


def _text(plan: DashboardPlan) -> Widget:
    console = f"https://{plan.names.region}.console.aws.amazon.com"
    lines = [
        f"# {plan.names.prefix}",
        "",
        f"Files go to `s3://{plan.names.bucket('data')}/incoming/<model>/`.",
        "",
    ]
    for name, spec in plan.specs.items():
        own = plan.names.model(name)
        machines = " · ".join(
            f"[{label}]({console}/states/home?region={plan.names.region}#/statemachines/view/"
            f"{plan.names.state_machine_arn(machine)})"
            for label, machine in (("retrainings", own.retrain), ("releases", own.release))
        )
        lines.append(f"**{name}**: {spec.description} {machines}\n")
    return {"type": "text", "properties": {"markdown": "\n".join(lines)}}


def _alarms(plan: DashboardPlan) -> Widget:
    return {"type": "alarm", "properties": {"title": "Alarms", "alarms": list(plan.alarm_arns)}}


def _metric(plan: DashboardPlan, title: str, lines: list[list[Any]], **more: Any) -> Widget:
    properties = {
        "title": title,
        "region": plan.names.region,
        "view": "timeSeries",
        "period": PERIOD_SECONDS,
        "metrics": lines,
    }
    return {"type": "metric", "properties": properties | more}


def _intake(plan: DashboardPlan) -> Widget:
    visible = "ApproximateNumberOfMessagesVisible"
    lines: list[list[Any]] = [
        ["AWS/SQS", visible, "QueueName", plan.queue, {"stat": "Maximum", "label": "waiting"}],
        ["AWS/SQS", visible, "QueueName", plan.dead_letters, {"stat": "Maximum", "label": "given up"}],
    ]
    for model in plan.specs:
        own = [metrics.STACK, plan.names.prefix, metrics.MODEL, model]
        lines += [
            [metrics.NAMESPACE, name, *own, {"stat": "Sum", "label": f"{model}: {label}"}]
            for name, label in (
                (metrics.FILES_ACCEPTED, "accepted"),
                (metrics.FILES_QUARANTINED, "quarantined"),
            )
        ]
    return _metric(plan, "Files", lines)


def _functions(plan: DashboardPlan) -> Widget:
    calls: list[list[Any]] = [
        ["AWS/Lambda", metric, "FunctionName", function, {"stat": "Sum"}]
        for function in plan.functions
        for metric in ("Invocations", "Errors")
    ]
    return _metric(plan, "Functions", calls)


def _model_row(plan: DashboardPlan, spec: ModelSpec) -> list[Widget]:
    own = plan.names.model(spec.name)
    serving = ["EndpointName", own.base, "VariantName", VARIANT]
    traffic: list[list[Any]] = [
        ["AWS/SageMaker", metric, *serving, {"stat": "Sum"}]
        for metric in ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors")
    ]
    latency: list[list[Any]] = [
        ["AWS/SageMaker", "ModelLatency", *serving, {"stat": percentile, "label": percentile}]
        for percentile in ("p50", "p90", "p99")
    ]
    limit = {"horizontal": [{"label": "alarm", "value": spec.monitoring.max_latency_milliseconds * 1000}]}
    runs: list[list[Any]] = [
        [
            *("AWS/States", metric, "StateMachineArn", plan.names.state_machine_arn(machine)),
            {"stat": "Sum", "label": f"{label} {words}"},
        ]
        for label, machine in (("retraining", own.retrain), ("release", own.release))
        for metric, words in (("ExecutionsSucceeded", "succeeded"), ("ExecutionsFailed", "failed"))
    ]
    return [
        _metric(plan, f"{spec.name}: requests", traffic),
        _metric(plan, f"{spec.name}: latency of the container (µs)", latency, annotations=limit),
        _metric(plan, f"{spec.name}: retrainings and releases", runs),
        _scores(plan, spec),
    ]


def _scores(plan: DashboardPlan, spec: ModelSpec) -> Widget:
    """What every judgement compared, as the judge wrote it down."""
    own = [metrics.STACK, plan.names.prefix, metrics.MODEL, spec.name]
    scores: list[list[Any]] = [
        [metrics.NAMESPACE, name, *own, {"stat": "Maximum", "label": label}]
        for name, label in ((metrics.CHALLENGER_SCORE, "challenger"), (metrics.CHAMPION_SCORE, "champion"))
    ]
    return _metric(plan, f"{spec.name}: {spec.gate.metric}, judged on the same fresh rows", scores)


@dataclass(frozen=True, kw_only=True)
class DashboardArgs:
    """What `Dashboard` needs.

    Attributes:
        names: Names of the stack.
        specs: The models.
        functions: Names of the Lambda functions.
        alarm_arns: All alarms of the stack.
        queue: Name of the intake queue.
        dead_letters: Name of the dead-letter queue.
    """

    names: Names
    specs: Mapping[str, ModelSpec]
    functions: Sequence[str]
    alarm_arns: Sequence[pulumi.Input[str]]
    queue: str
    dead_letters: str


class Dashboard(pulumi.ComponentResource):
    """The dashboard.

    Attributes:
        dashboard_name: Its name.
        url: Where people look at it.
    """

    dashboard_name: str
    url: str

    def __init__(self, name: str, args: DashboardArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:dashboard:Dashboard", name, {}, opts)
        self.dashboard_name = args.names.prefix
        region = args.names.region
        self.url = (
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
            f"#dashboards/dashboard/{self.dashboard_name}"
        )
        body = pulumi.Output.all(*args.alarm_arns).apply(
            lambda arns: json.dumps(
                dashboard_body(
                    DashboardPlan(
                        names=args.names,
                        specs=args.specs,
                        functions=args.functions,
                        alarm_arns=arns,
                        queue=args.queue,
                        dead_letters=args.dead_letters,
                    )
                )
            )
        )
        aws.cloudwatch.Dashboard(
            f"{name}-dashboard",
            dashboard_name=self.dashboard_name,
            dashboard_body=body,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"dashboard_name": self.dashboard_name, "url": self.url})
