"""Whom a bucket tells of its objects (`aws_s3_bucket_notification`)."""

from __future__ import annotations

from typing import Any

from sandbox.deployer.values import Properties

from .aws import Call, found, gone
from .kinds import Kind, again, names
from .s3 import NO_BUCKET

# property -> (request member, ARN member)
_TARGETS = {
    "lambdaFunctions": ("LambdaFunctionConfigurations", "lambdaFunctionArn", "LambdaFunctionArn"),
    "queues": ("QueueConfigurations", "queueArn", "QueueArn"),
    "topics": ("TopicConfigurations", "topicArn", "TopicArn"),
}


def _notification_body(inputs: Properties) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for key, (member, arn_key, arn_member) in _TARGETS.items():
        entries = []
        for item in inputs.get(key) or []:
            entry: dict[str, Any] = {arn_member: item[arn_key], "Events": item["events"]}
            rules = [
                {"Name": name, "Value": item[prop]}
                for name, prop in (("prefix", "filterPrefix"), ("suffix", "filterSuffix"))
                if item.get(prop)
            ]
            if rules:
                entry["Filter"] = {"Key": {"FilterRules": rules}}
            if item.get("id"):
                entry["Id"] = item["id"]
            entries.append(entry)
        if entries:
            body[member] = entries
    if inputs.get("eventbridge"):
        body["EventBridgeConfiguration"] = {}
    return body


def _put_notification(call: Call, inputs: Properties) -> str:
    call.client("s3").put_bucket_notification_configuration(
        Bucket=inputs["bucket"], NotificationConfiguration=_notification_body(inputs)
    )
    return str(inputs["bucket"])


def _read_notification(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    s3 = call.client("s3")
    answer = found(lambda: s3.get_bucket_notification_configuration(Bucket=id_), *NO_BUCKET)
    if answer is None:
        return None
    live: Properties = {"bucket": id_, "eventbridge": answer.get("EventBridgeConfiguration") is not None}
    for key, (member, arn_key, arn_member) in _TARGETS.items():
        entries = []
        for item in answer.get(member, []):
            entry = {arn_key: item[arn_member], "events": item["Events"], "id": item.get("Id")}
            for rule in item.get("Filter", {}).get("Key", {}).get("FilterRules", []):
                entry[f"filter{rule['Name'].capitalize()}"] = rule["Value"]
            entries.append(entry)
        if entries:
            live[key] = entries
    if not any(live.get(key) for key in (*_TARGETS, "eventbridge")):
        return None
    return live


def _delete_notification(call: Call, id_: str, _inputs: Properties) -> None:
    s3 = call.client("s3")
    gone(
        lambda: s3.put_bucket_notification_configuration(Bucket=id_, NotificationConfiguration={}),
        *NO_BUCKET,
    )


_NOTIFICATION = Kind(
    type="aws:s3/bucketNotification:BucketNotification",
    properties=names("bucket eventbridge lambdaFunctions queues topics region"),
    create=_put_notification,
    read=_read_notification,
    update=again(_put_notification),
    delete=_delete_notification,
    replace=names("bucket region"),
    identify=lambda inputs: inputs["bucket"],
)


KINDS = (_NOTIFICATION,)
