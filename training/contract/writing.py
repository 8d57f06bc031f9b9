"""Writes the good rows as Parquet, and the bad ones beside with their reasons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.contract.engine import Engine
from training.contract.findings import SAMPLE_ROWS
from training.contract.measure import Plan
from training.contract.rules import identifier, quoted
from training.words import cut

REPEATED = "repeated_keys"
_ROW_GROUP = 122_880


def find_repeated(plan: Plan, engine: Engine) -> int:
    """Number the good rows whose key was there before, into the table `REPEATED`; returns how many."""
    numbered = (
        f"SELECT row_number() OVER () AS row, {plan.good} AS good, hash({plan.key}) AS digest, "  # noqa: S608 - see sources
        f"struct_pack({_fields(plan)}) AS key FROM {plan.source.table}"
    )
    engine.run(
        f"CREATE TEMP TABLE {REPEATED} AS SELECT row FROM ("  # noqa: S608 - see sources
        "SELECT row, row_number() OVER (PARTITION BY key ORDER BY row) AS turn FROM ("
        f"SELECT * FROM ({numbered}) WHERE good AND digest IN ("
        f"SELECT digest FROM ({numbered}) WHERE good GROUP BY digest HAVING count(*) > 1))) WHERE turn > 1"
    )
    return int(engine.row(f"SELECT count(*) FROM {REPEATED}")[0])  # noqa: S608 - a constant


def _fields(plan: Plan) -> str:
    return ", ".join(f"k{i} := {one}" for i, one in enumerate(plan.key.split(", ")))


def write_good(plan: Plan, target: Path, engine: Engine, *, repeated: bool) -> None:
    """Write the good rows in the file's order, with the contract's columns first."""
    values = ", ".join(f"{cell.value} AS {identifier(name)}" for name, cell in plan.source.cells.items())
    wanted = "good" + (f" AND row NOT IN (SELECT row FROM {REPEATED})" if repeated else "")
    number = "row_number() OVER () AS row, " if repeated else ""
    names = ", ".join(map(identifier, plan.source.cells))
    engine.run(
        f"COPY (SELECT {names} FROM (SELECT {number}{plan.good} AS good, {values} "  # noqa: S608 - see sources
        f"FROM {plan.source.table}) WHERE {wanted}) "
        f"TO {quoted(str(target))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
    )


def _bad(plan: Plan, repeated: bool) -> str:
    """SQL of the bad rows: number, reasons, cells as text."""
    reasons = ", ".join(
        f"CASE WHEN {rule.broken} THEN {quoted(f'{rule.column}: expected {rule.expected}')} END"
        for rule in plan.rules
    )
    texts = ", ".join(f"{cell.text} AS {identifier(name)}" for name, cell in plan.source.cells.items())
    key = (
        f", CASE WHEN row IN (SELECT row FROM {REPEATED}) THEN 'the key was in an earlier row' END"
        if repeated
        else ""
    )
    names = ", ".join(map(identifier, plan.source.cells))
    also = f" OR row IN (SELECT row FROM {REPEATED})" if repeated else ""
    return (
        f"SELECT row, concat_ws('; ', own{key}) AS reasons, {names} FROM ("  # noqa: S608 - see sources
        f"SELECT row_number() OVER () AS row, concat_ws('; ', {reasons}) AS own, "
        f"NOT ({plan.forgotten}) AND ({plan.bad}) AS bad, {texts} FROM {plan.source.table}) "
        f"WHERE bad{also}"
    )


def write_bad(plan: Plan, target: Path, engine: Engine, *, repeated: bool) -> None:
    """Write the bad rows as CSV: ``row``, ``reasons`` and the file's columns as text."""
    engine.run(f"COPY ({_bad(plan, repeated)}) TO {quoted(str(target))} (FORMAT csv, HEADER)")


def sample(plan: Plan, engine: Engine, *, repeated: bool) -> tuple[dict[str, Any], ...]:
    """The first bad rows, for the reason file."""
    found = engine.rows(f"{_bad(plan, repeated)} ORDER BY row LIMIT {SAMPLE_ROWS}")
    return tuple(
        {
            "row": int(row),
            "reasons": reasons.split("; ") if reasons else ["the row cannot be read"],
            "values": _shown(plan.source.cells, values),
        }
        for row, reasons, *values in found
    )


def _shown(names: Any, values: Sequence[Any]) -> dict[str, str | None]:
    return {
        name: None if value is None else cut(str(value), 200)
        for name, value in zip(names, values, strict=True)
    }
