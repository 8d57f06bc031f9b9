import json
import tempfile
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from tests.training.lambdas import DATA
from tests.upkeep.stand import flights
from tests.upkeep.test_rows import SPEC
from training.contract.check import check_file
from training.ledger.records import CLAIMED, FORGOTTEN, DataRecord, ObjectRecord
from upkeep import forget
from upkeep.errors import UpkeepError
from upkeep.forget import Forgetting
from upkeep.ledger import ERASED

ANNA, BERT = flights(6, 1, "UA", "anna"), flights(4, 2, "AA", "bert")
BOTH = ANNA + BERT.partition("\n")[2]


class Crash(BaseException):
    """The process is gone."""


def request(stand, where=("customer=anna",), **changes):
    values = forget.conditions(where)
    return Forgetting(stand.context, stand.ledger, stand.model, stand.spec, values, **changes)


def done(stand, where=("customer=anna",), **options):
    return request(stand, where).carry_out("me", **options)


def rows(stand, key):
    """The rows of an accepted object."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        path.write_bytes(stand.body(key))
        return duckdb.connect().execute(f"SELECT * FROM read_parquet('{path}')").fetchall()


def customers(stand):
    """Who is left in the accepted data, with how many rows."""
    found = {}
    for key in {one.key for one in stand.ledger.data("flights") if one.state != FORGOTTEN}:
        for row in rows(stand, key):
            found[row[-1]] = found.get(row[-1], 0) + 1
    return found


def test_conditions_are_columns_and_values():
    assert forget.conditions(["customer=a=b", "night=true"]) == {"customer": "a=b", "night": "true"}


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (["customer"], "found 'customer', expected COLUMN=VALUE"),
        (["=x"], "found '=x'"),
        (["a=1", "a=2"], "named twice"),
    ],
)
def test_a_condition_that_means_nothing_is_refused(where, said):
    with pytest.raises(UpkeepError, match=said):
        forget.conditions(where)


def test_a_value_that_is_none_of_its_columns_type_is_refused(stand):
    with pytest.raises(UpkeepError, match="column distance: found 'far', expected a number"):
        request(stand, ["distance=far"])


def test_looking_counts_per_object_and_changes_nothing(stand):
    stand.arrive("both.csv", BOTH)
    stand.arrive("bert.csv", BERT)
    before = stand.versions("")
    looked = request(stand).look()
    assert [(m.matching, m.rows) for m in looked.matches] == [(6, 10)]
    assert (looked.matching, looked.rows, looked.trained) == (6, 14, ())
    assert stand.versions("") == before
    assert stand.ledger.forgets("flights") == []


def test_a_column_no_file_has_is_named_with_those_there_are(stand):
    stand.arrive("both.csv", BOTH)
    with pytest.raises(
        UpkeepError, match=r"no file of model flights has a column client; columns: .*customer"
    ):
        request(stand, ["client=anna"]).look()


def test_a_request_that_has_begun_goes_on_though_the_last_file_with_the_column_is_gone(stand):
    stand.arrive("anna.csv", ANNA)
    done(stand)
    assert request(stand).look().resumed


def test_the_rows_are_gone_and_the_others_stay_in_their_order(stand):
    stand.arrive("both.csv", BOTH)
    (old,) = stand.ledger.data("flights")
    result = done(stand)
    (new,) = stand.ledger.data("flights")
    assert (result.rows, new.rows, new.forgotten) == (6, 4, 6)
    assert customers(stand) == {"bert": 4}
    assert new.key != old.key
    assert (new.first, new.last) == ("2013-01-02T00:00:00", "2013-01-02T03:00:00")


def test_no_version_of_the_old_object_is_left(stand):
    stand.arrive("both.csv", BOTH)
    (old,) = stand.ledger.data("flights")
    stand.put(old.key, "another version")
    done(stand)
    assert stand.versions(old.key) == []


def test_the_new_object_is_the_one_the_intake_would_have_made(stand):
    stand.arrive("both.csv", BOTH)
    done(stand)
    (record,) = stand.ledger.data("flights")
    stand.arrive("again.csv", BOTH + "\n")
    assert {one.key for one in stand.ledger.data("flights")} == {record.key}


def test_the_request_is_kept_as_digests_only(stand):
    stand.arrive("both.csv", BOTH)
    done(stand)
    (kept,) = stand.ledger.forgets("flights")
    assert list(kept.conditions) == ["customer"]
    assert (kept.rows, kept.objects, kept.by) == (6, 1, "me")
    items = stand.context.client("dynamodb").scan(TableName=stand.ledger._table)["Items"]
    assert "anna" not in json.dumps(items, default=str)


def test_rows_that_arrive_later_are_left_out_by_the_intake(stand):
    stand.arrive("bert.csv", BERT)
    done(stand)
    stand.arrive("both.csv", BOTH)
    assert customers(stand) == {"bert": 4}  # the rows of both files are the same object


def test_an_object_without_any_row_left_is_no_data_any_more(stand):
    stand.arrive("anna.csv", ANNA)
    result = done(stand)
    (record,) = stand.ledger.data("flights")
    assert (record.state, record.rows, record.key) == (FORGOTTEN, 0, "")
    assert result.replaced[0].new_key == ""
    assert stand.keys("accepted/") == []


def test_all_conditions_must_match(stand):
    stand.arrive("both.csv", BOTH)
    result = done(stand, ["customer=anna", "distance=1002"])
    assert result.rows == 1
    assert customers(stand) == {"anna": 5, "bert": 4}


def test_a_number_is_compared_as_a_number_and_a_time_as_a_time(stand):
    stand.arrive("both.csv", BOTH)
    assert done(stand, ["distance=1e3", "departure=2013-01-01T00:00:00Z"]).rows == 1


def test_contents_that_became_one_object_change_together(stand):
    stand.arrive("a.csv", BOTH)
    stand.arrive("b.csv", BOTH.replace("\n", "\r\n"))
    done(stand)
    records = stand.ledger.data("flights")
    assert len(records) == 2
    assert len({record.key for record in records}) == 1
    assert [record.forgotten for record in records] == [6, 6]


def test_nothing_to_forget_leaves_the_request_for_later_files_and_wakes_nobody(stand):
    stand.arrive("bert.csv", BERT)
    stand.wakes()
    assert done(stand).rows == 0
    assert len(stand.ledger.forgets("flights")) == 1
    assert stand.wakes() == []


def test_a_new_run_is_due_and_the_dispatcher_is_told(stand):
    stand.arrive("both.csv", BOTH)
    stand.wakes()
    done(stand)
    assert {"model": "flights", "why": "arrival"} in stand.wakes()


def test_runs_and_served_models_trained_on_the_rows_are_named(stand):
    stand.arrive("both.csv", BOTH)
    first = stand.train()
    stand.arrive("bert.csv", BERT)
    second = stand.train()
    result = done(stand)
    assert [(t.run_id, t.version, t.serves) for t in result.trained] == [
        (second.run_id, 2, True),
        (first.run_id, 1, False),
    ]


def test_runs_on_what_an_object_was_before_another_request_are_named_too(stand):
    stand.arrive("both.csv", BOTH)
    run = stand.train()
    done(stand, ["customer=anna", "distance=1000"])
    assert [one.run_id for one in request(stand).look().trained] == [run.run_id]


def test_dropped_rows_are_gone_through_as_well(stand):
    stand.contract(max_bad_share=0.5)
    stand.arrive("both.csv", BOTH.replace("true", "perhaps", 2))
    (record,) = stand.ledger.data("flights")
    assert b"anna" in stand.body(record.rejected_key)
    result = done(stand)
    assert [(one.kind, one.matching, one.action) for one in result.beside] == [("rejected", 2, "removed")]
    assert stand.versions(record.rejected_key) == []


def test_dropped_rows_of_others_stay(stand):
    stand.contract(max_bad_share=0.5)
    stand.arrive(
        "both.csv",
        BOTH.replace("true", "perhaps", 2).replace(
            "2013-01-02T01:00:00,AA,1001,true", "2013-01-02T01:00:00,AA,1001,x"
        ),
    )
    (record,) = stand.ledger.data("flights")
    done(stand)
    assert b"bert" in stand.body(record.rejected_key)
    assert b"anna" not in stand.body(record.rejected_key)
    assert len(stand.versions(record.rejected_key)) == 1


def test_refused_files_are_named_and_their_entries_show_no_such_row_any_more(stand):
    stand.arrive("bad.csv", BOTH.replace("true", "perhaps"))
    result = done(stand)
    (entry,) = stand.ledger.quarantine_entries("flights")
    (found,) = result.beside
    assert (found.kind, found.matching, found.action, found.quarantine_id) == (
        "quarantine",
        6,
        "left",
        entry.id,
    )
    assert found.sampled == 6
    assert "anna" not in json.dumps([entry.sample, entry.findings, entry.reason])
    assert b"anna" not in stand.body(entry.key + ".reason.json")
    assert len(stand.versions(entry.key + ".reason.json")) == 1


def test_refused_files_are_deleted_for_good_when_that_is_wanted(stand):
    stand.arrive("bad.csv", BOTH.replace("true", "perhaps"))
    result = done(stand, discard_quarantined=True)
    (entry,) = stand.ledger.quarantine_entries("flights")
    assert ([one.action for one in result.beside], entry.state) == (["discarded"], "discarded")
    assert stand.versions("quarantine/") == []


def test_a_file_nobody_can_read_is_reported_when_it_may_hold_the_value(stand):
    stand.arrive("bad.csv", "customer;age\nanna;7\n")
    result = done(stand)
    assert [(one.matching, one.action) for one in result.beside] == [(None, "left")]
    assert result.exit_code == 1


def test_an_unreadable_file_without_the_value_is_none_of_its_business(stand):
    stand.arrive("bad.csv", "customer;age\nbert;7\n")
    assert done(stand).beside == ()


SEED_KEY = "accepted/flights/0123456789abcdef-seed.csv"


@pytest.fixture
def seeded(stand):
    """The stack's own seed, as Pulumi uploads and records it."""
    stand.put(SEED_KEY, BOTH)
    seed = DataRecord(model="flights", raw_sha256="0" * 64, key=SEED_KEY, rows=10)
    stand.ledger.record_data(seed)
    return stand


