"""A data version is what is accepted, within the window; however often it is written, it is the same."""

import dataclasses
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.lambdas import ACCOUNT, DATA
from training import versions
from training.ledger.records import FORGOTTEN, DataRecord
from training.manifest import Manifest

DAY_ONE = datetime(2026, 2, 27, tzinfo=UTC)


def accepted(name, days=(0, 1), rows=10, **values):
    """A file whose rows lie between two days."""
    first, last = ((DAY_ONE + timedelta(days=day)).isoformat() for day in days)
    known = {"rows": rows, "first": first, "last": last, "accepted_at": 1000.0, "contract": "c1"}
    return DataRecord(
        model="toy", raw_sha256=f"raw-{name}", key=f"accepted/toy/{name}.parquet", **(known | values)
    )


def chosen(window, *records):
    return [
        record.key[len("accepted/toy/") : -len(".parquet")] for record in select(window, *records).records
    ]


def select(window, *records):
    return versions.select("toy", DATA, window, records)


# A file is a list of rows, a row an hour; equal hours are equal rows.
files = st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=8, unique=True), min_size=1, max_size=7)


def as_records(files):
    return [
        accepted(str(n), days=(min(rows) / 24, max(rows) / 24), rows=len(rows))
        for n, rows in enumerate(files)
    ]


@given(files, st.integers(1, 40))
def test_the_newest_rows_are_never_in_a_file_left_out(files, rows):
    taken = {int(name) for name in chosen(f"{rows} rows", *as_records(files))}
    newest = sorted({row for one in files for row in one}, reverse=True)[:rows]
    held = {row for n in taken for row in files[n]}
    assert set(newest) <= held


@given(files, st.integers(1, 40))
def test_no_file_is_taken_whose_rows_are_all_older_than_enough_rows_of_files_that_follow_it(files, rows):
    taken = {int(name) for name in chosen(f"{rows} rows", *as_records(files))}
    for n in taken:
        newer = [one for one in files if min(one) > max(files[n])]
        assert max((len(one) for one in newer), default=0) < rows


@given(files, st.integers(1, 3))
def test_days_leave_out_only_files_that_end_before(files, days):
    taken = {int(name) for name in chosen(f"{days} days", *as_records(files))}
    since = max(row for one in files for row in one) - 24 * days
    assert taken == {n for n, rows in enumerate(files) if max(rows) >= since}


@given(files, st.sampled_from(["all", "2 days", "5 rows"]), st.randoms())
def test_the_order_of_arrival_does_not_matter(files, window, source):
    records = as_records(files)
    shuffled = list(records)
    source.shuffle(shuffled)
    assert select(window, *records).document() == select(window, *shuffled).document()


def test_all_takes_everything_but_what_is_forgotten():
    assert chosen("all", accepted("a"), accepted("b", state=FORGOTTEN), accepted("c")) == ["a", "c"]


def test_rows_take_the_fewest_newest_files():
    months = [accepted(str(n), days=(n * 30, n * 30 + 29), rows=100) for n in range(5)]
    assert chosen("100 rows", *months) == ["4"]
    assert chosen("101 rows", *months) == ["3", "4"]
    assert chosen("9999 rows", *months) == ["0", "1", "2", "3", "4"]


def test_files_that_may_repeat_each_others_rows_count_once():
    old, first, again = accepted("old", (0, 1)), accepted("first", (2, 4)), accepted("again", (3, 5))
    assert chosen("15 rows", old, first, again) == ["again", "first", "old"]
    assert chosen("10 rows", old, first, again) == ["again", "first"]


def test_a_file_without_times_may_hold_any_row():
    unknown = accepted("unknown", first=None, last=None)
    assert chosen("5 rows", accepted("new", (9, 10)), accepted("old"), unknown) == ["new", "unknown"]
    assert chosen("1 days", accepted("new", (9, 10)), accepted("old"), unknown) == ["new", "unknown"]
    assert chosen("1 days", unknown) == ["unknown"]
    assert select("all", unknown).document()["window"] == {"setting": "all", "from": None, "to": None}


def test_days_are_counted_back_from_the_newest_row_over_leap_days_and_months():
    leap = datetime(2028, 3, 1, tzinfo=UTC)
    newest = accepted("newest", first=leap.isoformat(), last=leap.isoformat())
    on_leap_day = accepted("leap", first="2028-02-29T00:00:00", last="2028-02-29T00:00:00")
    before = accepted("before", first="2028-02-01T00:00:00+00:00", last="2028-02-28T23:59:59.999999+00:00")
    assert chosen("1 days", newest, on_leap_day, before) == ["leap", "newest"]


