"""SNS topics, their policies and subscriptions."""

from __future__ import annotations

import json
from typing import Any

from sandbox.deployer.values import Properties

from .aws import Call, found, gone
from .kinds import Kind, Naming, again, attribute_text, names, retag, tag_map

_MISSING = ("NotFound", "NotFoundException")

_FEEDBACK = {
    f"{protocol}{kind}": f"{attribute}{kind}"
    for protocol, attribute in {
        "application": "Application",
        "firehose": "Firehose",
        "http": "HTTP",
        "lambda": "Lambda",
        "sqs": "SQS",
    }.items()
    for kind in ("FailureFeedbackRoleArn", "SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate")
}
_TOPIC_ATTRIBUTES = {
    **_FEEDBACK,
    "fifoThroughputScope": "FifoThroughputScope",
    "archivePolicy": "ArchivePolicy",
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "deliveryPolicy": "DeliveryPolicy",
    "displayName": "DisplayName",
    "fifoTopic": "FifoTopic",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "policy": "Policy",
    "signatureVersion": "SignatureVersion",
    "tracingConfig": "TracingConfig",
}
_SUBSCRIPTION_ATTRIBUTES = {
    "deliveryPolicy": "DeliveryPolicy",
    "filterPolicy": "FilterPolicy",
    "filterPolicyScope": "FilterPolicyScope",
    "rawMessageDelivery": "RawMessageDelivery",
    "redrivePolicy": "RedrivePolicy",
    "subscriptionRoleArn": "SubscriptionRoleArn",
}
_BOOLEANS = {"contentBasedDeduplication", "fifoTopic", "rawMessageDelivery"}
_NUMBERS = {"signatureVersion", *(key for key in _FEEDBACK if key.endswith("SampleRate"))}


def _attributes(inputs: Properties, table: dict[str, str]) -> dict[str, str]:
    return {
        attribute: attribute_text(inputs[key])
        for key, attribute in table.items()
        if inputs.get(key) not in (None, "", False)
    }


def _properties(raw: dict[str, str], table: dict[str, str]) -> Properties:
    live: Properties = {}
    for key, attribute in table.items():
        text = raw.get(attribute)
        if text:
            live[key] = text == "true" if key in _BOOLEANS else int(text) if key in _NUMBERS else text
    return live


def _create_topic(call: Call, inputs: Properties) -> str:
    request: dict[str, Any] = {"Name": inputs["name"], "Attributes": _attributes(inputs, _TOPIC_ATTRIBUTES)}
    if call.tags:
        request["Tags"] = call.tag_list()
    return str(call.client("sns").create_topic(**request)["TopicArn"])


def _read_topic(call: Call, id_: str, inputs: Properties) -> Properties | None:
    sns = call.client("sns")
    answer = found(lambda: sns.get_topic_attributes(TopicArn=id_), *_MISSING)
    if answer is None:
        return None
    raw = answer["Attributes"]
    tags = sns.list_tags_for_resource(ResourceArn=id_).get("Tags", [])
    live = _properties(raw, _TOPIC_ATTRIBUTES)
    if "policy" not in inputs:
        # A topic's policy may belong to a TopicPolicy resource.
        live.pop("policy", None)
    return {
        **live,
        "arn": id_,
        "name": id_.rpartition(":")[2],
        "owner": raw.get("Owner"),
        "tagsAll": tag_map(tags),
    }


def _update_topic(call: Call, id_: str, old: Properties, new: Properties) -> None:
    sns = call.client("sns")
    for key, attribute in _TOPIC_ATTRIBUTES.items():
        if old.get(key) != new.get(key):
            value = new.get(key)
            sns.set_topic_attributes(
                TopicArn=id_,
                AttributeName=attribute,
                AttributeValue="" if value is None else attribute_text(value),
            )
    retag(
        old,
        new,
        lambda keys: sns.untag_resource(ResourceArn=id_, TagKeys=keys),
        lambda: sns.tag_resource(ResourceArn=id_, Tags=call.tag_list()),
    )


def _find_topic(call: Call, inputs: Properties) -> str | None:
    id_ = call.aws.arn("sns", inputs["name"])
    return None if _read_topic(call, id_, inputs) is None else id_


TOPIC = Kind(
    type="aws:sns/topic:Topic",
    properties=names(" ".join(_TOPIC_ATTRIBUTES)) | names("name namePrefix region tags"),
    create=_create_topic,
    read=_read_topic,
    update=_update_topic,
    delete=lambda call, id_, _inputs: gone(lambda: call.client("sns").delete_topic(TopicArn=id_), *_MISSING),
    replace=names("name namePrefix fifoTopic region"),
    naming=Naming(maximum=256, suffix_when="fifoTopic", suffix=".fifo"),
    documents=names("policy deliveryPolicy archivePolicy"),
    tags=True,
    identify=lambda inputs: inputs["name"],
    find_id=_find_topic,
)


