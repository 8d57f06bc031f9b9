"""Only the key of an event is believed, and a file's name is safe wherever it goes."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.arrivals import RefusedEventError, arrival, read_message

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
    key = found.quarantine_key(datetime(2024, 1, 1, tzinfo=UTC))
    assert len(key) < 512
    assert key.startswith("quarantine/")
    assert key.count("/") == 2
    assert "//" not in key
    if found.is_model_name:
        assert found.accepted_key("a" * 64).startswith(f"accepted/{found.folder}/{'a' * 16}-")


def test_a_model_name_is_checked_before_it_becomes_part_of_a_key():
    assert arrival("incoming/flights/a.csv").is_model_name
    assert not arrival("incoming/../a.csv").is_model_name
    assert not arrival("incoming/Flights/a.csv").is_model_name
    assert not arrival("incoming/a.csv").is_model_name


def test_quarantined_files_carry_their_arrival_time_and_no_model_has_a_folder_of_its_own():
    at = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert arrival("incoming/toy/a.csv").quarantine_key(at) == "quarantine/toy/20240506T070809Z-a.csv"
    assert arrival("incoming/a.csv").quarantine_key(at) == "quarantine/no-model/20240506T070809Z-a.csv"
