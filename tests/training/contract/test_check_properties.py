"""What must hold of every file: it never crashes the check, and no row is lost or made up."""

import csv
import gzip
import hashlib
import math
import random
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.training.contract.corpus import GOOD, INJECTION, corpus, json_lines, written, zstd
from tests.training.examples import HEADER, START, declare, lines, text
from training import reading
from training.contract.check import check_file
from training.contract.forgetting import Forgotten, condition

SPEC = declare()
# Any share of bad rows is let through, so that rows can be counted on both sides.
LENIENT = declare(contract={"max_bad_share": 1.0})
NOW = START.replace(tzinfo=UTC) + timedelta(days=400)
# A check of a few rows takes some hundredths of a second; ten is a hang, also on a busy machine.
MOST_SECONDS = 10
many = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
some = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


class Case:
    """A folder for one example; what hypothesis makes is never in one another's way."""

    def __init__(self, factory):
        self.folder = factory.mktemp("case")
        (self.folder / "channel").mkdir()
        self.good = self.folder / "channel" / "good.parquet"
        self.bad = self.folder / "bad.csv"

    def check(self, content, spec=SPEC, **more):
        path = self.folder / "data"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        start = time.perf_counter()
        report = check_file(path, spec, now=NOW, accept_to=self.good, reject_to=self.bad, **more)
        assert time.perf_counter() - start < MOST_SECONDS
        assert self.good.exists() == report.ok
        assert self.bad.exists() == (report.ok and report.dropped > 0)
        allowed = {"data", "channel", "bad.csv"}
        assert {p.name for p in self.folder.iterdir()} <= allowed  # nothing of DuckDB is left behind
        assert report.ok or report.reason
        assert report.reason.isprintable()
        if report.ok:
            self.read(report, spec)
        return report

    def read(self, report, spec):
        """What was accepted is read by the training, with as many rows."""
        table = reading.read(self.folder / "channel", spec)
        assert len(table) + table.duplicates == report.rows
        assert not table.frame["kind"].isna().any()
        assert set(table.labels) == {0.0, 1.0}

    def kept(self, columns="*"):
        with duckdb.connect() as connection:
            return connection.execute(f"SELECT {columns} FROM '{self.good}'").fetchall()

    def rejected(self):
        if not self.bad.exists():
            return []
        with self.bad.open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))


@pytest.fixture
def case(tmp_path_factory):
    return lambda: Case(tmp_path_factory)


# No content crashes the check.


@many
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", HEADER.encode() + b"\n", b"\xef\xbb\xbf", b"PAR1", b"\x1f\x8b\x08"]),
)
@example(b"\x28\xb5\x2f\xfd\x04\x00", b"")
@example(b"\x00" * 8, b"PAR1")
def test_no_bytes_crash_the_check(case, content, head):
    case().check(head + content)


@many
@given(st.text(alphabet=st.sampled_from(list('",;\t|\n\r ab01-:T.é\u2028{}[]')), max_size=300), st.booleans())
@example('"', True)
@example('"a"b"\n', True)
@example("\r\r\n\n", True)
def test_no_text_like_csv_crashes_the_check(case, content, after_a_header):
    case().check((HEADER + "\n") * after_a_header + content)


FILES = {
    "csv": text(GOOD).encode(),
    "gzip": gzip.compress(text(GOOD).encode(), mtime=0),
    "zstd": zstd(text(GOOD)),
    "parquet": written(),
    "parquet, zstd": written(options="FORMAT parquet, COMPRESSION zstd"),
    "json lines": json_lines().encode(),
    "json lines, gzip": gzip.compress(json_lines().encode(), mtime=0),
}


def _damaged(content, kind, seed):
    """The file with bits flipped, an end cut off, a part twice, a part gone or another file's part in it."""
    chance, data = random.Random(seed), bytearray(content)
    at, length = chance.randrange(len(data)), chance.choice([1, 1, 4, 16, 200])
    if kind == "flipped":
        for _ in range(chance.choice([1, 1, 3, 30])):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        del data[at:]
    elif kind == "gone":
        del data[at : at + length]
    elif kind == "twice":
        data[at:at] = data[at : at + length]
    elif kind == "zeroed":
        data[at : at + length] = b"\0" * len(data[at : at + length])
    else:
        other = FILES[chance.choice(sorted(FILES))]
        start = chance.randrange(len(other))
        data[at : at + length] = other[start : start + length]
    return bytes(data)


