"""Checks a data file against a model's contract before anything is trained on it.

The same check runs in the intake Lambda, in ``upkeep contract check`` and in ``upkeep push`` before the
upload. It reads with DuckDB, in bounded memory. What it lets through it writes as typed Parquet, which
``training.reading`` reads.

Most files are good, so it looks first whether everything is, which is fast; only when something is not, it
reads again to find out what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.spec import ModelSpec
from training import clock
from training.contract import badrows, scan, sources, verdict
from training.contract.badrows import Unreadable
from training.contract.engine import Engine, QueryError
from training.contract.findings import Finding, Report, UnusableError
from training.contract.forgetting import Forgotten
from training.contract.formats import CALLED, Format, detect
from training.contract.measure import FEWEST_PICKED, Counts, all_deciles, count, count_clean
from training.contract.plan import Plan, make_plan
from training.contract.scan import Scan
from training.contract.sources import Source
from training.contract.unpacking import Pieces, pieces_of, with_one_line_end
from training.contract.unreadable import find_unreadable
from training.contract.writing import write_good


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
        name: What people call the file; the content alone decides what it is.
        now: The time of arrival, with a zone; the present time when it is left out.
        accept_to: The good rows are written here as Parquet when the file is accepted.
        reject_to: The bad rows are written here as CSV when the file is accepted and has some.
        forgotten: Requests to forget; rows they mean are neither good nor bad.

    Raises:
        OSError: The file cannot be read, or there is no space left to work.
    """
    del name
    with Engine() as engine:
        check = _Check(
            path, spec, (now or datetime.fromtimestamp(clock.now(), UTC)).astimezone(UTC), forgotten, engine
        )
        try:
            check.run()
            if check.ok:
                check.write(accept_to, reject_to)
        except UnusableError as error:
            check.refuse(error.finding, error.diff)
        except QueryError as error:
            called = CALLED[check.form.kind] if check.form else "data"
            text = f"the file cannot be read as {called}: {str(error).partition(chr(10))[0]}"
            check.refuse(Finding(None, "structure", 1, text))
        if not check.ok and accept_to is not None:
            accept_to.unlink(missing_ok=True)
        return check.report()


