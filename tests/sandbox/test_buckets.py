"""S3 as the intake relies on it: versions, delete markers, conditions, owners, events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.lifecycle import ACCOUNT, REGION
from tests.sandbox.conftest import Client, allow
from tests.sandbox.test_seam import code, queue, received, refusal, sender

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("faked")]

BUCKET, PLAIN = "versions-bucket", "plain-bucket"
OBJECTS = f"arn:aws:s3:::{BUCKET}/*"
User = Callable[..., Client]


@pytest.fixture(scope="module")
def s3(faked: Client) -> Any:
    """A client, once there are two buckets of which one keeps versions."""
    made = faked("s3")
    for name in (BUCKET, PLAIN):
        made.create_bucket(Bucket=name)
        made.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
    made.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return made


@pytest.fixture
def told(faked: Client, s3: Any, request: pytest.FixtureRequest) -> Iterator[Callable[[], dict[str, Any]]]:
    """Gives the next event of the two buckets."""
    name = f"told-{abs(hash(request.node.nodeid)) % 10**8}"
    address, arn = queue(
        faked, name, sender("events.amazonaws.com", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}")
    )
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [BUCKET, PLAIN]}}}
    faked("events").put_rule(Name=name, EventPattern=json.dumps(pattern))
    faked("events").put_targets(Rule=name, Targets=[{"Id": "q", "Arn": arn}])

    def following() -> dict[str, Any]:
        (message,) = received(faked, address, 10)
        faked("sqs").delete_message(QueueUrl=address, ReceiptHandle=message["ReceiptHandle"])
        event: dict[str, Any] = json.loads(message["Body"])
        return event

    yield following
    faked("events").remove_targets(Rule=name, Ids=["q"])
    faked("events").delete_rule(Name=name)


def test_every_version_can_be_read_and_taken_away_by_its_id(s3: Any) -> None:
    first, second = (s3.put_object(Bucket=BUCKET, Key="k", Body=b)["VersionId"] for b in (b"1", b"22"))
    assert s3.get_object(Bucket=BUCKET, Key="k", VersionId=first)["Body"].read() == b"1"
    assert s3.head_object(Bucket=BUCKET, Key="k", VersionId=second)["ContentLength"] == 2
    s3.delete_object(Bucket=BUCKET, Key="k", VersionId=first)
    assert code(refusal(s3.get_object, Bucket=BUCKET, Key="k", VersionId=first)) == "NoSuchVersion"
    assert code(refusal(s3.head_object, Bucket=BUCKET, Key="k", VersionId=first)) == "404"
    assert s3.head_object(Bucket=BUCKET, Key="k")["VersionId"] == second, "the other version is untouched"
    s3.delete_object(Bucket=BUCKET, Key="k", VersionId=first)  # again: no error


def test_an_object_behind_a_delete_marker_is_told_from_one_that_never_was(s3: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html."""
    version = s3.put_object(Bucket=BUCKET, Key="hidden", Body=b"1")["VersionId"]
    marker = s3.delete_object(Bucket=BUCKET, Key="hidden")["VersionId"]
    for call in (s3.head_object, s3.get_object):
        hidden = refusal(call, Bucket=BUCKET, Key="hidden").response["ResponseMetadata"]
        assert hidden["HTTPStatusCode"] == 404
        assert hidden["HTTPHeaders"]["x-amz-delete-marker"] == "true"
        never = refusal(call, Bucket=BUCKET, Key="never").response["ResponseMetadata"]
        assert never["HTTPStatusCode"] == 404
        assert "x-amz-delete-marker" not in never["HTTPHeaders"]
        named = refusal(call, Bucket=BUCKET, Key="hidden", VersionId=marker).response["ResponseMetadata"]
        assert named["HTTPStatusCode"] == 405
    assert s3.get_object(Bucket=BUCKET, Key="hidden", VersionId=version)["Body"].read() == b"1"