def test_the_same_rows_in_other_bytes_are_one_file():
    twice = select(
        "all", accepted("a", accepted_at=5.0), replace(accepted("a"), raw_sha256="z", accepted_at=9.0)
    )
    assert [one["raw_sha256"] for one in twice.document()["objects"]] == ["raw-a"]
    assert twice.rows == 10


def test_without_a_window_the_digest_is_the_manifests():
    version = select("all", accepted("a"), accepted("b"))
    assert version.id == Manifest.of(DATA, ["accepted/toy/a.parquet", "accepted/toy/b.parquet"]).run_id
    assert version.manifest_uri == f"s3://{DATA}/manifests/toy/{version.id}.json"
    assert version.uri == f"s3://{DATA}/manifests/toy/{version.id}.data.json"


def test_another_window_on_the_same_files_is_another_data_version():
    ids = {select(window, accepted("a")).id for window in ("all", "5 days", "6 days", "5 rows")}
    assert len(ids) == 4


def test_the_seed_alone_is_the_seed():
    seed = replace(accepted("x"), key="accepted/toy/0123456789abcdef-seed.csv")
    assert select("all", seed).is_seed
    assert not select("all", seed, accepted("a")).is_seed


def test_the_record_tells_what_a_run_was_trained_on():
    version = select(
        "7 days", accepted("a", (0, 9), dropped=2), accepted("b", (5, 10), contract="c2", accepted_at=1001.5)
    )
    document = version.document()
    assert document["window"] == {
        "setting": "7 days",
        "from": "2026-03-02T00:00:00+00:00",
        "to": "2026-03-09T00:00:00+00:00",
    }
    assert document["contract_versions"] == ["c1", "c2"]
    assert (document["rows"], document["dropped"], document["created_at"]) == (20, 2, 1001.5)
    assert document["data_version"] == version.id
    assert document["objects"][0] == {
        "key": "accepted/toy/a.parquet",
        "version_id": "null",
        "sha256": "",
        "rows": 10,
        "dropped": 2,
        "first": "2026-02-27T00:00:00+00:00",
        "last": "2026-03-08T00:00:00+00:00",
        "source": "",
        "raw_sha256": "raw-a",
        "contract": "c1",
        "accepted_at": 1000.0,
    }


def test_a_record_is_written_once_and_read_back(store):
    version = select("all", accepted("a"), accepted("b"))
    for _ in range(3):
        versions.store(store.s3, version, ACCOUNT)
    found = store.s3.list_object_versions(Bucket=DATA, Prefix="manifests/")["Versions"]
    assert sorted(one["Key"] for one in found) == [
        f"manifests/toy/{version.id}.data.json",
        f"manifests/toy/{version.id}.json",
    ]
    assert versions.load(store.s3, DATA, "toy", version.id, ACCOUNT) == version.document()
    assert store.json(f"manifests/toy/{version.id}.json")[1:] == [
        "accepted/toy/a.parquet",
        "accepted/toy/b.parquet",
    ]
    assert versions.load(store.s3, DATA, "toy", "0" * 20, ACCOUNT) is None


def test_a_record_is_never_replaced_by_another(store):
    version = select("all", accepted("a"))
    key = f"manifests/toy/{version.id}.data.json"
    store.put(key, "{}")
    with pytest.raises(versions.VersionError, match=key):
        versions.store(store.s3, version, ACCOUNT)
    assert store.get(key) == b"{}"


def test_the_same_files_told_of_by_an_earlier_push_are_the_same_version(store):
    first = select("all", accepted("a"))
    versions.store(store.s3, first, ACCOUNT)
    twin = dataclasses.replace(accepted("a"), raw_sha256="0" * 64, source="incoming/toy/twin.gz", dropped=1)
    later = select("all", dataclasses.replace(twin, accepted_at=twin.accepted_at - 60), accepted("a"))
    assert later.document() != first.document()
    versions.store(store.s3, later, ACCOUNT)
    assert versions.load(store.s3, DATA, "toy", first.id, ACCOUNT) == first.document()


def test_two_versions_differ_in_files_rows_window_and_contract():
    a = json.loads(json.dumps(select("all", accepted("a"), accepted("b")).document()))
    b = json.loads(
        json.dumps(select("9 days", accepted("b"), accepted("c", rows=15, contract="c2")).document())
    )
    changed = versions.diff(a, b)
    assert [one["key"] for one in changed.added] == ["accepted/toy/c.parquet"]
    assert [one["key"] for one in changed.removed] == ["accepted/toy/a.parquet"]
    assert (changed.rows, changed.window) == (5, ("all", "9 days"))
    assert changed.contracts == (("c1",), ("c1", "c2"))
    assert not changed.is_empty
    assert versions.diff(a, a).is_empty
