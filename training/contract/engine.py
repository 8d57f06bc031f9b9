"""A DuckDB connection that keeps within its memory and puts what does not fit on disk."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from training.contract.quoting import quoted

# Beside it the process needs some 150 MB; the function has 1,769 MB.
MEMORY_LIMIT = "600MB"
# More threads read no faster from one disk, and each holds its own buffers.
_MAX_THREADS = 4
_BATCH_ROWS = 10_000
_NO_SPACE = ("no space left", "max_temp_directory_size", "disk full")


class QueryError(Exception):
    """A query failed because of what is in the file."""


class Engine:
    """One connection, for one file; what it writes for itself lies in its own folder, gone afterwards."""

    def __init__(self) -> None:
        import duckdb  # late: a Lambda that only quarantines unknown prefixes never needs it

        self._errors = duckdb
        # Not beside the file: two checks of it would share the folder, and there may be no right to write.
        self._scratch = Path(tempfile.mkdtemp(prefix="upkeep-check-"))
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": MEMORY_LIMIT,
                "threads": _threads(),
                "temp_directory": str(self._scratch),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        self.run("SET TimeZone = 'UTC'")
        # A Parquet file carries statistics of its columns. They may be wrong, and with these DuckDB would
        # believe them: leave out a comparison, skip rows, or write a column as one that is never missing.
        self.run("SET disabled_optimizers = 'statistics_propagation,filter_pushdown'")

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query; reading to the end is what makes DuckDB store rejected lines."""
        with self._translated():
            return list(self._connection.execute(sql).fetchall())

    def row(self, sql: str) -> tuple[Any, ...]:
        """The one row of a query."""
        (found,) = self.rows(sql)
        return found

    def run(self, sql: str) -> None:
        """A statement whose result is of no interest."""
        self.rows(sql)

    def batches(self, sql: str) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query in batches, read as they are asked for."""
        with self._translated():
            cursor = self._connection.cursor()
            try:
                cursor.execute(sql)
                while batch := cursor.fetchmany(_BATCH_ROWS):
                    yield batch
            finally:
                cursor.close()

    def scratch(self, name: str) -> Path:
        """Where a file may be put that nobody needs after the check."""
        return self._scratch / name

    @contextmanager
    def work_table(self, select: str) -> Iterator[str]:
        """Keep the rows of a query, in their order, in a compressed table on disk; gives its name.

        One thread fills it: its rows then lie in blocks of equal size whatever they were read from, and so
        what is written from it has the same bytes for the same rows.
        """
        path = str(self.scratch("work.db"))
        # DuckDB takes a question mark in a database's name for the beginning of options.
        self.run(f"ATTACH {quoted(':memory:' if '?' in path else path)} AS work")
        try:
            self.run("SET threads = 1")
            self.run(f"CREATE TABLE work.kept AS {select}")
            self.run(f"SET threads = {_threads()}")
            yield "work.kept"
        finally:
            self.run("DETACH work")
            self.run(f"SET threads = {_threads()}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Tell errors of the content from those of the machine."""
        try:
            yield
        except self._errors.OutOfMemoryException as error:
            raise QueryError(
                f"it takes more than {MEMORY_LIMIT} of memory to check ({_first_line(error)})"
            ) from error
        except self._errors.Error as error:
            text = str(error)
            if any(sign in text.lower() for sign in _NO_SPACE):
                raise OSError(errno.ENOSPC, _first_line(error), str(self._scratch)) from error
            raise QueryError(text) from error


def _threads() -> int:
    # Not available on every system, and only there does it know about a container's limits.
    affinity = getattr(os, "sched_getaffinity", None)
    return min(_MAX_THREADS, len(affinity(0)) if affinity else os.cpu_count() or 1)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
