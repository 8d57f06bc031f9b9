"""DynamoDB tables and single items (`aws_dynamodb_table`, `aws_dynamodb_table_item`)."""

from __future__ import annotations

import base64
import json
from typing import Any

from botocore.exceptions import ClientError

from sandbox.deployer.interface import ProviderError
from sandbox.deployer.values import UNKNOWN, Properties

from .aws import Call, code_of, found, gone, retried, wait_until
from .kinds import Kind, Naming, names, retag, tag_map

_MISSING = ("ResourceNotFoundException",)
_BUSY = ("ResourceInUseException", "LimitExceededException")
_ON_DEMAND, _PROVISIONED = "PAY_PER_REQUEST", "PROVISIONED"
_STANDARD = "STANDARD"
# The Terraform provider's own limits for tables without a `timeouts` block.
_CREATE_SECONDS, _UPDATE_SECONDS, _DELETE_SECONDS = 1800.0, 3600.0, 600.0
_BACKUP_DAYS = 35  # the window when none is given

Item = dict[str, dict[str, Any]]


def _create(call: Call, inputs: Properties) -> str:
    dynamodb = call.client("dynamodb")
    request: dict[str, Any] = {
        "TableName": inputs["name"],
        "AttributeDefinitions": _attributes(inputs),
        "KeySchema": _key_schema(inputs),
        "BillingMode": _billing(inputs),
        "DeletionProtectionEnabled": bool(inputs.get("deletionProtectionEnabled")),
    }
    if _billing(inputs) == _PROVISIONED:
        request["ProvisionedThroughput"] = _throughput(inputs)
    if inputs.get("tableClass"):
        request["TableClass"] = inputs["tableClass"]
    if inputs.get("serverSideEncryption"):
        request["SSESpecification"] = _encryption(inputs)
    if call.tags:
        request["Tags"] = call.tag_list()
    retried(lambda: dynamodb.create_table(**request), *_BUSY[1:])
    id_ = call.created(inputs["name"])
    _settle(call, id_, _CREATE_SECONDS)
    if _expires(inputs):
        _put_expiry(call, id_, {}, inputs)
    if _backed_up(inputs)[0]:
        _put_backups(call, id_, inputs)
    return id_


def _attributes(inputs: Properties) -> list[dict[str, str]]:
    return [
        {"AttributeName": entry["name"], "AttributeType": entry["type"]}
        for entry in inputs.get("attributes") or []
    ]


def _key_schema(inputs: Properties) -> list[dict[str, str]]:
    schema = [{"AttributeName": inputs["hashKey"], "KeyType": "HASH"}]
    if inputs.get("rangeKey"):
        schema.append({"AttributeName": inputs["rangeKey"], "KeyType": "RANGE"})
    return schema


def _billing(inputs: Properties) -> str:
    return str(inputs.get("billingMode") or _PROVISIONED)


def _throughput(inputs: Properties) -> dict[str, int]:
    return {
        "ReadCapacityUnits": int(inputs.get("readCapacity") or 1),
        "WriteCapacityUnits": int(inputs.get("writeCapacity") or 1),
    }


def _encryption(inputs: Properties) -> dict[str, Any]:
    block = inputs.get("serverSideEncryption") or {}
    if not block.get("enabled"):
        return {"Enabled": False}
    own = {"SSEType": "KMS", "KMSMasterKeyId": block["kmsKeyArn"]} if block.get("kmsKeyArn") else {}
    return {"Enabled": True, **own}


def _expires(inputs: Properties) -> bool:
    return bool((inputs.get("ttl") or {}).get("enabled"))


def _backed_up(inputs: Properties) -> tuple[bool, int]:
    block = inputs.get("pointInTimeRecovery") or {}
    return bool(block.get("enabled")), int(block.get("recoveryPeriodInDays") or _BACKUP_DAYS)


def _settle(call: Call, id_: str, seconds: float) -> None:
    """Wait until the table, and the change of its encryption, is done."""

    def done() -> bool | None:
        table = call.client("dynamodb").describe_table(TableName=id_)["Table"]
        changing = (table.get("SSEDescription") or {}).get("Status") in ("ENABLING", "DISABLING", "UPDATING")
        return True if table["TableStatus"] == "ACTIVE" and not changing else None

    wait_until(done, call.seconds(seconds), f"table {id_} becoming active")