@pytest.mark.parametrize("name", FILES)
@some
@given(st.sampled_from(["flipped", "cut", "gone", "twice", "zeroed", "mixed"]), st.integers(0, 10**9))
def test_no_damaged_file_crashes_the_check(case, name, kind, seed):
    case().check(_damaged(FILES[name], kind, seed))


@some
@given(st.sampled_from(sorted(corpus())), st.sampled_from(sorted(corpus())), st.integers(0, 10**9))
def test_no_two_files_one_after_the_other_crash_the_check(case, one, other, seed):
    first, second = corpus()[one].content, corpus()[other].content
    cut = random.Random(seed).randrange(len(first) + 1)
    case().check((first[:cut] + second)[:300_000])


# Every row is accepted, dropped or forgotten; which of them, a second opinion says.

cell = st.one_of(
    st.sampled_from(
        [
            "", "0", "1", "a", "b", "x", "NA", "true", "FALSE", "2024-01-01", "2024-02-30", "1e5", " 7", "-0",
            "null", "24:00", "99.9", "-100.0001", "1e400", "nan", "2024-01-01T10:00:00+02:00", ".5", "5.",
            "+1", "2024-06-01 23:59:59.5Z", "2199-01-01", "1699-12-31", "'", INJECTION, "=1+1", "🎉", "0x1F",
            "1_0", "--1", "\u0661",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6),
    st.floats().map(str),
    st.datetimes(datetime(1600, 1, 1), datetime(2300, 1, 1)).map(lambda t: t.isoformat()),  # noqa: DTZ001
)  # fmt: skip
changes = st.lists(st.tuples(st.integers(0, 39), st.integers(0, 5), cell), max_size=12)

NUMBER = re.compile(r"[ \t\n\r\f\v]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?[ \t\n\r\f\v]*")
TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?"
)


def _number(value):
    found = float(value) if NUMBER.fullmatch(value) else math.nan
    return found if math.isfinite(found) else None


def _time(value):
    """In UTC, without a zone."""
    if not TIME.fullmatch(value):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    try:
        return found.replace(tzinfo=None) - (found.utcoffset() or timedelta())
    except OverflowError:
        return None


def _is_good(row):
    """The toy contract, in plain words of Python."""
    at, kind, _, size, heavy, late = row
    utc = _time(at)
    if utc is None or not 1700 <= utc.year <= 2200 or utc > NOW.replace(tzinfo=None) + timedelta(days=1):
        return False
    if kind not in ("a", "b", "c") or heavy.lower() not in ("true", "false", "1", "0"):
        return False
    if size and (_number(size) is None or not -100 <= _number(size) <= 100):
        return False
    return _number(late) in (0.0, 1.0)


def _quoted(value):
    return '"' + value.replace('"', '""') + '"' if value else ""


def _numbered(made, seed, count=40):
    """Rows with changed cells, and a column that numbers them."""
    rows = [row.split(",") for row in lines(count, seed=seed)]
    for row, column, value in made:
        rows[row][column] = value
    body = [",".join([*map(_quoted, row), str(number)]) for number, row in enumerate(rows, 1)]
    return rows, "\n".join([HEADER + ",n", *body]) + "\n"


def _content(rows_text, form):
    if form == "gzip":
        return gzip.compress(rows_text.encode())
    return rows_text.replace("\n", "\r\n") if form == "crlf" else rows_text


@many
@given(changes, st.integers(0, 99), st.sampled_from(["csv", "crlf", "gzip"]))
def test_every_row_is_accepted_or_rejected_as_a_second_opinion_says(case, made, seed, form):
    one = case()
    rows, content = _numbered(made, seed)
    report = one.check(_content(content, form), LENIENT)
    good = [number for number, row in enumerate(rows, 1) if _is_good(row)]
    labels = {_number(rows[number - 1][5]) for number in good}
    assert report.ok == (labels == {0.0, 1.0}), report.reason
    if not report.ok:
        return
    assert report.rows + report.dropped == len(rows)
    kept = [int(number) for (number,) in one.kept("n")]
    left_out = [int(row["n"]) for row in one.rejected()]
    assert kept == good  # in the file's order
    assert sorted(kept + left_out) == list(range(1, len(rows) + 1))
    assert [int(row["row"]) for row in one.rejected()] == left_out
    assert all(row["reasons"] for row in one.rejected())
    assert [row["row"] for row in report.sample] == left_out[:20]


@many
@given(changes, st.integers(0, 99))
def test_what_is_kept_has_the_values_of_the_file(case, made, seed):
    one = case()
    rows, content = _numbered(made, seed)
    if not one.check(content, LENIENT).ok:
        return
    for number, at, kind, place, size, heavy, late in one.kept('n, "at", kind, place, size, heavy, late'):
        row = rows[int(number) - 1]
        assert at == _time(row[0])
        assert (kind, place) == (row[1], row[2] or None)
        assert size == (_number(row[3]) if row[3] else None)
        assert heavy == (row[4].lower() in ("true", "1"))
        assert late == _number(row[5])


