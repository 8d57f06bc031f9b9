"""Finds out which rows are bad, why, and where their like was before."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.contract.engine import Engine
from training.contract.findings import EXAMPLES, SAMPLE_ROWS
from training.contract.plan import Plan
from training.contract.quoting import identifier, quoted
from training.words import cut

_REPEATED = "repeated_keys"
_KEY_REASON = "the key is in an earlier row"
_VALUE_CHARACTERS = 200


@dataclass(frozen=True)
class Unreadable:
    """Rows of a CSV file that no table can hold.

    Attributes:
        lines: Line number, text and what is wrong; in order.
    """

    lines: tuple[tuple[int, str, str], ...] = ()

    @property
    def shifts(self) -> list[int]:
        """The n-th number: rows from here on have n + 1 unreadable ones before them in the file."""
        return [line - 1 - before for before, (line, _, _) in enumerate(self.lines)]

    def number(self, row: int) -> int:
        """The number in the file of a row that can be read."""
        return row + bisect_right(self.shifts, row)


def find_repeated(plan: Plan, engine: Engine) -> int:
    """Note the good rows whose key an earlier good row has; returns how many.

    Only rows whose hash another row has are compared in full, so that memory holds few of them.
    """
    key = ", ".join(plan.key)
    engine.run(
        "CREATE OR REPLACE TEMP TABLE twice AS SELECT DISTINCT digest FROM ("  # noqa: S608 - see sources
        "SELECT digest, lead(digest) OVER (ORDER BY digest) AS following "
        f"FROM (SELECT {plan.key_hash} AS digest FROM {plan.table} WHERE good)) WHERE digest = following"
    )
    engine.run(
        f"CREATE OR REPLACE TEMP TABLE {_REPEATED} AS SELECT row FROM ("  # noqa: S608 - see sources
        "SELECT row, row_number() OVER (PARTITION BY key ORDER BY row) AS turn FROM ("
        f"SELECT {plan.source.row} AS row, good, {plan.key_hash} AS digest, row({key}) AS key "
        f"FROM {plan.table}) "
        "WHERE good AND digest IN (SELECT digest FROM twice)) WHERE turn > 1"
    )
    return int(engine.row(f"SELECT count(*) FROM {_REPEATED}")[0])  # noqa: S608 - a constant


def examples(
    plan: Plan, broken: Sequence[int], engine: Engine
) -> dict[int, tuple[tuple[int, str | None], ...]]:
    """The first rows that break a rule, with what stands there, by the rule's position."""
    wanted = [i for i, count in enumerate(broken) if count]
    if not wanted:
        return {}
    picked = ", ".join(
        f"arg_min({{'row': number, 'text': t{i}}}, number, {EXAMPLES}) FILTER (e{i})" for i in wanted
    )
    columns = ", ".join(
        f"CASE WHEN b{i} THEN substr({plan.rules[i].text}, 1, {_VALUE_CHARACTERS}) END AS t{i}, "
        f"b{i} AND NOT gone AS e{i}"
        for i in wanted
    )
    found = engine.row(
        f"SELECT {picked} FROM (SELECT {plan.source.row} AS number, {columns} FROM {plan.table})"  # noqa: S608
    )
    return {
        i: tuple((int(one["row"]), one["text"]) for one in sorted(rows or (), key=lambda one: one["row"]))
        for i, rows in zip(wanted, found, strict=True)
    }


def sample(
    plan: Plan, engine: Engine, unreadable: Unreadable, *, repeated: bool
) -> tuple[dict[str, Any], ...]:
    """The first bad rows, for people who want to see some."""
    rows = engine.rows(f"{_bad(plan, repeated)} LIMIT {SAMPLE_ROWS}")
    names = list(plan.source.cells)
    found = [
        {
            "row": unreadable.number(int(row)),
            "reasons": list(reasons),
            "values": {
                name: None if value is None else cut(str(value), _VALUE_CHARACTERS)
                for name, value in zip(names, values, strict=True)
            },
        }
        for row, reasons, *values in rows
    ]
    found += [
        {"row": line - 1, "reasons": [reason], "values": {"": cut(text, _VALUE_CHARACTERS)}}
        for line, text, reason in unreadable.lines[:SAMPLE_ROWS]
    ]
    return tuple(sorted(found, key=lambda one: int(str(one["row"])))[:SAMPLE_ROWS])


def write(plan: Plan, target: Path, engine: Engine, unreadable: Unreadable, *, repeated: bool) -> None:
    """Write the bad rows as CSV: ``row``, ``reasons`` and the file's columns as text.

    Of a row that cannot be read, all text is in the first column.
    """
    names = [identifier(name) for name in plan.source.cells]
    values = [f"t{i}" for i in range(len(names))]
    engine.run(
        "CREATE OR REPLACE TEMP TABLE unreadable (row BIGINT, shift BIGINT, reason VARCHAR, text VARCHAR)"
    )
    for (line, text, reason), shift in zip(unreadable.lines, unreadable.shifts, strict=True):
        engine.run(
            f"INSERT INTO unreadable VALUES ({line - 1}, {shift}, {quoted(reason)}, {quoted(text)})"  # noqa: S608
        )
    before = "(SELECT count(*) FROM unreadable WHERE shift <= bad.number)"
    named = ", ".join(f"{value} AS {name}" for value, name in zip(values, names, strict=True))
    others = "".join(", NULL" for _ in names[1:])
    engine.run(
        f"COPY (SELECT row, reasons, {named} FROM ("  # noqa: S608 - see sources
        f"SELECT number + {before} AS row, array_to_string(reasons, '; ') AS reasons, {', '.join(values)} "
        f"FROM ({_bad(plan, repeated)}) AS bad UNION ALL "
        f"SELECT row, reason, text{others} FROM unreadable) ORDER BY row) "
        f"TO {quoted(str(target))} (FORMAT csv, HEADER)"
    )


def repeated_rows() -> str:
    """SQL of the numbers of the rows with a repeated key."""
    return f"(SELECT row FROM {_REPEATED})"  # noqa: S608 - a constant


def _bad(plan: Plan, repeated: bool) -> str:
    """SQL of the bad rows: number, list of reasons, cells as text ``t0``, ``t1`` and so on."""
    reasons = ", ".join(f"CASE WHEN b{i} THEN {quoted(rule.reason)} END" for i, rule in enumerate(plan.rules))
    texts = ", ".join(f"{cell.text} AS t{i}" for i, cell in enumerate(plan.source.cells.values()))
    again = f"number IN {repeated_rows()}" if repeated else "false"
    return (
        f"SELECT number, list_filter([{reasons}, CASE WHEN {again} THEN {quoted(_KEY_REASON)} END], "  # noqa: S608
        f"lambda one: one IS NOT NULL) AS reasons, {texts} "
        f"FROM (SELECT *, {plan.source.row} AS number FROM {plan.table}) WHERE bad OR {again}"
    )
