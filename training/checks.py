"""Checks a data file against a model's spec before anything is trained on it.

The same check runs in the intake Lambda and in ``upkeep push`` before the upload. It reads with DuckDB, one
pass for the structure and one for all values, in bounded memory. What it lets through, ``training.reading``
reads.

The rules: UTF-8 text with a header line, comma-separated; every column of the spec is there (others are
ignored); an empty cell is a missing value, allowed in nullable features only; numbers, booleans and ISO 8601
times are written as such; numbers lie in their range; listed categories only; labels fit the task and are not
all the same.
"""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.spec import ModelSpec
from training.rules import Rule, number, quoted, rules_of
from training.words import cut, shown

# Lambda has 512 MB of /tmp by default, and the file is not the only thing there:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-ephemeral-storage.html
MAX_FILE_BYTES = 400 * 1024 * 1024
MEMORY_LIMIT = "300MB"
_EXAMPLES = 3
_REASONS = 3
_HEAD_BYTES = 64 * 1024
_CHUNK_BYTES = 1024 * 1024
_MAGIC = {
    b"\x1f\x8b": "a gzip archive",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"PAR1": "a Parquet file",
    b"BZh": "a bzip2 archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"{": "JSON",
    b"[{": "JSON",
}
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass(frozen=True)
class Finding:
    """One rule that the file breaks.

    Attributes:
        column: Name of the column; None for the file as a whole.
        rule: Short name of the rule: file, encoding, delimiter, header, columns, structure, missing, type,
            range, values, label.
        count: Rows that break it; 1 for the file as a whole.
        text: One sentence for people.
        examples: The first of them as ``{"row", "value"}``; rows are counted from 1 after the header.
    """

    column: str | None
    rule: str
    count: int
    text: str
    examples: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        rows: Rows of data; 0 when the file cannot be read.
        findings: Empty for a good file.
        ignored: Columns the spec does not name.
    """

    rows: int = 0
    findings: tuple[Finding, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the file can be trained with."""
        return not self.findings

    @property
    def reason(self) -> str:
        """Everything that is wrong, for people; the first few findings in full."""
        texts = [f.text for f in self.findings[:_REASONS]]
        more = len(self.findings) - len(texts)
        return "; ".join(texts) + (f"; and {more} more" if more else "")

    def details(self) -> list[dict[str, Any]]:
        """The findings as plain data, for the reason file."""
        return [{k: v for k, v in asdict(f).items() if k != "text"} for f in self.findings]


class _UnusableError(Exception):
    """The file as a whole cannot be read; carries the finding."""

    def __init__(
        self, rule: str, text: str, count: int = 1, examples: tuple[dict[str, Any], ...] = ()
    ) -> None:
        super().__init__(text)
        self.finding = Finding(None, rule, count, text, examples)


def check_file(path: Path, spec: ModelSpec) -> CheckReport:
    """Check a CSV file.

    Args:
        path: The file; nothing is assumed about its content.
        spec: Names the columns and their rules.

    Raises:
        OSError: The file cannot be opened.
    """
    try:
        header = _read_header(path, spec)
        ignored = tuple(name for name in header if name not in spec.columns)
        return _check_rows(path, spec, header, ignored)
    except _UnusableError as error:
        return CheckReport(findings=(error.finding,))


def _read_header(path: Path, spec: ModelSpec) -> list[str]:
    """The names in the first line, once the file is known to be text."""
    size = path.stat().st_size
    if size == 0:
        raise _UnusableError("file", "the file is empty (0 bytes)")
    if size > MAX_FILE_BYTES:
        raise _UnusableError(
            "file", f"the file has {size:,} bytes, at most {MAX_FILE_BYTES:,} are taken; split it"
        )
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            raise _UnusableError("file", f"the file is {kind}, expected CSV text in UTF-8")
    _check_encoding(path)
    text = head.decode("utf-8-sig", errors="replace")
    first = re.split(r"\r\n|\r|\n", text, maxsplit=1)[0]
    try:
        names = next(csv.reader([first], strict=True), [])
    except csv.Error as error:
        raise _UnusableError("header", f"the header line is no CSV text: {error}") from error
    _check_names(names, first, spec)
    return names


def _check_encoding(path: Path) -> None:
    """Refuse what is not UTF-8 text, naming the line."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = 1
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK_BYTES)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line = lines + error.object[: error.start].count(b"\n")
                raise _UnusableError(
                    "encoding",
                    f"line {line} holds the byte 0x{error.object[error.start]:02x}, which is not UTF-8 text; "
                    "save the file as UTF-8",
                ) from error
            if "\0" in text:
                line = lines + text[: text.index("\0")].count("\n")
                raise _UnusableError("encoding", f"line {line} holds a NUL byte; this is not a text file")
            if not chunk:
                return
            lines += text.count("\n")


def _check_names(names: list[str], line: str, spec: ModelSpec) -> None:
    missing = [name for name in spec.columns if name not in names]
    if missing:
        for delimiter, called in _DELIMITERS.items():
            if len(set(line.replace('"', "").split(delimiter)) & set(spec.columns)) > 1:
                raise _UnusableError("delimiter", f"the columns are separated by {called}, expected commas")
        found = ", ".join(names[:30]) if any(names) else "an empty line"
        raise _UnusableError(
            "columns",
            f"missing column {', '.join(missing)}; the header has {found}; expected "
            f"{', '.join(spec.columns)}",
            len(missing),
        )
    repeated = sorted({name for name in names if names.count(name) > 1 and name in spec.columns})
    if repeated:
        raise _UnusableError(
            "columns", f"column {', '.join(repeated)} is in the header more than once", len(repeated)
        )


def _check_rows(path: Path, spec: ModelSpec, header: list[str], ignored: tuple[str, ...]) -> CheckReport:
    import duckdb  # late: a Lambda that only quarantines unknown prefixes never needs it

    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": str(path.parent / f"{path.name}.duckdb"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    try:
        rows, findings = _check_values(connection, path, header, spec)
        return CheckReport(rows, tuple(findings), ignored)
    except duckdb.Error as error:
        first = str(error).partition("\n")[0]
        raise _UnusableError("structure", f"the file cannot be read as CSV: {first}") from error
    finally:
        connection.close()


def _source(path: Path, header: list[str], *, keep_rejects: bool = False) -> str:
    """The table expression for the file.

    Columns are called by their position, so nothing that stands in the file reaches the SQL; what the spec
    holds is quoted.
    """
    columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(header)))
    rejects = ", ignore_errors=true, store_rejects=true" if keep_rejects else ""
    return (
        f"read_csv({quoted(str(path))}, auto_detect=false, header=true, columns={{{columns}}}, delim=',', "
        f"quote='\"', escape='\"', nullstr='', strict_mode=true, encoding='utf-8'{rejects})"
    )


def _check_values(
    connection: Any, path: Path, header: list[str], spec: ModelSpec
) -> tuple[int, list[Finding]]:
    """Count the rows that break each rule, all in one pass; then look up the first of them."""
    cells = {name: f"c{i}" for i, name in enumerate(header)}
    rules = [rule for name in spec.columns for rule in rules_of(name, cells[name], spec)]
    cell = cells[spec.target]
    label = cell if spec.task == "multiclass" else number(cell)
    # Counting every column makes the reader look at all of them, those outside the spec included.
    counts = [f"count(*) FILTER ({rule.broken})" for rule in rules] + [
        f"count(c{i})" for i in range(len(header))
    ]
    # Rejected lines are stored once the result is read to its end, which fetchone would not do.
    (result,) = connection.execute(
        f"SELECT count(*), min({label}), max({label}), {', '.join(counts)} "  # noqa: S608 - see _source
        f"FROM {_source(path, header, keep_rejects=True)}"
    ).fetchall()
    rows, low, high = int(result[0]), result[1], result[2]
    _check_structure(connection, rows)
    source = _source(path, header)
    findings = [
        _finding(connection, source, rule, int(count), rows)
        for rule, count in zip(rules, result[3:], strict=False)  # the columns' own counts follow
        if count
    ]
    if low is not None and low == high and not any(f.column == spec.target for f in findings):
        value = low if isinstance(low, str) else f"{low:g}"
        text = (
            f"column {spec.target}: all {rows:,} rows have the label {value}; at least two labels are needed"
        )
        findings.append(Finding(spec.target, "label", rows, text, ({"row": 1, "value": value},)))
    return rows, findings


def _check_structure(connection: Any, rows: int) -> None:
    """Refuse a file whose rows are no CSV or have not as many cells as the header."""
    stored = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE table_name = 'reject_errors'"
    ).fetchall()
    rejected = (
        stored
        and connection.execute(
            "SELECT line, any_value(csv_line), any_value(error_message), count(*) OVER () "  # noqa: S608 - a constant
            "FROM reject_errors "
            f"GROUP BY line ORDER BY line LIMIT {_EXAMPLES}"
        ).fetchall()
    )
    if rejected:
        line, _, message, count = rejected[0]
        raise _UnusableError(
            "structure",
            f"{count:,} of {rows + count:,} rows cannot be read as CSV, first in line {line}: "
            f"{_lower(message)}",
            int(count),
            tuple({"row": int(line) - 1, "value": _cut(text)} for line, text, _, _ in rejected),
        )
    if rows == 0:
        raise _UnusableError("file", "the file has a header line and not one row of data")


def _finding(connection: Any, source: str, rule: Rule, count: int, rows: int) -> Finding:
    found = connection.execute(
        f"SELECT row, value FROM (SELECT row_number() OVER () AS row, {rule.cell} AS value, "  # noqa: S608 - _source
        f"{rule.broken} AS broken FROM {source}) WHERE broken ORDER BY row LIMIT {_EXAMPLES}"
    ).fetchall()
    examples = tuple({"row": int(row), "value": _cut(value)} for row, value in found)
    text = (
        f"column {rule.column}: row {examples[0]['row']}: found {shown(examples[0]['value'])}, "
        f"expected {rule.expected} ({count:,} of {rows:,} rows)"
    )
    return Finding(rule.column, rule.name, count, text, examples)


def _cut(value: str | None) -> str | None:
    if value is None:
        return None
    return cut(value.rstrip("\r\n"))


def _lower(message: str) -> str:
    first = message.partition("\n")[0].rstrip(".")
    return first[:1].lower() + first[1:]
