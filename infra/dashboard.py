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
from infra.queues import WorkQueue
from models.spec import ModelSpec
from monitoring import metrics

# A dashboard is 24 columns wide:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
WIDTH = 24
HEIGHT = 6

Widget = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DashboardArgs:
    """What `Dashboard` needs.

    Attributes:
        names: Names of the stack.
        specs: The models.
        functions: Names of the Lambda functions.
        alarm_arns: All alarms of the stack.
        queues: The queues that functions work off.
    """

    names: Names
    specs: Mapping[str, ModelSpec]
    functions: Sequence[str]
    alarm_arns: Sequence[pulumi.Input[str]]
    queues: Sequence[WorkQueue]


def dashboard_body(args: DashboardArgs, alarm_arns: Sequence[str]) -> dict[str, Any]:
    """The body of the dashboard."""
    rows: list[list[Widget]] = [
        [_text(args), _alarms(alarm_arns)],
        [_queues(args), _functions(args)],
        *(row for spec in args.specs.values() for row in (_data_row(args, spec), _model_row(args, spec))),
    ]
    widgets: list[Widget] = []
    top = 0
    for row in rows:
        width = WIDTH // len(row)
        for column, widget in enumerate(row):
            widgets.append(widget | {"x": column * width, "y": top, "width": width, "height": HEIGHT})
        top += HEIGHT
    return {"start": "-PT24H", "periodOverride": "inherit", "widgets": widgets}


def _text(args: DashboardArgs) -> Widget:
    console = f"https://{args.names.region}.console.aws.amazon.com"
    lines = [
        f"# {args.names.prefix}",
        "",
        f"Files go to `s3://{args.names.bucket('data')}/incoming/<model>/`.",
        "",
    ]
    for name, spec in args.specs.items():
        own = args.names.model(name)
        machines = " · ".join(
            f"[{label}]({console}/states/home?region={args.names.region}#/statemachines/view/"
            f"{args.names.state_machine_arn(machine)})"
            for label, machine in (("retrainings", own.retrain), ("releases", own.release))
        )
        lines.append(f"**{name}**: {spec.description} {machines}\n")
    return {"type": "text", "properties": {"markdown": "\n".join(lines)}}


def _alarms(arns: Sequence[str]) -> Widget:
    return {"type": "alarm", "properties": {"title": "Alarms", "alarms": list(arns)}}


def _metric(args: DashboardArgs, title: str, lines: list[list[Any]], **more: Any) -> Widget:
    properties = {
        "title": title,
        "region": args.names.region,
        "view": "timeSeries",
        "period": PERIOD_SECONDS,
        "metrics": lines,
    }
    return {"type": "metric", "properties": properties | more}


def _queues(args: DashboardArgs) -> Widget:
    visible = "ApproximateNumberOfMessagesVisible"
    lines: list[list[Any]] = [
        ["AWS/SQS", visible, "QueueName", name, {"stat": "Maximum", "label": f"{queue.queue_name}: {words}"}]
        for queue in args.queues
        for name, words in ((queue.queue_name, "waiting"), (queue.dead_letters.queue_name, "given up"))
    ]
    return _metric(args, "Queues", lines)


def _functions(args: DashboardArgs) -> Widget:
    calls: list[list[Any]] = [
        ["AWS/Lambda", metric, "FunctionName", function, {"stat": "Sum"}]
        for function in args.functions
        for metric in ("Invocations", "Errors")
    ]
    return _metric(args, "Functions", calls)


def _data_row(args: DashboardArgs, spec: ModelSpec) -> list[Widget]:
    """What arrived, what was refused, and what the trainings cost that came of it."""
    return [
        _own(args, spec, "files", {metrics.FILES_ACCEPTED: "accepted", metrics.FILES_QUARANTINED: "refused"}),
        _own(args, spec, "rows", {metrics.ROWS_ACCEPTED: "accepted", metrics.ROWS_DROPPED: "left out"}),
        _own(
            args,
            spec,
            "deliveries and trainings",
            {
                metrics.DELIVERIES_QUARANTINED: "deliveries with refused files",
                metrics.DELIVERIES_OVERDUE: "overdue deliveries",
                metrics.TRAININGS_HELD: "trainings held back",
            },
        ),
        _own(args, spec, "spend on trainings (USD)", {metrics.TRAINING_SPEND: "spent"}),
    ]


def _own(args: DashboardArgs, spec: ModelSpec, title: str, names: Mapping[str, str]) -> Widget:
    """Sums of the model's own metrics."""
    own = [metrics.STACK, args.names.prefix, metrics.MODEL, spec.name]
    lines: list[list[Any]] = [
        [metrics.NAMESPACE, name, *own, {"stat": "Sum", "label": label}] for name, label in names.items()
    ]
    return _metric(args, f"{spec.name}: {title}", lines)


def _model_row(args: DashboardArgs, spec: ModelSpec) -> list[Widget]:
    own = args.names.model(spec.name)
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
            *("AWS/States", metric, "StateMachineArn", args.names.state_machine_arn(machine)),
            {"stat": "Sum", "label": f"{label} {words}"},
        ]
        for label, machine in (("retraining", own.retrain), ("release", own.release))
        for metric, words in (("ExecutionsSucceeded", "succeeded"), ("ExecutionsFailed", "failed"))
    ]
    return [
        _metric(args, f"{spec.name}: requests", traffic),
        _metric(args, f"{spec.name}: latency of the container (µs)", latency, annotations=limit),
        _metric(args, f"{spec.name}: retrainings and releases", runs),
        _scores(args, spec),
    ]


def _scores(args: DashboardArgs, spec: ModelSpec) -> Widget:
    """What every judgement compared, as the judge wrote it down."""
    own = [metrics.STACK, args.names.prefix, metrics.MODEL, spec.name]
    scores: list[list[Any]] = [
        [metrics.NAMESPACE, name, *own, {"stat": "Maximum", "label": label}]
        for name, label in ((metrics.CHALLENGER_SCORE, "challenger"), (metrics.CHAMPION_SCORE, "champion"))
    ]
    return _metric(args, f"{spec.name}: {spec.gate.metric}, judged on the same fresh rows", scores)


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
        body = pulumi.Output.all(*args.alarm_arns).apply(lambda arns: json.dumps(dashboard_body(args, arns)))
        aws.cloudwatch.Dashboard(
            f"{name}-dashboard",
            dashboard_name=self.dashboard_name,
            dashboard_body=body,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"dashboard_name": self.dashboard_name, "url": self.url})
