"""Writes the good rows as Parquet whose bytes depend on the rows alone."""

from __future__ import annotations

from pathlib import Path

from training.contract.badrows import repeated_rows
from training.contract.engine import Engine
from training.contract.plan import Plan
from training.contract.quoting import identifier, quoted

# DuckDB's own unit of storage: a multiple of it splits no block in two.
_ROW_GROUP = 122_880


def write_good(plan: Plan, target: Path, engine: Engine, *, repeated: bool, clean: bool) -> None:
    """Write the good rows in the file's order: the contract's columns first, then the added ones.

    Args:
        plan: Tells good rows from others.
        target: The Parquet file.
        engine: The connection.
        repeated: Whether rows with a repeated key were found.
        clean: Whether all rows are good.
    """
    kept = ", ".join(f"k{i}" for i in range(len(plan.source.cells)))
    values = ", ".join(f"{cell.value} AS k{i}" for i, cell in enumerate(plan.source.cells.values()))
    if clean:
        select = f"SELECT {values} FROM {plan.source.table}"  # noqa: S608 - see sources
    else:
        other = f" AND number NOT IN {repeated_rows()}" if repeated else ""
        number = f"{plan.source.row} AS number, " if repeated else ""
        select = (
            f"SELECT {kept} FROM (SELECT {number}good, {values} FROM {plan.table}) "  # noqa: S608 - see sources
            f"WHERE good{other}"
        )
    named = ", ".join(f"k{i} AS {identifier(name)}" for i, name in enumerate(plan.source.cells))
    write_rows(engine, f"SELECT {named} FROM ({select})", target)  # noqa: S608 - see sources


def write_rows(engine: Engine, select: str, target: Path) -> None:
    """Write the rows of a query in their order.

    Args:
        engine: The connection.
        select: Its columns are named and typed as they are to be.
        target: The Parquet file.
    """
    names = [str(row[0]) for row in engine.rows(f"DESCRIBE {select}")]
    # By position: names that differ in the case of letters only are one name to DuckDB.
    columns = [f"v{i}" for i in range(len(names))]
    named = ", ".join(f"{one} AS {identifier(name)}" for one, name in zip(columns, names, strict=True))
    with engine.work_table(f"SELECT * FROM ({select}) AS rows({', '.join(columns)})") as table:  # noqa: S608
        engine.run(
            f"COPY (SELECT {named} FROM {table}) TO {quoted(str(target))} "  # noqa: S608 - see sources
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
        )
