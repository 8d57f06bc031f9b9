"""A key that is disabled or about to be deleted: what is under it can be neither read nor written."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.lifecycle import ACCOUNT, REGION
from tests.sandbox.conftest import Client, allow, make_role
from tests.sandbox.test_seam import function, key, queue, received, sender

# Its sandbox is another one than the shared, so it runs beside the files that use that.
pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("faked")]


def _disable(faked: Client, arn: str) -> None:
    faked("kms").disable_key(KeyId=arn)


def _schedule_deletion(faked: Client, arn: str) -> None:
    faked("kms").schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)


def _enable(faked: Client, arn: str) -> None:
    if faked("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "PendingDeletion":
        faked("kms").cancel_key_deletion(KeyId=arn)
    faked("kms").enable_key(KeyId=arn)


STATES = [
    pytest.param(_disable, "KMS.DisabledException", "is disabled", id="disabled"),
    pytest.param(
        _schedule_deletion, "KMS.KMSInvalidStateException", "is pending deletion", id="deleted-soon"
    ),
]


def refusal(call: Callable[..., Any], **params: Any) -> dict[str, str]:
    with pytest.raises(ClientError) as error:
        call(**params)
    found: dict[str, str] = error.value.response["Error"]
    return found


@pytest.mark.parametrize(("spoil", "code", "words"), STATES)
def test_objects_under_a_key_that_cannot_be_used_are_refused_until_it_can(
    faked: Client, spoil: Callable[..., None], code: str, words: str
) -> None:
    arn, s3, bucket = key(faked), faked("s3"), f"key-{code[4:9].lower()}"
    s3.create_bucket(Bucket=bucket)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
    )
    thing = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**thing, Body=b"before")
    spoil(faked, arn)
    for call, more in ((s3.get_object, {}), (s3.put_object, {"Body": b"x"})):
        error = refusal(call, **thing, **more)
        assert error == {"Code": code, "Message": f"{arn} {words}."}
    s3.put_object(**thing | {"Key": "plain"}, Body=b"x", ServerSideEncryption="AES256")
    _enable(faked, arn)
    assert s3.get_object(**thing)["Body"].read() == b"before", "nothing is lost"


def test_messages_and_items_under_a_disabled_key_are_refused_and_kept(faked: Client) -> None:
    arn = key(faked)
    topic = faked("sns").create_topic(Name="under-key", Attributes={"KmsMasterKeyId": arn})["TopicArn"]
    address, _ = queue(faked, "under-key", KmsMasterKeyId=arn)
    faked("dynamodb").create_table(
        TableName="under-key",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": arn},
    )
    item = {"TableName": "under-key", "Item": {"k": {"S": "1"}}}
    faked("dynamodb").put_item(**item)
    faked("sqs").send_message(QueueUrl=address, MessageBody="before")
    _disable(faked, arn)
    assert refusal(faked("sns").publish, TopicArn=topic, Message="m")["Code"] == "KMSDisabled"
    for call, more in ((faked("sqs").send_message, {"MessageBody": "m"}), (faked("sqs").receive_message, {})):
        assert refusal(call, QueueUrl=address, **more)["Code"] == "KMS.DisabledException"
    assert f"{arn} is disabled" in refusal(faked("dynamodb").put_item, **item)["Message"]
    _enable(faked, arn)
    (message,) = received(faked, address, 2)
    assert message["Body"] == "before"
    assert faked("dynamodb").get_item(TableName="under-key", Key=item["Item"])["Item"] == item["Item"]


def test_a_rule_does_not_deliver_under_a_disabled_key(faked: Client) -> None:
    use = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
        "Resource": "*",
    }
    arn, name = key(faked, use), "rule-and-key"
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"
    faked("events").put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    address, queue_arn = queue(faked, name, sender("events.amazonaws.com", rule), KmsMasterKeyId=arn)
    faked("events").put_targets(Rule=name, Targets=[{"Id": "1", "Arn": queue_arn}])
    _disable(faked, arn)
    faked("events").put_events(Entries=[{"Source": name, "DetailType": "x", "Detail": "{}"}])
    time.sleep(1)
    _enable(faked, arn)
    assert received(faked, address, 1) == []


def test_a_function_gets_the_messages_of_its_queue_once_the_key_can_be_used_again(faked: Client) -> None:
    arn, name = key(faked), "polls-under-key"
    polling = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    role = make_role(faked, name, "lambda.amazonaws.com", allow([*polling, "kms:Decrypt"], "*"))
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    return {}\n")
    made = {"FunctionName": name, "Timeout": 10, "Code": {"ZipFile": code.getvalue()}}
    faked("lambda").create_function(**function(role) | made)
    address, queue_arn = queue(faked, name, KmsMasterKeyId=arn)
    faked("lambda").create_event_source_mapping(FunctionName=name, EventSourceArn=queue_arn, Enabled=True)
    faked("sqs").send_message(QueueUrl=address, MessageBody="one")
    assert _emptied(faked, address, seconds=10)
    faked("sqs").set_queue_attributes(QueueUrl=address, Attributes={"DelaySeconds": "1"})
    faked("sqs").send_message(QueueUrl=address, MessageBody="two")
    _disable(faked, arn)
    assert not _emptied(faked, address, seconds=3)
    _enable(faked, arn)
    assert _emptied(faked, address, seconds=10)


def _emptied(faked: Client, address: str, *, seconds: float) -> bool:
    wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    wanted.append("ApproximateNumberOfMessagesDelayed")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        counts = faked("sqs").get_queue_attributes(QueueUrl=address, AttributeNames=wanted)["Attributes"]
        if not any(int(count) for count in counts.values()):
            return True
        time.sleep(0.1)
    return False
