import json
from pathlib import Path

import pytest

from tests.training.lambdas import DATA
from tests.upkeep.stand import flights
from training.ledger.records import ObjectRecord
from upkeep import data, deliveries
from upkeep.data import Upload
from upkeep.forget import Forgetting

KEY = "incoming/flights/2013-01.csv"


@pytest.fixture
def january(tmp_path):
    path = tmp_path / "2013-01.csv"
    path.write_text(flights(4))
    return path


def sent(stand, path):
    (upload,) = deliveries.plan(stand.model, [path], stand.ledger).uploads
    return data.send(stand.context, upload, lambda _count: None)


def looked(stand, upload):
    return data.look(stand.ledger, upload)


def test_a_file_arrives_under_the_models_prefix(stand, january):
    upload = sent(stand, january)
    assert upload.uri == f"s3://{DATA}/{KEY}"
    assert stand.body(KEY) == january.read_bytes()


def test_an_upload_knows_the_version_it_made(stand, january):
    upload = sent(stand, january)
    stand.put(KEY, "somebody else's")
    assert stand.s3.get_object(Bucket=DATA, Key=KEY, VersionId=upload.version_id)["Body"].read() == (
        january.read_bytes()
    )


def test_an_upload_in_parts_knows_its_version_though_the_key_has_a_newer_one(stand, january, monkeypatch):
    monkeypatch.setattr(data, "PARTS_ABOVE_BYTES", 0)
    upload = stand.s3.upload_file

    def overtaken(*given, **named):
        upload(*given, **named)
        stand.put(KEY, "a moment later")

    monkeypatch.setattr(stand.s3, "upload_file", overtaken)
    version = sent(stand, january).version_id
    assert stand.s3.get_object(Bucket=DATA, Key=KEY, VersionId=version)["Body"].read() == january.read_bytes()


def test_a_bucket_without_versions_has_none(stand, january):
    stand.s3.put_bucket_versioning(Bucket=DATA, VersioningConfiguration={"Status": "Suspended"})
    assert sent(stand, january).version_id in ("", "null")


@pytest.mark.parametrize("parts_above", [0, data.PARTS_ABOVE_BYTES])
def test_progress_adds_up_to_the_size_of_the_file(stand, january, monkeypatch, parts_above):
    monkeypatch.setattr(data, "PARTS_ABOVE_BYTES", parts_above)
    counts = []
    (upload,) = deliveries.plan(stand.model, [january], stand.ledger).uploads
    data.send(stand.context, upload, counts.append)
    assert sum(counts) == upload.size


def test_a_pushed_file_is_on_its_way_until_the_intake_has_settled_it(stand, january):
    upload = sent(stand, january)
    assert looked(stand, upload).state == data.ARRIVED
    stand.ledger.claim(ObjectRecord.of(KEY, upload.version_id, owner="m", claimed_until=stand.clock.at + 9))
    assert looked(stand, upload).state == data.ARRIVED
    stand.clock.at += 10
    stand.take_in(KEY, upload.version_id)
    found = looked(stand, upload)
    assert (found.state, found.rows, found.dropped, found.known) == (data.ACCEPTED, 4, 0, False)
    assert found.accepted_key == stand.ledger.data("flights")[0].key


def test_the_same_bytes_again_are_accepted_before(stand, january):
    stand.arrive("other.csv", flights(4))
    upload = sent(stand, january)
    assert upload.known
    stand.take_in(KEY, upload.version_id)
    found = looked(stand, upload)
    assert (found.state, found.known) == (data.ACCEPTED, True)
    assert found.accepted_key == stand.ledger.data("flights")[0].key


def test_bytes_accepted_between_plan_and_arrival_are_known_afterwards(stand, january):
    upload = sent(stand, january)
    stand.arrive("other.csv", flights(4))
    stand.take_in(KEY, upload.version_id)
    assert looked(stand, upload).known


def test_content_whose_rows_were_forgotten_is_found_where_it_lies_now(stand, january):
    upload = sent(stand, january)
    stand.take_in(KEY, upload.version_id)
    Forgetting(stand.context, stand.ledger, stand.model, stand.spec, {"distance": "1000"}).carry_out("me")
    assert looked(stand, upload).accepted_key == stand.ledger.data("flights")[0].key


def test_a_quarantined_file_brings_its_reason_and_entry(stand, tmp_path):
    path = tmp_path / "2013-01.csv"
    path.write_text("a;b\n1;2\n")
    upload = sent(stand, path)
    stand.take_in(KEY, upload.version_id)
    found = looked(stand, upload)
    assert (found.state, found.quarantine_id) == (
        data.QUARANTINED,
        stand.ledger.quarantine_entries("flights")[0].id,
    )
    assert "missing column" in found.reason


@pytest.mark.parametrize("state", ["ignored", "gone", "dead"])
def test_every_other_end_is_an_end_too(stand, january, state):
    upload = sent(stand, january)
    stand.ledger.claim(ObjectRecord.of(KEY, upload.version_id, owner="m", claimed_until=1))
    stand.ledger.settle(ObjectRecord.of(KEY, upload.version_id, owner="m", state=state, reason="why"))
    found = looked(stand, upload)
    assert (found.state, found.reason, found.accepted_key) == (state, "why", "")


def test_another_version_of_the_key_is_not_this_one(stand, january):
    stand.arrive("2013-01.csv", "a;b\n1;2\n")
    assert looked(stand, sent(stand, january)).state == data.ARRIVED


def test_an_upload_prints_as_json():
    upload = Upload(path=Path("a.csv"), bucket="b", key="incoming/flights/a.csv", name="a.csv", size=1)
    printed = json.loads(json.dumps(upload.to_json()))
    assert (printed["file"], printed["uri"], printed["state"]) == (
        "a.csv",
        "s3://b/incoming/flights/a.csv",
        "arrived",
    )


def test_keys_are_listed_and_objects_are_there_or_not(stand):
    stand.put("accepted/flights/x", "1")
    listed = data.list_keys(stand.context, DATA, "accepted/")
    assert [item["Key"] for item in listed] == ["accepted/flights/x"]
    assert data.exists(stand.context, DATA, "accepted/flights/x")
    assert not data.exists(stand.context, DATA, "accepted/flights/y")
