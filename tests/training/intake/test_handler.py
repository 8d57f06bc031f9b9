"""Good files become data once, bad ones are put aside with a reason, and nothing is lost on the way."""

import gzip
import hashlib
import json
from types import SimpleNamespace

import pytest

from tests.training.contract.corpus import corpus
from tests.training.examples import declare, lines, text
from tests.training.intake.messages import CONTEXT, Wakes, deliver, message, push
from tests.training.lambdas import ACCOUNT, ARTIFACTS, DATA, PREFIX, emitted
from training.aws import client
from training.contract import check
from training.contract.forgetting import digest
from training.intake import handler, sorting
from training.ledger.records import ForgetRecord

GOOD = text(lines(30))
RAW = hashlib.sha256(GOOD.encode()).hexdigest()


@pytest.fixture
def stack(store, ledger):
    """A stack with two models whose time stands still."""
    store.put("specs/toy.json", declare().to_json(), ARTIFACTS)
    store.put("specs/other.json", declare(name="other").to_json(), ARTIFACTS)
    store.put(
        "specs/folders.json", declare(name="folders", triggers={"delivery": "manifest"}).to_json(), ARTIFACTS
    )
    wakes = Wakes()
    yield SimpleNamespace(store=store, ledger=ledger, wakes=wakes)
    wakes.close()


def _state(ledger, key):
    (record,) = ledger.object(key)
    return record.state


def test_a_good_file_becomes_parquet_under_its_own_digest(stack):
    version, failed = push(stack.store, "incoming/toy/jan.csv", GOOD)
    assert failed == []
    (data,) = stack.ledger.data("toy")
    (key,) = stack.store.keys("accepted/")
    content = stack.store.get(key)
    sha256 = hashlib.sha256(content).hexdigest()
    assert key == f"accepted/toy/{sha256[:20]}.parquet" == data.key
    assert content.startswith(b"PAR1")
    assert (data.raw_sha256, data.sha256, data.rows, data.dropped) == (RAW, sha256, 30, 0)
    assert (data.bytes, data.source, data.contract) == (
        len(content),
        "incoming/toy/jan.csv",
        declare().contract_version,
    )
    assert data.first < data.last
    head = client("s3").head_object(Bucket=DATA, Key=key)
    assert head["Metadata"] == {"rows": "30", "sha256": sha256, "source": "incoming/toy/jan.csv"}
    assert head["VersionId"] == data.version_id
    record = stack.ledger.version("incoming/toy/jan.csv", version)
    assert (record.state, record.target, record.rows, record.sha256) == ("accepted", key, 30, RAW)


def test_a_version_that_is_settled_is_gone_from_incoming_without_a_delete_marker(stack):
    push(stack.store, "incoming/toy/jan.csv", GOOD)
    found = client("s3").list_object_versions(Bucket=DATA, Prefix="incoming/")
    assert "Versions" not in found
    assert "DeleteMarkers" not in found


def test_the_dispatcher_is_woken_once_per_model_and_batch_after_the_quiet_period(stack, clock):
    keys = ["incoming/toy/a.csv", "incoming/toy/b.csv", "incoming/other/c.csv"]
    versions = [stack.store.put(key, text(lines(20, first_hour=30 * i))) for i, key in enumerate(keys)]
    messages = [message(key, versions[i], i) for i, key in enumerate(keys)]
    assert deliver(*messages) == []
    found = stack.wakes()
    assert sorted(body["model"] for body, _ in found) == ["other", "toy"]
    assert {body["why"] for body, _ in found} == {"arrival"}
    assert {delay for _, delay in found} == {declare().triggers.quiet_seconds}
    assert stack.ledger.plan("toy").last_arrival == clock.at


