"""Step Functions state machines (`aws_sfn_state_machine`)."""

from __future__ import annotations

from typing import Any

from sandbox.deployer.values import Properties

from . import schema, wire
from .aws import Call, found, gone, retried, wait_until
from .kinds import Kind, Naming, names, retag, tag_map

_MISSING = ("StateMachineDoesNotExist",)
_DELETE_SECONDS = 300.0
_SETTINGS = names(
    "definition loggingConfiguration roleArn tracingConfiguration encryptionConfiguration publish"
)

wire.RENAMES.update({("CloudWatchLogsLogGroup", "logDestination"): "logGroupArn"})


def _request(operation: str, inputs: Properties) -> dict[str, Any]:
    shape = wire.input_shape("stepfunctions", operation)
    settings = {
        key: value
        for key, value in inputs.items()
        if key in _SETTINGS | {"name", "type"} and value is not None
    }
    logging = settings.pop("loggingConfiguration", None)
    request: dict[str, Any] = wire.encode(
        shape, {key: value for key, value in settings.items() if wire.member_for(shape, key)}
    )
    if logging:
        request["loggingConfiguration"] = {
            "level": logging.get("level", "OFF"),
            "includeExecutionData": bool(logging.get("includeExecutionData")),
        }
        if logging.get("logDestination"):
            group = {"logGroupArn": logging["logDestination"]}
            request["loggingConfiguration"]["destinations"] = [{"cloudWatchLogsLogGroup": group}]
    return request


def _create(call: Call, inputs: Properties) -> str:
    client = call.client("stepfunctions")
    request = _request("CreateStateMachine", inputs)
    if call.tags:
        request["tags"] = [{"key": key, "value": value} for key, value in call.tags.items()]
    answer = retried(
        lambda: client.create_state_machine(**request), "AccessDeniedException", message="assume"
    )
    return str(answer["stateMachineArn"])


def _read(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    client = call.client("stepfunctions")
    answer = found(lambda: client.describe_state_machine(stateMachineArn=id_), *_MISSING)
    if answer is None or answer.get("status") == "DELETING":
        return None
    known = schema.of(STATE_MACHINE.type).outputs
    wanted = {key: known[key] for key in known if key not in ("loggingConfiguration", "arn", "tagsAll")}
    live = wire.decode_fields(wire.output_shape("stepfunctions", "DescribeStateMachine"), answer, wanted)
    logging = answer.get("loggingConfiguration") or {}
    destinations = logging.get("destinations") or []
    if logging:
        live["loggingConfiguration"] = {
            "level": logging.get("level", "OFF"),
            "includeExecutionData": bool(logging.get("includeExecutionData")),
        }
        if destinations:
            arn = destinations[0].get("cloudWatchLogsLogGroup", {}).get("logGroupArn")
            live["loggingConfiguration"]["logDestination"] = arn
    tags = client.list_tags_for_resource(resourceArn=id_).get("tags", [])
    return {**live, "arn": id_, "tagsAll": tag_map(tags)}


def _update(call: Call, id_: str, old: Properties, new: Properties) -> None:
    client = call.client("stepfunctions")
    changed = {key for key in _SETTINGS if old.get(key) != new.get(key)}
    if changed:
        request = _request("UpdateStateMachine", {key: new.get(key) for key in changed})
        if "loggingConfiguration" in changed and not new.get("loggingConfiguration"):
            request["loggingConfiguration"] = {"level": "OFF", "includeExecutionData": False}
        if "tracingConfiguration" in changed and not new.get("tracingConfiguration"):
            request["tracingConfiguration"] = {"enabled": False}
        client.update_state_machine(stateMachineArn=id_, **request)
    tags = [{"key": key, "value": value} for key, value in new["tagsAll"].items()]
    retag(
        old,
        new,
        lambda keys: client.untag_resource(resourceArn=id_, tagKeys=keys),
        lambda: client.tag_resource(resourceArn=id_, tags=tags),
    )


def _delete(call: Call, id_: str, _inputs: Properties) -> None:
    client = call.client("stepfunctions")
    gone(lambda: client.delete_state_machine(stateMachineArn=id_), *_MISSING)

    def vanished() -> bool | None:
        answer = found(lambda: client.describe_state_machine(stateMachineArn=id_), *_MISSING)
        return True if answer is None else None

    wait_until(vanished, call.seconds(_DELETE_SECONDS), f"state machine {id_} being deleted")


def _find(call: Call, inputs: Properties) -> str | None:
    id_ = call.aws.arn("states", f"stateMachine:{inputs['name']}")
    return None if _read(call, id_, inputs) is None else id_


STATE_MACHINE = Kind(
    type="aws:sfn/stateMachine:StateMachine",
    properties=_SETTINGS | names("name namePrefix region tags type"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    replace=names("name namePrefix region type"),
    naming=Naming(maximum=80),
    defaults={"type": "STANDARD", "publish": False},
    documents=names("definition"),
    volatile={"definition": names("revisionId"), "roleArn": names("revisionId")},
    tags=True,
    identify=lambda inputs: inputs["name"],
    find_id=_find,
)

KINDS = (STATE_MACHINE,)
