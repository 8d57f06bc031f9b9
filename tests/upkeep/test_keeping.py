# ruff: noqa: N803 - arguments are spelt as boto3 spells them
"""What a protected stack leaves behind, and what happens when that is to go too."""

import json

import pytest

from tests.upkeep.fakes import FakeClient, answering, missing, raising
from upkeep import keeping
from upkeep.errors import UpkeepError
from upkeep.keeping import BUCKET, KEY, TABLE, Kept

URN = "urn:pulumi:prod::upkeep::upkeep:storage:Storage$"
RESOURCES = {
    f"{URN}{KEY}::storage-key": "1234",
    f"{URN}aws:s3/bucketPolicy:BucketPolicy::storage-data-policy": "data",
    f"{URN}{BUCKET}::storage-data": "data",
    f"urn:pulumi:prod::upkeep::upkeep:ledger:Ledger${TABLE}::ledger-table": "ledger",
    "urn:pulumi:prod::upkeep::upkeep:storage:Storage::storage": "",
}
KEPT = [Kept(type=BUCKET, id="data"), Kept(type=TABLE, id="ledger"), Kept(type=KEY, id="1234")]


class Account:
    """A bucket with versions and a table."""

    region_name = "us-east-1"

    def __init__(self, versions: int, markers: int = 0, **changes):
        self.objects = [{"Key": f"k{n}", "VersionId": f"v{n}", "Size": 1_500_000} for n in range(versions)]
        self.markers = [{"Key": f"m{n}", "VersionId": f"v{n}"} for n in range(markers)]
        answers = {"list_object_versions": self.listing, "delete_objects": self.delete, **changes}
        self.s3 = FakeClient(**answers)
        self.dynamodb = FakeClient(
            describe_table=answering({"Table": {"ItemCount": 1200}}),
            update_table=lambda TableName, DeletionProtectionEnabled: {},
        )

    def client(self, service, **_options):
        return {"s3": self.s3, "dynamodb": self.dynamodb}[service]

    def listing(self, Bucket):
        return {"Versions": list(self.objects), "DeleteMarkers": list(self.markers)}

    def delete(self, Bucket, Delete):
        assert 0 < len(Delete["Objects"]) <= 1000
        self.objects, self.markers = [], []
        return {}


def test_only_what_holds_something_is_named_data_first():
    assert keeping.of_resources(RESOURCES) == KEPT


def test_the_same_is_read_out_of_pulumis_export():
    resources = [{"urn": urn, "id": id_, "protect": True} for urn, id_ in RESOURCES.items()]
    resources.append({"urn": f"{URN}{BUCKET}::free", "id": "free"})
    assert keeping.of_export(json.dumps({"deployment": {"resources": resources}})) == KEPT
    assert keeping.of_export(json.dumps({"deployment": {}})) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"deployment": null}'])
def test_an_export_that_is_none_is_an_error(text):
    with pytest.raises(UpkeepError, match="no state that can be read"):
        keeping.of_export(text)


def test_each_line_says_what_would_be_lost():
    lines = keeping.words(Account(2), "us-east-1", KEPT)
    assert lines == [
        "bucket data: 2 object versions, 3.0 MB",
        "table ledger: about 1,200 items",
        "encryption key 1234",
    ]
    assert keeping.words(Account(0), "us-east-1", KEPT[:1]) == ["bucket data: empty"]


def test_a_huge_bucket_is_not_counted_to_its_end():
    assert keeping.words(Account(10_000), "us-east-1", KEPT[:1]) == [
        "bucket data: more than 10,000 object versions"
    ]


def test_giving_up_empties_buckets_with_their_old_versions_and_frees_the_table():
    account, told = Account(3, markers=2), []
    keeping.give_up(account, "us-east-1", KEPT, told.append)
    assert (account.objects, account.markers) == ([], [])
    assert account.dynamodb.asked("update_table") == [
        {"TableName": "ledger", "DeletionProtectionEnabled": False}
    ]
    assert told == ["deleted 5 object versions of data"]
    keeping.give_up(account, "us-east-1", KEPT)


def test_what_is_gone_already_is_no_error():
    account = Account(0, list_object_versions=raising(missing("bucket")))
    account.dynamodb.answers["update_table"] = raising(missing("table"))
    keeping.give_up(account, "us-east-1", KEPT)


def test_an_object_that_stays_is_named():
    refusal = {"Errors": [{"Key": "k0", "Message": "held"}]}
    with pytest.raises(UpkeepError, match="s3://data/k0 was not deleted: held"):
        keeping.give_up(Account(1, delete_objects=answering(refusal)), "us-east-1", KEPT)
