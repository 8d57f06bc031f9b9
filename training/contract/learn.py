"""Proposes the data contract of a model from data: a first version of its spec, for a person to review."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, cast, get_args

from models.spec import METRICS, Contract, ModelSpec, Task
from training import clock
from training.contract.cells import text_cell
from training.contract.check import check_file
from training.contract.distribution import QUANTILES
from training.contract.engine import Engine
from training.contract.findings import Report
from training.contract.proposal import MAX_VALUES, Facts, Proposal, propose, propose_typed
from training.contract.quoting import identifier, quoted

_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_MAX_KEY_COLUMNS = 3
_KEY_CANDIDATES = 8
# In fewer rows than this a combination may be unique by chance.
_KEY_ROWS = 200
_COLUMNS_AT_ONCE = 40
# Of a column with more different texts than this share of its rows, they are counted exactly.
_NEARLY_ALL = 0.8
_DAY_SECONDS = 86_400
_CENTURY_DAYS = 36_525.0
_MEGABYTE = 1_000_000


class LearnError(ValueError):
    """Data that no contract can be learned from; names the file, what was found and what to do."""


@dataclass(frozen=True)
class Learned:
    """A proposal.

    Attributes:
        spec: What ``models.spec.parse`` takes.
        notes: Of features and keys of the contract, what a person should look at.
        left_out: Columns that are no features, with the reason.
        rows: Rows it was learned from.
    """

    spec: dict[str, Any]
    notes: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    rows: int = 0


def learn(
    paths: Sequence[Path], *, target: str, time_column: str, task: str | None = None, name: str = "model"
) -> dict[str, Any]:
    """Propose a model's spec; ``study`` tells the reasons too."""
    return study(paths, target=target, time_column=time_column, task=task, name=name).spec


def study(
    paths: Sequence[Path], *, target: str, time_column: str, task: str | None = None, name: str = "model"
) -> Learned:
    """Propose a model's spec from files in any format that is taken.

    The proposal accepts the files it was learned from. Rows without a time or a label are left out, as the
    intake does; what they hold elsewhere is not looked at.

    Args:
        paths: Data files; only columns that all of them have become features.
        target: Column that holds the label.
        time_column: Column that orders the rows.
        task: ``binary``, ``multiclass`` or ``regression``; None takes it from the labels.
        name: Of the model.

    Raises:
        LearnError: A file cannot be used, a column is not there, or times or labels are not in order.
        OSError: A file cannot be opened.
    """
    if not paths:
        raise LearnError("no file to learn from")
    if target == time_column:
        raise LearnError(f"column {target} cannot be both the label and the time")
    if task is not None and task not in get_args(Task):
        raise LearnError(f"task: found {task!r}, expected one of {', '.join(get_args(Task))}")
    with tempfile.TemporaryDirectory(prefix="upkeep-learn-") as folder:
        clean = [
            _clean(path, target, time_column, task, Path(folder) / f"{number}.parquet")
            for number, path in enumerate(paths)
        ]
        with Engine() as engine:
            return _Study(engine, clean, target, time_column, task, name).propose()


@dataclass(frozen=True)
class _Clean:
    """A file once its times and labels are in order: the rest of its columns are texts in ``path``."""

    source: Path
    path: Path
    report: Report
    kinds: Mapping[str, str]


def _clean(source: Path, target: str, time_column: str, task: str | None, to: Path) -> _Clean:
    """Check a file as if nothing but its time and label were known.

    A label in Parquet is a number or a text, and the encoding of a text is not written anywhere: the first
    of the possible ways that succeeds is right.
    """
    first: Report | None = None
    for encoding in ("utf-8", "latin-1"):
        for one in [task] if task else ["multiclass", "regression"]:
            spec = ModelSpec(
                name="model", task=cast("Task", one), target=target, time_column=time_column, features=(),
                contract=Contract(
                    encoding=cast("Any", encoding), max_future_days=_CENTURY_DAYS, max_file_mb=4000,
                    max_unpacked_mb=100_000, max_line_kb=10_000,
                ),
            )  # fmt: skip
            report = check_file(source, spec, accept_to=to)
            first = first or report
            if report.ok:
                return _Clean(source, to, report, _kinds(source, report))
            if report.diff.get("missing"):
                raise LearnError(_without(source, report))
            if not {"encoding", "types"} & {f.rule for f in report.findings}:
                raise LearnError(f"{source.name}: {report.reason}")
    raise LearnError(f"{source.name}: {first.reason if first else ''}")


