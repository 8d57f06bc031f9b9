"""CloudWatch alarms and dashboards."""

from __future__ import annotations

from typing import Any

from sandbox.deployer.interface import ProviderError
from sandbox.deployer.values import Properties

from . import schema, wire
from .aws import Call, found, gone
from .kinds import Kind, Naming, again, names, retag, tag_map

_MISSING = ("ResourceNotFound", "ResourceNotFoundException", "DashboardNotFoundError")

_METRIC = names(
    "actionsEnabled alarmActions alarmDescription comparisonOperator datapointsToAlarm dimensions "
    "evaluateLowSampleCountPercentiles evaluationPeriods extendedStatistic insufficientDataActions "
    "metricName metricQueries "
    "namespace okActions period statistic threshold thresholdMetricId treatMissingData unit"
)
_COMPOSITE = names("actionsEnabled alarmActions alarmDescription alarmRule insufficientDataActions okActions")

wire.RENAMES.update(
    {
        ("PutMetricAlarmInput", "metricQueries"): "Metrics",
        ("MetricAlarm", "metricQueries"): "Metrics",
        ("PutMetricAlarmInput", "okActions"): "OKActions",
        ("MetricAlarm", "okActions"): "OKActions",
        ("PutMetricAlarmInput", "evaluateLowSampleCountPercentiles"): "EvaluateLowSampleCountPercentile",
        ("MetricAlarm", "evaluateLowSampleCountPercentiles"): "EvaluateLowSampleCountPercentile",
        ("PutCompositeAlarmInput", "okActions"): "OKActions",
        ("CompositeAlarm", "okActions"): "OKActions",
    }
)


def _dimensions(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"Name": key, "Value": value} for key, value in values.items()]


def _queries(inputs: Properties) -> list[dict[str, Any]]:
    """Return metric queries in AWS's form: the metric's own fields one level deeper, dimensions as a list."""
    queries = []
    for item in inputs.get("metricQueries") or []:
        query: dict[str, Any] = {"Id": item["id"]}
        for key, member in (("expression", "Expression"), ("label", "Label"), ("accountId", "AccountId")):
            if item.get(key):
                query[member] = item[key]
        if item.get("returnData") is not None:
            query["ReturnData"] = item["returnData"]
        if item.get("period"):
            query["Period"] = item["period"]
        metric = item.get("metric")
        if metric:
            query["MetricStat"] = {
                "Metric": {
                    "Namespace": metric.get("namespace"),
                    "MetricName": metric["metricName"],
                    "Dimensions": _dimensions(metric.get("dimensions") or {}),
                },
                "Period": metric["period"],
                "Stat": metric["stat"],
                **({"Unit": metric["unit"]} if metric.get("unit") else {}),
            }
        queries.append(query)
    return queries


