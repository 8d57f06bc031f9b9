import hashlib
import json
from pathlib import Path

import pytest

from infra.seed import Seed
from models.load import load, seed_file
from models.spec import SpecError
from tests.infra.mocks import ACCOUNT, REGION, deploy, standard
from training.ledger.records import DataRecord

SPEC = load(["flights"])["flights"]
SEED = Seed.read(seed_file("flights"), SPEC)
ARN = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/upkeep-test-ledger"


def test_the_ledger_is_encrypted_with_the_stacks_key_and_can_be_restored() -> None:
    table = standard().one("aws:dynamodb/table:Table")
    assert table["name"] == "upkeep-test-ledger"
    key = standard().one("Key")
    assert table["serverSideEncryption"] == {
        "enabled": True,
        "kmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key.name}",
    }
    assert table["pointInTimeRecovery"] == {"enabled": True}
    assert table["billingMode"] == "PAY_PER_REQUEST"
    assert table["ttl"] == {"attributeName": "expires_at", "enabled": True}


@pytest.mark.parametrize("protect", [True, False])
def test_a_protected_stack_keeps_its_ledger(protect: bool) -> None:
    assert (
        deploy({"protect": protect}).one("aws:dynamodb/table:Table")["deletionProtectionEnabled"] is protect
    )


@pytest.mark.parametrize("role", ["intake", "dispatch", "release"])
def test_functions_write_single_records_of_this_ledger_and_never_scan_or_empty_it(role: str) -> None:
    allowed = {k: v for k, v in standard().allowed(f"{role}-policy").items() if k.startswith("dynamodb:")}
    more = {"dynamodb:BatchGetItem"} if role == "intake" else set()
    assert set(allowed) == more | {f"dynamodb:{a}" for a in ("GetItem", "Query", "PutItem", "UpdateItem")}
    assert all(resources == [ARN] for resources in allowed.values())


def test_no_other_role_may_use_the_ledger() -> None:
    writers = [f"{role}-policy" for role in ("intake", "dispatch", "judge", "release")]
    others = [r.name for r in standard().of("RolePolicy") if r.name not in writers]
    assert not [n for n in others if any(a.startswith("dynamodb:") for a in standard().allowed(n))]


def test_the_seed_stands_in_the_ledger_like_accepted_data() -> None:
    record = standard().one("TableItem")
    item = {name: next(iter(value.values())) for name, value in json.loads(record["item"]).items()}
    digest = hashlib.sha256(SEED.content).hexdigest()
    assert (item["pk"], item["sk"]) == ("flights", f"data#{digest}")
    assert item["key"] == standard().one("BucketObjectv2", "flights-seed")["key"]
    assert (item["state"], item["accepted_at"], item["rows"]) == ("active", "0", str(SEED.rows))
    assert item["first"] == "2013-01-01T05:15:00+00:00"
    assert item["first"] < item["last"]
    assert item["contract"] == SPEC.contract_version
    assert item["source"] == "models/flights/seed.csv"
    assert item["version_id"] == "version-of-flights-seed", "the run's record names exact versions"
    assert DataRecord.from_item(json.loads(record["item"])) == SEED.record(SPEC, item["version_id"])


def test_what_became_of_the_seeds_record_is_left_alone_and_another_seed_is_another_record() -> None:
    record = standard().one("TableItem")
    assert record.options["ignore_changes"] == ["item"]
    assert record.name == f"flights-seed-record-{SEED.sha256[:8]}"


@pytest.mark.parametrize(
    ("row", "found"), [("not a time", "expected ISO 8601"), ("", "found no rows below the header")]
)
def test_a_seed_without_times_is_refused_before_anything_is_deployed(
    tmp_path: Path, row: str, found: str
) -> None:
    path = tmp_path / "seed.csv"
    path.write_text(
        ",".join(SPEC.columns) + "\n" + (row + "," * (len(SPEC.columns) - 1) + "\n" if row else "")
    )
    with pytest.raises(SpecError, match=found):
        Seed.read(path, SPEC)