def _without(source: Path, report: Report) -> str:
    """Say which column is not there, and what is."""
    missing, others = report.diff["missing"], report.diff.get("added") or []
    likely = report.diff.get("renamed") or {}
    hints = ", ".join(f"{new} instead of {old}?" for old, new in likely.items())
    return (
        f"{source.name}: no column {' and no column '.join(missing)}; "
        f"besides what was named it has {', '.join(others) or 'none'}{'; ' + hints if hints else ''}"
    )


def _kinds(path: Path, report: Report) -> dict[str, str]:
    """The types a Parquet file gives its columns; empty for text."""
    if report.format.get("kind") != "parquet":
        return {}
    with Engine() as engine:
        found = engine.rows(f"DESCRIBE SELECT * FROM read_parquet({quoted(str(path))})")  # noqa: S608 - quoted
    return {str(row[0]): str(row[1]) for row in found}


class _Study:
    """Looks at all files together."""

    def __init__(
        self,
        engine: Engine,
        files: Sequence[_Clean],
        target: str,
        time_column: str,
        task: str | None,
        name: str,
    ) -> None:
        self._engine, self._files = engine, files
        self._target, self._time, self._task, self._name = target, time_column, task, name
        listed = ", ".join(quoted(str(one.path)) for one in files)
        self._table = f"read_parquet([{listed}], union_by_name=true)"
        self.rows = sum(one.report.rows for one in files)
        self.notes: dict[str, str] = {}
        self.left_out: dict[str, str] = {}

    def propose(self) -> Learned:
        """The spec, with notes."""
        task = self._task or self._task_of_labels()
        features = self._features()
        if not features:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.left_out.items()) or "there is none"
            raise LearnError(f"no column that a model could learn from: {reasons}")
        spec = {
            "name": self._name,
            "task": task,
            "target": self._target,
            "time_column": self._time,
            "features": features,
            "contract": self._contract(features),
            "gate": {"metric": METRICS[cast("Task", task)][0]},
        }
        return Learned(spec, self.notes, self.left_out, self.rows)

    def _task_of_labels(self) -> str:
        label = identifier(self._target)
        number = text_cell(f"{label}::VARCHAR", "number")
        (others, noughts, distinct) = self._engine.row(
            f"SELECT count(*) FILTER (NOT coalesce({number.readable}, false)), "  # noqa: S608 - quoted
            f"count(*) FILTER (NOT coalesce({number.value} IN (0, 1), false)), "
            f"approx_count_distinct({label}) FROM {self._table}"
        )
        if others:
            return "multiclass"
        if noughts:
            self.notes["task"] = (
                f"labels are numbers, about {distinct:,} different; multiclass needs them written as words"
            )
            return "regression"
        return "binary"

    def _features(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for facts in self._facts(self._candidates()):
            proposal = self._proposal(facts)
            if proposal.options is None:
                self.left_out[facts.name] = proposal.note
                continue
            found[facts.name] = proposal.options
            if proposal.note:
                self.notes[f"features.{facts.name}"] = proposal.note
        return found

    def _proposal(self, facts: Facts) -> Proposal:
        kinds = sorted({one.kinds[facts.name] for one in self._files if facts.name in one.kinds})
        proposals = [propose_typed(facts, kind) for kind in kinds] or [propose(facts)]
        types = {one.options["type"] if one.options else None for one in proposals}
        if len(types) > 1:
            return Proposal(None, f"{' in one file and '.join(kinds).lower()} in another")
        return proposals[0]

    def _candidates(self) -> list[str]:
        """Columns of all files that a spec can name, in the order of the first."""
        every = dict.fromkeys(name for one in self._files for name in one.report.ignored)
        for name in every:
            lacking = sum(name not in one.report.ignored for one in self._files)
            if lacking:
                self.left_out[name] = f"{lacking} of {len(self._files)} files do not have it"
            elif not _COLUMN.fullmatch(name):
                self.left_out[name] = "a feature is named by letters, digits and underscores; rename it"
        return [name for name in every if name not in self.left_out]

    def _facts(self, names: Sequence[str]) -> Iterable[Facts]:
        for start in range(0, len(names), _COLUMNS_AT_ONCE):
            some = names[start : start + _COLUMNS_AT_ONCE]
            counted = self._engine.row(
                f"SELECT {', '.join(_counts(identifier(name)) for name in some)} FROM {self._table}"  # noqa: S608 - quoted
            )
            size = len(counted) // len(some)
            for i, name in enumerate(some):
                yield self._look(name, counted[i * size : (i + 1) * size])

    def _look(self, name: str, counted: Sequence[Any]) -> Facts:
        """One column in detail, as far as the first counts make that worthwhile."""
        present, numbers, times, words, about, low, high = counted
        column = identifier(name)
        values: tuple[str, ...] = ()
        distinct = int(about)
        if distinct <= 2 * MAX_VALUES:
            found = self._engine.rows(
                f"SELECT DISTINCT {column} FROM {self._table} WHERE {column} IS NOT NULL"  # noqa: S608 - quoted
            )
            distinct = len(found)
            values = tuple(str(row[0]) for row in found) if distinct <= MAX_VALUES else ()
        elif distinct >= _NEARLY_ALL * present:
            (distinct,) = self._engine.row(f"SELECT count(DISTINCT {column}) FROM {self._table}")  # noqa: S608 - quoted
        deciles: tuple[float, ...] = ()
        if present and numbers == present:
            number = text_cell(column, "number").value
            (deciles,) = self._engine.row(
                f"SELECT quantile_disc({number}, {list(QUANTILES)}) FROM {self._table}"  # noqa: S608 - quoted
            )
        return Facts(
            name=name,
            rows=self.rows,
            missing=self.rows - int(present),
            numbers=int(numbers),
            times=int(times),
            words=int(words),
            distinct=distinct,
            values=values,
            low=low,
            high=high,
            deciles=tuple(deciles),
        )

    def _contract(self, features: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        contract: dict[str, Any] = {}
        key = self._key(features)
        if key:
            contract["key"] = list(key)
            self.notes["contract.key"] = (
                f"no two of these {self.rows:,} rows share it; leave it out if two rows may"
            )
        contract["max_bad_share"] = Contract().max_bad_share
        contract |= self._limits()
        return contract

    def _key(self, features: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
        """The smallest combination of time and categories that no two rows share."""
        if self.rows < _KEY_ROWS:
            return ()
        others = [name for name, options in features.items() if options["type"] == "category"]
        tried = [
            (self._time, *more)
            for count in range(_MAX_KEY_COLUMNS)
            for more in combinations(others[:_KEY_CANDIDATES], count)
        ]
        for key in tried:
            listed = ", ".join(map(identifier, key))
            twice = self._engine.rows(
                f"SELECT 1 FROM {self._table} GROUP BY {listed} HAVING count(*) > 1 LIMIT 1"  # noqa: S608 - quoted
            )
            if not twice:
                return key
        return ()

    def _limits(self) -> dict[str, Any]:
        """What these files need besides the defaults."""
        default = Contract()
        limits: dict[str, Any] = {}
        newest = max(one.report.last for one in self._files if one.report.last)
        ahead = datetime.fromisoformat(newest).replace(tzinfo=UTC).timestamp() - clock.now()
        if ahead > default.max_future_days * _DAY_SECONDS:
            limits["max_future_days"] = float(math.ceil(ahead / _DAY_SECONDS) + 1)
            self.notes["contract.max_future_days"] = f"the newest row is of {newest}"
        biggest = math.ceil(max(one.source.stat().st_size for one in self._files) / _MEGABYTE)
        if biggest > default.max_file_mb:
            limits["max_file_mb"] = biggest
        encodings = {one.report.format.get("encoding") for one in self._files}
        if "latin-1" in encodings:
            limits["encoding"] = "latin-1"
            self.notes["contract.encoding"] = "not UTF-8; every byte is a letter in Latin-1, so look at some"
        return limits


def _counts(column: str) -> str:
    """SQL of the first counts of a column of texts."""
    number, time = text_cell(column, "number"), text_cell(column, "time")
    return ", ".join(
        [
            f"count({column})",
            f"count(*) FILTER (coalesce({number.readable}, false))",
            f"count(*) FILTER (coalesce({time.readable}, false))",
            f"count(*) FILTER (lower({column}) IN ('true', 'false'))",
            f"approx_count_distinct({column})",
            f"min({number.value}) FILTER (coalesce({number.readable}, false))",
            f"max({number.value}) FILTER (coalesce({number.readable}, false))",
        ]
    )
