"""Of all who work on an object version one settles it, and a claim never outlives its function."""

from dataclasses import replace

import pytest

from training.ledger.records import DataRecord, ForgetRecord, ObjectRecord, QuarantineRecord

KEY = "incoming/toy/a.csv"


def _claim(ledger, owner="m1", seconds=60, version="v1", key=KEY):
    record = ObjectRecord.of(key, version, owner=owner, claimed_until=ledger.now() + seconds)
    return ledger.claim(record)


def test_of_two_messages_one_gets_the_version_and_the_other_finds_whose_it_is(ledger):
    first, second = _claim(ledger, "m1"), _claim(ledger, "m2")
    assert (first.won, second.won) == (True, False)
    assert (second.record.owner, second.record.state) == ("m1", "claimed")


def test_versions_of_one_key_are_claimed_one_by_one(ledger):
    assert [_claim(ledger, "m1", version=v).won for v in ("v1", "v2")] == [True, True]
    assert [record.version_id for record in ledger.object(KEY)] == ["v1", "v2"]


def test_a_claim_ends_with_its_function_not_later(ledger, clock):
    _claim(ledger, "m1", seconds=60)
    clock.at += 59
    assert not _claim(ledger, "m2").won
    clock.at += 1
    assert _claim(ledger, "m2").won


def test_a_claim_with_no_time_left_has_ended_at_once(ledger):
    _claim(ledger, "m1", seconds=0)
    assert _claim(ledger, "m2").won


def test_a_message_delivered_again_takes_up_its_own_claim(ledger):
    _claim(ledger, "m1")
    assert _claim(ledger, "m1").won


def test_a_claim_given_back_is_free_and_one_of_another_message_stays(ledger):
    mine = _claim(ledger, "m1").record
    ledger.give_back(replace(mine, owner="m2"))
    assert not _claim(ledger, "m2").won
    ledger.give_back(mine)
    assert _claim(ledger, "m2").won


@pytest.mark.parametrize(
    ("state", "free"),
    [
        ("accepted", False),
        ("duplicate", False),
        ("quarantined", False),
        ("ignored", False),
        ("gone", True),
        ("dead", True),
    ],
)
def test_what_is_settled_stays_so_but_the_dead_and_the_gone_may_come_back(ledger, state, free):
    mine = _claim(ledger, "m1").record
    assert ledger.settle(replace(mine, state=state))
    found = _claim(ledger, "m2")
    assert found.won == free
    assert free or found.record.state == state


def test_who_lost_the_claim_settles_nothing(ledger, clock):
    late = _claim(ledger, "m1").record
    clock.at += 60
    _claim(ledger, "m2")
    assert not ledger.settle(replace(late, state="accepted"))
    assert not ledger.accept(
        replace(late, state="accepted"), DataRecord(model="toy", raw_sha256="x", key="k")
    )
    assert ledger.data("toy") == []
    assert ledger.version(KEY, "v1").owner == "m2"


def test_settling_twice_with_the_same_result_is_one_settling(ledger):
    done = replace(_claim(ledger).record, state="accepted", at="2024", rows=3)
    assert [ledger.settle(done), ledger.settle(done)] == [True, True]
    assert not ledger.settle(replace(done, state="quarantined"))


def test_one_content_is_recorded_once_whoever_comes_first(ledger):
    data = DataRecord(model="toy", raw_sha256="x", key="k", accepted_at=1.5)
    one = replace(_claim(ledger, "m1").record, state="accepted")
    two = replace(_claim(ledger, "m2", version="v2").record, state="accepted")
    assert ledger.accept(one, data)
    assert not ledger.accept(two, replace(data, key="other"))
    assert ledger.accept(one, data), "the same once more, as after a lost answer"
    assert ledger.data("toy") == [data]
    assert ledger.version(KEY, "v2").state == "claimed"


def test_accepting_a_content_closes_its_open_entry(ledger):
    entry = QuarantineRecord(model="toy", id="x", key="q")
    assert ledger.quarantine(replace(_claim(ledger).record, state="quarantined"), entry, None)
    known = ledger.known("toy", "x", "x")
    assert (known.data, known.entry) == (None, entry)
    data = DataRecord(model="toy", raw_sha256="x", key="k")
    mine = replace(_claim(ledger, version="v2").record, state="accepted")
    assert ledger.accept(mine, data, known.entry)
    found = ledger.known("toy", "x", "x")
    assert (found.data, found.entry.state, found.entry.ended_at) == (data, "accepted", ledger.now())


