"""Files that must be quarantined, the rule each breaks, and words its reason must hold."""

from __future__ import annotations

import gzip
import io
import zipfile

from tests.training.examples import HEADER, lines, text

GOOD = lines(30)


def _cell(row: int, column: int, value: str) -> str:
    """The good file with one other cell; rows counted from 1."""
    rows = [r.split(",") for r in GOOD]
    rows[row - 1][column] = value
    return text([",".join(r) for r in rows])


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return buffer.getvalue()


# name: (content, rule, words of the reason)
BROKEN: dict[str, tuple[str | bytes, str, str]] = {
    "empty": ("", "file", "the file is empty (0 bytes)"),
    "header only": (HEADER, "file", "not one row of data"),
    "header and newline only": (HEADER + "\n", "file", "not one row of data"),
    "blank lines only": ("\n\n\n", "columns", "the header has an empty line"),
    "gzip in gzip": (
        gzip.compress(gzip.compress(text(GOOD).encode())),
        "file",
        "another archive inside the gzip",
    ),
    "gzip cut off": (gzip.compress(text(GOOD).encode())[:-9], "file", "the gzip archive is damaged"),
    "Excel": (_zip(), "file", "an Excel workbook, expected CSV"),
    "Parquet cut off": (b"PAR1\0\0\0", "structure", "the file cannot be read as Parquet"),
    "JSON array": ('[{"kind": "a"}]', "file", "the file is a JSON array, expected one object per line"),
    "JSON lines without a column": (
        '{"kind": "a"}',
        "columns",
        "missing column at, place, size, heavy, late",
    ),
    "UTF-16": (text(GOOD).encode("utf-16"), "file", "UTF-16 text"),
    "Latin-1": (text(GOOD).replace(",x,", ",\xe9,").encode("latin-1"), "encoding", "the byte 0xe9"),
    "NUL bytes": (text(GOOD) + "\0\0", "encoding", "line 32 holds a NUL byte"),
    "random bytes": (bytes(range(200, 256)) * 50, "encoding", "not UTF-8 text"),
    "an unknown delimiter": (text(GOOD).replace(",", "^"), "columns", "missing column at, kind"),
    "no header": ("\n".join(GOOD), "columns", "missing column at, kind, place, size, heavy, late"),
    "column missing": (
        text(GOOD).replace("size", "sise", 1),
        "columns",
        "missing column size; the header has at, kind, place, sise, heavy, late; expected at, kind",
    ),
    "column twice": (
        text(GOOD).replace("late", "late,late", 1),
        "columns",
        "late is in the header more than once",
    ),
    "row too short": (
        text([*GOOD, "2024-01-09,a"]),
        "structure",
        "1 of 31 rows cannot be read as CSV, first in line 32",
    ),
    "row too long": (
        text([GOOD[0] + ",1", *GOOD]),
        "structure",
        "first in line 2: expected Number of Columns: 6",
    ),
    "quote not closed": (text([*GOOD, '"2024-01-09,a,x,1,true,1']), "structure", "unterminated quote"),
    "header twice, line endings mixed": (
        text(GOOD) + text(GOOD).replace("\n", "\r\n"),
        "type",
        "column at: row 31: found 'at'",
    ),
    "text for a number": (
        _cell(7, 3, "abc"),
        "type",
        "column size: row 7: found 'abc', expected a number from -100",
    ),
    "nan": (_cell(7, 3, "nan"), "type", "found 'nan'"),
    "infinity": (_cell(7, 3, "inf"), "type", "found 'inf'"),
    "digits of another script": (_cell(7, 3, "\u0661"), "type", "expected a number"),
    "underscore": (_cell(7, 3, "1_0"), "type", "found '1_0'"),
    "number out of range": (
        _cell(9, 3, "100.5"),
        "range",
        "row 9: found '100.5', expected a number from -100 to 100",
    ),
    "huge number": (_cell(9, 3, "1e999"), "type", "found '1e999'"),
    "unknown category": (_cell(3, 1, "z"), "values", "row 3: found 'z', expected one of a, b, c"),
    "category missing": (_cell(3, 1, ""), "missing", "row 3: found nothing, expected one of a, b, c"),
    "boolean missing": (
        _cell(3, 4, ""),
        "missing",
        "column heavy: row 3: found nothing, expected true or false",
    ),
    "no boolean": (_cell(3, 4, "perhaps"), "type", "found 'perhaps', expected true or false"),
    "time missing": (_cell(3, 0, ""), "missing", "column at: row 3: found nothing, expected a time"),
    "no time": (_cell(3, 0, "yesterday"), "type", "found 'yesterday', expected a time such as"),
    "day that is none": (_cell(3, 0, "2024-02-30T10:00:00"), "type", "found '2024-02-30T10:00:00'"),
    "time of another era": (_cell(3, 0, "0001-01-01"), "type", "found '0001-01-01'"),
    "time in another form": (_cell(3, 0, "31.01.2024"), "type", "found '31.01.2024'"),
    "label missing": (_cell(5, 5, ""), "missing", "column late: row 5: found nothing, expected a label"),
    "label out of range": (_cell(5, 5, "2"), "label", "row 5: found '2', expected 0 or 1"),
    "label in words": (_cell(5, 5, "yes"), "label", "row 5: found 'yes', expected 0 or 1"),
    "one label only": (text([r[:-1] + "0" for r in GOOD]), "label", "all 30 rows have the label 0"),
}
