"""Counts what breaks the contract, in one pass over the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from training.contract.distribution import QUANTILES
from training.contract.engine import Engine
from training.contract.plan import Plan

# Deciles of so many rows are as good as those of all, and quickly sorted.
_DECILE_ROWS = 20_000
_FEWEST = 1000


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What the pass found.

    Attributes:
        rows: All rows.
        forgotten: Of them those to forget.
        bad: Rows that break a rule, those to forget aside.
        broken: Rows per rule, in the plan's order.
        repeated: Good rows whose key another good row has; an upper bound, None without a key.
        labels: Smallest and largest label of the good rows.
        times: Oldest and newest time of the good rows.
        deciles: Per feature, with how many numbers they were made from.
    """

    rows: int
    forgotten: int
    bad: int
    broken: tuple[int, ...]
    repeated: int
    labels: tuple[Any, Any]
    times: tuple[datetime | None, datetime | None]
    deciles: Mapping[str, tuple[tuple[float, ...] | None, int]]

    @property
    def good(self) -> int:
        """Rows that break no rule of their own."""
        return self.rows - self.forgotten - self.bad


def count_clean(plan: Plan, engine: Engine, rows_about: int) -> Counts | None:
    """Count in the belief that every row is good; None when that is wrong.

    Args:
        plan: What is asked.
        engine: The connection.
        rows_about: How many rows the file may have.

    Raises:
        QueryError: The file cannot be read in this way.
    """
    wrong = plan.bad if plan.forgotten == "false" else f"{plan.forgotten} OR {plan.bad}"
    found = engine.row(_query(plan, rows_about, [f"count(*) FILTER ({wrong})"], kept=""))
    if found[1] or not found[0]:
        return None
    counts = _counts(plan, found, 1, broken=(0,) * len(plan.rules), bad=0, forgotten=0)
    if plan.key and plan.source.rows is not None:
        repeats = engine.row(_repeats(plan))[0]
        return None if repeats else counts
    return None if counts.repeated else counts


def count(plan: Plan, engine: Engine, rows_about: int) -> Counts:
    """Count everything.

    Raises:
        QueryError: The file cannot be read.
    """
    apart = "" if plan.forgotten == "false" else f"NOT {plan.forgotten} AND "
    asked = [
        f"count(*) FILTER ({plan.forgotten})",
        f"count(*) FILTER ({apart}({plan.bad}))",
        *(f"count(*) FILTER ({apart}{rule.broken})" for rule in plan.rules),
    ]
    found = engine.row(_query(plan, rows_about, asked, kept=plan.good, with_keys=True))
    forgotten, bad, *broken = (int(n) for n in found[1 : len(asked) + 1])
    counts = _counts(plan, found, len(asked), broken=tuple(broken), bad=bad, forgotten=forgotten)
    sampled = min((n for _, n in counts.deciles.values()), default=_FEWEST)
    if sampled < _FEWEST and counts.good > sampled:
        return count(plan, engine, 0) if rows_about else counts
    return counts


def _query(plan: Plan, rows_about: int, asked: list[str], *, kept: str, with_keys: bool = False) -> str:
    only = f" FILTER ({kept})" if kept else ""
    every = rows_about // _DECILE_ROWS
    conditions = [*([kept] if kept else []), *([f"{_spread(plan)} % {every} = 0"] if every > 1 else [])]
    sampled = f" FILTER ({' AND '.join(conditions)})" if conditions else ""
    values = [plan.source.cells[f.name].value for f in plan.deciles]
    in_one_pass = plan.key and (with_keys or plan.source.rows is None)
    selected = [
        "count(*)",
        *asked,
        f"count(*){only} - count(DISTINCT {plan.key_hash}){only}" if in_one_pass else "0",
        *(f"{end}({value}){only}" for value in (plan.label, plan.time) for end in ("min", "max")),
        *(f"quantile_disc({value}, {list(QUANTILES)}){sampled}" for value in values),
        *(f"count({value}){sampled}" for value in values),
        # Columns that nobody asks for are not looked at by the reader, so not even for broken text.
        *(f"count({cell.value})" for cell in plan.source.cells.values() if cell.text == cell.value),
    ]
    return f"SELECT {', '.join(selected)} FROM {plan.source.table}"  # noqa: S608 - see sources


def _counts(
    plan: Plan, found: tuple[Any, ...], asked: int, *, broken: tuple[int, ...], bad: int, forgotten: int
) -> Counts:
    repeated, low, high, oldest, newest, *rest = found[asked + 1 :]
    width = len(plan.deciles)
    deciles = {
        feature.name: (tuple(rest[i]) if rest[i] else None, int(rest[width + i]))
        for i, feature in enumerate(plan.deciles)
    }
    return Counts(
        rows=int(found[0]),
        forgotten=forgotten,
        bad=bad,
        broken=broken,
        repeated=int(repeated),
        labels=(low, high),
        times=(oldest, newest),
        deciles=deciles,
    )


def _spread(plan: Plan) -> str:
    """SQL of a number that picks rows evenly, and the same ones each time."""
    if plan.key:
        return plan.key_hash
    values = [plan.time, plan.label, *(plan.source.cells[f.name].value for f in plan.deciles)]
    return f"hash({', '.join(values)})"


def _repeats(plan: Plan) -> str:
    """Equal neighbours among the sorted hashes; sorting takes half the time and memory of counting them."""
    return (
        "SELECT count(*) FROM (SELECT digest, lead(digest) OVER (ORDER BY digest) AS following "  # noqa: S608
        f"FROM (SELECT {plan.key_hash} AS digest FROM {plan.source.table})) WHERE digest = following"
    )