def test_an_entry_a_person_discards_meanwhile_does_not_stop_the_data(ledger):
    entry = QuarantineRecord(model="toy", id="x", key="q")
    ledger.quarantine(replace(_claim(ledger).record, state="quarantined"), entry, None)
    ledger.transition_entry("toy", "x", ["open"], "discarded", by="ann")
    mine = replace(_claim(ledger, version="v2").record, state="accepted")
    assert ledger.accept(mine, DataRecord(model="toy", raw_sha256="x", key="k"), entry)
    assert ledger.quarantine_entry("toy", "x").state == "discarded"
    assert len(ledger.data("toy")) == 1


def test_an_entry_counts_up_only_from_what_was_read(ledger):
    entry = QuarantineRecord(model="toy", id="x", key="q")
    one = replace(_claim(ledger).record, state="quarantined")
    two = replace(_claim(ledger, version="v2").record, state="quarantined")
    assert ledger.quarantine(one, entry, None)
    assert not ledger.quarantine(two, entry, None)
    assert ledger.quarantine(two, replace(entry, seen=2), entry)
    assert ledger.quarantine_entry("toy", "x").seen == 2


def test_data_is_replaced_only_where_it_is_still_the_same_object(ledger):
    old = DataRecord(model="toy", raw_sha256="x", key="k", rows=5)
    assert ledger.record_data(old)
    assert not ledger.record_data(old)
    assert ledger.replace_data(old, replace(old, key="k2", rows=4, forgotten=1))
    assert not ledger.replace_data(old, replace(old, key="k3"))
    assert [(r.key, r.rows) for r in ledger.data_of("toy", ["k2"])] == [("k2", 4)]
    assert ledger.data_record("toy", "x").forgotten == 1
    assert ledger.data_record("toy", "y") is None


def test_all_pages_are_read(ledger):
    for number in range(30):
        _claim(ledger, version=f"v{number:02}", key=f"incoming/toy/{'x' * 800}-{number % 3}")
        ledger.record_data(DataRecord(model="toy", raw_sha256=f"{number:064}", key="k" * 60_000))
    assert len(ledger.data("toy")) == 30, "1.8 MB, and a page has 1 MB"
    assert len(ledger.objects("toy")) == 30
    assert len(ledger.objects("toy", f"incoming/toy/{'x' * 800}-1")) == 10
    assert len(ledger.objects("toy", limit=7)) == 7
    assert len(ledger.object(f"incoming/toy/{'x' * 800}-1")) == 10


def test_an_object_whose_name_begins_with_anothers_is_another(ledger):
    _claim(ledger, key="incoming/toy/a")
    _claim(ledger, key="incoming/toy/a#b")
    assert [record.key for record in ledger.object("incoming/toy/a")] == ["incoming/toy/a"]


def test_claims_that_ended_without_a_word_are_counted_and_those_given_back_are_not(ledger, clock):
    crashes = []
    for number in range(3):
        crashes.append(_claim(ledger, f"m{number}").record.crashes)
        clock.at += 61
    ledger.give_back(_claim(ledger, "m3").record)
    crashes.append(_claim(ledger, "m4").record.crashes)
    assert crashes == [0, 1, 2, 3]
    assert ledger.settle(replace(_claim(ledger, "m4").record, state="dead"))
    assert _claim(ledger, "m5").record.crashes == 0, "somebody has mended it"


def test_a_message_that_is_delivered_many_times_at_once_has_not_crashed(ledger):
    assert [_claim(ledger, "m1").record.crashes for _ in range(6)] == [0] * 6


def test_the_latest_request_to_forget_is_known_with_a_content(ledger):
    assert ledger.known("toy", "x", "x").latest_forget is None
    for name in ("one", "two"):
        ledger.record_forget(ForgetRecord(model="toy", id=name))
    assert ledger.known("toy", "x", "x").latest_forget == "two"
    assert [request.id for request in ledger.forgets("toy")] == ["one", "two"]
