"""Only the key of an event is believed, and a file's name is safe wherever it goes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.intake.arrivals import RefusedEventError, accepted_key, arrival, is_hidden_folder, read_message

ACCOUNT, BUCKET, QUEUE = "000000000000", "upkeep-test-data-000000000000", "upkeep-test-intake"
EVENT = {
    "source": "aws.s3",
    "detail-type": "Object Created",
    "account": ACCOUNT,
    "detail": {"bucket": {"name": BUCKET}, "object": {"key": "incoming/toy/a.csv"}},
}


def _record(body=None, arn=f"arn:aws:sqs:us-east-1:{ACCOUNT}:{QUEUE}", **changes):
    return {
        "messageId": "1",
        "eventSourceARN": arn,
        "body": json.dumps(EVENT | changes) if body is None else body,
    }


def _read(record):
    return read_message(record, bucket=BUCKET, account=ACCOUNT, queue=QUEUE)


def test_an_event_of_our_bucket_names_model_and_file():
    found = _read(_record())
    assert (found.key, found.folder, found.name) == ("incoming/toy/a.csv", "toy", "a.csv")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (_record(account="999999999999"), "account: found '999999999999', expected '000000000000'"),
        (_record(detail=EVENT["detail"] | {"bucket": {"name": "other"}}), "bucket: found 'other'"),
        (_record(source="forged"), "source: found 'forged', expected 'aws.s3'"),
        (_record(**{"detail-type": "Object Deleted"}), "detail-type: found 'Object Deleted'"),
        (
            _record(detail=EVENT["detail"] | {"object": {"key": "accepted/toy/a.csv"}}),
            "expected one below incoming/",
        ),
        (_record(detail=EVENT["detail"] | {"object": {"key": 5}}), "key: found 5"),
        (
            _record(detail=EVENT["detail"] | {"object": {"key": "incoming/a/b", "version-id": 5}}),
            "version-id: found 5",
        ),
        (_record(detail=EVENT["detail"] | {"object": "incoming/a/b"}), "no S3 event of EventBridge"),
        (_record(detail=None), "no S3 event of EventBridge"),
        (_record(body="{"), "no S3 event of EventBridge"),
        (_record(body="[]"), "no S3 event of EventBridge"),
        (_record(body="null"), "no S3 event of EventBridge"),
        (_record(arn=f"arn:aws:sqs:us-east-1:999999999999:{QUEUE}"), "eventSourceARN"),
        (_record(arn=f"arn:aws:sqs:us-east-1:{ACCOUNT}:another-queue"), "eventSourceARN"),
        ({"messageId": "1"}, "eventSourceARN"),
    ],
)
def test_messages_from_elsewhere_are_refused(record, message):
    with pytest.raises(RefusedEventError) as caught:
        _read(record)
    assert message in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*EVENT, "bucket", "object"]), inner)
    ),
    max_leaves=8,
)


@given(json_values)
def test_no_message_crashes_the_reader(value):
    with pytest.raises(RefusedEventError):
        _read(_record(body=json.dumps(value)))


@pytest.mark.parametrize(
    ("key", "folder", "name"),
    [
        ("incoming/toy/2013-01.csv", "toy", "2013-01.csv"),
        ("incoming/toy/by day/x y.csv", "toy", "by-day-x-y.csv"),
        ("incoming/toy/../../etc/passwd", "toy", "..-..-etc-passwd"),
        ("incoming/x.csv", "", "x.csv"),
        ("incoming/toy/é.csv", "toy", ".csv"),
    ],
)
def test_a_key_is_taken_apart(key, folder, name):
    found = arrival(key)
    assert (found.folder, found.name) == (folder, name)


@given(st.text(max_size=300))
def test_keys_of_any_name_stay_in_their_folder_and_within_s3s_limit(rest):
    found = arrival(f"incoming/{rest}")
    for has_model in (True, False):
        key = found.quarantine_key("f" * 16, has_model=has_model)
        assert len(key) < 512
        assert key.startswith("quarantine/")
        assert key.count("/") == 2
        assert "//" not in key
    if found.is_model_name:
        assert found.rejected_key("a" * 64).startswith(f"rejected/{found.folder}/{'a' * 16}-")


def test_a_model_name_is_checked_before_it_becomes_part_of_a_key():
    assert arrival("incoming/flights/a.csv").is_model_name
    assert not arrival("incoming/../a.csv").is_model_name
    assert not arrival("incoming/Flights/a.csv").is_model_name
    assert not arrival("incoming/a.csv").is_model_name


def test_where_a_file_goes_follows_from_its_content_and_its_name():
    found = arrival("incoming/toy/by day/a.csv")
    assert found.quarantine_key("f" * 16, has_model=True) == f"quarantine/toy/{'f' * 16}-by-day-a.csv"
    assert found.quarantine_key("f" * 16, has_model=False) == f"quarantine/no-model/{'f' * 16}-by-day-a.csv"
    assert found.rejected_key("0123456789abcdef" * 4) == "rejected/toy/0123456789abcdef-by-day-a.csv.csv"
    assert accepted_key("toy", "0123456789abcdef" * 4) == "accepted/toy/0123456789abcdef0123.parquet"


@pytest.mark.parametrize(
    ("path", "delivery"), [("a.csv", ""), ("day1/a.csv", "day1"), ("2024/01/a.csv", "2024/01")]
)
def test_a_delivery_is_the_folder_a_file_lies_in(path, delivery):
    assert arrival(f"incoming/toy/{path}").delivery == delivery


@pytest.mark.parametrize(
    "path",
    [
        "_SUCCESS",
        "_committed_123",
        "_started_123",
        "part-0.csv.crc",
        ".part-0.csv.crc",
        ".DS_Store",
        "day/_metadata",
        "_temporary/0/part-0.csv",
        "_temporary/_MANIFEST.json",
        "day/.hidden/a.csv",
    ],
)
def test_what_writers_leave_beside_their_data_is_no_data(path):
    assert arrival(f"incoming/toy/{path}").ignored_reason(9)


@pytest.mark.parametrize("path", ["a_b.csv", "day_1/a.csv", "a.crc.csv", "_MANIFEST.json", "day/", ""])
def test_other_names_are_data(path):
    assert arrival(f"incoming/toy/{path}").ignored_reason(9) is None


def test_an_object_that_ends_in_a_slash_is_a_folder_marker_only_when_it_is_empty():
    assert arrival("incoming/toy/day/").ignored_reason(0)
    assert arrival("incoming/toy/day/").ignored_reason(1) is None


def test_a_model_or_a_file_is_no_hidden_folder():
    assert [is_hidden_folder(f"incoming/{path}") for path in ("_x/a", "toy/_a", "toy/_a/b")] == [
        False,
        False,
        True,
    ]


def test_only_the_folders_own_manifest_is_one():
    paths = ("_MANIFEST.json", "a/_MANIFEST.json", "a_MANIFEST.json", "_x/_MANIFEST.json")
    assert [arrival(f"incoming/toy/{path}").is_manifest for path in paths] == [True, True, False, False]


def test_the_version_is_taken_from_the_event_as_a_pointer():
    named = {"object": {"key": "incoming/toy/a.csv", "version-id": "v1"}}
    assert _read(_record(detail=EVENT["detail"] | named)).version_id == "v1"
    assert _read(_record()).version_id == ""
