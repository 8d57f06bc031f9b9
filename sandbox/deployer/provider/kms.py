"""KMS keys and aliases (`aws_kms_key`, `aws_kms_alias`)."""

from __future__ import annotations

from typing import Any

from sandbox.deployer.values import Properties

from .aws import Call, found, gone
from .kinds import Kind, Naming, names, retag

_MISSING = ("NotFoundException",)
_DEFAULT_WINDOW_DAYS = 30


def _create_key(call: Call, inputs: Properties) -> str:
    kms = call.client("kms")
    request: dict[str, Any] = {
        "Description": inputs.get("description", ""),
        "KeyUsage": inputs.get("keyUsage", "ENCRYPT_DECRYPT"),
        "KeySpec": inputs.get("customerMasterKeySpec", "SYMMETRIC_DEFAULT"),
        "MultiRegion": bool(inputs.get("multiRegion")),
    }
    if inputs.get("policy"):
        request["Policy"] = inputs["policy"]
        request["BypassPolicyLockoutSafetyCheck"] = bool(inputs.get("bypassPolicyLockoutSafetyCheck"))
    if call.tags:
        request["Tags"] = [{"TagKey": key, "TagValue": value} for key, value in call.tags.items()]
    id_ = call.created(kms.create_key(**request)["KeyMetadata"]["KeyId"])
    _set_rotation(call, id_, inputs)
    if inputs.get("isEnabled") is False:
        kms.disable_key(KeyId=id_)
    return id_


def _set_rotation(call: Call, id_: str, inputs: Properties) -> None:
    kms = call.client("kms")
    if not inputs.get("enableKeyRotation"):
        return
    period = inputs.get("rotationPeriodInDays")
    kms.enable_key_rotation(KeyId=id_, **({"RotationPeriodInDays": period} if period else {}))


def _read_key(call: Call, id_: str, inputs: Properties) -> Properties | None:
    kms = call.client("kms")
    answer = found(lambda: kms.describe_key(KeyId=id_), *_MISSING)
    if answer is None or answer["KeyMetadata"]["KeyState"] == "PendingDeletion":
        return None
    data = answer["KeyMetadata"]
    live: Properties = {
        "arn": data["Arn"],
        "keyId": data["KeyId"],
        "description": data.get("Description", ""),
        "keyUsage": data.get("KeyUsage"),
        "customerMasterKeySpec": data.get("KeySpec") or data.get("CustomerMasterKeySpec"),
        "isEnabled": data.get("Enabled", True),
        "multiRegion": data.get("MultiRegion", False),
        "enableKeyRotation": kms.get_key_rotation_status(KeyId=id_)["KeyRotationEnabled"],
        "tagsAll": {t["TagKey"]: t["TagValue"] for t in kms.list_resource_tags(KeyId=id_).get("Tags", [])},
    }
    if "policy" in inputs:
        live["policy"] = kms.get_key_policy(KeyId=id_, PolicyName="default")["Policy"]
    return live


def _update_key(call: Call, id_: str, old: Properties, new: Properties) -> None:
    kms = call.client("kms")
    if old.get("description") != new.get("description"):
        kms.update_key_description(KeyId=id_, Description=new.get("description", ""))
    if old.get("policy") != new.get("policy") and new.get("policy"):
        kms.put_key_policy(KeyId=id_, PolicyName="default", Policy=new["policy"])
    rotation = ("enableKeyRotation", "rotationPeriodInDays")
    if any(old.get(key) != new.get(key) for key in rotation):
        if new.get("enableKeyRotation"):
            _set_rotation(call, id_, new)
        else:
            kms.disable_key_rotation(KeyId=id_)
    if old.get("isEnabled", True) != new.get("isEnabled", True):
        (kms.enable_key if new.get("isEnabled", True) else kms.disable_key)(KeyId=id_)
    tags = [{"TagKey": key, "TagValue": value} for key, value in new["tagsAll"].items()]
    retag(
        old,
        new,
        lambda keys: kms.untag_resource(KeyId=id_, TagKeys=keys),
        lambda: kms.tag_resource(KeyId=id_, Tags=tags),
    )


def _delete_key(call: Call, id_: str, inputs: Properties) -> None:
    window = int(inputs.get("deletionWindowInDays") or _DEFAULT_WINDOW_DAYS)
    kms = call.client("kms")
    gone(lambda: kms.schedule_key_deletion(KeyId=id_, PendingWindowInDays=window), *_MISSING)


KEY = Kind(
    type="aws:kms/key:Key",
    properties=names(
        "bypassPolicyLockoutSafetyCheck customerMasterKeySpec deletionWindowInDays description "
        "enableKeyRotation isEnabled keyUsage multiRegion policy region rotationPeriodInDays tags"
    ),
    create=_create_key,
    read=_read_key,
    update=_update_key,
    delete=_delete_key,
    replace=names("customerMasterKeySpec keyUsage multiRegion region"),
    documents=names("policy"),
    tags=True,
    local=names("deletionWindowInDays bypassPolicyLockoutSafetyCheck"),
)


def _create_alias(call: Call, inputs: Properties) -> str:
    name = str(inputs["name"])
    call.client("kms").create_alias(AliasName=name, TargetKeyId=inputs["targetKeyId"])
    return name


def _read_alias(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    pages = call.client("kms").get_paginator("list_aliases").paginate()
    alias = next((a for page in pages for a in page["Aliases"] if a["AliasName"] == id_), None)
    if alias is None or not alias.get("TargetKeyId"):
        return None
    key = found(lambda: call.client("kms").describe_key(KeyId=alias["TargetKeyId"]), *_MISSING)
    return {
        "name": id_,
        "arn": alias["AliasArn"],
        "targetKeyId": alias["TargetKeyId"],
        "targetKeyArn": key["KeyMetadata"]["Arn"] if key else None,
    }


def _update_alias(call: Call, id_: str, _old: Properties, new: Properties) -> None:
    call.client("kms").update_alias(AliasName=id_, TargetKeyId=new["targetKeyId"])


ALIAS = Kind(
    type="aws:kms/alias:Alias",
    properties=names("name targetKeyId region"),
    create=_create_alias,
    read=_read_alias,
    update=_update_alias,
    delete=lambda call, id_, _inputs: gone(lambda: call.client("kms").delete_alias(AliasName=id_), *_MISSING),
    replace=names("name region"),
    naming=Naming(prefix=None, maximum=256, stem="alias/"),
    volatile={"targetKeyId": names("targetKeyArn")},
    identify=lambda inputs: inputs["name"],
)

KINDS = (KEY, ALIAS)
