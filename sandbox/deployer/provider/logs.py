"""CloudWatch Logs: groups and resource policies."""

from __future__ import annotations

from typing import Any

from sandbox.deployer.interface import ProviderError
from sandbox.deployer.values import Properties

from .aws import Call, found, gone
from .kinds import Kind, Naming, again, names, retag

_MISSING = ("ResourceNotFoundException",)


def _create_group(call: Call, inputs: Properties) -> str:
    logs = call.client("logs")
    request: dict[str, Any] = {"logGroupName": inputs["name"]}
    if inputs.get("kmsKeyId"):
        request["kmsKeyId"] = inputs["kmsKeyId"]
    if inputs.get("logGroupClass"):
        request["logGroupClass"] = inputs["logGroupClass"]
    if call.tags:
        request["tags"] = dict(call.tags)
    logs.create_log_group(**request)
    id_ = call.created(inputs["name"])
    _set_retention(call, id_, inputs.get("retentionInDays"))
    return id_


def _set_retention(call: Call, id_: str, days: int | None) -> None:
    logs = call.client("logs")
    if days:
        logs.put_retention_policy(logGroupName=id_, retentionInDays=days)
    else:
        gone(lambda: logs.delete_retention_policy(logGroupName=id_), *_MISSING)


def _read_group(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    logs = call.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix=id_).get("logGroups", [])
    group = next((item for item in groups if item["logGroupName"] == id_), None)
    if group is None:
        return None
    arn = group["arn"].removesuffix(":*")
    tags = found(lambda: logs.list_tags_for_resource(resourceArn=arn), *_MISSING) or {}
    return {
        "name": id_,
        "arn": arn,
        "retentionInDays": group.get("retentionInDays", 0),
        "kmsKeyId": group.get("kmsKeyId"),
        "logGroupClass": group.get("logGroupClass"),
        "tagsAll": tags.get("tags") or {},
    }


def _update_group(call: Call, id_: str, old: Properties, new: Properties) -> None:
    logs = call.client("logs")
    if old.get("retentionInDays") != new.get("retentionInDays"):
        _set_retention(call, id_, new.get("retentionInDays"))
    if old.get("kmsKeyId") != new.get("kmsKeyId"):
        if new.get("kmsKeyId"):
            logs.associate_kms_key(logGroupName=id_, kmsKeyId=new["kmsKeyId"])
        else:
            logs.disassociate_kms_key(logGroupName=id_)
    arn = call.aws.arn("logs", f"log-group:{id_}")
    retag(
        old,
        new,
        lambda keys: logs.untag_resource(resourceArn=arn, tagKeys=keys),
        lambda: logs.tag_resource(resourceArn=arn, tags=dict(new["tagsAll"])),
    )


def _delete_group(call: Call, id_: str, inputs: Properties) -> None:
    if not inputs.get("skipDestroy"):
        gone(lambda: call.client("logs").delete_log_group(logGroupName=id_), *_MISSING)


GROUP = Kind(
    type="aws:cloudwatch/logGroup:LogGroup",
    properties=names("kmsKeyId logGroupClass name namePrefix region retentionInDays skipDestroy tags"),
    create=_create_group,
    read=_read_group,
    update=_update_group,
    delete=_delete_group,
    replace=names("name namePrefix logGroupClass region"),
    naming=Naming(maximum=512),
    defaults={"skipDestroy": False},
    tags=True,
    identify=lambda inputs: inputs["name"],
    local=names("skipDestroy"),
)


def _put_policy(call: Call, inputs: Properties) -> str:
    name = inputs["policyName"]
    call.client("logs").put_resource_policy(policyName=name, policyDocument=inputs["policyDocument"])
    return str(name)


def _create_policy(call: Call, inputs: Properties) -> str:
    if _read_policy(call, inputs["policyName"], inputs) is not None:
        raise ProviderError(f"PutResourcePolicy: a resource policy {inputs['policyName']} exists already")
    return _put_policy(call, inputs)


def _read_policy(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    logs = call.client("logs")
    token: dict[str, str] = {}
    while True:
        answer = logs.describe_resource_policies(**token)
        for item in answer.get("resourcePolicies", []):
            if item["policyName"] == id_:
                return {"policyName": id_, "policyDocument": item["policyDocument"]}
        if not answer.get("nextToken"):
            return None
        token = {"nextToken": answer["nextToken"]}


POLICY = Kind(
    type="aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
    properties=names("policyDocument policyName region"),
    create=_create_policy,
    read=_read_policy,
    update=again(_put_policy),
    delete=lambda call, id_, _inputs: gone(
        lambda: call.client("logs").delete_resource_policy(policyName=id_), *_MISSING
    ),
    replace=names("policyName region"),
    documents=names("policyDocument"),
    one_of=(("policyName",),),
    identify=lambda inputs: inputs["policyName"],
)

KINDS = (GROUP, POLICY)