class _Check:
    """One file; keeps what is known of it so far, because any step may end the check."""

    def __init__(
        self, path: Path, spec: ModelSpec, now: datetime, forgotten: Sequence[Forgotten], engine: Engine
    ) -> None:
        self.path, self.spec, self.now, self.forgotten, self.engine = path, spec, now, forgotten, engine
        self.form: Format | None = None
        self.source: Source | None = None
        # Rows are judged the same by both; one shows their cells as they are, the other is read faster.
        self.plan: Plan | None = None
        self.kept: Plan | None = None
        self.unreadable = Unreadable()
        self.repeated = 0
        self.findings: list[Finding] = []
        self.known: dict[str, Any] = {}

    @property
    def ok(self) -> bool:
        return not any(finding.fatal for finding in self.findings)

    def refuse(self, finding: Finding, diff: dict[str, Any] | None = None) -> None:
        self.findings.append(finding)
        if diff:
            self.known["diff"] = diff

    def run(self) -> None:
        self.form, pieces = detect(self.path, self.spec.contract, self.engine)
        self._judge(self._parquet() if self.form.kind == "parquet" else self._text(pieces))

    def write(self, accept_to: Path | None, reject_to: Path | None) -> None:
        if self.plan is None or self.kept is None:
            return
        if accept_to is not None:
            clean = not self.known["dropped"] and not self.known["forgotten"]
            write_good(self.kept, accept_to, self.engine, repeated=bool(self.repeated), clean=clean)
        if reject_to is not None and self.known.get("dropped"):
            badrows.write(self.plan, reject_to, self.engine, self.unreadable, repeated=bool(self.repeated))

    def report(self) -> Report:
        form, source = self.form, self.source
        described = (
            {}
            if form is None
            else {
                "kind": form.kind,
                "compression": form.compression,
                "delimiter": source.delimiter if source else None,
                "encoding": form.encoding,
            }
        )
        return Report(
            findings=tuple(self.findings),
            ignored=source.added if source else (),
            format=described,
            **self.known,
        )

    def _plan(self, source: Source) -> Plan:
        self.source = source
        self.plan = self.kept = make_plan(source, self.spec, self.now, self.forgotten)
        return self.plan

    def _parquet(self) -> Counts:
        source = sources.parquet_source(self.path, self.spec, self.engine)
        rows = source.rows or 0
        verdict.check_rows(rows, self.spec)
        return self._twice(self._plan(source), rows)

    def _text(self, pieces: Pieces) -> Counts:
        assert self.form is not None
        form, contract = self.form, self.spec.contract
        seen = scan.scan(pieces, form.head, contract, form.compression)
        try:
            if form.kind == "jsonl":
                return self._json_lines(form, seen.size)
            return self._csv(self.path, form, pieces, seen)
        except (UnusableError, QueryError):
            # Bytes that are no letters explain everything else, such as a header that does not fit.
            self._check_encoding(pieces)
            raise

    def _json_lines(self, form: Format, size: int) -> Counts:
        source = sources.json_source(self.path, form, self.spec, self.engine)
        return count(self._plan(source), self.engine, _rows_about(form, size))

    def _csv(self, path: Path, form: Format, pieces: Pieces, seen: Scan) -> Counts:
        spec, engine = self.spec, self.engine
        rows = _rows_about(form, seen.size)
        source = sources.csv_source(path, form, spec)
        plan = self._plan(source)
        if not seen.odd_numbers:
            typed = make_plan(
                sources.csv_source(path, form, spec, typed=True), spec, self.now, self.forgotten
            )
            try:
                counts = self._twice(typed, rows)
            except QueryError:
                pass  # what it is only the texts of the cells say
            else:
                self.kept = typed
                return counts
        try:
            return count(plan, engine, rows)
        except QueryError as error:
            self._check_encoding(pieces)
            # DuckDB takes line ends of one kind only.
            even = engine.scratch("lines")
            if path == self.path and seen.size <= spec.contract.max_file_mb * 1_000_000:
                if with_one_line_end(pieces, even):
                    again = pieces_of(even, None, engine, 0)
                    return self._csv(even, replace(form, compression=None), again, seen)
                even.unlink()
            self.unreadable = find_unreadable(path, form, spec, source, engine, error)
            return count(self._plan(sources.csv_source(path, form, spec, skip=True)), engine, rows)

    def _twice(self, plan: Plan, rows: int) -> Counts:
        """First in the belief that all is well."""
        counts = count_clean(plan, self.engine, rows)
        return counts or count(plan, self.engine, rows)

    def _check_encoding(self, pieces: Pieces) -> None:
        if self.form is not None and self.form.encoding == "utf-8":
            scan.check_encoding(pieces, scan.line_end(self.form.head))

    def _judge(self, counts: Counts) -> None:
        assert self.plan is not None
        assert self.kept is not None
        plan, spec, engine = self.plan, self.spec, self.engine
        verdict.check_rows(counts.rows + len(self.unreadable.lines), spec)
        if counts.repeated:
            self.repeated = badrows.find_repeated(self.kept, engine)
        picked = min((n for _, n in counts.deciles.values()), default=FEWEST_PICKED)
        if picked < FEWEST_PICKED < counts.good:
            counts = replace(counts, deciles=all_deciles(self.kept, engine))
        bad = counts.bad + self.repeated + len(self.unreadable.lines)
        good = counts.good - self.repeated
        self.known |= {"rows": good, "dropped": bad, "forgotten": counts.forgotten}
        if counts.times[0] is not None and counts.times[1] is not None:
            self.known |= {"first": counts.times[0].isoformat(), "last": counts.times[1].isoformat()}
        if bad:
            fatal = bad > spec.contract.max_bad_share * (good + bad)
            first = badrows.examples(plan, counts.broken, engine)
            self.findings += verdict.row_findings(
                plan, spec, counts, first, self.unreadable, self.repeated, fatal=fatal
            )
            self.known["sample"] = badrows.sample(plan, engine, self.unreadable, repeated=bool(self.repeated))
        self.findings += verdict.whole_findings(spec, counts, good, self.now, told=not self.ok)


def _rows_about(form: Format, size: int) -> int:
    """From the length of the first lines."""
    lines = form.head.count(scan.line_end(form.head))
    return size * lines // max(len(form.head), 1)