def _put_policy(call: Call, inputs: Properties) -> str:
    call.client("sns").set_topic_attributes(
        TopicArn=inputs["arn"], AttributeName="Policy", AttributeValue=inputs["policy"]
    )
    return str(inputs["arn"])


def _read_policy(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    answer = found(lambda: call.client("sns").get_topic_attributes(TopicArn=id_), *_MISSING)
    raw = (answer or {}).get("Attributes", {})
    if not raw.get("Policy"):
        return None
    return {"arn": id_, "policy": raw["Policy"], "owner": raw.get("Owner")}


def _delete_policy(call: Call, id_: str, _inputs: Properties) -> None:
    """Put back the policy every topic is born with; there is no deletion."""
    default = {
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [
            {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [
                    "SNS:GetTopicAttributes",
                    "SNS:SetTopicAttributes",
                    "SNS:AddPermission",
                    "SNS:RemovePermission",
                    "SNS:DeleteTopic",
                    "SNS:Subscribe",
                    "SNS:ListSubscriptionsByTopic",
                    "SNS:Publish",
                ],
                "Resource": id_,
                "Condition": {"StringEquals": {"AWS:SourceOwner": call.aws.account}},
            }
        ],
    }
    sns = call.client("sns")
    gone(
        lambda: sns.set_topic_attributes(
            TopicArn=id_, AttributeName="Policy", AttributeValue=json.dumps(default)
        ),
        *_MISSING,
    )


POLICY = Kind(
    type="aws:sns/topicPolicy:TopicPolicy",
    properties=names("arn policy region"),
    create=_put_policy,
    read=_read_policy,
    update=again(_put_policy),
    delete=_delete_policy,
    replace=names("arn region"),
    documents=names("policy"),
    identify=lambda inputs: inputs["arn"],
)


def _create_subscription(call: Call, inputs: Properties) -> str:
    answer = call.client("sns").subscribe(
        TopicArn=inputs["topic"],
        Protocol=inputs["protocol"],
        Endpoint=inputs["endpoint"],
        Attributes=_attributes(inputs, _SUBSCRIPTION_ATTRIBUTES),
        ReturnSubscriptionArn=True,
    )
    return str(answer["SubscriptionArn"])


def _read_subscription(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    sns = call.client("sns")
    answer = found(
        lambda: sns.get_subscription_attributes(SubscriptionArn=id_), *_MISSING, "InvalidParameter"
    )
    if answer is None:
        return None
    raw = answer["Attributes"]
    return {
        **_properties(raw, _SUBSCRIPTION_ATTRIBUTES),
        "arn": id_,
        "topic": raw.get("TopicArn"),
        "protocol": raw.get("Protocol"),
        "endpoint": raw.get("Endpoint"),
        "ownerId": raw.get("Owner"),
        "pendingConfirmation": raw.get("PendingConfirmation") == "true",
        "confirmationWasAuthenticated": raw.get("ConfirmationWasAuthenticated") == "true",
    }


def _update_subscription(call: Call, id_: str, old: Properties, new: Properties) -> None:
    sns = call.client("sns")
    for key, attribute in _SUBSCRIPTION_ATTRIBUTES.items():
        if old.get(key) != new.get(key):
            value = new.get(key)
            reset = "false" if key in _BOOLEANS else "{}"
            sns.set_subscription_attributes(
                SubscriptionArn=id_,
                AttributeName=attribute,
                AttributeValue=reset if value is None else attribute_text(value),
            )


def _find_subscription(call: Call, inputs: Properties) -> str | None:
    pages = call.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=inputs["topic"])
    items = found(lambda: [s for page in pages for s in page["Subscriptions"]], *_MISSING) or []
    wanted = (inputs["protocol"], inputs["endpoint"])
    return next((s["SubscriptionArn"] for s in items if (s["Protocol"], s["Endpoint"]) == wanted), None)


SUBSCRIPTION = Kind(
    type="aws:sns/topicSubscription:TopicSubscription",
    properties=names(" ".join(_SUBSCRIPTION_ATTRIBUTES))
    | names("endpoint protocol topic region endpointAutoConfirms confirmationTimeoutInMinutes"),
    create=_create_subscription,
    read=_read_subscription,
    update=_update_subscription,
    delete=lambda call, id_, _inputs: gone(
        lambda: call.client("sns").unsubscribe(SubscriptionArn=id_), *_MISSING, "InvalidParameter"
    ),
    replace=names("endpoint protocol topic region"),
    documents=names("filterPolicy redrivePolicy deliveryPolicy"),
    identify=lambda inputs: (inputs["topic"], inputs["protocol"], inputs["endpoint"]),
    find_id=_find_subscription,
    local=names("endpointAutoConfirms confirmationTimeoutInMinutes"),
)

KINDS = (TOPIC, POLICY, SUBSCRIPTION)
