"""Counts what breaks the contract, in one pass over the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from training.contract.distribution import QUANTILES
from training.contract.engine import Engine
from training.contract.plan import Plan

# Of a feature, and how many numbers they were made from.
Deciles = tuple[tuple[float, ...] | None, int]

# Deciles of so many rows are as good as those of all, and quickly sorted.
_DECILE_ROWS = 20_000
FEWEST_PICKED = 1000
_LISTED_ROWS = 12_000_000


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What the pass found.

    Attributes:
        rows: All rows.
        forgotten: Of them those to forget.
        bad: Rows that break a rule, those to forget aside.
        broken: Rows per rule, in the plan's order.
        repeated: Good rows whose key another good row has; an upper bound.
        labels: Smallest and largest label of the good rows.
        times: Oldest and newest time of the good rows.
        deciles: Per feature.
    """

    rows: int
    forgotten: int
    bad: int
    broken: tuple[int, ...]
    repeated: int
    labels: tuple[Any, Any]
    times: tuple[datetime | None, datetime | None]
    deciles: Mapping[str, Deciles]

    @property
    def good(self) -> int:
        """Rows that break no rule of their own."""
        return self.rows - self.forgotten - self.bad


def count_clean(plan: Plan, engine: Engine, rows_about: int) -> Counts | None:
    """Count in the belief that every row keeps its rules; None when that is wrong.

    Args:
        plan: What is asked.
        engine: The connection.
        rows_about: How many rows the file may have.

    Raises:
        QueryError: The file cannot be read in this way.
    """
    asked = [" AND ".join([f"({rule.holds})" for rule in plan.rules])]
    if plan.forgotten != "false":
        asked.append(f"count(*) FILTER ({plan.forgotten}) = 0")
    apart = bool(plan.key) and plan.source.rows is not None
    found = engine.row(_query(plan, rows_about, asked, clean=True, with_keys=not apart))
    if not found[0] or not all(found[1 : len(asked) + 1]):
        return None
    repeated = int(engine.row(_repeats(plan))[0]) if apart else 0
    counts = _counts(plan, found, len(asked), (0, 0, *(0 for _ in plan.rules)))
    return replace(counts, repeated=counts.repeated + repeated)


def count(plan: Plan, engine: Engine, rows_about: int) -> Counts:
    """Count everything.

    Raises:
        QueryError: The file cannot be read.
    """
    asked = [
        "count(*) FILTER (gone)",
        "count(*) FILTER (bad)",
        *(f"count(*) FILTER (b{i} AND NOT gone)" for i in range(len(plan.rules))),
    ]
    found = engine.row(_query(plan, rows_about, asked))
    return _counts(plan, found, len(asked), tuple(int(n) for n in found[1 : len(asked) + 1]))


def all_deciles(plan: Plan, engine: Engine) -> Mapping[str, Deciles]:
    """Of all good rows, not of some: for a file whose rows are too much alike to pick from."""
    values = [plan.source.cells[f.name].value for f in plan.deciles]
    asked = [f"approx_quantile({value}, {list(QUANTILES)}), count({value})" for value in values]
    found = engine.row(f"SELECT {', '.join(asked)} FROM {plan.table} WHERE good")  # noqa: S608 - see sources
    return _deciles(plan, found)


def _query(
    plan: Plan, rows_about: int, asked: list[str], *, clean: bool = False, with_keys: bool = True
) -> str:
    only = "" if clean else " FILTER (good)"
    every = rows_about // _DECILE_ROWS
    conditions = [*([] if clean else ["good"]), *([f"{_spread(plan)} % {every} = 0"] if every > 1 else [])]
    picked = f" FILTER ({' AND '.join(conditions)})" if conditions else ""
    values = [plan.source.cells[f.name].value for f in plan.deciles]
    fields = ", ".join(f"'d{i}': {value}" for i, value in enumerate(values))
    digests, repeated = _keys(plan, rows_about, only) if plan.key and with_keys else ("0", "0")
    counted = [
        "count(*)",
        *asked,
        *(f"{end}({value}){only}" for value in (plan.label, plan.time) for end in ("min", "max")),
        # Columns that nobody asks for are not looked at by the reader, so not even for broken text.
        " + ".join(f"count({cell.value})" for cell in plan.source.cells.values()),
        f"{digests} AS digests",
        # One list is filled faster than many quantiles.
        (f"list({{{fields}}}){picked}" if values else "[]") + " AS picks",
    ]
    named = ", ".join(f"{one} AS a{i}" for i, one in enumerate(counted[:-2]))
    quantiles = ", ".join(
        f"quantile_disc(one.d{i}, {list(QUANTILES)}), count(one.d{i})" for i in range(len(values))
    )
    table = plan.source.table if clean else plan.table
    return (
        f"WITH found AS MATERIALIZED (SELECT {named}, {', '.join(counted[-2:])} FROM {table}), "  # noqa: S608
        f"deciles AS (SELECT {quantiles or 'count(*)'} FROM (SELECT unnest(picks) AS one FROM found)) "
        f"SELECT found.* EXCLUDE (digests, picks), {repeated}, deciles.* FROM found, deciles"
    )


def _keys(plan: Plan, rows_about: int, only: str) -> tuple[str, str]:
    """An aggregate of the keys' hashes, and how many rows have one that another row has.

    Sorting hashes takes less time and memory than counting different ones, as long as they fit into memory.
    """
    if 0 < rows_about <= _LISTED_ROWS:
        listed = "SELECT unnest(digests) AS digest FROM found"
        return (
            f"list({plan.key_hash}){only}",
            f"({_neighbours(listed)})",
        )
    return f"count(*){only} - count(DISTINCT {plan.key_hash}){only}", "digests"


def _repeats(plan: Plan) -> str:
    """The same of a file that is read again so fast that no list is needed."""
    return _neighbours(f"SELECT {plan.key_hash} AS digest FROM {plan.source.table}")  # noqa: S608 - see sources


def _neighbours(digests: str) -> str:
    return (
        f"SELECT count(*) FROM (SELECT digest FROM ({digests}) "  # noqa: S608 - see sources
        "QUALIFY row_number() OVER (PARTITION BY digest) > 1)"
    )


def _counts(plan: Plan, found: tuple[Any, ...], asked: int, numbers: tuple[int, ...]) -> Counts:
    low, high, oldest, newest, _, repeated, *deciles = found[asked + 1 :]
    forgotten, bad, *broken = numbers
    return Counts(
        rows=int(found[0]),
        forgotten=forgotten,
        bad=bad,
        broken=tuple(broken),
        repeated=int(repeated),
        labels=(low, high),
        times=(oldest, newest),
        deciles=_deciles(plan, deciles),
    )


def _deciles(plan: Plan, found: Sequence[Any]) -> dict[str, Deciles]:
    pairs = zip(found[::2], found[1::2], strict=False)
    return {
        feature.name: (tuple(values) if values else None, int(count))
        for feature, (values, count) in zip(plan.deciles, pairs, strict=False)
    }


def _spread(plan: Plan) -> str:
    """SQL of a number that picks rows evenly, and the same ones each time."""
    if plan.source.rows is not None:
        return plan.source.row
    if plan.key:
        return plan.key_hash
    values = [plan.source.cells[f.name].value for f in plan.deciles[:2]]
    return f"hash({', '.join([plan.time, plan.label, *values])})"