def _put_expiry(call: Call, id_: str, old: Properties, new: Properties) -> None:
    before, after = old.get("ttl") or {}, new.get("ttl") or {}
    # AWS wants the name of the attribute for switching off as well.
    attribute = after.get("attributeName") or before.get("attributeName")
    wanted = {"Enabled": bool(after.get("enabled")), "AttributeName": attribute}
    retried(
        lambda: call.client("dynamodb").update_time_to_live(TableName=id_, TimeToLiveSpecification=wanted),
        *_BUSY,
    )


def _put_backups(call: Call, id_: str, inputs: Properties) -> None:
    enabled, days = _backed_up(inputs)
    wanted: dict[str, Any] = {"PointInTimeRecoveryEnabled": enabled}
    if enabled and days != _BACKUP_DAYS:
        wanted["RecoveryPeriodInDays"] = days
    retried(
        lambda: call.client("dynamodb").update_continuous_backups(
            TableName=id_, PointInTimeRecoverySpecification=wanted
        ),
        "ContinuousBackupsUnavailableException",
        *_BUSY,
    )


def _read(call: Call, id_: str, inputs: Properties) -> Properties | None:
    dynamodb = call.client("dynamodb")
    answer = found(lambda: dynamodb.describe_table(TableName=id_), *_MISSING)
    if answer is None or answer["Table"]["TableStatus"] == "DELETING":
        return None
    table = answer["Table"]
    keys = {entry["KeyType"]: entry["AttributeName"] for entry in table["KeySchema"]}
    throughput = table.get("ProvisionedThroughput") or {}
    live: Properties = {
        "name": id_,
        "arn": table["TableArn"],
        "attributes": [
            {"name": entry["AttributeName"], "type": entry["AttributeType"]}
            for entry in table["AttributeDefinitions"]
        ],
        "hashKey": keys["HASH"],
        "rangeKey": keys.get("RANGE"),
        "billingMode": (table.get("BillingModeSummary") or {}).get("BillingMode") or _PROVISIONED,
        "readCapacity": throughput.get("ReadCapacityUnits", 0),
        "writeCapacity": throughput.get("WriteCapacityUnits", 0),
        "deletionProtectionEnabled": bool(table.get("DeletionProtectionEnabled")),
        "tableClass": (table.get("TableClassSummary") or {}).get("TableClass") or _STANDARD,
        "tagsAll": tag_map(dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"]).get("Tags", [])),
    }
    if inputs.get("serverSideEncryption"):
        live["serverSideEncryption"] = _live_encryption(table)
    if inputs.get("ttl"):
        live["ttl"] = _live_expiry(dynamodb, id_)
    live["pointInTimeRecovery"] = _live_backups(dynamodb, id_)
    return live


def _live_encryption(table: dict[str, Any]) -> Properties:
    description = table.get("SSEDescription") or {}
    enabled = description.get("Status") in ("ENABLED", "ENABLING", "UPDATING")
    return {"enabled": enabled, "kmsKeyArn": description.get("KMSMasterKeyArn")}


def _live_expiry(dynamodb: Any, id_: str) -> Properties:
    description = dynamodb.describe_time_to_live(TableName=id_)["TimeToLiveDescription"]
    enabled = description.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    return {"enabled": enabled, "attributeName": description.get("AttributeName")}


def _live_backups(dynamodb: Any, id_: str) -> Properties:
    answer = dynamodb.describe_continuous_backups(TableName=id_)["ContinuousBackupsDescription"]
    recovery = answer.get("PointInTimeRecoveryDescription") or {}
    enabled = recovery.get("PointInTimeRecoveryStatus") == "ENABLED"
    days = recovery.get("RecoveryPeriodInDays") or _BACKUP_DAYS
    return {"enabled": enabled, **({"recoveryPeriodInDays": days} if enabled else {})}


def _update(call: Call, id_: str, old: Properties, new: Properties) -> None:
    dynamodb = call.client("dynamodb")
    # Each of these is a change of its own to AWS, which takes one at a time.
    for changes in (
        _new_attributes(old, new),
        _new_billing(old, new),
        _new_class(old, new),
        _new_encryption(old, new),
    ):
        if changes:
            _change(call, id_, changes)
    if bool(old.get("deletionProtectionEnabled")) != bool(new.get("deletionProtectionEnabled")):
        _change(call, id_, {"DeletionProtectionEnabled": bool(new.get("deletionProtectionEnabled"))})
    if (old.get("ttl") or {}) != (new.get("ttl") or {}) and (_expires(old) or _expires(new)):
        _put_expiry(call, id_, old, new)
    if _backed_up(old) != _backed_up(new):
        _put_backups(call, id_, new)
    if old["tagsAll"] != new["tagsAll"]:
        arn = dynamodb.describe_table(TableName=id_)["Table"]["TableArn"]
        retag(
            old,
            new,
            lambda keys: dynamodb.untag_resource(ResourceArn=arn, TagKeys=keys),
            lambda: dynamodb.tag_resource(ResourceArn=arn, Tags=call.tag_list()),
        )


def _change(call: Call, id_: str, changes: dict[str, Any]) -> None:
    retried(lambda: call.client("dynamodb").update_table(TableName=id_, **changes), *_BUSY)
    _settle(call, id_, _UPDATE_SECONDS)


def _new_attributes(old: Properties, new: Properties) -> dict[str, Any]:
    def by_name(entry: dict[str, str]) -> str:
        return entry["AttributeName"]

    before, after = (sorted(_attributes(side), key=by_name) for side in (old, new))
    return {} if before == after else {"AttributeDefinitions": after}


def _new_billing(old: Properties, new: Properties) -> dict[str, Any]:
    provisioned = _billing(new) == _PROVISIONED
    if _billing(old) == _billing(new) and (not provisioned or _throughput(old) == _throughput(new)):
        return {}
    more = {"ProvisionedThroughput": _throughput(new)} if provisioned else {}
    return {"BillingMode": _billing(new), **more}


def _new_class(old: Properties, new: Properties) -> dict[str, Any]:
    before, after = (side.get("tableClass") or _STANDARD for side in (old, new))
    return {} if before == after else {"TableClass": after}


def _new_encryption(old: Properties, new: Properties) -> dict[str, Any]:
    before, after = _encryption(old), _encryption(new)
    return {} if before == after else {"SSESpecification": after}


def _delete(call: Call, id_: str, _inputs: Properties) -> None:
    dynamodb = call.client("dynamodb")
    gone(lambda: retried(lambda: dynamodb.delete_table(TableName=id_), *_BUSY), *_MISSING)

    def vanished() -> bool | None:
        return True if found(lambda: dynamodb.describe_table(TableName=id_), *_MISSING) is None else None

    wait_until(vanished, call.seconds(_DELETE_SECONDS), f"table {id_} being deleted")


def _check(inputs: Properties) -> list[tuple[str, str]]:
    """What Terraform finds before it asks AWS."""
    problems = []
    entries = inputs.get("attributes")
    given = [entry.get("name") for entry in entries] if isinstance(entries, list) else []
    keys = [key for key in (inputs.get("hashKey"), inputs.get("rangeKey")) if key]
    if all(isinstance(name, str) for name in [*given, *keys]):
        problems += [
            ("attributes", f"all attributes must be indexed; {name} is no key")
            for name in given
            if name not in keys
        ]
        problems += [("attributes", f"the key {key} is not among them") for key in keys if key not in given]
    if inputs.get("billingMode") == _ON_DEMAND:
        problems += [
            (key, f"cannot be set when billingMode is {_ON_DEMAND}")
            for key in ("readCapacity", "writeCapacity")
            if inputs.get(key)
        ]
    return problems


TABLE = Kind(
    type="aws:dynamodb/table:Table",
    properties=names(
        "attributes billingMode deletionProtectionEnabled hashKey name pointInTimeRecovery rangeKey "
        "readCapacity region serverSideEncryption tableClass tags ttl writeCapacity"
    ),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    replace=names("hashKey name rangeKey region"),
    naming=Naming(prefix=None, maximum=255),
    unordered=names("attributes"),
    tags=True,
    identify=lambda inputs: inputs["name"],
    one_of=(("hashKey",),),
    validate=_check,
)


def _item(text: str) -> Item:
    """An item in DynamoDB's own JSON, as `aws_dynamodb_table_item` takes it.

    Raises:
        ValueError: The text is no such item.
    """
    parsed = json.loads(text)
    if not isinstance(parsed, dict) or not all(
        isinstance(value, dict) and len(value) == 1 for value in parsed.values()
    ):
        raise ValueError('an item looks like {"name": {"S": "text"}, "count": {"N": "1"}}')
    return {name: _with_bytes(value) for name, value in parsed.items()}


def _with_bytes(value: Any) -> Any:
    """A value whose binary parts, base64 in JSON, are bytes as boto3 wants them."""
    ((kind, content),) = value.items()
    if kind == "B":
        return {kind: base64.b64decode(content)}
    if kind == "BS":
        return {kind: [base64.b64decode(part) for part in content]}
    if kind == "L":
        return {kind: [_with_bytes(part) for part in content]}
    if kind == "M":
        return {kind: {name: _with_bytes(part) for name, part in content.items()}}
    return value


def _text(value: Any) -> str:
    return base64.b64encode(bytes(value)).decode()


def _key_names(inputs: Properties) -> list[str]:
    return [key for key in (inputs["hashKey"], inputs.get("rangeKey")) if key]


def _keys(inputs: Properties) -> Item:
    item = _item(inputs["item"])
    return {key: item[key] for key in _key_names(inputs)}


def _item_id(inputs: Properties) -> Any:
    """Table, then each key with its value as bytes, text and number, as Terraform composes it."""
    if not all(isinstance(inputs.get(key), str) for key in ("item", "tableName", "hashKey")):
        return UNKNOWN
    parts = [inputs["tableName"]]
    for key, value in _keys(inputs).items():
        parts += [key, *(str(value.get(kind, "")) for kind in ("B", "S", "N"))]
    return "|".join(parts)


def _create_item(call: Call, inputs: Properties) -> str:
    """Put the item, unless there is one with its keys: that one is somebody else's."""
    id_ = str(_item_id(inputs))
    try:
        call.client("dynamodb").put_item(
            TableName=inputs["tableName"],
            Item=_item(inputs["item"]),
            ConditionExpression="attribute_not_exists(#key)",
            ExpressionAttributeNames={"#key": inputs["hashKey"]},
        )
    except ClientError as error:
        if code_of(error) == "ConditionalCheckFailedException":
            raise ProviderError(f"PutItem: an item {id_} exists already") from error
        raise
    return id_


def _read_item(call: Call, _id: str, inputs: Properties) -> Properties | None:
    request = {"TableName": inputs["tableName"], "Key": _keys(inputs), "ConsistentRead": True}
    answer = found(lambda: call.client("dynamodb").get_item(**request), *_MISSING) or {}
    item = answer.get("Item")
    if not item:
        return None
    return {
        **{key: inputs.get(key) for key in ("tableName", "hashKey", "rangeKey")},
        "item": json.dumps(item, sort_keys=True, default=_text),
    }


def _update_item(call: Call, _id: str, old: Properties, new: Properties) -> None:
    """Set what the item has and remove what it no longer has; what others added to it stays."""
    before, after, keys = _item(old["item"]), _item(new["item"]), _key_names(new)
    expressions, words, values = [], {}, {}
    sets = {name: value for name, value in after.items() if name not in keys}
    removed = [name for name in before if name not in after and name not in keys]
    for number, name in enumerate([*sets, *removed]):
        words[f"#n{number}"] = name
    known = {name: word for word, name in words.items()}
    if sets:
        values = {known[name].replace("#n", ":v"): value for name, value in sets.items()}
        expressions.append(
            "SET " + ", ".join(f"{known[name]} = {known[name].replace('#n', ':v')}" for name in sets)
        )
    if removed:
        expressions.append("REMOVE " + ", ".join(known[name] for name in removed))
    request: dict[str, Any] = {"TableName": new["tableName"], "Key": _keys(new)}
    if expressions:
        request |= {"UpdateExpression": " ".join(expressions), "ExpressionAttributeNames": words}
    if values:
        request["ExpressionAttributeValues"] = values
    call.client("dynamodb").update_item(**request)
    if _keys(old) != _keys(new):
        call.client("dynamodb").delete_item(TableName=new["tableName"], Key=_keys(old))


def _check_item(inputs: Properties) -> list[tuple[str, str]]:
    text = inputs.get("item")
    if not isinstance(text, str):
        return []
    try:
        item = _item(text)
    except ValueError as error:
        return [("item", f"not an item in DynamoDB's JSON: {error}")]
    keys = [key for key in (inputs.get("hashKey"), inputs.get("rangeKey")) if isinstance(key, str)]
    return [("item", f"the key {key} is missing") for key in keys if key not in item]


ITEM = Kind(
    type="aws:dynamodb/tableItem:TableItem",
    properties=names("hashKey item rangeKey region tableName"),
    create=_create_item,
    read=_read_item,
    update=_update_item,
    delete=lambda call, _id, inputs: gone(
        lambda: call.client("dynamodb").delete_item(TableName=inputs["tableName"], Key=_keys(inputs)),
        *_MISSING,
    ),
    replace=names("hashKey rangeKey region tableName"),
    documents=names("item"),
    identify=_item_id,
    validate=_check_item,
)

KINDS = (TABLE, ITEM)
