import json

import boto3
import moto
import pytest

from tests.upkeep.fakes import RAW, FakeContext
from upkeep import data
from upkeep.errors import UpkeepError

BUCKET = RAW["data_bucket"]


@pytest.fixture
def there():
    with moto.mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket=BUCKET)
        yield FakeContext({"s3": s3})


@pytest.fixture
def january(tmp_path):
    path = tmp_path / "2013-01.csv"
    path.write_text("late\n1\n")
    return path


def planned(there, path):
    return data.plan(there, there.model(None), [path])[0]


def test_a_file_arrives_under_the_models_prefix(there, january):
    upload = planned(there, january)
    data.send(there, upload, lambda _count: None)
    assert upload.uri == f"s3://{BUCKET}/incoming/flights/2013-01.csv"
    assert data.exists(there, BUCKET, upload.key)


def test_progress_adds_up_to_the_size_of_the_file(there, january):
    counts = []
    upload = planned(there, january)
    data.send(there, upload, counts.append)
    assert sum(counts) == upload.size


def test_the_accepted_key_carries_the_digest_of_the_bytes(there, january):
    name = planned(there, january).accepted_key
    assert name == f"accepted/flights/{data.digest(january)[:16]}-2013-01.csv"


def test_files_that_do_not_exist_are_all_named_and_nothing_is_pushed(there, tmp_path, january):
    with pytest.raises(UpkeepError, match=r"Nothing was pushed.*a\.csv: no such file.*is a folder"):
        data.plan(there, there.model(None), [january, tmp_path / "a.csv", tmp_path])


def test_two_files_of_one_name_would_overwrite_each_other(there, tmp_path, january):
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / january.name
    twin.write_text("x")
    with pytest.raises(UpkeepError, match=r"2013-01\.csv: named twice"):
        data.plan(there, there.model(None), [january, twin])


def test_a_pushed_file_arrives_until_the_intake_has_moved_it(there, january):
    model = there.model(None)
    upload = planned(there, january)
    data.send(there, upload, lambda _count: None)
    assert data.look(there, model, upload).state == data.ARRIVED
    there.client("s3").put_object(Bucket=BUCKET, Key=upload.accepted_key, Body=b"x")
    assert data.look(there, model, upload).state == data.ARRIVED
    there.client("s3").delete_object(Bucket=BUCKET, Key=upload.key)
    assert data.look(there, model, upload).state == data.ACCEPTED


def test_a_quarantined_file_brings_its_reason(there, january):
    model = there.model(None)
    upload = planned(there, january)
    key = "quarantine/flights/20261121T100000Z-2013-01.csv"
    there.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"x")
    assert data.look(there, model, upload).state == data.ARRIVED
    there.client("s3").put_object(
        Bucket=BUCKET, Key=key + ".reason.json", Body=json.dumps({"reason": "semicolons"}).encode()
    )
    found = data.look(there, model, upload)
    assert (found.state, found.reason, found.found_at) == (data.QUARANTINED, "semicolons", key)


def test_an_older_file_of_the_name_in_quarantine_is_not_this_one(there, january):
    key = "quarantine/flights/20260101T100000Z-2013-01.csv"
    for name in (key, key + ".reason.json"):
        there.client("s3").put_object(Bucket=BUCKET, Key=name, Body=b'{"reason": "old"}')
    assert data.look(there, there.model(None), planned(there, january)).state == data.ARRIVED


def test_bytes_accepted_before_are_known(there, january):
    there.client("s3").put_object(Bucket=BUCKET, Key=planned(there, january).accepted_key, Body=b"x")
    assert planned(there, january).known


def test_the_same_bytes_under_another_name_are_where_they_were(there, tmp_path, january):
    first = planned(there, january).accepted_key
    there.client("s3").put_object(Bucket=BUCKET, Key=first, Body=b"x")
    copy = tmp_path / "again.csv"
    copy.write_bytes(january.read_bytes())
    upload = planned(there, copy)
    assert (upload.known, upload.accepted_key) == (True, first)


def test_a_name_with_blanks_is_found_under_the_name_the_intake_gives_it(there, tmp_path):
    path = tmp_path / "my flights.csv"
    path.write_text("x")
    upload = planned(there, path)
    key = "quarantine/flights/20261121T100000Z-my-flights.csv"
    for name in (key, key + ".reason.json"):
        there.client("s3").put_object(Bucket=BUCKET, Key=name, Body=b'{"reason": "no header"}')
    assert data.look(there, there.model(None), upload).state == data.QUARANTINED


def test_reason_files_are_not_counted_as_quarantined_files(there):
    for name in ("a.csv", "a.csv.reason.json", "b.csv"):
        there.client("s3").put_object(Bucket=BUCKET, Key=f"quarantine/flights/{name}", Body=b"{}")
    assert len(data.quarantined(there, there.model(None), BUCKET)) == 2


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"reason": "one"}, "one"),
        ({"reasons": ["one", {"message": "two"}]}, "one; two"),
        ({"code": 7}, '{"code": 7}'),
    ],
)
def test_a_reason_is_one_sentence_however_it_is_recorded(record, said):
    assert data.reason_text(record) == said


def test_an_upload_prints_as_json(there, january):
    printed = json.loads(json.dumps(planned(there, january).to_json()))
    assert (printed["file"], printed["state"], printed["known"]) == (str(january), "arrived", False)
