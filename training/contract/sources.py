"""Makes SQL of a file: a table with one column per column of the file, and the contract's cells in it.

Columns are called by their position, so nothing that stands in the file reaches the SQL unquoted.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.spec import ModelSpec
from training.contract import columns
from training.contract.cells import CALLED, Cell, fits, kind_of, number_cell, text_cell, typed_cell
from training.contract.engine import Engine
from training.contract.findings import UnusableError
from training.contract.formats import Format
from training.contract.quoting import quoted
from training.contract.rules import Rule
from training.contract.unpacking import lines_table

_DELIMITERS = (",", ";", "\t", "|")
_LINE_NUMBER = "row_number() OVER ()"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file as a table.

    Attributes:
        table: SQL of the table.
        row: SQL of a row's number in the table, counted from 1.
        cells: The contract's columns in its order, then the added ones as text.
        added: Names of the added ones.
        whole_rows: Rules for rows as a whole.
        delimiter: Of CSV.
        rows: As the file says; None when only reading it tells.
    """

    table: str
    row: str = _LINE_NUMBER
    cells: Mapping[str, Cell]
    added: tuple[str, ...]
    whole_rows: tuple[Rule, ...] = ()
    delimiter: str | None = None
    rows: int | None = None


def header(line: str, spec: ModelSpec) -> tuple[str, list[str]]:
    """The delimiter that gives the most columns of the contract, and the names it gives.

    Raises:
        UnusableError: The line is no CSV with any delimiter.
    """
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


def csv_source(
    path: Path, form: Format, spec: ModelSpec, *, typed: bool = False, skip: bool = False
) -> Source:
    """A CSV file.

    Args:
        path: The file.
        form: What is known of it.
        spec: Names the columns.
        typed: Have numbers read as such by the CSV reader, which is twice as fast as casting their texts; it
            fails at the first cell that holds none, and takes what `text_cell` calls no number.
        skip: Leave out rows that are no CSV or have not as many cells as the header.

    Raises:
        UnusableError: A column is missing or repeated.
    """
    delimiter, names = header(re.split(r"\r\n|\r|\n", form.start, maxsplit=1)[0], spec)
    columns.check_names(names, spec)
    kinds = [kind_of(name, spec) for name in names]
    types = ["DOUBLE" if typed and kind in ("number", "label") else "VARCHAR" for kind in kinds]
    cells = {
        name: number_cell(f"c{i}") if types[i] == "DOUBLE" else text_cell(f"c{i}", kind)
        for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
    }
    added = tuple(name for name in names if name not in spec.columns)
    table = csv_table(path, form, spec, delimiter, types, "ignore_errors=true" if skip else "")
    return _source(table, cells, added, spec, delimiter=delimiter)


def csv_table(
    path: Path, form: Format, spec: ModelSpec, delimiter: str, types: Sequence[str], options: str = ""
) -> str:
    """SQL of the reader, with a column per type; strict unless the options say otherwise."""
    listed = ", ".join(f"'c{i}': '{one}'" for i, one in enumerate(types))
    return (
        f"read_csv({quoted(str(path))}, auto_detect=false, header=true, columns={{{listed}}}, "
        f"delim={quoted(delimiter)}, quote='\"', escape='\"', nullstr='', "
        f"encoding={quoted(form.encoding or 'utf-8')}, compression={quoted(form.compression or 'none')}, "
        f"max_line_size={spec.contract.max_line_kb * 1000}, {options or 'strict_mode=true'})"
    )


def json_source(path: Path, form: Format, spec: ModelSpec, engine: Engine) -> Source:
    """A file of JSON lines; a key that is missing in a row is a missing value.

    Raises:
        UnusableError: A column is in no row at all.
    """
    lines = lines_table(path, form.compression, form.encoding or "utf-8", spec.contract.max_line_kb * 1000)
    # Lines that are blank hold no row, but they count for those who look one up by its number.
    rows = (
        "(SELECT row, line, CASE WHEN json_type(json) = 'OBJECT' THEN json END AS json FROM ("  # noqa: S608 - quoted
        f"SELECT {_LINE_NUMBER} AS row, line, TRY_CAST(line AS JSON) AS json FROM {lines}) "
        "WHERE trim(line, ' \t\r') <> '')"
    )
    found = engine.rows(
        f"SELECT DISTINCT unnest(json_keys(json)) AS name FROM {rows} "  # noqa: S608 - quoted
        f"ORDER BY name LIMIT {columns.MAX_COLUMNS + 1}"
    )
    names = [str(name) for (name,) in found]
    columns.check_names(names, spec, "the file")
    extracted = ", ".join(
        f"nullif(json_extract_string(json, {_pointer(name)}), '') AS c{i}, "
        f"json_type(json, {_pointer(name)}) AS t{i}"
        for i, name in enumerate(names)
    )
    keys = "json_keys(json)"
    broken = f"(json IS NULL OR len({keys}) > len(list_distinct({keys})))"
    cells: dict[str, Cell] = {}
    for i, name in enumerate(names):
        cell = text_cell(f"c{i}", kind_of(name, spec))
        if name in spec.columns:
            plain = f"t{i} NOT IN ('OBJECT', 'ARRAY')"
            both = plain if cell.readable == "true" else f"({plain} AND {cell.readable})"
            cell = replace(cell, readable=both)
        cells[name] = cell
    added = tuple(name for name in names if name not in spec.columns)
    whole = Rule(
        column=None,
        name="structure",
        text="line",
        broken="broken",
        expected="one JSON object with each key once",
    )
    table = f"(SELECT row, line, {broken} AS broken, {extracted} FROM {rows})"  # noqa: S608 - quoted
    return _source(table, cells, added, spec, row="row", whole_rows=(whole,))