def test_the_seed_becomes_an_object_without_the_rows_and_its_file_stays(seeded):
    result = done(seeded)
    (record,) = seeded.ledger.data("flights")
    assert record.key.endswith(".parquet")
    assert (record.rows, record.forgotten, result.seed) == (4, 6, True)
    assert SEED_KEY in seeded.keys("accepted/")
    assert result.to_json()["served_models"] == [0]


def test_a_seed_without_any_row_left_is_no_data_any_more(seeded):
    seeded.put(SEED_KEY, ANNA)
    done(seeded)
    (record,) = seeded.ledger.data("flights")
    assert (record.state, record.key) == (FORGOTTEN, "")


def test_what_is_left_of_a_seed_may_have_one_label_only(seeded):
    seeded.put(SEED_KEY, ANNA + "2013-01-02T00:00:00,AA,1000,true,1,bert\n")
    done(seeded)
    assert seeded.ledger.data("flights")[0].rows == 1


def test_the_seed_is_warned_of_again_when_the_command_is_repeated(seeded):
    done(seeded)
    assert request(seeded).look().seed


class Counting:
    """Clients whose n-th call from now on ends the process, after the call was carried out or before it."""

    def __init__(self, stand, crash_at, *, after):
        self.stand, self.crash_at, self.after, self.count = stand, crash_at, after, 0

    def client(self, service):
        return _Wrapped(self, self.stand.context.client(service))


