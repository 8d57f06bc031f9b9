"""Lambda's event source mappings (`aws_lambda_event_source_mapping`)."""

from __future__ import annotations

from typing import Any

from sandbox.deployer.values import Properties

from . import schema, wire
from .aws import Call, found, gone, retried, wait_until
from .kinds import Kind, names
from .lambdas import MISSING, set_tags

_SETTINGS = names(
    "batchSize bisectBatchOnFunctionError destinationConfig enabled eventSourceArn filterCriteria "
    "functionName functionResponseTypes maximumBatchingWindowInSeconds "
    "maximumRecordAgeInSeconds maximumRetryAttempts "
    "metricsConfig parallelizationFactor scalingConfig startingPosition tumblingWindowInSeconds kmsKeyArn"
)
_FIXED = names("eventSourceArn startingPosition region")
_SETTLE_SECONDS = 600.0
_RESET: dict[str, Any] = {
    "filterCriteria": {"Filters": []},
    "functionResponseTypes": [],
    "maximumBatchingWindowInSeconds": 0,
    "batchSize": 10,
    "scalingConfig": {},
}

wire.RENAMES.update(
    {
        ("CreateEventSourceMappingRequest", "kmsKeyArn"): "KMSKeyArn",
        ("UpdateEventSourceMappingRequest", "kmsKeyArn"): "KMSKeyArn",
        ("EventSourceMappingConfiguration", "kmsKeyArn"): "KMSKeyArn",
        ("EventSourceMappingConfiguration", "arn"): "EventSourceMappingArn",
        ("OnFailure", "destinationArn"): "Destination",
    }
)


def _create(call: Call, inputs: Properties) -> str:
    client = call.client("lambda")
    settings = {key: value for key, value in inputs.items() if key in _SETTINGS}
    request = wire.encode(wire.input_shape("lambda", "CreateEventSourceMapping"), settings)
    if call.tags:
        request["Tags"] = dict(call.tags)
    # The role's permission on the source may be too young.
    answer = retried(
        lambda: client.create_event_source_mapping(**request),
        "InvalidParameterValueException",
        message="role",
    )
    id_ = call.created(answer["UUID"])
    _wait(call, id_, inputs)
    return id_


def _wait(call: Call, id_: str, inputs: Properties) -> None:
    wanted = "Enabled" if inputs.get("enabled", True) else "Disabled"

    def settled() -> bool | None:
        state = call.client("lambda").get_event_source_mapping(UUID=id_).get("State")
        return True if state == wanted else None

    wait_until(settled, call.seconds(_SETTLE_SECONDS), f"event source mapping {id_} becoming {wanted}")


def _read(call: Call, id_: str, inputs: Properties) -> Properties | None:
    client = call.client("lambda")
    answer = found(lambda: client.get_event_source_mapping(UUID=id_), *MISSING)
    if answer is None or answer.get("State") == "Deleting":
        return None
    shape = wire.named("lambda", "EventSourceMappingConfiguration")
    live = wire.decode_fields(shape, answer, schema.of(MAPPING.type).outputs)
    arn = answer.get("FunctionArn", "")
    given = str(inputs.get("functionName", ""))
    same = given in (arn, arn.rpartition(":")[2])
    arn_of_mapping = answer.get("EventSourceMappingArn") or call.aws.arn(
        "lambda", f"event-source-mapping:{id_}"
    )
    live.update(
        uuid=id_,
        functionName=given if same else arn,
        functionArn=arn,
        arn=arn_of_mapping,
        enabled=answer.get("State") not in ("Disabled", "Disabling"),
    )
    tags = found(
        lambda: client.list_tags(Resource=arn_of_mapping), *MISSING, "InvalidParameterValueException"
    )
    live["tagsAll"] = (tags or {}).get("Tags") or {}
    return live


def _update(call: Call, id_: str, old: Properties, new: Properties) -> None:
    client = call.client("lambda")
    allowed = _SETTINGS - _FIXED
    changed = {key for key in {*old, *new} & allowed if old.get(key) != new.get(key)}
    if changed:
        shape = wire.input_shape("lambda", "UpdateEventSourceMapping")
        request = wire.encode(shape, {key: new[key] for key in changed if new.get(key) is not None})
        for key in changed:
            if new.get(key) is None and key in _RESET:
                request[wire.member_for(shape, key)] = _RESET[key]
        retried(lambda: client.update_event_source_mapping(UUID=id_, **request), "ResourceInUseException")
        _wait(call, id_, new)
    set_tags(call, call.aws.arn("lambda", f"event-source-mapping:{id_}"), old, new)


def _delete(call: Call, id_: str, _inputs: Properties) -> None:
    client = call.client("lambda")
    gone(
        lambda: retried(lambda: client.delete_event_source_mapping(UUID=id_), "ResourceInUseException"),
        *MISSING,
    )

    def vanished() -> bool | None:
        answer = found(lambda: client.get_event_source_mapping(UUID=id_), *MISSING)
        return True if answer is None else None

    wait_until(vanished, call.seconds(_SETTLE_SECONDS), f"event source mapping {id_} being deleted")


def _find(call: Call, inputs: Properties) -> str | None:
    client = call.client("lambda")
    request = {"FunctionName": inputs["functionName"], "EventSourceArn": inputs.get("eventSourceArn")}
    answer = found(
        lambda: client.list_event_source_mappings(**{k: v for k, v in request.items() if v}), *MISSING
    )
    items = (answer or {}).get("EventSourceMappings", [])
    return str(items[0]["UUID"]) if items else None


MAPPING = Kind(
    type="aws:lambda/eventSourceMapping:EventSourceMapping",
    properties=_SETTINGS | names("region tags"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    replace=_FIXED,
    defaults={"enabled": True},
    unordered=names("functionResponseTypes"),
    volatile={"*": names("lastModified state stateTransitionReason lastProcessingResult")},
    tags=True,
    identify=lambda inputs: (inputs["functionName"], inputs.get("eventSourceArn")),
    find_id=_find,
)

KINDS = (MAPPING,)
