"""Records survive the way into an item and back, and other versions of Upkeep can read them."""

import pytest

from training.ledger.item import model_of
from training.ledger.records import (
    DataRecord,
    DeliveryRecord,
    ForgetRecord,
    ObjectRecord,
    PlanRecord,
    QuarantineRecord,
    RunRecord,
)

RECORDS = [
    (ObjectRecord.of("incoming/toy/a#b.csv", "v1", rows=3, size=9), "object#incoming/toy/a#b.csv#v1"),
    (DataRecord(model="toy", raw_sha256="ab", key="accepted/toy/c.parquet", first="2024"), "data#ab"),
    (
        QuarantineRecord(
            model="toy", id="ff", key="quarantine/toy/ff-a", findings=[{"rule": "type"}], at=1.5
        ),
        "quarantine#ff",
    ),
    (DeliveryRecord(model="toy", folder="by/day", files=[{"name": "a", "size": 3}]), "delivery#by/day"),
    (RunRecord(model="toy", run_id="r1", data_version="d1", usd=0.125), "run#r1"),
    (PlanRecord(model="toy", held={"rule": "cooldown", "until": None}, last_arrival=5.25), "plan"),
    (ForgetRecord(model="toy", id="f1", conditions={"place": "00ff"}), "forget#f1"),
]


@pytest.mark.parametrize(("record", "sort_key"), RECORDS)
def test_a_record_survives_the_way_into_an_item_and_back(record, sort_key):
    item = record.to_item()
    assert (item["pk"], item["sk"]) == ({"S": "toy"}, {"S": sort_key})
    assert type(record).from_item(item) == record


@pytest.mark.parametrize(("record", "sort_key"), RECORDS)
def test_attributes_of_a_later_version_are_ignored(record, sort_key):
    assert type(record).from_item({**record.to_item(), "later": {"M": {"x": {"N": "1"}}}}) == record


def test_a_record_of_an_earlier_version_gets_defaults():
    item = {"pk": {"S": "toy"}, "sk": {"S": "object#incoming/toy/a#v"}, "key": {"S": "incoming/toy/a"}}
    assert ObjectRecord.from_item(item) == ObjectRecord(model="toy", key="incoming/toy/a")


def test_the_seeds_record_needs_no_digest_beside_its_sort_key():
    item = {"pk": {"S": "toy"}, "sk": {"S": "data#abc"}, "key": {"S": "accepted/toy/abc-seed.csv"}}
    assert DataRecord.from_item(item).raw_sha256 == "abc"


@pytest.mark.parametrize(
    ("key", "model"),
    [
        ("incoming/toy/a.csv", "toy"),
        ("incoming/toy/2024/01/a.csv", "toy"),
        ("incoming/Toy/a.csv", "no-model"),
        ("incoming/../a.csv", "no-model"),
        ("incoming/toy", "no-model"),
    ],
)
def test_an_object_is_kept_under_its_folder_if_that_can_be_a_model(key, model):
    assert model_of(key) == ObjectRecord.of(key, None).model == model


def test_the_longest_key_s3_takes_fits_into_a_sort_key_and_stays_distinct():
    long = "incoming/toy/" + "ä" * 505
    records = [ObjectRecord.of(long + end, "v" * 32) for end in "ab"]
    assert len({record.sort_key for record in records}) == 2
    assert all(len(record.sort_key.encode()) <= 1024 for record in records)
    assert [ObjectRecord.from_item(record.to_item()) for record in records] == records
