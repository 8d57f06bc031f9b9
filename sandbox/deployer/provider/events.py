"""EventBridge rules and targets (`aws_cloudwatch_event_rule`, `aws_cloudwatch_event_target`)."""

from __future__ import annotations

from typing import Any

from sandbox.deployer.interface import ProviderError
from sandbox.deployer.values import Properties

from . import schema, wire
from .aws import Call, found, gone
from .kinds import Kind, Naming, again, names, retag, tag_map

_MISSING = ("ResourceNotFoundException",)
_DEFAULT_BUS = "default"
_RULE = {
    "description": "Description",
    "eventPattern": "EventPattern",
    "roleArn": "RoleArn",
    "scheduleExpression": "ScheduleExpression",
}


def _bus(inputs: Properties) -> str:
    return str(inputs.get("eventBusName") or _DEFAULT_BUS)


def _state(inputs: Properties) -> str:
    if inputs.get("state"):
        return str(inputs["state"])
    return "DISABLED" if inputs.get("isEnabled") is False else "ENABLED"


def _rule_id(inputs: Properties) -> str:
    bus = _bus(inputs)
    return str(inputs["name"]) if bus == _DEFAULT_BUS else f"{bus}/{inputs['name']}"


def _split(id_: str) -> tuple[str, str]:
    bus, _, name = id_.rpartition("/")
    return bus or _DEFAULT_BUS, name


def _put_rule(call: Call, inputs: Properties, *, tags: bool) -> str:
    request: dict[str, Any] = {
        member: inputs[key] for key, member in _RULE.items() if inputs.get(key) is not None
    }
    if tags and call.tags:
        request["Tags"] = call.tag_list()
    call.client("events").put_rule(
        Name=inputs["name"], EventBusName=_bus(inputs), State=_state(inputs), **request
    )
    return _rule_id(inputs)


def _create_rule(call: Call, inputs: Properties) -> str:
    if _read_rule(call, _rule_id(inputs), inputs) is not None:
        raise ProviderError(f"PutRule: a rule {inputs['name']} exists already on the bus {_bus(inputs)}")
    return _put_rule(call, inputs, tags=True)


def _read_rule(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    bus, name = _split(id_)
    events = call.client("events")
    answer = found(lambda: events.describe_rule(Name=name, EventBusName=bus), *_MISSING)
    if answer is None:
        return None
    tags = events.list_tags_for_resource(ResourceARN=answer["Arn"]).get("Tags", [])
    return {
        **{key: answer.get(member) or None for key, member in _RULE.items()},
        "name": name,
        "arn": answer["Arn"],
        "eventBusName": bus,
        "state": answer.get("State"),
        "isEnabled": answer.get("State") != "DISABLED",
        "tagsAll": tag_map(tags),
    }


def _update_rule(call: Call, id_: str, old: Properties, new: Properties) -> None:
    _put_rule(call, new, tags=False)
    if old["tagsAll"] == new["tagsAll"]:
        return
    events = call.client("events")
    bus, name = _split(id_)
    arn = events.describe_rule(Name=name, EventBusName=bus)["Arn"]
    retag(
        old,
        new,
        lambda keys: events.untag_resource(ResourceARN=arn, TagKeys=keys),
        lambda: events.tag_resource(ResourceARN=arn, Tags=call.tag_list()),
    )


def _delete_rule(call: Call, id_: str, inputs: Properties) -> None:
    bus, name = _split(id_)
    events = call.client("events")
    if inputs.get("forceDestroy"):
        answer = found(lambda: events.list_targets_by_rule(Rule=name, EventBusName=bus), *_MISSING) or {}
        ids = [target["Id"] for target in answer.get("Targets", [])]
        if ids:
            gone(lambda: events.remove_targets(Rule=name, EventBusName=bus, Ids=ids), *_MISSING)
    gone(lambda: events.delete_rule(Name=name, EventBusName=bus), *_MISSING)


RULE = Kind(
    type="aws:cloudwatch/eventRule:EventRule",
    properties=names(" ".join(_RULE))
    | names("eventBusName forceDestroy isEnabled name namePrefix region state tags"),
    create=_create_rule,
    read=_read_rule,
    update=_update_rule,
    delete=_delete_rule,
    replace=names("eventBusName name namePrefix region"),
    naming=Naming(maximum=64),
    documents=names("eventPattern"),
    defaults={"forceDestroy": False},
    tags=True,
    identify=_rule_id,
    one_of=(("eventPattern", "scheduleExpression"),),
    local=names("forceDestroy"),
)

_TARGET = names("arn deadLetterConfig input inputPath inputTransformer retryPolicy roleArn sqsTarget")

wire.RENAMES.update(
    {
        ("Target", "sqsTarget"): "SqsParameters",
        ("InputTransformer", "inputPaths"): "InputPathsMap",
    }
)


def _put_target(call: Call, inputs: Properties) -> str:
    shape = wire.named("events", "Target")
    target = wire.encode(shape, {key: value for key, value in inputs.items() if key in _TARGET})
    target["Id"] = inputs["targetId"]
    answer = call.client("events").put_targets(
        Rule=inputs["rule"], EventBusName=_bus(inputs), Targets=[target]
    )
    failed = answer.get("FailedEntries", [])
    if failed:
        raise ProviderError(f"PutTargets: {failed[0].get('ErrorCode')}: {failed[0].get('ErrorMessage')}")
    return _target_id(inputs)


def _target_id(inputs: Properties) -> str:
    bus = _bus(inputs)
    short = f"{inputs['rule']}-{inputs['targetId']}"
    return short if bus == _DEFAULT_BUS else f"{bus}-{short}"


def _read_target(call: Call, _id: str, inputs: Properties) -> Properties | None:
    events = call.client("events")
    rule, bus = inputs["rule"], _bus(inputs)
    answer = found(lambda: events.list_targets_by_rule(Rule=rule, EventBusName=bus), *_MISSING) or {}
    target = next((item for item in answer.get("Targets", []) if item["Id"] == inputs["targetId"]), None)
    if target is None:
        return None
    known = schema.of(TARGET.type).outputs
    live = wire.decode_fields(wire.named("events", "Target"), target, {key: known[key] for key in _TARGET})
    return {**live, "rule": rule, "eventBusName": bus, "targetId": inputs["targetId"]}


def _delete_target(call: Call, _id: str, inputs: Properties) -> None:
    events = call.client("events")
    gone(
        lambda: events.remove_targets(
            Rule=inputs["rule"], EventBusName=_bus(inputs), Ids=[inputs["targetId"]]
        ),
        *_MISSING,
    )


TARGET = Kind(
    type="aws:cloudwatch/eventTarget:EventTarget",
    properties=_TARGET | names("eventBusName forceDestroy region rule targetId"),
    create=_put_target,
    read=_read_target,
    update=again(_put_target),
    delete=_delete_target,
    replace=names("eventBusName region rule targetId"),
    naming=Naming("targetId", None, 64),
    documents=names("input"),
    defaults={"forceDestroy": False},
    identify=_target_id,
    local=names("forceDestroy"),
)

KINDS = (RULE, TARGET)
