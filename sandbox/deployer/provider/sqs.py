"""SQS queues and their policies (`aws_sqs_queue`, `aws_sqs_queue_policy`)."""

from __future__ import annotations

from sandbox.deployer.values import Properties

from .aws import Call, found, gone
from .kinds import Kind, Naming, again, attribute_text, names, retag

_MISSING = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NonExistentQueue")

# property -> (queue attribute, how to read it back)
_ATTRIBUTES: dict[str, tuple[str, type]] = {
    "contentBasedDeduplication": ("ContentBasedDeduplication", bool),
    "deduplicationScope": ("DeduplicationScope", str),
    "delaySeconds": ("DelaySeconds", int),
    "fifoQueue": ("FifoQueue", bool),
    "fifoThroughputLimit": ("FifoThroughputLimit", str),
    "kmsDataKeyReusePeriodSeconds": ("KmsDataKeyReusePeriodSeconds", int),
    "kmsMasterKeyId": ("KmsMasterKeyId", str),
    "maxMessageSize": ("MaximumMessageSize", int),
    "messageRetentionSeconds": ("MessageRetentionPeriod", int),
    "policy": ("Policy", str),
    "receiveWaitTimeSeconds": ("ReceiveMessageWaitTimeSeconds", int),
    "redriveAllowPolicy": ("RedriveAllowPolicy", str),
    "redrivePolicy": ("RedrivePolicy", str),
    "sqsManagedSseEnabled": ("SqsManagedSseEnabled", bool),
    "visibilityTimeoutSeconds": ("VisibilityTimeout", int),
}
# What an attribute goes back to when its property is taken away.
_RESET: dict[str, str] = {
    "delaySeconds": "0",
    "maxMessageSize": "262144",
    "messageRetentionSeconds": "345600",
    "receiveWaitTimeSeconds": "0",
    "visibilityTimeoutSeconds": "30",
    "kmsDataKeyReusePeriodSeconds": "300",
}


def _attributes(inputs: Properties) -> dict[str, str]:
    return {
        attribute: attribute_text(inputs[key])
        for key, (attribute, _) in _ATTRIBUTES.items()
        if inputs.get(key) not in (None, "") and not (key == "fifoQueue" and not inputs[key])
    }


def _create(call: Call, inputs: Properties) -> str:
    answer = call.client("sqs").create_queue(
        QueueName=inputs["name"], Attributes=_attributes(inputs), tags=dict(call.tags)
    )
    return str(answer["QueueUrl"])


def _read(call: Call, id_: str, inputs: Properties) -> Properties | None:
    sqs = call.client("sqs")
    answer = found(lambda: sqs.get_queue_attributes(QueueUrl=id_, AttributeNames=["All"]), *_MISSING)
    if answer is None:
        return None
    raw = answer.get("Attributes", {})
    live: Properties = {
        "arn": raw.get("QueueArn"),
        "url": id_,
        "name": id_.rpartition("/")[2],
        "tagsAll": sqs.list_queue_tags(QueueUrl=id_).get("Tags") or {},
    }
    for key, (attribute, kind) in _ATTRIBUTES.items():
        if attribute in raw:
            text = raw[attribute]
            live[key] = text == "true" if kind is bool else kind(text)
    if "policy" not in inputs:
        # A queue's policy may belong to a QueuePolicy resource.
        live.pop("policy", None)
    return live


def _update(call: Call, id_: str, old: Properties, new: Properties) -> None:
    sqs = call.client("sqs")
    changed = {}
    for key, (attribute, _) in _ATTRIBUTES.items():
        if old.get(key) != new.get(key):
            value = new.get(key)
            changed[attribute] = _RESET.get(key, "") if value is None else attribute_text(value)
    if changed:
        sqs.set_queue_attributes(QueueUrl=id_, Attributes=changed)
    retag(
        old,
        new,
        lambda keys: sqs.untag_queue(QueueUrl=id_, TagKeys=keys),
        lambda: sqs.tag_queue(QueueUrl=id_, Tags=new["tagsAll"]),
    )


def _find(call: Call, inputs: Properties) -> str | None:
    answer = found(lambda: call.client("sqs").get_queue_url(QueueName=inputs["name"]), *_MISSING)
    return None if answer is None else str(answer["QueueUrl"])


QUEUE = Kind(
    type="aws:sqs/queue:Queue",
    properties=names(" ".join(_ATTRIBUTES)) | names("name namePrefix region tags"),
    create=_create,
    read=_read,
    update=_update,
    delete=lambda call, id_, _inputs: gone(lambda: call.client("sqs").delete_queue(QueueUrl=id_), *_MISSING),
    replace=names("name namePrefix fifoQueue region"),
    naming=Naming(maximum=80, suffix_when="fifoQueue", suffix=".fifo"),
    documents=names("policy redrivePolicy redriveAllowPolicy"),
    tags=True,
    identify=lambda inputs: inputs["name"],
    find_id=_find,
)


def _put_policy(call: Call, inputs: Properties) -> str:
    call.client("sqs").set_queue_attributes(
        QueueUrl=inputs["queueUrl"], Attributes={"Policy": inputs["policy"]}
    )
    return str(inputs["queueUrl"])


def _read_policy(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    sqs = call.client("sqs")
    answer = found(lambda: sqs.get_queue_attributes(QueueUrl=id_, AttributeNames=["Policy"]), *_MISSING)
    policy = (answer or {}).get("Attributes", {}).get("Policy")
    return {"queueUrl": id_, "policy": policy} if policy else None


POLICY = Kind(
    type="aws:sqs/queuePolicy:QueuePolicy",
    properties=names("policy queueUrl region"),
    create=_put_policy,
    read=_read_policy,
    update=again(_put_policy),
    delete=lambda call, id_, _inputs: gone(
        lambda: call.client("sqs").set_queue_attributes(QueueUrl=id_, Attributes={"Policy": ""}), *_MISSING
    ),
    replace=names("queueUrl region"),
    documents=names("policy"),
    identify=lambda inputs: inputs["queueUrl"],
)

KINDS = (QUEUE, POLICY)
