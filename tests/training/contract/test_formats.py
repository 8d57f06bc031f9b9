"""What a file is decides its content; limits hold before anything is unpacked."""

import gzip
import struct

import duckdb
import pytest

from models.spec import Contract
from tests.training.contract.corpus import zstd as packed
from tests.training.examples import declare, lines, text
from training.contract import zstd
from training.contract.check import check_file
from training.contract.findings import UnusableError
from training.contract.scan import scan

SPEC = declare()
ROWS = text(lines(30))


def _check(folder, content, **options):
    path = folder / "data"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return check_file(path, SPEC, **options)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_gives_the_contracts_columns(tmp_path, delimiter):
    report = _check(tmp_path, ROWS.replace(",", delimiter))
    assert (report.reason, report.rows, report.format["delimiter"]) == ("", 30, delimiter)


@pytest.mark.parametrize(("pack", "called"), [(gzip.compress, "gzip"), (packed, "zstd")])
def test_a_name_says_nothing_and_the_content_everything(tmp_path, pack, called):
    path = tmp_path / "data.parquet"
    path.write_bytes(pack(ROWS.encode()))
    report = check_file(path, SPEC, name="data.xlsx")
    assert (report.reason, report.rows, report.format["compression"]) == ("", 30, called)


def test_the_same_rows_make_the_same_bytes_whatever_they_came_in(tmp_path):
    # More than one row group, so that blocks of readers and of the writer do not fall together by chance.
    rows = text(lines(1300) * 100)
    (tmp_path / "rows.csv").write_text(rows)
    made = []
    for content in (rows, gzip.compress(rows.encode(), 1)):
        good = tmp_path / f"{len(made)}.parquet"
        assert _check(tmp_path, content, accept_to=good).rows == 130_000
        made.append(good.read_bytes())
    groups = tmp_path / "groups.parquet"
    duckdb.execute(f"COPY (FROM '{tmp_path}/0.parquet') TO '{groups}' (FORMAT parquet, ROW_GROUP_SIZE 50000)")
    other = tmp_path / "from-other.parquet"
    assert _check(tmp_path, groups.read_bytes(), accept_to=other).ok
    assert {*made, other.read_bytes()} == {made[0]}


def test_bad_rows_leave_no_trace_in_the_bytes_of_the_good_ones(tmp_path):
    rows = lines(500)
    plain, cleaned = tmp_path / "plain.parquet", tmp_path / "cleaned.parquet"
    assert _check(tmp_path, text(rows), accept_to=plain).dropped == 0
    bad = [*rows[:100], "never,a,x,1,true,1", *rows[100:], "2024-01-09,a"]
    report = _check(tmp_path, text(bad), accept_to=cleaned, reject_to=tmp_path / "bad.csv")
    assert (report.rows, report.dropped) == (500, 2)
    assert plain.read_bytes() == cleaned.read_bytes()
    rejected = (tmp_path / "bad.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in rejected] == ["row", "101", "502"]


def test_statistics_of_a_parquet_file_are_not_believed(tmp_path):
    path, good = tmp_path / "true.parquet", tmp_path / "data.parquet"
    (tmp_path / "rows.csv").write_text(ROWS)
    duckdb.execute(
        f"COPY (SELECT * REPLACE (if(size > 0, 7777.25, size) AS size) FROM read_csv('{tmp_path}/rows.csv', "
        f"nullstr='', types={{'size': 'DOUBLE', 'place': 'VARCHAR'}})) TO '{path}' (COMPRESSION uncompressed)"
    )
    lie = path.read_bytes()
    start = len(lie) - 8 - struct.unpack("<I", lie[-8:-4])[0]
    value, fitting = struct.pack("<d", 7777.25), struct.pack("<d", 99.0)
    assert value in lie[start:]
    good.write_bytes(lie[:start] + lie[start:].replace(value, fitting))
    report = check_file(good, SPEC)
    assert not report.ok
    assert "found '7777.25'" in report.reason


def test_a_zstd_archive_is_bounded_without_unpacking_it(tmp_path):
    path = tmp_path / "data.zst"
    path.write_bytes(packed(ROWS))
    size = len(ROWS.encode())
    assert size <= zstd.upper_bound(path, 10**9) <= 128 * 1024
    # A frame of one block that repeats one byte 100,000 times takes 14 bytes.
    block = (100_000 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"x"
    path.write_bytes((zstd.MAGIC + b"\x00\x58" + block) * 1000)
    assert zstd.upper_bound(path, 10**9) == 100_000_000
    assert zstd.upper_bound(path, 1_000_000) <= 1_100_000


@pytest.mark.parametrize("cut", [5, 7, 20])
def test_a_zstd_archive_that_is_cut_off_is_told_from_a_short_one(tmp_path, cut):
    path = tmp_path / "data.zst"
    path.write_bytes(packed(ROWS)[:-cut])
    with pytest.raises(UnusableError, match="cut off"):
        zstd.upper_bound(path, 10**9)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 4096])
def test_long_lines_and_odd_bytes_are_found_across_pieces(size):
    def pieces(content):
        return lambda: iter([content[i : i + size] for i in range(0, len(content), size)])

    def look(content):
        return scan(pieces(content), content[:4], Contract(max_line_kb=1), None)

    assert look(b"a,b\n" + b"x" * 1000 + b"\n1,2\n").size == 1009
    for content in (b"a,b\n" + b"x" * 1001 + b"\n1,2\n", b"a,b\n1,2\n" + b"x" * 1001):
        with pytest.raises(UnusableError, match=r"line \d is longer than 1,000 bytes"):
            look(content)
    assert not look(b"a,b\n1,-2\n+3,4\n").odd_numbers
    assert look(b"a,b\n1,+-2\n").odd_numbers
    assert look(b"a,b\n1,1_000\n").odd_numbers
    with pytest.raises(UnusableError, match="line 3 holds a NUL byte"):
        look(b"a,b\n1,2\n3,\0\n")


@pytest.mark.parametrize(
    "number",
    ["1_0", "+-1", "\v1", "nan", "inf", "-inf", "0x10", "1e999", "1,0", "1 0", "--1", "1f", "\u0661"],
)
def test_what_is_no_number_is_none_whether_the_rest_of_the_file_is_plain_or_not(tmp_path, number):
    rows = lines(30)
    for other in ("x", "a_b"):
        cells = [line.split(",") for line in rows]
        cells[3][3], cells[9][2] = f'"{number}"', other
        report = _check(tmp_path, text([",".join(one) for one in cells]))
        assert [(f.column, f.rule, f.count) for f in report.findings] == [("size", "type", 1)]


@pytest.mark.parametrize("number", ["1", " 7 ", "+5", "-0.5", "1.", ".5", "1e5", "1E-2", "007", "1e00001"])
def test_plain_numbers_are_numbers(tmp_path, number):
    cells = [line.split(",") for line in lines(30)]
    cells[3][3] = number if "e5" not in number else "1e1"
    assert _check(tmp_path, text([",".join(one) for one in cells])).reason == ""