def test_the_same_bytes_under_another_name_are_one_content(stack):
    push(stack.store, "incoming/toy/jan.csv", GOOD)
    version, failed = push(stack.store, "incoming/toy/january again.csv", GOOD)
    assert failed == []
    record = stack.ledger.version("incoming/toy/january again.csv", version)
    assert (record.state, record.rows, record.reason) == (
        "duplicate",
        30,
        "the same bytes as incoming/toy/jan.csv",
    )
    assert len(stack.ledger.data("toy")) == len(stack.store.keys("accepted/")) == 1
    assert stack.store.keys("incoming/") == []


def test_the_same_bytes_twice_in_one_batch_are_one_content(stack):
    versions = [stack.store.put(f"incoming/toy/{name}.csv", GOOD) for name in "abcd"]
    messages = [message(f"incoming/toy/{name}.csv", versions[i], i) for i, name in enumerate("abcd")]
    assert deliver(*messages) == []
    states = sorted(_state(stack.ledger, f"incoming/toy/{name}.csv") for name in "abcd")
    assert states == ["accepted", "duplicate", "duplicate", "duplicate"]
    assert len(stack.ledger.data("toy")) == 1


def test_the_same_rows_in_another_wrapping_are_the_same_object(stack):
    push(stack.store, "incoming/toy/jan.csv", GOOD)
    push(stack.store, "incoming/toy/jan.csv.gz", gzip.compress(GOOD.encode()))
    assert len({record.key for record in stack.ledger.data("toy")}) == 1
    assert len({record.version_id for record in stack.ledger.data("toy")}) == 1
    assert len(stack.ledger.data("toy")) == 2


def test_a_message_delivered_again_changes_nothing_and_wakes_again(stack):
    version = stack.store.put("incoming/toy/jan.csv", GOOD)
    one = message("incoming/toy/jan.csv", version)
    assert deliver(one, one) == deliver(one) == []
    assert len(stack.ledger.data("toy")) == 1
    assert len(stack.wakes()) == 2


def test_what_is_settled_but_still_there_is_taken_away_by_the_next_delivery(stack, monkeypatch):
    version = stack.store.put("incoming/toy/jan.csv", GOOD)
    one = message("incoming/toy/jan.csv", version)
    with monkeypatch.context() as broken:
        broken.setattr(sorting.Sorter, "clear", lambda *_: None)
        deliver(one)
    assert stack.store.keys("incoming/") == ["incoming/toy/jan.csv"]
    assert deliver(one) == []
    assert stack.store.keys("incoming/") == []


def test_every_version_of_an_overwritten_object_is_data_in_any_order(stack):
    contents = [text(lines(20, first_hour=30 * i)) for i in range(3)]
    versions = [stack.store.put("incoming/toy/a.csv", content) for content in contents]
    for version in (versions[1], versions[2], versions[0]):
        assert deliver(message("incoming/toy/a.csv", version)) == []
    assert len(stack.ledger.data("toy")) == 3
    assert [record.state for record in stack.ledger.object("incoming/toy/a.csv")] == ["accepted"] * 3
    assert stack.store.keys("incoming/") == []


def test_an_event_without_a_version_means_the_current_one(stack):
    old = stack.store.put("incoming/toy/a.csv", text(lines(20)))
    new = stack.store.put("incoming/toy/a.csv", GOOD)
    one = message("incoming/toy/a.csv")
    assert deliver(one) == []
    assert stack.ledger.version("incoming/toy/a.csv", new).state == "accepted"
    assert stack.ledger.version("incoming/toy/a.csv", old) is None
    assert deliver(one) == []
    assert stack.ledger.version("incoming/toy/a.csv", old).state == "accepted"
    assert deliver(one) == []
    assert {record.state for record in stack.ledger.object("incoming/toy/a.csv")} == {"accepted"}


