"""The key and the rights on it that encrypted things need, which MiniStack does not ask for.

Sources: "Using server-side encryption with AWS KMS keys"
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html), "Amazon SQS key management"
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html),
"Managing Amazon SNS encryption keys" (https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html),
"DynamoDB encryption at rest usage notes"
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html).
Keys that AWS manages ask for no permission of people and roles, and let no other service in.
"""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, cast

from sandbox import calls
from sandbox.authorization import Permission
from sandbox.calls import Call
from sandbox.lifecycle import ACCOUNT, REGION
from sandbox.seam import key_states
from sandbox.seam.internals import ministack
from sandbox.seam.roles import denial
from sandbox.seam.sagemaker import Answer

_ALGORITHM = "x-amz-server-side-encryption"
_KEY = "x-amz-server-side-encryption-aws-kms-key-id"
_WRITES = ("PutObject", "CopyObject", "CreateMultipartUpload")
# DynamoDB decrypts the table's key in the name of its caller, for writing too.
_ITEMS = ("PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem", "BatchWriteItem")
_TRANSACTIONS = ("TransactWriteItems", "TransactGetItems")
_MESSAGES = {
    **{("dynamodb", operation): ("kms:Decrypt",) for operation in (*_ITEMS, *_TRANSACTIONS)},
    ("sns", "Publish"): ("kms:GenerateDataKey", "kms:Decrypt"),
    ("sqs", "SendMessage"): ("kms:GenerateDataKey", "kms:Decrypt"),
    ("sqs", "SendMessageBatch"): ("kms:GenerateDataKey", "kms:Decrypt"),
    ("sqs", "ReceiveMessage"): ("kms:Decrypt",),
}
USE = ("kms:GenerateDataKey", "kms:Decrypt")


def guard_objects() -> None:
    """Ask for kms:GenerateDataKey when an object is written under a key, and kms:Decrypt when it is read."""
    s3 = ministack("services.s3")
    handle = s3.handle_request

    @functools.wraps(handle)
    async def guarded(
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, list[str]],
        **options: Any,
    ) -> Any:
        call = calls.current.get()
        if call is None or call.service != "s3":
            return await handle(method, path, headers, body, query, **options)
        if call.operation in _WRITES:
            key = _written_under(headers, str(call.params.get("Bucket", "")))
            refused = _refused(call, headers, query, key, ("kms:GenerateDataKey",))
            if refused is not None:
                return refused
        answer = await handle(method, path, headers, body, query, **options)
        if call.operation == "GetObject" and answer[0] < 300:
            given = {name.lower(): value for name, value in answer[1].items()}
            refused = _refused(call, headers, query, given.get(_KEY), ("kms:Decrypt",))
            return answer if refused is None else refused
        return answer

    s3.handle_request = guarded


def guard_polling() -> None:
    """Let no function get messages of a queue whose key cannot be used: they stay there."""
    sqs = ministack("services.sqs")
    receive = sqs._receive_messages_for_esm

    @functools.wraps(receive)
    def with_a_key(queue_url: str, most: int) -> Any:
        attributes = sqs._get_q(queue_url)["attributes"]
        return [] if key_states.problem(attributes.get("KmsMasterKeyId")) else receive(queue_url, most)

    sqs._receive_messages_for_esm = with_a_key


def _written_under(headers: Mapping[str, str], bucket: str) -> str | None:
    """The key an object will be encrypted with: the request's, or the bucket's default."""
    asked = headers.get(_ALGORITHM)
    if asked is None:
        default = ministack("services.s3")._bucket_default_sse_headers(bucket)
        return cast("str | None", default.get(_KEY))
    return headers.get(_KEY) if asked.startswith("aws:kms") else None


def message_refusal(call: Call, headers: Mapping[str, str], query: Mapping[str, list[str]]) -> Answer | None:
    """A denial of the key of the topic or queue a message goes to or comes from, or of an item's table."""
    actions = _MESSAGES.get((call.service, call.operation))
    if actions is None:
        return None
    refusals = (_refused(call, headers, query, resource_key(arn), actions) for arn in _used_arns(call))
    return next((refusal for refusal in refusals if refusal is not None), None)


def _used_arns(call: Call) -> list[str]:
    if call.service == "dynamodb":
        return [_table_arn(name) for name in _tables(call.params)]
    if call.service == "sns":
        return [str(call.params.get("TopicArn") or call.params.get("TargetArn") or "")]
    owner, _, name = str(call.params.get("QueueUrl", "")).rpartition("/")
    return [f"arn:aws:sqs:{REGION}:{owner.rpartition('/')[2]}:{name}"]


def _tables(params: Mapping[str, Any]) -> list[str]:
    """Names, or ARNs, of the tables a request is about, each once."""
    parts = [part for action in params.get("TransactItems") or [] for part in action.values()]
    named = [
        params.get("TableName"),
        *(params.get("RequestItems") or {}),
        *(p.get("TableName") for p in parts),
    ]
    return list(dict.fromkeys(str(name) for name in named if name))


def _table_arn(name: str) -> str:
    return name if name.startswith("arn:") else f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


def resource_key(arn: str) -> str | None:
    """The key a topic, queue or table is encrypted with, as its owner named it; None when there is none."""
    if ":dynamodb:" in arn:
        table = ministack("services.dynamodb")._tables.get(arn.rpartition(":table/")[2]) or {}
        return (table.get("SSEDescription") or {}).get("KMSMasterKeyArn") or None
    if ":sns:" in arn:
        found = ministack("services.sns")._topic_by_arn_any_scope(arn)
    else:
        found = ministack("services.sqs")._queue_by_arn(arn) if ":sqs:" in arn else None
    return (found["attributes"].get("KmsMasterKeyId") or None) if found else None


def key_arn(key: str | None) -> str | None:
    """The ARN of a key of the account's own; None for keys AWS manages, which ask for nothing."""
    record = ministack("services.kms")._resolve_key(key) if key and "alias/aws/" not in key else None
    return str(record["Arn"]) if record else None


def _refused(
    call: Call,
    headers: Mapping[str, str],
    query: Mapping[str, list[str]],
    key: str | None,
    actions: tuple[str, ...],
) -> Answer | None:
    arn = key_arn(key)
    if arn is None:
        return None
    access_key = ministack("core.router").extract_access_key_id(headers, query)
    through = (("kms:viaservice", f"{call.service}.{REGION}.amazonaws.com"),)
    for action in actions:
        message = denial(access_key, Permission(action, arn, through), "kms")
        if message is not None:
            refuse = ministack("core.iam_actions").access_denied_response
            return cast(
                "Answer", refuse(call.service, action, "", "", message=message, headers=dict(headers))
            )
    unusable = key_states.problem(arn)
    return None if unusable is None else key_states.answer(call.service, unusable)
