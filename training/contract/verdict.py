"""Words for what the counts mean, and whether the file is refused for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from models.spec import ModelSpec
from training.contract.badrows import Unreadable
from training.contract.distribution import unit_change
from training.contract.findings import EXAMPLES, Finding, UnusableError
from training.contract.measure import Counts
from training.contract.plan import Plan
from training.words import cut, shown


def check_rows(rows: int, spec: ModelSpec) -> None:
    """Refuse a file without rows or with too many.

    Raises:
        UnusableError: Says how many.
    """
    if rows == 0:
        raise UnusableError("file", "the file has a header line and not one row of data")
    most = spec.contract.max_rows
    if rows > most:
        raise UnusableError(
            "rows", f"the file has {rows:,} rows, at most {most:,} are taken (contract.max_rows); split it"
        )


def row_findings(
    plan: Plan,
    spec: ModelSpec,
    counts: Counts,
    first: Mapping[int, tuple[tuple[int, str | None], ...]],
    unreadable: Unreadable,
    repeated: int,
    *,
    fatal: bool,
) -> list[Finding]:
    """What is wrong with single rows.

    Args:
        plan: The rules.
        spec: Names the key.
        counts: How many rows break each.
        first: The first of them, by the rule's position.
        unreadable: Rows that are not in the counts at all.
        repeated: Rows with a key that was there before.
        fatal: Whether there are too many.
    """
    rows = counts.rows + len(unreadable.lines)
    found = []
    if unreadable.lines:
        line, _, message = unreadable.lines[0]
        found.append(
            Finding(
                None,
                "structure",
                len(unreadable.lines),
                f"{len(unreadable.lines):,} of {rows:,} rows cannot be read as CSV, first in line {line}: "
                f"{message}",
                tuple({"row": at - 1, "value": cut(text)} for at, text, _ in unreadable.lines[:EXAMPLES]),
                fatal,
            )
        )
    for position, (rule, broken) in enumerate(zip(plan.rules, counts.broken, strict=True)):
        if not broken:
            continue
        examples = tuple(
            {"row": unreadable.number(row), "value": None if text is None else cut(text.rstrip("\r\n"))}
            for row, text in first[position]
        )
        where = f"column {rule.column}: " if rule.column else ""
        example = f"row {examples[0]['row']}: found {shown(examples[0]['value'])}, " if examples else ""
        text = f"{where}{example}expected {rule.expected} ({broken:,} of {rows:,} rows)"
        found.append(Finding(rule.column, rule.name, broken, text, examples, fatal))
    if repeated:
        called = ", ".join(spec.contract.key)
        text = f"{repeated:,} of {rows:,} rows repeat the key ({called}) of an earlier row"
        found.append(Finding(None, "key", repeated, text, (), fatal))
    return found


def whole_findings(spec: ModelSpec, counts: Counts, good: int, now: datetime, *, told: bool) -> list[Finding]:
    """What only shows when all good rows are looked at.

    Args:
        spec: Holds the contract.
        counts: Of the file.
        good: Rows that are kept.
        now: In UTC.
        told: Whether it is known already why there may be none.
    """
    contract = spec.contract
    if not good:
        return [] if told else [_too_few(good, contract.min_rows)]
    found = [*_label(spec, counts, good)]
    if good < contract.min_rows:
        found.append(_too_few(good, contract.min_rows))
    newest, days = counts.times[1], contract.max_age_days
    if days is not None and newest is not None and newest < now.replace(tzinfo=None) - timedelta(days=days):
        text = (
            f"column {spec.time_column}: the newest row is of {newest.isoformat()}, which is more than "
            f"{days:g} days before {now:%Y-%m-%dT%H:%M:%S} (contract.max_age_days)"
        )
        found.append(Finding(spec.time_column, "age", 1, text))
    for feature in spec.features:
        deciles, rows = counts.deciles.get(feature.name, (None, 0))
        change = unit_change(feature, deciles, rows, contract.unit_factor)
        if change is not None:
            found.append(Finding(feature.name, "unit", rows, change.text))
    return found


def _label(spec: ModelSpec, counts: Counts, good: int) -> list[Finding]:
    low, high = counts.labels
    if low != high:
        return []
    value = low if isinstance(low, str) else f"{low:g}"
    whose = f"all {good:,} rows have" if good > 1 else "the only row has"
    text = f"column {spec.target}: {whose} the label {value}; at least two labels are needed"
    return [Finding(spec.target, "label", good, text, ({"row": 1, "value": value},))]


def _too_few(good: int, least: int) -> Finding:
    text = f"the file has {good:,} good rows, at least {least:,} are needed (contract.min_rows)"
    return Finding(None, "rows", 1, text)