def test_an_object_its_owner_deleted_is_gone_and_its_version_stays(stack):
    version = stack.store.put("incoming/toy/a.csv", GOOD)
    client("s3").delete_object(Bucket=DATA, Key="incoming/toy/a.csv")
    assert deliver(message("incoming/toy/a.csv", version)) == []
    record = stack.ledger.version("incoming/toy/a.csv", version)
    assert (record.state, record.reason) == (
        "gone",
        "its owner deleted the object before it was looked at",
    )
    assert stack.ledger.data("toy") == []
    kept = client("s3").list_object_versions(Bucket=DATA, Prefix="incoming/")["Versions"]
    assert [one["VersionId"] for one in kept] == [version]


@pytest.mark.parametrize("version", ["", "3d9c6a2b-8d6f-4c39-8f10-6fb0a3f6b54f"])
def test_a_version_that_never_was_is_gone_with_a_reason_and_does_not_come_again(stack, version):
    assert deliver(message("incoming/toy/a.csv", version)) == []
    (record,) = stack.ledger.object("incoming/toy/a.csv")
    assert record.state == "gone"
    assert "not there any more" in record.reason


def test_a_forged_version_does_not_touch_the_object(stack):
    stack.store.put("incoming/toy/a.csv", GOOD)
    assert deliver(message("incoming/toy/a.csv", "3d9c6a2b-8d6f-4c39-8f10-6fb0a3f6b54f")) == []
    assert stack.store.keys() == ["incoming/toy/a.csv"]


def test_an_object_that_is_restored_is_taken_after_all(stack):
    version = stack.store.put("incoming/toy/a.csv", GOOD)
    marker = client("s3").delete_object(Bucket=DATA, Key="incoming/toy/a.csv")["VersionId"]
    deliver(message("incoming/toy/a.csv", version))
    client("s3").delete_object(Bucket=DATA, Key="incoming/toy/a.csv", VersionId=marker)
    assert deliver(message("incoming/toy/a.csv", version, 2)) == []
    assert stack.ledger.version("incoming/toy/a.csv", version).state == "accepted"


@pytest.mark.parametrize("name", ["empty", "column missing", "text for a number", "one label only"])
def test_a_bad_file_is_quarantined_with_a_reason_for_programs(stack, name):
    content = corpus()[name].content
    version, failed = push(stack.store, "incoming/toy/bad.csv", content)
    assert failed == []
    sha256 = hashlib.sha256(content).hexdigest()
    key = f"quarantine/toy/{sha256[:16]}-bad.csv"
    assert stack.store.keys("quarantine/") == [key, f"{key}.reason.json"]
    assert stack.store.get(key) == content
    reason = stack.store.json(f"{key}.reason.json")
    assert (reason["schema"], reason["id"], reason["sha256"]) == (2, sha256[:16], sha256)
    assert (reason["object"], reason["version_id"], reason["model"]) == (
        "incoming/toy/bad.csv",
        version,
        "toy",
    )
    assert reason["contract_version"] == declare().contract_version
    assert reason["findings"]
    assert reason["findings"][0]["text"] in reason["reason"]
    (entry,) = stack.ledger.quarantine_entries("toy")
    assert (entry.id, entry.state, entry.key, entry.seen) == (sha256[:16], "open", key, 1)
    assert (entry.reason, entry.announced, entry.source) == (reason["reason"], False, "incoming/toy/bad.csv")
    record = stack.ledger.version("incoming/toy/bad.csv", version)
    assert (record.state, record.target, record.quarantine_id) == ("quarantined", key, entry.id)
    assert stack.store.keys("incoming/") == stack.store.keys("accepted/") == stack.ledger.data("toy") == []
    assert len(stack.wakes()) == 1, "so that people are told"


def test_the_same_bad_bytes_again_are_one_entry_that_counts(stack, clock):
    push(stack.store, "incoming/toy/bad.csv", "nothing")
    stack.ledger.announce_entry("toy", hashlib.sha256(b"nothing").hexdigest()[:16])
    clock.at += 60
    push(stack.store, "incoming/toy/worse.csv", "nothing")
    (entry,) = stack.ledger.quarantine_entries("toy")
    assert (entry.seen, entry.announced, entry.name) == (2, True, "bad.csv")
    assert (entry.at, entry.last_at) == (clock.at - 60, clock.at)
    assert len(stack.store.keys("quarantine/")) == 2
    assert _state(stack.ledger, "incoming/toy/worse.csv") == "quarantined"


