import json

import pytest

from tests.training.lambdas import DATA
from tests.upkeep.stand import flights
from training.ledger.records import ObjectRecord
from upkeep import objects, quarantine
from upkeep.errors import UpkeepError
from upkeep.forget import Forgetting

KEY = "incoming/flights/a.csv"


def found(stand, name=KEY):
    return objects.find(stand.context, stand.ledger, name)


def states(stand, name=KEY):
    return [fate.state for fate in found(stand, name)]


@pytest.mark.parametrize("name", [KEY, "/" + KEY, f"s3://{DATA}/{KEY}", "a.csv"])
def test_a_file_is_found_by_address_key_or_name(stand, name):
    stand.arrive("a.csv", flights(4))
    (fate,) = found(stand, name)
    assert (fate.state, fate.rows, fate.dropped) == ("accepted", 4, 0)
    assert fate.now_at == (stand.ledger.data("flights")[0].key,)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.csv", True), ("incoming/x", True), ("s3://b/k", True), ("0123abcd", False), ("", False)],
)
def test_a_run_id_is_no_file_name(name, expected):
    assert objects.is_object(name) is expected


def test_every_version_has_its_own_fate(stand):
    stand.arrive("a.csv", flights(4))
    stand.clock.at += 1
    stand.arrive("a.csv", "a;b\n1;2\n")
    stand.clock.at += 1
    stand.arrive("a.csv", flights(4))
    assert states(stand) == ["accepted", "quarantined", "duplicate"]


def test_a_quarantined_file_says_why_and_where_its_entry_is(stand):
    stand.arrive("a.csv", "a;b\n1;2\n")
    (fate,) = found(stand)
    (entry,) = stand.ledger.quarantine_entries("flights")
    assert (fate.quarantine_id, fate.quarantine_state, fate.now_at) == (entry.id, "open", (entry.key,))
    assert "missing column" in fate.reason


def test_a_discarded_file_lies_nowhere_any_more(stand):
    stand.arrive("a.csv", "a;b\n1;2\n")
    (entry,) = stand.ledger.quarantine_entries("flights")
    quarantine.discard(stand.context, stand.ledger, entry, "me")
    (fate,) = found(stand)
    assert (fate.quarantine_state, fate.now_at) == ("discarded", ())


def test_dropped_rows_have_their_place_too(stand):
    stand.contract(max_bad_share=0.5)
    stand.arrive("a.csv", flights(4).replace("true", "perhaps", 1))
    (fate,) = found(stand)
    assert (fate.rows, fate.dropped, len(fate.now_at)) == (3, 1, 2)


def test_runs_and_served_models_that_read_it_are_named(stand):
    stand.arrive("a.csv", flights(4))
    first = stand.train()
    stand.arrive("b.csv", flights(4, 2))
    second = stand.train(decision="refuse")
    (fate,) = found(stand)
    assert [(t.run_id, t.version, t.serves) for t in fate.trained] == [
        (second.run_id, None, False),
        (first.run_id, 1, True),
    ]


def test_the_accepted_object_leads_back_to_what_was_pushed(stand):
    stand.arrive("a.csv", flights(4))
    assert [fate.key for fate in found(stand, stand.ledger.data("flights")[0].key)] == [KEY]


def test_an_object_from_before_rows_were_forgotten_leads_to_what_was_pushed_too(stand):
    stand.arrive("a.csv", flights(4))
    (old,) = stand.ledger.data("flights")
    run = stand.train()
    work = Forgetting(stand.context, stand.ledger, stand.model, stand.spec, {"distance": "1000"})
    work.carry_out("me")
    (fate,) = found(stand, old.key)
    assert (fate.key, fate.rows, fate.forgotten) == (KEY, 3, 1)
    assert fate.now_at == (stand.ledger.data("flights")[0].key,)
    assert [one.run_id for one in fate.trained] == [run.run_id]


def test_a_quarantined_object_leads_back_to_what_was_pushed(stand):
    stand.arrive("a.csv", "a;b\n1;2\n")
    (entry,) = stand.ledger.quarantine_entries("flights")
    for name in (entry.key, entry.key + ".reason.json"):
        assert [fate.key for fate in found(stand, name)] == [KEY]


def test_a_file_nobody_has_looked_at_waits_since_it_arrived(stand):
    version = stand.put(KEY, flights(4))
    (fate,) = found(stand)
    assert (fate.state, fate.version_id, bool(fate.at)) == ("waiting", version, True)


def test_a_file_that_waits_is_found_by_its_name_alone(stand):
    stand.put(KEY, flights(4))
    assert states(stand, "a.csv") == ["waiting"]


def test_a_file_whose_message_was_given_up_is_dead_and_the_message_stays(stand):
    version = stand.put(KEY, flights(4))
    stand.dead("intake", stand.event(KEY, version))
    for _ in range(2):
        (fate,) = found(stand)
        assert fate.state == "dead"
        assert "upkeep replay" in fate.reason


def test_a_given_up_message_about_a_deleted_file_is_found_too(stand):
    stand.dead("intake", stand.event(KEY, "v1"))
    (fate,) = found(stand)
    assert (fate.state, fate.version_id) == ("dead", "v1")


def test_a_file_its_owner_deleted_is_withdrawn(stand):
    stand.put(KEY, flights(4))
    stand.s3.delete_object(Bucket=DATA, Key=KEY)
    assert sorted(states(stand)) == ["waiting", "withdrawn"]


def test_a_file_that_is_being_checked_says_until_when(stand):
    version = stand.put(KEY, flights(4))
    stand.ledger.claim(ObjectRecord.of(KEY, version, owner="m", claimed_until=stand.clock.at + 60))
    (fate,) = found(stand)
    assert fate.state == "being checked"
    assert "its claim ends" in fate.reason


def test_a_file_without_a_model_is_known_too(stand):
    version = stand.put("incoming/loose.csv", "a\n1\n")
    stand.take_in("incoming/loose.csv", version)
    assert states(stand, "incoming/loose.csv") == ["quarantined"]
    assert found(stand, "incoming/loose.csv")[0].quarantine_state == "open"
    assert states(stand, "loose.csv") == ["quarantined"]


def test_another_bucket_is_refused_with_the_one_that_is_meant(stand):
    with pytest.raises(UpkeepError, match=f"found bucket 'other'; this stack's files arrive in '{DATA}'"):
        found(stand, "s3://other/a.csv")


def test_an_unknown_file_says_where_was_looked(stand):
    with pytest.raises(UpkeepError, match="the ledger does not know it, nothing of this name lies in"):
        found(stand, "never.csv")


def test_a_fate_prints_as_json(stand):
    stand.arrive("a.csv", flights(4))
    stand.train()
    (printed,) = json.loads(json.dumps([fate.to_json() for fate in found(stand)]))
    assert (printed["state"], printed["rows"], printed["runs"][0]["serves"]) == ("accepted", 4, True)
