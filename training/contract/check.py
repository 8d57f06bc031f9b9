"""Checks a data file against a model's contract before anything is trained on it.

The same check runs in the intake Lambda, in ``upkeep contract check`` and in ``upkeep push`` before the
upload. It reads with DuckDB, in bounded memory. What it lets through, it writes as typed Parquet, which
``training.reading`` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from models.spec import ModelSpec
from training.contract import formats, measure, writing
from training.contract.distribution import unit_change
from training.contract.engine import Engine
from training.contract.findings import Finding, Report, UnusableError
from training.contract.forgetting import Forgotten
from training.contract.formats import Format
from training.contract.measure import Counts, Plan
from training.contract.sources import Source, open_source
from training.words import shown


@dataclass
class _Progress:
    """What is known so far, kept when the check ends early."""

    form: Format | None = None
    source: Source | None = None
    findings: list[Finding] = field(default_factory=list)
    known: dict[str, Any] = field(default_factory=dict)

    def report(self) -> Report:
        form, source = self.form, self.source
        described: dict[str, str | None] = {}
        if form is not None:
            described = {
                "kind": form.kind,
                "compression": form.compression,
                "delimiter": source.delimiter if source else None,
                "encoding": form.encoding,
            }
        return Report(
            findings=tuple(self.findings),
            ignored=source.added if source else (),
            format=described,
            **self.known,
        )


def check_file(
    path: Path,
    spec: ModelSpec,
    *,
    name: str = "",
    now: datetime | None = None,
    accept_to: Path | None = None,
    reject_to: Path | None = None,
    forgotten: Sequence[Forgotten] = (),
) -> Report:
    """Check a file, and write its good rows.

    Args:
        path: The file; nothing is assumed about its content.
        spec: Holds the contract.
        name: What people call the file; only for messages.
        now: The time of arrival, with a zone.
        accept_to: The good rows are written here as Parquet when the file is accepted.
        reject_to: The bad rows are written here as CSV when the file is accepted and has some.
        forgotten: Requests to forget; rows they mean are neither good nor bad.

    Raises:
        OSError: The file cannot be opened.
    """
    progress = _Progress()
    with Engine(path) as engine:
        try:
            _check(path, spec, now or datetime.now(UTC), engine, progress, forgotten, accept_to, reject_to)
        except UnusableError as error:
            progress.findings.append(error.finding)
            if error.diff:
                progress.known["diff"] = error.diff
        except engine.error as error:
            kind = progress.form.kind if progress.form else "data"
            first = str(error).partition("\n")[0]
            progress.findings.append(
                Finding(None, "structure", 1, f"the file cannot be read as {_CALLED[kind]}: {first}")
            )
    report = progress.report()
    if not report.ok and accept_to is not None:
        accept_to.unlink(missing_ok=True)
    return report


_CALLED = {"csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet", "data": "data"}


def _check(
    path: Path,
    spec: ModelSpec,
    now: datetime,
    engine: Engine,
    progress: _Progress,
    forgotten: Sequence[Forgotten],
    accept_to: Path | None,
    reject_to: Path | None,
) -> None:
    progress.form = formats.detect(path, spec.contract, engine)
    progress.source = open_source(path, progress.form, spec, engine)
    plan = measure.plan(progress.source, spec, now.astimezone(UTC), forgotten)
    counts = measure.count(plan, spec, engine)
    if counts.rows == 0:
        raise UnusableError("file", "the file has a header line and not one row of data")
    if counts.rows > spec.contract.max_rows:
        raise UnusableError(
            "rows",
            f"the file has {counts.rows:,} rows, at most {spec.contract.max_rows:,} are taken (contract.max_rows)",
        )
    repeated = 0
    if counts.keys is not None and counts.keys < counts.good:
        repeated = writing.find_repeated(plan, engine)
    bad = counts.bad + repeated
    fatal = bad > spec.contract.max_bad_share * (counts.rows - counts.forgotten)
    for rule, broken in zip(plan.rules, counts.broken, strict=True):
        if broken:
            examples = measure.examples(plan, rule, engine)
            text = (
                f"column {rule.column}: row {examples[0]['row']}: found {shown(examples[0]['value'])}, "
                f"expected {rule.expected} ({broken:,} of {counts.rows:,} rows)"
            )
            progress.findings.append(Finding(rule.column, rule.name, broken, text, examples, fatal))
    if repeated:
        called = ", ".join(spec.contract.key)
        text = f"{repeated:,} of {counts.rows:,} rows repeat the key ({called}) of an earlier row"
        progress.findings.append(Finding(None, "key", repeated, text, (), fatal))
    if bad:
        progress.known["sample"] = writing.sample(plan, engine, repeated=bool(repeated))
    good = counts.good - repeated
    progress.known |= {"rows": good, "dropped": bad, "forgotten": counts.forgotten}
    if counts.times[0] is not None and counts.times[1] is not None:
        progress.known |= {"first": counts.times[0].isoformat(), "last": counts.times[1].isoformat()}
    if good:
        progress.findings += _whole(plan, spec, counts, good, now.astimezone(UTC))
        progress.findings += _units(plan, spec, good, engine)
    if any(f.fatal for f in progress.findings):
        return
    if accept_to is not None:
        writing.write_good(plan, accept_to, engine, repeated=bool(repeated))
    if reject_to is not None and bad:
        writing.write_bad(plan, reject_to, engine, repeated=bool(repeated))


def _whole(plan: Plan, spec: ModelSpec, counts: Counts, good: int, now: datetime) -> list[Finding]:
    """What only shows when all good rows are looked at."""
    found = []
    low, high = counts.labels
    if low == high:
        value = low if isinstance(low, str) else f"{low:g}"
        text = (
            f"column {spec.target}: all {good:,} rows have the label {value}; at least two labels are needed"
        )
        found.append(Finding(spec.target, "label", good, text, ({"row": 1, "value": value},)))
    if good < spec.contract.min_rows:
        least = spec.contract.min_rows
        text = f"the file has {good:,} good rows, at least {least:,} are needed (contract.min_rows)"
        found.append(Finding(None, "rows", 1, text))
    newest, days = counts.times[1], spec.contract.max_age_days
    if days is not None and newest is not None and newest < now.replace(tzinfo=None) - timedelta(days=days):
        text = (
            f"column {spec.time_column}: the newest row is of {newest.isoformat()}, at most {days:g} days before "
            f"{now:%Y-%m-%dT%H:%M:%S} are taken (contract.max_age_days)"
        )
        found.append(Finding(spec.time_column, "age", 1, text))
    return found


def _units(plan: Plan, spec: ModelSpec, good: int, engine: Engine) -> list[Finding]:
    features = [f for f in spec.features if f.deciles]
    deciles = measure.deciles(plan, features, good, engine)
    found = []
    for feature in features:
        values, rows = deciles[feature.name]
        change = unit_change(feature, values, rows, spec.contract.unit_factor)
        if change is not None:
            found.append(Finding(feature.name, "unit", rows, change.text))
    return found