def test_an_entry_that_was_discarded_opens_again_when_its_bytes_come_again(stack):
    push(stack.store, "incoming/toy/bad.csv", "nothing")
    (entry,) = stack.ledger.quarantine_entries("toy")
    stack.ledger.announce_entry("toy", entry.id)
    stack.ledger.transition_entry("toy", entry.id, ["open"], "discarded", by="ann")
    push(stack.store, "incoming/toy/bad.csv", "nothing")
    (again,) = stack.ledger.quarantine_entries("toy")
    assert (again.state, again.seen, again.announced, again.by) == ("open", 2, False, None)


def test_bytes_in_quarantine_that_a_new_contract_takes_close_their_entry(stack):
    rows = [line.replace(",a,", ",new,") for line in lines(30)]
    push(stack.store, "incoming/toy/a.csv", text(rows))
    assert [entry.state for entry in stack.ledger.quarantine_entries("toy")] == ["open"]
    spec = declare().to_dict()
    spec["features"]["kind"]["values"] = ["a", "b", "c", "new"]
    stack.store.put("specs/toy.json", json.dumps(spec), ARTIFACTS)
    push(stack.store, "incoming/toy/a.csv", text(rows))
    assert [entry.state for entry in stack.ledger.quarantine_entries("toy")] == ["accepted"]
    assert [record.rows for record in stack.ledger.data("toy")] == [30]


def test_a_few_bad_rows_are_left_out_and_kept_beside(stack, capsys, caplog):
    stack.store.put("specs/toy.json", declare(contract={"max_bad_share": 0.2}).to_json(), ARTIFACTS)
    rows = lines(30)
    rows[3] = rows[3].replace("2024-01-01T03:00:00", "secret-value")
    push(stack.store, "incoming/toy/a.csv", text(rows))
    (data,) = stack.ledger.data("toy")
    assert (data.rows, data.dropped) == (29, 1)
    sha256 = hashlib.sha256(text(rows).encode()).hexdigest()
    assert data.rejected_key == f"rejected/toy/{sha256[:16]}-a.csv.csv"
    assert b"secret-value" in stack.store.get(data.rejected_key)
    assert "secret-value" not in _logged(caplog)
    (found,) = emitted(capsys.readouterr().out)
    assert (found["RowsAccepted"], found["RowsDropped"]) == ([29.0], [1.0])


def test_rows_to_be_forgotten_are_left_out_also_of_files_that_come_later(stack):
    push(stack.store, "incoming/toy/first.csv", text(lines(10, first_hour=90)))
    conditions = {"at": digest("2024-01-01 05:00:00")}
    stack.ledger.record_forget(ForgetRecord(model="toy", id="one", conditions=conditions))
    push(stack.store, "incoming/toy/a.csv", GOOD)
    found = {record.source: record for record in stack.ledger.data("toy")}
    assert [found[f"incoming/toy/{n}.csv"].forgotten for n in ("first", "a")] == [0, 1]
    assert found["incoming/toy/a.csv"].rows == 29


def test_of_a_file_with_nothing_but_rows_to_be_forgotten_no_copy_is_kept(stack):
    for value in ("true", "false"):
        conditions = {"heavy": digest(value)}
        stack.ledger.record_forget(ForgetRecord(model="toy", id=value, conditions=conditions))
    assert push(stack.store, "incoming/toy/a.csv", GOOD)[1] == []
    (data,) = stack.ledger.data("toy")
    assert (data.state, data.key, data.rows, data.forgotten) == ("forgotten", "", 0, 30)
    (record,) = stack.ledger.object("incoming/toy/a.csv")
    assert (record.state, record.reason) == ("accepted", "all its rows are to be forgotten")
    assert stack.store.keys() == []
    assert push(stack.store, "incoming/toy/b.csv", GOOD)[1] == []
    assert _state(stack.ledger, "incoming/toy/b.csv") == "duplicate"