def test_an_object_is_written_only_where_there_is_none(s3: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html."""
    s3.put_object(Bucket=BUCKET, Key="once", Body=b"1", IfNoneMatch="*")
    error = refusal(s3.put_object, Bucket=BUCKET, Key="once", Body=b"2", IfNoneMatch="*")
    assert (code(error), error.response["ResponseMetadata"]["HTTPStatusCode"]) == ("PreconditionFailed", 412)
    s3.delete_object(Bucket=BUCKET, Key="once")
    s3.put_object(Bucket=BUCKET, Key="once", Body=b"3", IfNoneMatch="*")  # a delete marker is no object


@pytest.mark.parametrize(
    ("call", "more"),
    [
        ("head_object", {}),
        ("get_object", {}),
        ("put_object", {"Body": b"x"}),
        ("delete_object", {}),
        ("list_object_versions", None),
        ("copy_object", {"CopySource": {"Bucket": BUCKET, "Key": "owned"}}),
    ],
)
def test_a_caller_who_expects_somebody_elses_bucket_is_refused(
    s3: Any, call: str, more: dict[str, Any] | None
) -> None:
    s3.put_object(Bucket=BUCKET, Key="owned", Body=b"1")
    about = {"Bucket": BUCKET} | ({} if more is None else {"Key": "owned", **more})
    error = refusal(getattr(s3, call), **about, ExpectedBucketOwner="111111111111")
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    getattr(s3, call)(**about, ExpectedBucketOwner=ACCOUNT)


def test_a_copy_can_name_the_owner_it_expects_of_its_source(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="source", Body=b"1")
    copy = {"Bucket": BUCKET, "Key": "copy", "CopySource": {"Bucket": BUCKET, "Key": "source"}}
    assert code(refusal(s3.copy_object, **copy, ExpectedSourceBucketOwner="111111111111")) == "AccessDenied"
    s3.copy_object(**copy, ExpectedSourceBucketOwner=ACCOUNT)


# ------------------------------------------------------------------------------------------------ permissions


def test_taking_a_version_away_and_hiding_an_object_are_two_permissions(s3: Any, user: User) -> None:
    version = s3.put_object(Bucket=BUCKET, Key="two", Body=b"1")["VersionId"]
    for_good = user(allow("s3:DeleteObjectVersion", OBJECTS))("s3")
    assert code(refusal(for_good.delete_object, Bucket=BUCKET, Key="two")) == "AccessDenied"
    hiding = user(allow("s3:DeleteObject", OBJECTS))("s3")
    assert code(refusal(hiding.delete_object, Bucket=BUCKET, Key="two", VersionId=version)) == "AccessDenied"
    assert s3.head_object(Bucket=BUCKET, Key="two")["VersionId"] == version
    user(allow("s3:DeleteObjectVersion", OBJECTS))("s3").delete_object(
        Bucket=BUCKET, Key="two", VersionId=version
    )


def test_reading_a_version_and_listing_versions_are_permissions_of_their_own(s3: Any, user: User) -> None:
    version = s3.put_object(Bucket=BUCKET, Key="own", Body=b"1")["VersionId"]
    current = user(allow("s3:GetObject", OBJECTS), allow("s3:ListBucket", f"arn:aws:s3:::{BUCKET}"))("s3")
    current.get_object(Bucket=BUCKET, Key="own")
    assert code(refusal(current.get_object, Bucket=BUCKET, Key="own", VersionId=version)) == "AccessDenied"
    assert code(refusal(current.list_object_versions, Bucket=BUCKET)) == "AccessDenied"
    prefix = {"s3:prefix": ["incoming/*"]}
    listing = user(allow("s3:ListBucketVersions", f"arn:aws:s3:::{BUCKET}", StringLike=prefix))("s3")
    listing.list_object_versions(Bucket=BUCKET, Prefix="incoming/flights/")
    assert code(refusal(listing.list_object_versions, Bucket=BUCKET)) == "AccessDenied"


# ----------------------------------------------------------------------------------------------------- events


@pytest.mark.parametrize("how", ["put", "copy", "parts"])
def test_an_event_of_a_bucket_with_versions_names_the_version(
    s3: Any, told: Callable[[], dict[str, Any]], how: str
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html."""
    key = f"incoming/a b+ü {how}.csv"
    if how == "parts":
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        part = s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=b"1")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        made = s3.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload=parts)
    else:
        made = s3.put_object(Bucket=BUCKET, Key=key, Body=b"1")
        if how == "copy":
            told()
            made = s3.copy_object(Bucket=BUCKET, Key=key, CopySource={"Bucket": BUCKET, "Key": key})
    event = told()
    assert event["detail-type"] == "Object Created"
    assert event["detail"]["object"]["key"] == key, "not encoded"
    assert event["detail"]["object"]["version-id"] == made["VersionId"]
    assert event["detail"]["object"]["sequencer"]


def test_the_event_of_a_deletion_names_the_marker(s3: Any, told: Callable[[], dict[str, Any]]) -> None:
    s3.put_object(Bucket=BUCKET, Key="bye", Body=b"1")
    told()
    marker = s3.delete_object(Bucket=BUCKET, Key="bye")["VersionId"]
    event = told()
    assert (event["detail-type"], event["detail"]["object"]["version-id"]) == ("Object Deleted", marker)
    assert event["detail"]["deletion-type"] == "Delete Marker Created"


def test_an_event_of_a_bucket_without_versions_names_none(
    s3: Any, told: Callable[[], dict[str, Any]]
) -> None:
    s3.put_object(Bucket=PLAIN, Key="k", Body=b"1")
    assert "version-id" not in told()["detail"]["object"]


def test_a_policy_can_ask_that_no_object_is_replaced(s3: Any, user: User) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html."""
    once = user(allow("s3:PutObject", OBJECTS, Null={"s3:if-none-match": "false"}))("s3")
    assert code(refusal(once.put_object, Bucket=BUCKET, Key="kept-as-it-is", Body=b"1")) == "AccessDenied"
    once.put_object(Bucket=BUCKET, Key="kept-as-it-is", Body=b"1", IfNoneMatch="*")
    again = refusal(once.put_object, Bucket=BUCKET, Key="kept-as-it-is", Body=b"2", IfNoneMatch="*")
    assert code(again) == "PreconditionFailed"
    assert code(refusal(once.put_object, Bucket=BUCKET, Key="kept-as-it-is", Body=b"2")) == "AccessDenied"
    assert s3.get_object(Bucket=BUCKET, Key="kept-as-it-is")["Body"].read() == b"1"
