"""A corpus of broken and odd files: what each holds, and how the check must end."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from tests.training.examples import HEADER, lines, text

GOOD = lines(30)
# So many that one bad row is less than the share that is let through.
MANY = lines(200)


@dataclass(frozen=True)
class File:
    """A file and its ending.

    Attributes:
        content: Its bytes.
        rule: The rule that refuses it; empty when it is accepted.
        words: Must stand in the reason.
        rows: Good rows, for an accepted file.
        dropped: Rows left out, for an accepted file.
        contract: The contract, where it differs from the default.
    """

    content: bytes
    rule: str = ""
    words: str = ""
    rows: int = 0
    dropped: int = 0
    contract: Mapping[str, Any] = field(default_factory=dict)


def refused(content: str | bytes, rule: str, words: str = "", **contract: Any) -> File:
    return File(_bytes(content), rule, words, contract=contract)


def accepted(
    content: str | bytes, rows: int = 30, dropped: int = 0, words: str = "", **contract: Any
) -> File:
    return File(_bytes(content), "", words, rows, dropped, contract)


def _bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


def cell(row: int, column: int, value: str, rows: list[str] = GOOD) -> str:
    """The good file with one other cell; rows counted from 1."""
    cells = [r.split(",") for r in rows]
    cells[row - 1][column] = value
    return text([",".join(r) for r in cells])


def _zip(name: str = "xl/workbook.xml", content: str = "<workbook/>") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def _tar_gz() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        content = text(GOOD).encode()
        member = tarfile.TarInfo("data.csv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def objects(rows: list[str] = GOOD, changes: Mapping[int, Mapping[str, Any]] | None = None) -> list[str]:
    """The rows as JSON objects with typed values; changes by row, counted from 1."""
    made = []
    for number, row in enumerate(rows, 1):
        at, kind, place, size, heavy, late = row.split(",")
        data: dict[str, Any] = {
            "at": at, "kind": kind, "place": place or None, "size": float(size) if size else None,
            "heavy": heavy == "true", "late": int(late),
        }  # fmt: skip
        made.append(json.dumps(data | dict((changes or {}).get(number, {}))))
    return made


def json_lines(rows: list[str] = GOOD, changes: Mapping[int, Mapping[str, Any]] | None = None) -> str:
    return "\n".join(objects(rows, changes)) + "\n"


def written(select: str = "*", rows: list[str] | None = None, options: str = "FORMAT parquet") -> bytes:
    """The good file as DuckDB writes a selection of it, with typed columns."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.csv", Path(folder) / "out"
        source.write_text(text(GOOD if rows is None else rows))
        connection = duckdb.connect()
        columns = (
            "{'at': 'TIMESTAMP', 'kind': 'VARCHAR', 'place': 'VARCHAR', 'size': 'DOUBLE', "
            "'heavy': 'BOOLEAN', 'late': 'BIGINT'}"
        )
        table = f"read_csv('{source}', header=true, columns={columns}, nullstr='')"
        connection.execute(f"COPY (SELECT {select} FROM {table}) TO '{target}' ({options})")
        connection.close()
        return target.read_bytes()