def test_a_bad_file_does_not_stop_a_good_one(stack):
    keys = ["incoming/toy/bad.csv", "incoming/toy/good.csv"]
    versions = [stack.store.put(key, body) for key, body in zip(keys, ["nothing", GOOD], strict=True)]
    assert deliver(*(message(key, versions[i], i) for i, key in enumerate(keys))) == []
    assert [_state(stack.ledger, key) for key in keys] == ["quarantined", "accepted"]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (
            "incoming/typo/a.csv",
            "no model 'typo' in this stack; upload files to incoming/<model>/, models here: folders, other",
        ),
        ("incoming/TOY/a.csv", "no model 'TOY' in this stack"),
        ("incoming/a.csv", "no model named; upload files to incoming/<model>/"),
    ],
)
def test_a_file_of_an_unknown_model_is_quarantined(stack, key, words):
    assert push(stack.store, key, GOOD)[1] == []
    (entry,) = stack.ledger.quarantine_entries("no-model")
    assert entry.key == f"quarantine/no-model/{RAW[:16]}-a.csv"
    assert stack.store.get(entry.key) == GOOD.encode()
    assert words in entry.reason
    assert stack.store.keys("incoming/") == []
    assert stack.wakes() == []


def test_a_file_too_large_is_quarantined_without_being_fetched(stack, monkeypatch):
    monkeypatch.setattr(sorting, "_UNIT_BYTES", 0)
    version, _ = push(stack.store, "incoming/toy/large.csv", GOOD)
    (entry,) = stack.ledger.quarantine_entries("toy")
    assert "at most 0 are taken (contract.max_file_mb); split it" in entry.reason
    assert entry.sha256 is None
    etag = hashlib.md5(GOOD.encode()).hexdigest()
    assert entry.id == hashlib.sha256(f'"{etag}"-{len(GOOD)}'.encode()).hexdigest()[:16]
    assert stack.store.get(entry.key) == GOOD.encode()
    assert stack.ledger.version("incoming/toy/large.csv", version).quarantine_id == entry.id


def test_a_large_file_waits_without_an_open_stream_and_ends_like_others(stack, monkeypatch):
    monkeypatch.setattr(sorting, "LARGE_BYTES", 10)
    keys = ["incoming/toy/a.csv", "incoming/toy/b.csv", "incoming/toy/bad.csv", "incoming/typo/a.csv"]
    bodies = [GOOD, text(lines(30, seed=7)), "nothing but text", "nothing here either"]
    versions = [stack.store.put(key, body) for key, body in zip(keys, bodies, strict=True)]
    assert deliver(*(message(key, versions[i], i) for i, key in enumerate(keys))) == []
    assert [_state(stack.ledger, key) for key in keys] == [
        "accepted", "accepted", "quarantined", "quarantined",
    ]  # fmt: skip


def test_a_large_file_that_waited_too_long_goes_back(stack, monkeypatch):
    monkeypatch.setattr(sorting, "LARGE_BYTES", 10)
    version = stack.store.put("incoming/toy/a.csv", GOOD)
    left = iter([600, 600, 1])
    context = SimpleNamespace(**{**vars(CONTEXT), "get_remaining_time_in_millis": lambda: next(left) * 1000})
    one = message("incoming/toy/a.csv", version)
    assert handler.handler({"Records": [one]}, context) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert deliver(one) == []
    assert _state(stack.ledger, "incoming/toy/a.csv") == "accepted"


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("incoming/toy/", ""),
        ("incoming/toy/day/", ""),
        ("incoming/toy/day/_SUCCESS", ""),
        ("incoming/toy/_committed_77", "{}"),
        ("incoming/toy/.part-0.csv.crc", "x"),
        ("incoming/unknown/_SUCCESS", ""),
    ],
)
def test_what_writers_leave_beside_their_data_is_ignored_and_taken_away(stack, key, body):
    assert push(stack.store, key, body)[1] == []
    assert _state(stack.ledger, key) == "ignored"
    assert stack.store.keys() == []


