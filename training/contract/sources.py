"""Makes SQL of a file: a table with a column per column of the file, and the cells of the contract in it.

Columns are called by their position, so nothing that stands in the file reaches the SQL unquoted.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.spec import ModelSpec
from training.contract import columns
from training.contract.engine import Engine
from training.contract.findings import UnusableError
from training.contract.formats import Format
from training.contract.rules import Cell, kind_of, quoted, text_cell

_DELIMITERS = (",", ";", "\t", "|")
# What counts as the same type as the contract's; the rest is another type, however well it could be cast.
_INTEGERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
)
_NUMBERS = (*_INTEGERS, "FLOAT", "DOUBLE", "DECIMAL")
_TIMES = ("TIMESTAMP", "DATE")
_WORDS = {"number": "a number", "boolean": "a boolean", "time": "a timestamp", "text": "text"}


@dataclass(frozen=True)
class Source:
    """A file as a table.

    Attributes:
        table: SQL of the table; its columns are ``c0``, ``c1`` and so on.
        names: The file's columns by position.
        cells: The contract's columns, and then the added ones as text.
        broken_row: Condition for a row that cannot be read at all.
        delimiter: Of CSV.
    """

    table: str
    names: tuple[str, ...]
    cells: Mapping[str, Cell]
    broken_row: str = "false"
    delimiter: str | None = None

    @property
    def added(self) -> tuple[str, ...]:
        """Columns the contract does not name."""
        return tuple(self.cells)[self.contract_columns :]

    contract_columns: int = 0


def open_source(path: Path, form: Format, spec: ModelSpec, engine: Engine) -> Source:
    """Read the names and types of the columns.

    Raises:
        UnusableError: A column is missing, repeated or has another type.
    """
    if form.kind == "parquet":
        return _parquet(path, spec, engine)
    if form.kind == "jsonl":
        return _json_lines(path, form, spec, engine)
    return _csv(path, form, spec)


def _source(
    table: str, names: Sequence[str], cells: Mapping[str, Cell], spec: ModelSpec, **more: str | None
) -> Source:
    ordered = [*spec.columns, *(name for name in names if name not in spec.columns)]
    return Source(
        table,
        tuple(names),
        {name: cells[name] for name in ordered},
        contract_columns=len(spec.columns),
        **more,  # type: ignore[arg-type]  # two optional texts
    )


def _csv(path: Path, form: Format, spec: ModelSpec) -> Source:
    line = re.split(r"\r\n|\r|\n", form.head.decode(form.encoding or "utf-8", errors="replace"), maxsplit=1)[
        0
    ]
    delimiter, names = header(line, spec)
    columns.check_names(names, spec)
    listed = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(names)))
    compression = f", compression='{form.compression}'" if form.compression else ", compression='none'"
    table = (
        f"read_csv({quoted(str(path))}, auto_detect=false, header=true, columns={{{listed}}}, "
        f"delim={quoted(delimiter)}, quote='\"', escape='\"', nullstr='', strict_mode=true, "
        f"encoding={quoted(form.encoding or 'utf-8')}, "
        f"max_line_size={spec.contract.max_line_kb * 1000}{compression})"
    )
    cells = {name: text_cell(f"c{i}", kind_of(name, spec)) for i, name in enumerate(names)}
    return _source(table, names, cells, spec, delimiter=delimiter)


def header(line: str, spec: ModelSpec) -> tuple[str, list[str]]:
    """The delimiter that gives the most columns of the contract, and the names it gives."""
    best: tuple[int, int, str, list[str]] | None = None
    problem: csv.Error | None = None
    for delimiter in _DELIMITERS:
        try:
            names = next(csv.reader([line], delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            problem = problem or error
            continue
        known = len(set(names) & set(spec.columns))
        if best is None or (known, len(names)) > best[:2]:
            best = known, len(names), delimiter, names
    if best is None:
        raise UnusableError("header", f"the header line is no CSV text: {problem}")
    return best[2], best[3]


def _json_lines(path: Path, form: Format, spec: ModelSpec, engine: Engine) -> Source:
    compression = f", compression='{form.compression}'" if form.compression else ", compression='none'"
    objects = (
        f"read_ndjson_objects({quoted(str(path))}, ignore_errors=true, format='newline_delimited', "
        f"maximum_object_size={spec.contract.max_line_kb * 1000}{compression})"
    )
    found = engine.rows(
        "SELECT DISTINCT unnest(json_keys(json)) AS name "  # noqa: S608 - quoted
        f"FROM {objects} WHERE json_type(json) = 'OBJECT' ORDER BY name LIMIT {columns.MAX_COLUMNS + 1}"
    )
    names = [str(name) for (name,) in found]
    # A column all of whose values are missing need not be there: a missing key is a missing value.
    names = [*(n for n in names if n in spec.columns), *(n for n in names if n not in spec.columns)]
    columns.check_names(names, spec, "the file")
    extracted = ", ".join(
        f"CASE json_type(json, {_pointer(name)}) WHEN 'OBJECT' THEN '{{nested}}' WHEN 'ARRAY' THEN '[nested]' "
        f"ELSE nullif(json_extract_string(json, {_pointer(name)}), '') END AS c{i}"
        for i, name in enumerate(names)
    )
    kind = "coalesce(json_type(json) <> 'OBJECT', true) AS unreadable"
    table = f"(SELECT {extracted}, {kind} FROM {objects})"  # noqa: S608 - quoted
    cells = {name: text_cell(f"c{i}", kind_of(name, spec)) for i, name in enumerate(names)}
    return _source(table, names, cells, spec, broken_row="unreadable")


def _pointer(name: str) -> str:
    """RFC 6901, as an SQL literal."""
    return quoted("/" + name.replace("~", "~0").replace("/", "~1"))


def _parquet(path: Path, spec: ModelSpec, engine: Engine) -> Source:
    reader = f"read_parquet({quoted(str(path))})"
    found = engine.rows(f"DESCRIBE SELECT * FROM {reader}")
    names, types = [str(row[0]) for row in found], [str(row[1]) for row in found]
    columns.check_names(names, spec, "the file")
    retyped = {
        name: (kind, _WORDS[kind_of(name, spec)])
        for name, kind in zip(names, types, strict=True)
        if name in spec.columns and not _fits(kind, kind_of(name, spec))
    }
    columns.check_types(retyped)
    cells = {
        name: _typed_cell(f"c{i}", kind, kind_of(name, spec))
        for i, (name, kind) in enumerate(zip(names, types, strict=True))
    }
    aliases = ", ".join(f"c{i}" for i in range(len(names)))
    return _source(f"{reader} AS file({aliases})", names, cells, spec)


def _fits(found: str, kind: str) -> bool:
    base = found.partition("(")[0]
    if kind == "number":
        return base in (*_NUMBERS, "BOOLEAN")
    if kind == "boolean":
        return base in (*_INTEGERS, "BOOLEAN")
    if kind == "time":
        return base.startswith(_TIMES)
    return base in ("VARCHAR", "ENUM", "UUID")


def _typed_cell(cell: str, found: str, kind: str) -> Cell:
    text = f"{cell}::VARCHAR"
    if kind == "number":
        number = f"{cell}::DOUBLE"
        return Cell(text, number, f"isfinite({number})")
    if kind == "boolean":
        readable = "true" if found == "BOOLEAN" else f"({cell} IN (0, 1))"
        return Cell(text, f"{cell}::BOOLEAN", readable)
    if kind == "time":
        value = f"{cell}::TIMESTAMP"
        return Cell(text, value, f"(year({value}) BETWEEN 1700 AND 2200)")
    return Cell(f"nullif({text}, '')", f"nullif({text}, '')")