def zstd(content: str | bytes) -> bytes:
    """A zstd frame; DuckDB is the only one here that writes it, as CSV of one column without quotes."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in", Path(folder) / "out.zst"
        source.write_bytes(_bytes(content).rstrip(b"\n"))
        connection = duckdb.connect()
        whole = (
            f"read_csv('{source}', auto_detect=false, header=false, columns={{'line': 'VARCHAR'}}, "
            "delim='\x01', quote='', escape='', strict_mode=false, max_line_size=100000000, "
            "buffer_size=200000000)"
        )
        connection.execute(
            f"COPY (SELECT line FROM {whole}) TO '{target}' "
            "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01', COMPRESSION zstd)"
        )
        connection.close()
        return target.read_bytes()


def _broken_footer() -> bytes:
    content = bytearray(written())
    size = int.from_bytes(content[-8:-4], "little")
    for at in range(len(content) - 8 - size, len(content) - 8):
        content[at] ^= 0x5A
    return bytes(content)


def _wide(columns: int) -> str:
    more = "".join(f",x{i}" for i in range(columns))
    return "\n".join([HEADER + more, *(row + ",1" * columns for row in GOOD)])


INJECTION = "'); DROP TABLE data; --"
TWO = GOOD[0].rsplit(",", 1)[0]


@cache
def corpus() -> dict[str, File]:
    """All files by name."""
    plain = text(GOOD)
    data = plain.encode()
    packed = gzip.compress(data)
    parquet = written()
    return {
        # how the text is laid out
        "good": accepted(plain),
        "windows line ends": accepted(plain.replace("\n", "\r\n")),
        "old Mac line ends": accepted(plain.replace("\n", "\r")),
        "no line end at the end": accepted(plain.rstrip("\n")),
        "blank lines at the end": accepted(plain + "\n\n"),
        "semicolons": accepted(plain.replace(",", ";")),
        "tabs": accepted(plain.replace(",", "\t")),
        "vertical bars": accepted(plain.replace(",", "|")),
        "quoted header": accepted(plain.replace(HEADER, ",".join(f'"{n}"' for n in HEADER.split(",")))),
        "quotes, commas and lines in a cell": accepted(
            text([*GOOD, '2024-03-01T10:00:00Z,a,"with ""quotes"", commas\nand lines",1e1,TRUE,1']), 31
        ),
        "byte order mark": accepted("\ufeff" + plain),
        "columns in another order, and more": accepted(
            "late,note,heavy,size,place,kind,at\n1,hello,1,,,a,2024-01-01\n0,,0,,,b,2024-01-02\n", 2
        ),
        "line ends mixed": accepted(plain + text(GOOD).partition("\n")[2].replace("\n", "\r\n"), 60),
        "header twice, line ends mixed": refused(
            plain + plain.replace("\n", "\r\n"), "type", "column at: row 31: found 'at'"
        ),
        "spaces, no separator known": refused(plain.replace(",", "~"), "columns", "missing column"),
        # the file as a whole
        "empty": refused("", "file", "the file is empty (0 bytes)"),
        "header only": refused(HEADER, "file", "not one row of data"),
        "header and newline only": refused(HEADER + "\n", "file", "not one row of data"),
        "blank lines only": refused("\n\n\n", "columns", "the header has an empty line"),
        "no header": refused("\n".join(GOOD), "columns", "missing column at, kind, place, size, heavy, late"),
        "too big": refused(b"x" * 1_000_001, "file", "contract.max_file_mb", max_file_mb=1),
        "a program": refused(b"\x7fELF" + bytes(range(256)) * 10, "", ""),
        # encodings
        "NUL bytes": refused(plain + "\0\0", "encoding", "NUL"),
        "NUL in the middle": refused(cell(9, 2, "x\0y"), "encoding", "NUL"),
        "broken UTF-8": refused(data.replace(b",x,", b",\xc3\x28,", 1), "encoding", "0xc3"),
        "cut in a letter": refused(data + "2024-03-01T10:00:00,a,ö".encode()[:-1], "encoding", "UTF-8"),
        "random bytes": refused(bytes(range(200, 256)) * 50, "encoding", "not UTF-8 text"),
        "Latin-1 undeclared": refused(plain.replace(",x,", ",\xe9,").encode("latin-1"), "encoding", "0xe9"),
        "Latin-1 declared": accepted(plain.replace(",x,", ",\xe9,").encode("latin-1"), encoding="latin-1"),
        "UTF-16 with a mark": refused(plain.encode("utf-16"), "file", "UTF-16"),
        "UTF-16 without": refused(plain.encode("utf-16-le"), "", ""),
        "UTF-16 big end first": refused(plain.encode("utf-16-be"), "", ""),
        "UTF-32": refused(plain.encode("utf-32"), "file", ""),
        # lines
        "line of 10 MB": refused(cell(9, 2, "x" * 10_000_000), "", "line 10 is longer"),
        "line of 10 MB, not declared as too long": accepted(cell(9, 2, "x" * 9_000_000), max_line_kb=10_000),
        "no line end in 5 MB": refused("x" * 5_000_000, "", ""),
        "quote not closed": refused(text([*GOOD, '"2024-01-09,a,x,1,true,1']), "structure", "quote"),
        "row too short": refused(text([*GOOD, "2024-01-09,a"]), "structure", "1 of 31 rows"),
        "row too long": refused(text([GOOD[0] + ",1", *GOOD]), "structure", "1 of 31 rows"),
        "one row of many too short": accepted(text([*MANY, "2024-01-09,a"]), 200, 1),
        "one row of many too long": accepted(text([MANY[0] + ",1", *MANY[1:]]), 199, 1),
        # names
        "column missing": refused(plain.replace("size", "sise", 1), "columns", "missing column size"),
        "column twice": refused(plain.replace("late", "late,late", 1), "columns", "more than once"),
        "added column twice": refused(
            text([r + ",1,2" for r in GOOD]).replace(HEADER, HEADER + ",n,n"), "columns", "more than once"
        ),
        "space in a name": refused(plain.replace("size", " size", 1), "columns", "missing column size"),
        "name in capitals": refused(plain.replace("size", "Size", 1), "columns", "missing column size"),
        "column without a name": refused(
            text([r + ",1" for r in GOOD]).replace(HEADER, HEADER + ","), "columns", "no name"
        ),
        "names that are SQL": accepted(
            text([r + ",1,2" for r in GOOD]).replace(HEADER, f'{HEADER},"{INJECTION}","a""b"')
        ),
        "emoji in names and cells": accepted(
            text([r + ",🎉" for r in GOOD]).replace(HEADER, HEADER + ",🛫").replace(",x,", ",✈️,")
        ),
        "10,000 columns": refused(_wide(10_000), "columns", "columns, at most"),
        "500 columns": accepted(_wide(500)),
        # cells
        "SQL in a cell": accepted(cell(3, 2, INJECTION)),
        "formula in a cell": accepted(cell(3, 2, "=cmd|'/c calc'!A1")),
        "text for a number": refused(
            cell(7, 3, "abc"), "type", "column size: row 7: found 'abc', expected a"
        ),
        "formula for a number": refused(cell(7, 3, "=1+1"), "type", "found '=1+1'"),
        "nan": refused(cell(7, 3, "nan"), "type", "found 'nan'"),
        "infinity": refused(cell(7, 3, "inf"), "type", "found 'inf'"),
        "digits of another script": refused(cell(7, 3, "\u0661"), "type", "expected a number"),
        "underscore": refused(cell(7, 3, "1_0"), "type", "found '1_0'"),
        "hexadecimal": refused(cell(7, 3, "0x10"), "type", "found '0x10'"),
        "decimal comma": refused(cell(7, 3, "1,5").replace("1,5", '"1,5"'), "type", "found '1,5'"),
        "a number no computer holds": refused(cell(9, 3, "1e999"), "type", "found '1e999'"),
        "1e400": refused(cell(7, 3, "1e400"), "type", "found '1e400'"),
        "number out of range": refused(
            cell(9, 3, "100.5"), "range", "row 9: found '100.5', expected a number"
        ),
        "unknown category": refused(cell(3, 1, "z"), "values", "row 3: found 'z', expected one of a, b, c"),
        "category missing": refused(cell(3, 1, ""), "missing", "row 3: found nothing, expected one of a, b"),
        "boolean missing": refused(cell(3, 4, ""), "missing", "row 3: found nothing, expected true or false"),
        "no boolean": refused(cell(3, 4, "perhaps"), "type", "found 'perhaps', expected true or false"),
        "one bad row of many": accepted(cell(7, 3, "abc", MANY), 199, 1, "row 7: found 'abc'"),
        "three bad rows of many": refused(
            cell(7, 3, "abc", MANY).replace(",true,", ",perhaps,", 2), "type", "of 200 rows"
        ),
        # times
        "time missing": refused(cell(3, 0, ""), "missing", "column at: row 3: found nothing"),
        "no time": refused(cell(3, 0, "yesterday"), "type", "found 'yesterday', expected a time such as"),
        "day that is none": refused(cell(3, 0, "2024-02-30T10:00:00"), "type", "found '2024-02-30T10:00:00'"),
        "time of another era": refused(cell(3, 0, "0001-01-01"), "type", "found '0001-01-01'"),
        "time after all time": refused(cell(3, 0, "9999-12-31"), "type", "found '9999-12-31'"),
        "time in another form": refused(cell(3, 0, "31.01.2024"), "type", "found '31.01.2024'"),
        "time of tomorrow's tomorrow": refused(cell(3, 0, "2199-01-01"), "future", "max_future_days"),
        "times with zones": accepted(cell(3, 0, "2024-01-01T10:00:00+02:00")),
        # labels
        "label missing": refused(cell(5, 5, ""), "missing", "column late: row 5: found nothing"),
        "label out of range": refused(cell(5, 5, "2"), "label", "row 5: found '2', expected 0 or 1"),
        "label in words": refused(cell(5, 5, "yes"), "label", "row 5: found 'yes', expected 0 or 1"),
        "one label only": refused(
            text([r[:-1] + "0" for r in GOOD]), "label", "all 30 rows have the label 0"
        ),
        "one row": refused(text(GOOD[:1]), "label", "at least two labels"),
        "the same row 30 times": refused(text([f"{TWO},1"] * 30), "label", "have the label 1"),
        "the same row 30 times, with a key": refused(
            text([f"{TWO},1"] * 15 + [f"{TWO},0"] * 15), "key", "the key (at) of an earlier row", key=["at"]
        ),
        "too few rows": refused(plain, "rows", "contract.min_rows", min_rows=31),
        "too many rows": refused(plain, "rows", "contract.max_rows", max_rows=29),
        "nothing but bad rows, however many are let through": refused(
            cell(1, 3, "much", GOOD[:1]), "rows", "0 good rows", max_bad_share=1.0
        ),
        "too old": refused(plain, "age", "contract.max_age_days", max_age_days=30),
        # archives
        "gzip": accepted(packed),
        "gzip of two members": accepted(gzip.compress(data[:200]) + gzip.compress(data[200:])),
        "gzip of nothing": refused(gzip.compress(b""), "file", "gzip archive"),
        "gzip in gzip": refused(gzip.compress(packed), "file", "another archive inside"),
        "gzip cut short": refused(packed[: len(packed) // 2], "file", "gzip archive is damaged"),
        "gzip without its last byte": refused(packed[:-1], "file", "gzip archive is damaged"),
        "gzip with a wrong sum": refused(packed[:-8] + b"\0" * 8, "file", "gzip archive is damaged"),
        "gzip header and no more": refused(packed[:12], "file", "gzip archive is damaged"),
        "gzip with a tail": refused(packed + b"tail", "file", "gzip archive is damaged"),
        "zstd": accepted(zstd(plain)),
        "zstd cut short": refused(zstd(plain)[:-60], "", ""),
        "zstd header and no more": refused(zstd(plain)[:6], "", ""),
        "gzip in zstd": refused(gzip.compress(written(options="FORMAT csv, COMPRESSION zstd")), "file", ""),
        "zip": refused(_zip("data.csv", plain), "file", "a zip archive"),
        "Excel": refused(_zip(), "file", "an Excel workbook"),
        "zip in gzip": refused(gzip.compress(_zip()), "file", "inside the gzip archive"),
        "tar in gzip": refused(_tar_gz(), "file", "a tar archive inside the gzip archive"),
        "Parquet in gzip": refused(gzip.compress(parquet), "file", "inside the gzip archive"),
        # Parquet
        "Parquet": accepted(parquet),
        "Parquet with zstd": accepted(written(options="FORMAT parquet, COMPRESSION zstd")),
        "Parquet cut short": refused(parquet[: len(parquet) // 2], "structure", "Parquet"),
        "Parquet without its end": refused(parquet[:-4], "structure", "Parquet"),
        "Parquet, mark only": refused(b"PAR1\0\0\0", "structure", "Parquet"),
        "Parquet with a broken footer": refused(_broken_footer(), "structure", "Parquet"),
        "Parquet with broken pages": refused(parquet[:40] + b"\xff" * 200 + parquet[240:], "", ""),
        "Parquet without rows": refused(written("*", []), "file", "not one row"),
        "Parquet, added column nested": accepted(written("*, {'a': [1, 2]} AS deep")),
        "Parquet, a feature nested": refused(
            written("* REPLACE ({'a': size} AS size)"), "types", "column size: found STRUCT"
        ),
        "Parquet, a list for a text": refused(
            written("* REPLACE ([place] AS place)"), "types", "column place: found VARCHAR[]"
        ),
        "Parquet, text for a number": refused(
            written("* REPLACE (size::VARCHAR AS size)"),
            "types",
            "column size: found VARCHAR, expected a number",
        ),
        "Parquet, text for a time": refused(
            written('* REPLACE ("at"::VARCHAR AS "at")'),
            "types",
            "column at: found VARCHAR, expected a timestamp",
        ),
        "Parquet, whole numbers and dates": accepted(
            written('* REPLACE (size::INTEGER AS size, "at"::DATE AS "at", late::TINYINT AS late)')
        ),
        "Parquet, numbers that are none": accepted(
            written("* REPLACE (coalesce(size, 'nan'::DOUBLE) AS size)"),
        ),
        "Parquet, infinite": refused(written("* REPLACE ('inf'::DOUBLE AS size)"), "type", "column size"),
        # JSON lines
        "JSON lines": accepted(json_lines()),
        "JSON lines in gzip": accepted(gzip.compress(json_lines().encode())),
        "JSON lines in zstd": accepted(zstd(json_lines())),
        "JSON lines, numbers as text": accepted(
            json_lines(changes={n: {"late": str(n % 2)} for n in range(1, 31)})
        ),
        "JSON lines, a blank one": accepted(json_lines() + "\n\n"),
        "JSON lines, a column not in all": accepted(json_lines(changes={3: {"note": "x"}})),
        "JSON lines, one broken": refused(json_lines() + "{\n", "structure", "1 of 31 rows"),
        "JSON lines, one of many broken": accepted(json_lines(MANY) + '{"at": \n', 200, 1),
        "JSON lines, one of many a list": accepted(json_lines(MANY) + "[1, 2]\n", 200, 1),
        "JSON lines, a nested feature": refused(
            json_lines(changes={3: {"place": {"town": "x"}}}), "type", "row 3"
        ),
        "JSON lines, a list for a number": refused(json_lines(changes={3: {"size": [1]}}), "type", "row 3"),
        "JSON lines, mixed types": refused(
            json_lines(changes={3: {"size": "much"}, 4: {"size": True}}), "type", "row 3: found 'much'"
        ),
        "JSON lines, a column missing": refused(
            json_lines().replace('"size"', '"Size"'), "columns", "missing column size"
        ),
        "JSON lines, one column only": refused(
            '{"kind": "a"}', "columns", "missing column at, place, size, heavy, late"
        ),
        "JSON array": refused(json.dumps([json.loads(one) for one in objects()]), "file", "JSON array"),
        "JSON array over lines": refused(
            json.dumps([json.loads(one) for one in objects()], indent=1), "file", "JSON array"
        ),
        "JSON object over lines": refused(json.dumps(json.loads(objects()[0]), indent=1), "", ""),
        "JSON of great depth": refused('{"at": ' + "[" * 100_000, "", ""),
    }