def test_a_folder_a_writer_still_works_in_is_left_alone(stack):
    key = "incoming/toy/_temporary/0/part-0.csv"
    version, _ = push(stack.store, key, GOOD)
    assert deliver(message(key, version)) == []
    assert _state(stack.ledger, key) == "ignored"
    assert stack.store.keys() == [key]


def test_a_manifest_becomes_the_delivery_of_its_folder(stack, clock):
    push(stack.store, "incoming/folders/day1/a.csv", GOOD)
    first = clock.at
    (record,) = stack.ledger.deliveries("folders")
    assert (record.folder, record.files, record.first_at) == ("day1", None, first)
    clock.at += 10
    body = json.dumps({"files": [{"name": "a.csv", "sha256": RAW}, {"name": "deep/b.csv", "size": 4}]})
    push(stack.store, "incoming/folders/day1/_MANIFEST.json", body)
    (record,) = stack.ledger.deliveries("folders")
    assert record.files == [{"name": "a.csv", "sha256": RAW}, {"name": "deep/b.csv", "size": 4}]
    assert (record.state, record.first_at) == ("open", first)
    assert _state(stack.ledger, "incoming/folders/day1/_MANIFEST.json") == "accepted"
    assert [data.delivery for data in stack.ledger.data("folders")] == ["day1"]
    assert stack.store.keys("incoming/") == []


def test_a_manifest_that_says_nothing_clear_is_quarantined(stack):
    push(stack.store, "incoming/folders/day1/_MANIFEST.json", '{"entries": []}')
    (entry,) = stack.ledger.quarantine_entries("folders")
    assert "_MANIFEST.json: no list of files; expected" in entry.reason
    assert [record.files for record in stack.ledger.deliveries("folders")] == [None]


def test_a_manifest_is_ignored_where_deliveries_have_none(stack):
    push(stack.store, "incoming/toy/_MANIFEST.json", '["a.csv"]')
    assert _state(stack.ledger, "incoming/toy/_MANIFEST.json") == "ignored"
    assert stack.ledger.deliveries("toy") == []


def test_an_unexpected_error_sends_back_that_message_alone(stack, monkeypatch):
    keys = ["incoming/toy/a.csv", "incoming/toy/b.csv"]
    versions = [stack.store.put(key, text(lines(20, first_hour=30 * i))) for i, key in enumerate(keys)]
    original = check.check_file

    def failing(path, spec, **options):
        if b"2024-01-01T00" in path.read_bytes():
            raise OSError("disk")
        return original(path, spec, **options)

    with monkeypatch.context() as broken:
        broken.setattr(check, "check_file", failing)
        assert deliver(*(message(key, versions[i], str(i)) for i, key in enumerate(keys))) == ["0"]
    assert stack.store.keys("incoming/") == ["incoming/toy/a.csv"]
    assert [_state(stack.ledger, key) for key in keys] == ["claimed", "accepted"]
    assert deliver(message(keys[0], versions[0], "another")) == [], "the claim was given back"
    assert _state(stack.ledger, keys[0]) == "accepted"


def test_a_message_that_fails_for_the_last_time_leaves_a_dead_record_without_data(stack, monkeypatch, caplog):
    version = stack.store.put("incoming/toy/a.csv", GOOD)

    def failing(*_, **__):
        raise ValueError("could not convert 'secret-value'")

    with monkeypatch.context() as broken:
        broken.setattr(check, "check_file", failing)
        for receive in (1, 2, 3):
            assert deliver(message("incoming/toy/a.csv", version, receives=receive)) == ["1"]
    record = stack.ledger.version("incoming/toy/a.csv", version)
    assert (record.state, record.reason) == ("dead", "ValueError")
    assert stack.store.keys("incoming/") == ["incoming/toy/a.csv"], "nothing is lost"
    assert "secret-value" not in _logged(caplog)
    assert deliver(message("incoming/toy/a.csv", version, "replayed")) == []
    assert stack.ledger.version("incoming/toy/a.csv", version).state == "accepted"