@some
@given(changes, st.integers(0, 99), st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y", "NA"]))
def test_rows_to_forget_are_neither_accepted_nor_rejected(case, made, seed, kind, place):
    one = case()
    rows, content = _numbered(made, seed)
    request = Forgotten("r1", dict([condition("kind", kind, SPEC), condition("place", place, SPEC)]))
    report = one.check(content, LENIENT, forgotten=[request])
    meant = {n for n, row in enumerate(rows, 1) if (row[1], row[2]) == (kind, place)}
    assert report.rows + report.dropped + report.forgotten == len(rows)
    assert report.forgotten == len(meant)
    if report.ok:
        seen = [int(n) for (n,) in one.kept("n")] + [int(row["n"]) for row in one.rejected()]
        assert not meant & set(seen)
        assert len(seen) + len(meant) == len(rows)


keyed = declare(contract={"max_bad_share": 1.0, "key": ["at", "kind"]})


@some
@given(st.lists(st.integers(0, 7), min_size=4, max_size=30), st.integers(0, 99))
def test_of_rows_with_one_key_the_first_counts(case, hours, seed):
    one = case()
    rows = [row.split(",") for row in lines(len(hours), seed=seed)]
    for number, (row, hour) in enumerate(zip(rows, hours, strict=True)):
        row[0] = (START + timedelta(hours=hour)).isoformat()
        row[5] = str(number % 2)
    body = [",".join([*row, str(number)]) for number, row in enumerate(rows, 1)]
    report = one.check("\n".join([HEADER + ",n", *body]) + "\n", keyed)
    first = {}
    for number, row in enumerate(rows, 1):
        first.setdefault((row[0], row[1]), number)
    kept = sorted(first.values())
    assert report.rows == len(kept)
    assert report.dropped == len(rows) - len(kept)
    if report.ok:
        assert [int(n) for (n,) in one.kept("n")] == kept


@some
@given(changes, st.integers(0, 99))
def test_the_same_rows_make_the_same_file(case, made, seed):
    _, content = _numbered(made, seed)
    digests = set()
    for form in ("csv", "crlf", "gzip", "csv"):
        one = case()
        if not one.check(_content(content, form), LENIENT).ok:
            return
        digests.add(hashlib.sha256(one.good.read_bytes()).hexdigest())
    assert len(digests) == 1


@some
@given(changes, st.integers(0, 99))
def test_an_accepted_file_is_accepted_again_as_it_is(case, made, seed):
    one, again = case(), case()
    _, content = _numbered(made, seed)
    first = one.check(content, LENIENT)
    if not first.ok:
        return
    second = again.check(one.good.read_bytes(), SPEC)
    assert (second.ok, second.rows, second.dropped) == (True, first.rows, 0)
    assert (second.first, second.last) == (first.first, first.last)
    assert again.kept() == one.kept()
    assert again.good.read_bytes() == one.good.read_bytes()


@some
@given(st.integers(1, 200), st.integers(0, 200), st.sampled_from([0.0, 0.01, 0.1, 0.5]))
def test_the_share_decides_between_dropping_and_quarantine(case, good, bad, share):
    rows = [row.rpartition(",")[0] + f",{n % 2}" for n, row in enumerate(lines(good + 1))]
    broken = [",".join([*row.split(",")[:3], "much", *row.split(",")[4:]]) for row in lines(bad, seed=3)]
    mixed = random.Random(good).sample([*rows, *broken], len(rows) + len(broken))
    report = case().check(text(mixed), declare(contract={"max_bad_share": share}))
    assert report.ok == (bad <= share * (good + 1 + bad))
    assert (report.rows, report.dropped) == (good + 1, bad)


def test_paths_with_quotes_and_wildcards_are_just_paths(tmp_path):
    folder = tmp_path / "it's [a] *folder?"
    folder.mkdir()
    for name in ("a'b.csv", "x*.csv", "[ab].csv", "ünï ☃.csv", "a;b,c.csv", "data.csv.gz"):
        path = folder / name
        path.write_text(text(GOOD))
        report = check_file(path, SPEC, accept_to=Path(f"{path}.parquet"), reject_to=Path(f"{path}.bad.csv"))
        assert (report.reason, report.rows) == ("", 30)
        assert Path(f"{path}.parquet").is_file()