def _live_queries(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    queries = []
    for item in metrics:
        query: dict[str, Any] = {
            "id": item["Id"],
            "expression": item.get("Expression"),
            "label": item.get("Label"),
            "returnData": item.get("ReturnData"),
            "period": item.get("Period"),
        }
        stat = item.get("MetricStat")
        if stat:
            metric = stat["Metric"]
            query["metric"] = {
                "namespace": metric.get("Namespace"),
                "metricName": metric.get("MetricName"),
                "dimensions": {d["Name"]: d["Value"] for d in metric.get("Dimensions", [])},
                "period": stat.get("Period"),
                "stat": stat.get("Stat"),
                "unit": stat.get("Unit"),
            }
            query["metric"] = {key: value for key, value in query["metric"].items() if value}
        queries.append({key: value for key, value in query.items() if value is not None})
    return queries


def _put_alarm(call: Call, inputs: Properties, *, tags: bool = False) -> str:
    special = {"dimensions", "metricQueries"}
    settings = {key: value for key, value in inputs.items() if key in _METRIC - special and value is not None}
    request = wire.encode(wire.input_shape("cloudwatch", "PutMetricAlarm"), settings)
    if inputs.get("dimensions"):
        request["Dimensions"] = _dimensions(inputs["dimensions"])
    if inputs.get("metricQueries"):
        request["Metrics"] = _queries(inputs)
    if tags and call.tags:
        request["Tags"] = call.tag_list()
    call.client("cloudwatch").put_metric_alarm(AlarmName=inputs["name"], **request)
    return str(inputs["name"])


def _create_alarm(call: Call, inputs: Properties) -> str:
    _refuse_existing(call, inputs["name"])
    return _put_alarm(call, inputs, tags=True)


def _refuse_existing(call: Call, name: str) -> None:
    if _describe(call, name, "MetricAlarm") or _describe(call, name, "CompositeAlarm"):
        raise ProviderError(f"an alarm {name} exists already")


def _describe(call: Call, name: str, kind: str) -> dict[str, Any] | None:
    answer = call.client("cloudwatch").describe_alarms(AlarmNames=[name], AlarmTypes=[kind])
    items = answer.get(f"{kind}s", [])
    return items[0] if items else None


def _tags_of(call: Call, arn: str) -> dict[str, str]:
    cloudwatch = call.client("cloudwatch")
    answer = found(lambda: cloudwatch.list_tags_for_resource(ResourceARN=arn), *_MISSING) or {}
    return tag_map(answer.get("Tags", []))


def _read_alarm(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    data = _describe(call, id_, "MetricAlarm")
    if data is None:
        return None
    known = schema.of(METRIC_ALARM.type).outputs
    kinds = {key: known[key] for key in _METRIC - {"dimensions", "metricQueries"}}
    live = wire.decode_fields(wire.named("cloudwatch", "MetricAlarm"), data, kinds)
    live["dimensions"] = {item["Name"]: item["Value"] for item in data.get("Dimensions", [])}
    if data.get("Metrics"):
        live["metricQueries"] = _live_queries(data["Metrics"])
    live.setdefault("treatMissingData", "missing")
    return {**live, "name": id_, "arn": data["AlarmArn"], "tagsAll": _tags_of(call, data["AlarmArn"])}


def _set_tags(call: Call, arn: str, old: Properties, new: Properties) -> None:
    cloudwatch = call.client("cloudwatch")
    retag(
        old,
        new,
        lambda keys: cloudwatch.untag_resource(ResourceARN=arn, TagKeys=keys),
        lambda: cloudwatch.tag_resource(ResourceARN=arn, Tags=call.tag_list()),
    )


def _update_alarm(call: Call, id_: str, old: Properties, new: Properties) -> None:
    _put_alarm(call, new)
    _set_tags(call, call.aws.arn("cloudwatch", f"alarm:{id_}"), old, new)


def _delete_alarm(call: Call, id_: str, _inputs: Properties) -> None:
    gone(lambda: call.client("cloudwatch").delete_alarms(AlarmNames=[id_]), *_MISSING)


def _check_alarm(inputs: Properties) -> list[tuple[str, str]]:
    missing = [key for key in ("comparisonOperator", "evaluationPeriods") if inputs.get(key) is None]
    problems = [
        (key, "required property of aws:cloudwatch/metricAlarm:MetricAlarm is missing") for key in missing
    ]
    if inputs.get("metricName") is not None and inputs.get("metricQueries") is not None:
        problems.append(("metricQueries", "conflicts with metricName"))
    return problems


METRIC_ALARM = Kind(
    type="aws:cloudwatch/metricAlarm:MetricAlarm",
    properties=_METRIC | names("name region tags"),
    create=_create_alarm,
    read=_read_alarm,
    update=_update_alarm,
    delete=_delete_alarm,
    replace=names("name region"),
    naming=Naming(prefix=None),
    defaults={"actionsEnabled": True, "treatMissingData": "missing"},
    unordered=names("alarmActions insufficientDataActions okActions metricQueries"),
    tags=True,
    identify=lambda inputs: inputs["name"],
    validate=_check_alarm,
    one_of=(("metricName", "metricQueries"),),
)


def _put_composite(call: Call, inputs: Properties, *, tags: bool = False) -> str:
    settings = {key: value for key, value in inputs.items() if key in _COMPOSITE and value is not None}
    request = wire.encode(wire.input_shape("cloudwatch", "PutCompositeAlarm"), settings)
    if inputs.get("actionsSuppressor"):
        block = inputs["actionsSuppressor"]
        request["ActionsSuppressor"] = block["alarm"]
        request["ActionsSuppressorExtensionPeriod"] = block["extensionPeriod"]
        request["ActionsSuppressorWaitPeriod"] = block["waitPeriod"]
    if tags and call.tags:
        request["Tags"] = call.tag_list()
    call.client("cloudwatch").put_composite_alarm(AlarmName=inputs["alarmName"], **request)
    return str(inputs["alarmName"])


def _create_composite(call: Call, inputs: Properties) -> str:
    _refuse_existing(call, inputs["alarmName"])
    return _put_composite(call, inputs, tags=True)


def _read_composite(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    data = _describe(call, id_, "CompositeAlarm")
    if data is None:
        return None
    known = schema.of(COMPOSITE_ALARM.type).outputs
    shape = wire.named("cloudwatch", "CompositeAlarm")
    live = wire.decode_fields(shape, data, {key: known[key] for key in _COMPOSITE})
    if data.get("ActionsSuppressor"):
        live["actionsSuppressor"] = {
            "alarm": data["ActionsSuppressor"],
            "extensionPeriod": data.get("ActionsSuppressorExtensionPeriod"),
            "waitPeriod": data.get("ActionsSuppressorWaitPeriod"),
        }
    return {**live, "alarmName": id_, "arn": data["AlarmArn"], "tagsAll": _tags_of(call, data["AlarmArn"])}


def _update_composite(call: Call, id_: str, old: Properties, new: Properties) -> None:
    _put_composite(call, new)
    _set_tags(call, call.aws.arn("cloudwatch", f"alarm:{id_}"), old, new)


COMPOSITE_ALARM = Kind(
    type="aws:cloudwatch/compositeAlarm:CompositeAlarm",
    properties=_COMPOSITE | names("actionsSuppressor alarmName region tags"),
    create=_create_composite,
    read=_read_composite,
    update=_update_composite,
    delete=_delete_alarm,
    replace=names("alarmName actionsEnabled region"),
    defaults={"actionsEnabled": True},
    unordered=names("alarmActions insufficientDataActions okActions"),
    tags=True,
    identify=lambda inputs: inputs["alarmName"],
)


def _put_dashboard(call: Call, inputs: Properties) -> str:
    name = inputs["dashboardName"]
    answer = call.client("cloudwatch").put_dashboard(
        DashboardName=name, DashboardBody=inputs["dashboardBody"]
    )
    messages = answer.get("DashboardValidationMessages", [])
    if messages:
        raise ProviderError("PutDashboard: " + "; ".join(str(item.get("Message")) for item in messages))
    return str(name)


def _read_dashboard(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    cloudwatch = call.client("cloudwatch")
    answer = found(lambda: cloudwatch.get_dashboard(DashboardName=id_), *_MISSING)
    if answer is None:
        return None
    return {
        "dashboardName": id_,
        "dashboardBody": answer["DashboardBody"],
        "dashboardArn": answer.get("DashboardArn")
        or f"arn:{call.aws.partition}:cloudwatch::{call.aws.account}:dashboard/{id_}",
    }


def _create_dashboard(call: Call, inputs: Properties) -> str:
    if _read_dashboard(call, inputs["dashboardName"], inputs) is not None:
        raise ProviderError(f"PutDashboard: a dashboard {inputs['dashboardName']} exists already")
    return _put_dashboard(call, inputs)


DASHBOARD = Kind(
    type="aws:cloudwatch/dashboard:Dashboard",
    properties=names("dashboardBody dashboardName region"),
    create=_create_dashboard,
    read=_read_dashboard,
    update=again(_put_dashboard),
    delete=lambda call, id_, _inputs: gone(
        lambda: call.client("cloudwatch").delete_dashboards(DashboardNames=[id_]), *_MISSING
    ),
    replace=names("dashboardName region"),
    documents=names("dashboardBody"),
    identify=lambda inputs: inputs["dashboardName"],
)

KINDS = (METRIC_ALARM, COMPOSITE_ALARM, DASHBOARD)