def test_a_spec_that_cannot_be_used_is_named_in_the_dead_record(stack):
    stack.store.put("specs/toy.json", "{}", ARTIFACTS)
    version = stack.store.put("incoming/toy/a.csv", GOOD)
    assert deliver(message("incoming/toy/a.csv", version, receives=3)) == ["1"]
    record = stack.ledger.version("incoming/toy/a.csv", version)
    assert record.state == "dead"
    assert "specs/toy.json" in record.reason


def test_a_claim_ends_with_the_functions_time(stack, clock, monkeypatch):
    version = stack.store.put("incoming/toy/a.csv", GOOD)
    _kill_during_the_check(monkeypatch, message("incoming/toy/a.csv", version, "killed"), seconds=60)
    clock.at += 59
    assert deliver(message("incoming/toy/a.csv", version, "other")) == []
    assert _state(stack.ledger, "incoming/toy/a.csv") == "claimed", "the other message's function may live"
    clock.at += 1
    assert deliver(message("incoming/toy/a.csv", version, "other")) == []
    assert _state(stack.ledger, "incoming/toy/a.csv") == "accepted"


def test_a_remaining_time_of_zero_is_a_claim_that_has_ended_not_one_without_an_end(stack):
    version = stack.store.put("incoming/toy/a.csv", GOOD)
    assert deliver(message("incoming/toy/a.csv", version, "late"), seconds=0) == ["late"]
    (record,) = stack.ledger.object("incoming/toy/a.csv")
    assert record.claimed_until <= stack.ledger.now()
    assert deliver(message("incoming/toy/a.csv", version, "other")) == []
    assert _state(stack.ledger, "incoming/toy/a.csv") == "accepted"


def test_a_negative_remaining_time_is_none_left(stack):
    version = stack.store.put("incoming/toy/a.csv", GOOD)
    assert deliver(message("incoming/toy/a.csv", version), seconds=-3) == ["1"]
    assert deliver(message("incoming/toy/a.csv", version, "other")) == []


def test_a_file_that_kills_the_function_again_and_again_is_given_up(stack, clock, monkeypatch):
    version = stack.store.put("incoming/toy/a.csv", GOOD)
    for number in range(handler.MAX_CRASHES):
        _kill_during_the_check(monkeypatch, message("incoming/toy/a.csv", version, str(number)))
        clock.at += 901
    assert deliver(message("incoming/toy/a.csv", version, "last")) == ["last"]
    record = stack.ledger.version("incoming/toy/a.csv", version)
    assert record.state == "dead"
    assert "the function ended 4 times while it worked on this file" in record.reason


class _Killed(BaseException):
    pass


def _kill_during_the_check(monkeypatch, one, seconds=600):
    def killed(*_, **__):
        raise _Killed

    with monkeypatch.context() as broken:
        broken.setattr(check, "check_file", killed)
        with pytest.raises(_Killed):
            deliver(one, seconds=seconds)


def test_a_wake_that_could_not_be_sent_brings_the_messages_back_and_is_sent_then(stack, monkeypatch):
    version = stack.store.put("incoming/toy/a.csv", GOOD)
    with monkeypatch.context() as broken:
        broken.setenv("DISPATCH_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/none")
        assert deliver(message("incoming/toy/a.csv", version)) == ["1"]
    assert _state(stack.ledger, "incoming/toy/a.csv") == "accepted"
    assert deliver(message("incoming/toy/a.csv", version)) == []
    assert [body["model"] for body, _ in stack.wakes()] == ["toy"]


