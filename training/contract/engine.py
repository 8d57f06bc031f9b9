"""A DuckDB connection that keeps within its memory and puts what does not fit beside the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

# A function with 1,769 MB has one virtual CPU, with 3,538 MB two:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MEMORY_LIMIT = "600MB"
_MAX_THREADS = 4
_BATCH_ROWS = 10_000


class Engine:
    """One connection, for one file; what it spills lies beside the file and is gone afterwards."""

    def __init__(self, beside: Path) -> None:
        import duckdb  # late: a Lambda that only quarantines unknown prefixes never needs it

        self.error: type[Exception] = duckdb.Error
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": MEMORY_LIMIT,
                "threads": min(_MAX_THREADS, len(os.sched_getaffinity(0)))
                if hasattr(os, "sched_getaffinity")
                else min(_MAX_THREADS, os.cpu_count() or 1),
                "temp_directory": str(beside.parent / f"{beside.name}.duckdb"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        self._connection.execute("SET TimeZone = 'UTC'")

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query; reading to the end is what makes DuckDB store rejected lines."""
        return list(self._connection.execute(sql).fetchall())

    def row(self, sql: str) -> tuple[Any, ...]:
        """The one row of a query."""
        (found,) = self.rows(sql)
        return found

    def stream(self, sql: str) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query in batches, read as they are asked for."""
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql)
            while batch := cursor.fetchmany(_BATCH_ROWS):
                yield batch
        finally:
            cursor.close()

    def run(self, sql: str) -> None:
        """A statement whose result is nothing."""
        self._connection.execute(sql).fetchall()
