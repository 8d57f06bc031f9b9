"""Finds the rows of a CSV file that are no CSV, or have not as many cells as the header."""

from __future__ import annotations

from pathlib import Path

from models.spec import ModelSpec
from training.contract.badrows import Unreadable
from training.contract.engine import Engine, QueryError
from training.contract.findings import EXAMPLES, UnusableError
from training.contract.formats import Format
from training.contract.sources import Source, csv_table
from training.words import cut

# DuckDB keeps a record of each, of about a kilobyte.
_MOST = 50_000
_TEXT_CHARACTERS = 2000


def find_unreadable(
    path: Path, form: Format, spec: ModelSpec, source: Source, engine: Engine, problem: QueryError
) -> Unreadable:
    """List them.

    Args:
        path: The file.
        form: What is known of it.
        spec: Holds the limits.
        source: The file as a table.
        engine: The connection.
        problem: What the strict reader said.

    Raises:
        UnusableError: There are too many, or the reader cannot say which they are.
    """
    types = ["VARCHAR"] * len(source.cells)
    delimiter = source.delimiter or ","

    def table(options: str) -> str:
        return csv_table(path, form, spec, delimiter, types, options)

    counted = ", ".join(f"count(c{i})" for i in range(len(types)))

    def rows(options: str) -> int:
        return int(engine.row(f"SELECT count(*), {counted} FROM {table(options)}")[0])  # noqa: S608 - quoted

    try:
        readable = rows("strict_mode=true, ignore_errors=true")
        every = max(rows("strict_mode=false, null_padding=true, ignore_errors=true"), readable + 1)
    except QueryError:
        raise _refusal(problem) from problem
    if every - readable > min(_MOST, spec.contract.max_bad_share * every + EXAMPLES):
        raise _refusal(problem, every - readable, every)
    engine.run(
        f"SELECT count(*), {counted} FROM "  # noqa: S608 - quoted
        + table(
            f"strict_mode=true, ignore_errors=true, store_rejects=true, rejects_limit={_MOST}, "
            f"rejects_line_size_limit={_TEXT_CHARACTERS}"
        )
    )
    found = engine.rows(
        "SELECT line, any_value(csv_line), any_value(error_message) FROM reject_errors "
        "GROUP BY line ORDER BY line"
    )
    if not found:
        raise _refusal(problem)
    lines = tuple((int(line), _plain(text or ""), _lower(message)) for line, text, message in found)
    bad, total = len(lines), readable + len(lines)
    if bad > spec.contract.max_bad_share * total:
        line, _, message = lines[0]
        raise UnusableError(
            "structure",
            f"{bad:,} of {total:,} rows cannot be read as CSV, first in line {line}: {message}",
            bad,
            tuple({"row": line - 1, "value": cut(text)} for line, text, _ in lines[:EXAMPLES]),
        )
    return Unreadable(lines)


def _refusal(problem: QueryError, bad: int | None = None, rows: int | None = None) -> UnusableError:
    message = "; ".join(_lower(line) for line in str(problem).splitlines()[:3:2] if line)
    if bad is None:
        return UnusableError("structure", f"the file cannot be read as CSV: {message}")
    return UnusableError("structure", f"{bad:,} of {rows:,} rows cannot be read as CSV: {message}", bad)


def _plain(text: str) -> str:
    return text.rstrip("\r\n")


def _lower(message: str) -> str:
    first = message.partition("\n")[0].rstrip(".").removeprefix("Invalid Input Error: ")
    return first[:1].lower() + first[1:]