@pytest.mark.parametrize(
    "changes",
    [
        {"account": "999999999999"},
        {"source": "me"},
        {"detail": {"bucket": {"name": ARTIFACTS}, "object": {"key": "incoming/toy/a.csv"}}},
    ],
)
def test_a_forged_event_is_refused_and_touches_nothing(stack, changes):
    version = stack.store.put("incoming/toy/a.csv", GOOD)
    assert deliver(message("incoming/toy/a.csv", version, 7, **changes)) == ["7"]
    assert stack.store.keys() == ["incoming/toy/a.csv"]
    assert stack.ledger.objects("toy") == []


def test_every_call_of_s3_names_the_account_that_must_own_the_bucket(stack):
    calls = []

    def note(params, model, **_):
        calls.append((model.name, params.get("ExpectedBucketOwner")))

    _in_every_way(stack, note, "s3")
    assert {"GetObject", "PutObject", "CopyObject", "DeleteObject", "HeadObject"} <= {
        name for name, _ in calls
    }
    assert {owner for _, owner in calls} == {ACCOUNT}


def test_reads_of_the_ledger_are_strongly_consistent(stack):
    reads = []

    def note(params, model, **_):
        if model.name in ("GetItem", "Query"):
            reads.append(params["ConsistentRead"])
        if model.name == "BatchGetItem":
            reads.extend(one["ConsistentRead"] for one in params["RequestItems"].values())

    _in_every_way(stack, note, "dynamodb")
    assert reads
    assert all(reads)


def _in_every_way(stack, note, service):
    stack.ledger.record_forget(ForgetRecord(model="toy", id="f", conditions={"place": digest("nowhere")}))
    bodies = {
        "incoming/toy/good.csv": GOOD,
        "incoming/toy/good.csv.gz": gzip.compress(GOOD.encode()),
        "incoming/toy/good again.csv": GOOD,
        "incoming/toy/bad.csv": "nothing",
        "incoming/typo/a.csv": "nothing",
    }
    versions = {key: stack.store.put(key, body) for key, body in bodies.items()}
    client(service).meta.events.register("provide-client-params", note)
    for key, version in versions.items():
        assert deliver(message(key, version, key)) == []
    assert deliver(message("incoming/toy/nowhere.csv"), message("incoming/toy/good.csv", "v", 2)) == []
    client(service).meta.events.unregister("provide-client-params", note)


def test_what_happened_is_counted_per_model(stack, capsys):
    keys = ["incoming/toy/bad.csv", "incoming/toy/good.csv"]
    versions = [stack.store.put(key, body) for key, body in zip(keys, ["", GOOD], strict=True)]
    deliver(*(message(key, versions[i], i) for i, key in enumerate(keys)))
    (found,) = emitted(capsys.readouterr().out)
    assert found["dimensions"] == [["Stack", "Model"]]
    assert (found["Stack"], found["Model"]) == (PREFIX, "toy")
    assert (found["FilesAccepted"], found["FilesQuarantined"], found["RowsAccepted"]) == (
        [1.0],
        [1.0],
        [30.0],
    )


def test_a_function_without_its_variables_says_which(store, monkeypatch):
    monkeypatch.delenv("DATA_BUCKET")
    monkeypatch.setenv("PREFIX", "")
    with pytest.raises(KeyError, match="not set: DATA_BUCKET, PREFIX"):
        handler.handler({"Records": []}, CONTEXT)


def test_a_batch_without_messages_is_done(stack):
    assert deliver() == []


def _logged(caplog):
    return "\n".join(str(vars(record)) for record in caplog.records)


def test_the_log_names_rules_and_no_row(stack, caplog):
    caplog.set_level("INFO")
    push(stack.store, "incoming/toy/bad.csv", text([line + "secret-value" for line in lines(30)]))
    assert "'rules': [" in _logged(caplog)
    assert "secret-value" not in _logged(caplog)
