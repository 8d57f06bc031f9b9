"""What people decide happens once, and a folder is complete once."""

from training.ledger.records import ForgetRecord, ObjectRecord, QuarantineRecord


def _refuse(ledger, entry):
    record = ObjectRecord.of(f"incoming/toy/{entry.id}", "v", owner="m")
    ledger.claim(record)
    assert ledger.quarantine(record, entry, None)


def test_an_entry_is_released_by_one_person_only(ledger):
    _refuse(ledger, QuarantineRecord(model="toy", id="x", key="q", at=1))
    first = ledger.transition_entry("toy", "x", ["open"], "releasing", by="ann")
    assert (first.state, first.by) == ("releasing", "ann")
    assert ledger.transition_entry("toy", "x", ["open"], "releasing", by="bob") is None
    assert ledger.transition_entry("toy", "y", ["open"], "releasing") is None
    assert ledger.transition_entry("toy", "x", ["open", "releasing"], "released").by == "ann"


def test_entries_are_listed_by_state_oldest_first(ledger):
    for number, name in enumerate(["c", "b", "a"]):
        _refuse(ledger, QuarantineRecord(model="toy", id=name, key="q", at=number))
    ledger.transition_entry("toy", "b", ["open"], "discarded")
    assert [entry.id for entry in ledger.quarantine_entries("toy")] == ["c", "b", "a"]
    assert [entry.id for entry in ledger.quarantine_entries("toy", ["open"])] == ["c", "a"]


def test_what_people_were_not_told_of_is_listed_without_rows(ledger):
    finding = {
        "column": "x",
        "rule": "range",
        "count": 1,
        "text": "-",
        "examples": [{"row": 1, "value": "secret"}],
    }
    for number, name in enumerate(["c", "b", "a"]):
        entry = QuarantineRecord(
            model="toy", id=name, key="q", at=number, findings=[finding], sample=[{"row": 1}]
        )
        _refuse(ledger, entry)
    ledger.transition_entry("toy", "b", ["open"], "discarded")
    untold = ledger.untold_entries("toy")
    assert [entry.id for entry in untold] == ["c", "a"]
    assert "secret" not in str(untold)
    assert not any(entry.sample for entry in untold)
    ledger.announce_entry("toy", "c")
    assert [entry.id for entry in ledger.untold_entries("toy")] == ["a"]


def test_people_are_told_of_an_entry_once(ledger):
    _refuse(ledger, QuarantineRecord(model="toy", id="x", key="q"))
    assert [ledger.announce_entry("toy", "x") for _ in range(2)] == [True, False]


def test_a_folder_keeps_the_time_of_its_first_file(ledger, clock):
    assert ledger.note_delivery("toy", "day1")
    clock.at += 5
    assert not ledger.note_delivery("toy", "day1")
    assert ledger.record_manifest("toy", "day1", [{"name": "a"}])
    found = ledger.delivery("toy", "day1")
    assert (found.first_at, found.files, found.state) == (clock.at - 5, [{"name": "a"}], "open")


def test_a_folder_is_complete_once_until_its_manifest_changes(ledger):
    ledger.record_manifest("toy", "day1", [{"name": "a"}])
    found = ledger.delivery("toy", "day1")
    assert [ledger.complete_delivery(found) for _ in range(2)] == [True, False]
    assert not ledger.record_manifest("toy", "day1", [{"name": "a"}])
    assert ledger.delivery("toy", "day1").state == "complete"
    assert ledger.record_manifest("toy", "day1", [{"name": "a"}, {"name": "b"}])
    assert not ledger.complete_delivery(found), "another list by now"
    assert [record.folder for record in ledger.deliveries("toy", ["open"])] == ["day1"]


def test_people_are_told_of_an_overdue_folder_once(ledger):
    ledger.note_delivery("toy", "")
    assert [ledger.announce_late("toy", "") for _ in range(2)] == [True, False]


def test_requests_to_forget_are_listed_oldest_first(ledger):
    for number, name in enumerate("ba"):
        assert ledger.record_forget(ForgetRecord(model="toy", id=name, at=number))
    assert not ledger.record_forget(ForgetRecord(model="toy", id="a"))
    assert ledger.update_forget("toy", "a", rows=4, objects=2).rows == 4
    assert ledger.update_forget("toy", "z", rows=4) is None
    assert [(r.id, r.rows) for r in ledger.forgets("toy")] == [("b", 0), ("a", 4)]