class _Wrapped:
    def __init__(self, counting, client):
        self._counting, self._client = counting, client
        self.exceptions = client.exceptions if hasattr(client, "exceptions") else None

    def __getattr__(self, name):
        found = getattr(self._client, name)
        if not callable(found) or name == "get_paginator":
            return found

        def call(*given, **named):
            self._counting.count += 1
            at_the_end = self._counting.count == self._counting.crash_at
            if at_the_end and not self._counting.after:
                raise Crash
            answer = found(*given, **named)
            if at_the_end:
                raise Crash
            return answer

        return call


WRITES_AT_MOST = 60


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_wherever_it_is_cut_off_the_same_command_brings_it_to_the_same_end(stand, monkeypatch, after):
    """One stack, cut off at the first call, then at the second, and so on, each time further than before."""
    stand.contract(max_bad_share=0.5)
    stand.arrive("both.csv", BOTH.replace("true", "perhaps", 1))
    stand.arrive("anna.csv", ANNA)
    stand.arrive("bad.csv", ANNA.replace("true", "perhaps"))
    for crash_at in range(1, WRITES_AT_MOST):
        counting = Counting(stand, crash_at, after=after)
        there = stand.context
        context = type(there)({}, **stand.outputs)
        monkeypatch.setattr(context, "client", counting.client)
        ledger = type(stand.ledger)(counting.client("dynamodb"), stand.ledger._table)
        work = Forgetting(context, ledger, stand.model, stand.spec, {"customer": "anna"})
        try:
            work.carry_out("me", discard_quarantined=True)
        except Crash:
            continue
        break
    else:
        pytest.fail("it never came to its end")
    done(stand, discard_quarantined=True)
    assert customers(stand) == {"bert": 4}
    everything = [
        stand.s3.get_object(Bucket=DATA, Key=v["Key"], VersionId=v["VersionId"])["Body"].read()
        for v in stand.s3.list_object_versions(Bucket=DATA).get("Versions", [])
    ]
    assert not [body for body in everything if b"anna" in body]
    assert {one.state for one in stand.ledger.replacements("flights")} == {ERASED}
    (kept,) = stand.ledger.forgets("flights")
    assert kept.rows == sum(one.rows for one in stand.ledger.replacements("flights"))