def _pointer(name: str) -> str:
    """RFC 6901, as an SQL literal."""
    return quoted("/" + name.replace("~", "~0").replace("/", "~1"))


def parquet_source(path: Path, spec: ModelSpec, engine: Engine) -> Source:
    """A Parquet file.

    Raises:
        UnusableError: A column is missing, repeated or has another type, or the file holds too much.
    """
    file = quoted(str(path))
    rows, size = engine.row(
        f"SELECT (SELECT sum(num_rows) FROM parquet_file_metadata({file})), "  # noqa: S608 - quoted
        f"(SELECT sum(total_uncompressed_size) FROM parquet_metadata({file}))"
    )
    most = spec.contract.max_unpacked_mb * 1_000_000
    if (size or 0) > most:
        raise UnusableError(
            "file",
            f"the file unpacks to {size:,} bytes, at most {most:,} are taken (contract.max_unpacked_mb)",
        )
    names = _top_level(engine.rows(f"SELECT name, num_children FROM parquet_schema({file})"))  # noqa: S608
    columns.check_names(names, spec, "the file")
    types = [str(row[1]) for row in engine.rows(f"DESCRIBE FROM read_parquet({file})")]
    kinds = [kind_of(name, spec) for name in names]
    columns.check_types(
        {
            name: (found, CALLED[kind])
            for name, found, kind in zip(names, types, kinds, strict=True)
            if name in spec.columns and not fits(found, kind)
        }
    )
    cells = {
        name: typed_cell(f"c{i}", found, kind)
        for i, (name, found, kind) in enumerate(zip(names, types, kinds, strict=True))
    }
    added = tuple(name for name in names if name not in spec.columns)
    aliases = ", ".join([*(f"c{i}" for i in range(len(names))), "row"])
    table = f"read_parquet({file}, file_row_number=true) AS file({aliases})"
    return _source(table, cells, added, spec, row="(row + 1)", rows=int(rows or 0))


def _top_level(schema: Sequence[tuple[str, int | None]]) -> list[str]:
    """Names of the columns: the schema is a tree written from its root on, children after their parent."""
    names: list[str] = []
    open_children = [schema[0][1] or 0]
    for name, children in schema[1:]:
        while open_children[-1] == 0:
            open_children.pop()
        open_children[-1] -= 1
        if len(open_children) == 1:
            names.append(str(name))
        open_children.append(children or 0)
    return names


def _source(
    table: str, cells: Mapping[str, Cell], added: tuple[str, ...], spec: ModelSpec, **more: Any
) -> Source:
    """Have values, and then whether they can be read, computed once per row.

    DuckDB computes an expression once per place it is written in, below AND, OR and CASE.
    """
    values, checks, found = [], [], {}
    for i, name in enumerate((*spec.columns, *added)):
        cell = cells[name]
        if not cell.value.isidentifier():
            values.append(f"{cell.value} AS v{i}")
            named = {
                field: getattr(cell, field).replace(cell.value, f"v{i}")
                for field in ("text", "missing", "readable")
            }
            cell = replace(cell, value=f"v{i}", **named)
        if cell.readable != "true":
            checks.append(f"{cell.readable} AS r{i}")
            cell = replace(cell, readable=f"r{i}")
        found[name] = cell
    table = f"(SELECT {', '.join(['*', *values])} FROM {table})"  # noqa: S608 - quoted
    table = f"(SELECT {', '.join(['*', *checks])} FROM {table})"  # noqa: S608 - quoted
    return Source(table=table, cells=found, added=added, **more)