def test_a_check_that_began_before_the_request_is_waited_for(stand):
    key = "incoming/flights/late.csv"
    claim = ObjectRecord.of(key, "v1", owner="message", claimed_until=stand.clock.at + 30)
    stand.ledger.claim(claim)

    def sleep(seconds):
        """The intake, which knows nothing of the request, ends its work meanwhile."""
        stand.clock.at += seconds
        if stand.ledger.at(key, "v1").state == CLAIMED:
            stand.put("accepted/flights/late.parquet", _parquet(BOTH))
            content = DataRecord(model="flights", raw_sha256="1" * 64, key="accepted/flights/late.parquet")
            stand.ledger.record_data(replace(content, rows=10))
            stand.ledger.settle(replace(claim, state="accepted"))

    request(stand, sleep=sleep).carry_out("me")
    assert customers(stand) == {"bert": 4}


def test_a_claim_that_runs_out_is_waited_for_no_longer(stand):
    stand.ledger.claim(
        ObjectRecord.of("incoming/flights/x.csv", "v1", owner="dead", claimed_until=stand.clock.at + 30)
    )
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        stand.clock.at += seconds

    request(stand, sleep=sleep).carry_out("me")
    assert 30 <= sum(waited) <= 34


def test_an_accepted_object_that_somebody_deleted_is_named(stand):
    stand.arrive("both.csv", BOTH)
    (record,) = stand.ledger.data("flights")
    stand.s3.delete_object(Bucket=DATA, Key=record.key, VersionId=record.version_id)
    with pytest.raises(UpkeepError, match="the ledger lists it as accepted, but it is not there"):
        request(stand).look()


def _parquet(text):
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "a.csv", Path(folder) / "a.parquet"
        source.write_text(text)
        assert check_file(source, SPEC, accept_to=target).ok
        return target.read_bytes()
