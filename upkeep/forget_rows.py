"""Finds and removes a person's rows in single files; nothing here calls AWS.

The values are compared by the digests that a request is kept as, so what is found here and what the intake
leaves out of a later file are the same rows.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from models.spec import ModelSpec
from training.contract import forgetting
from training.contract.check import check_file
from training.contract.engine import Engine
from training.contract.forgetting import ForgettingError, Forgotten
from training.contract.quoting import identifier, quoted
from training.contract.writing import write_rows
from upkeep.errors import UpkeepError

_ANY_UNIT = 1e12
_CHUNK_BYTES = 1 << 20
_OVERLAP_BYTES = 4096
# gzip, zstd, Parquet, zip: https://en.wikipedia.org/wiki/List_of_file_signatures
_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1", b"PK")


@dataclass(frozen=True)
class Wanted:
    """Which rows are meant.

    Attributes:
        spec: Knows the columns' types.
        values: Column to the value as a person writes it; all must match.
        id: Of the request.
    """

    spec: ModelSpec
    values: Mapping[str, str]
    id: str = "request"

    def request(self) -> Forgotten:
        """The request as the ledger keeps it.

        Raises:
            ForgettingError: A value is none of its column's type.
        """
        pairs = [forgetting.condition(column, value, self.spec) for column, value in self.values.items()]
        return Forgotten(self.id, dict(pairs))

    def for_types(self, types: Mapping[str, str]) -> Forgotten:
        """The request for an object whose columns may have the types of an older contract."""
        found = {}
        for column, value in self.values.items():
            kind = types.get(column, "VARCHAR")
            text = _as_number(value) if kind == "DOUBLE" else value if kind == "VARCHAR" else None
            with contextlib.suppress(ForgettingError):
                text = text or forgetting.canonical(column, value, self.spec)
            found[column] = forgetting.digest(text if text is not None else value)
        return Forgotten(self.id, found)

    def matches_texts(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of text cells, as it was pushed, is meant."""
        return all(
            column in row and row[column] is not None and self._same(column, str(row[column]), value)
            for column, value in self.values.items()
        )

    def _same(self, column: str, found: str, value: str) -> bool:
        if found == value:
            return True
        with contextlib.suppress(ForgettingError):
            canonical = forgetting.canonical(column, value, self.spec)
            return forgetting.canonical(column, found, self.spec) == canonical
        return False


@dataclass(frozen=True, kw_only=True)
class Found:
    """What an accepted object holds.

    Attributes:
        rows: All of its rows.
        matching: Those that are meant.
        first: Time of the oldest row that stays, ISO 8601.
        last: Time of the newest.
        columns: Its columns.
    """

    rows: int
    matching: int
    first: str | None = None
    last: str | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scrubbed:
    """What a refused file's entry may go on showing.

    Attributes:
        sample: Bad rows.
        findings: What is wrong, with examples.
        reason: The sentence.
        rows: How many rows of the sample were meant.
        is_changed: Whether anything was taken out.
    """

    sample: tuple[dict[str, Any], ...]
    findings: tuple[dict[str, Any], ...]
    reason: str
    rows: int
    is_changed: bool


def count(path: Path, wanted: Wanted) -> Found:
    """How many rows of an accepted object are meant."""
    with Engine() as engine:
        types = _types(path, engine)
        condition = _condition(types, wanted)
        time = wanted.spec.time_column
        span = f"min({identifier(time)}), max({identifier(time)})" if time in types else "NULL, NULL"
        rows, matching = engine.row(
            f"SELECT count(*), count(*) FILTER ({condition}) FROM {_table(path)}"  # noqa: S608 - quoted
        )
        oldest, newest = engine.row(
            f"SELECT {span} FROM {_table(path)} WHERE NOT ({condition})"  # noqa: S608 - quoted
        )
    return Found(
        rows=int(rows), matching=int(matching), first=_iso(oldest), last=_iso(newest), columns=tuple(types)
    )


def remove(path: Path, wanted: Wanted, target: Path) -> None:
    """Write an accepted object again without the rows that are meant: the bytes the intake would write."""
    with Engine() as engine:
        condition = _condition(_types(path, engine), wanted)
        kept = f"SELECT * FROM {_table(path)} WHERE NOT ({condition})"  # noqa: S608 - quoted
        write_rows(engine, kept, target)


def count_raw(path: Path, wanted: Wanted, name: str) -> int | None:
    """How many rows of a file as it was pushed are meant; None when that cannot be told."""
    report = check_file(path, lenient(wanted.spec), name=name, forgotten=[wanted.request()])
    if report.rows or report.dropped or report.forgotten:
        return report.forgotten
    return None if _may_hold(path, wanted.values.values()) else 0


def rewrite_raw(path: Path, wanted: Wanted, target: Path) -> Found:
    """Write a file that was pushed, or the seed, as an accepted object without the rows that are meant.

    Raises:
        UpkeepError: It cannot be read by the contract that is deployed.
    """
    whole = target.with_name(f"{target.name}.whole")
    report = check_file(path, lenient(wanted.spec), name=path.name, accept_to=whole)
    if not report.ok:
        raise UpkeepError(f"{path.name}: cannot be read by the contract that is deployed: {report.reason}.")
    # In two steps: what is left need not be data that a model could be fitted on by itself.
    found = count(whole, wanted)
    remove(whole, wanted, target)
    return found


def lenient(spec: ModelSpec) -> ModelSpec:
    """The spec without what refuses a file as a whole: whether it was good enough was decided before."""
    contract = dataclasses.replace(
        spec.contract, max_bad_share=1.0, min_rows=1, max_age_days=None, key=(), unit_factor=_ANY_UNIT
    )
    return dataclasses.replace(spec, contract=contract)


def filter_rejected(path: Path, wanted: Wanted, target: Path) -> tuple[int, int]:
    """Write the dropped rows of a file again without those that are meant; how many stay, and how many go."""
    kept = gone = 0
    with (
        path.open(encoding="utf-8", newline="") as given,
        target.open("w", encoding="utf-8", newline="") as out,
    ):
        reader = csv.DictReader(given)
        writer = csv.DictWriter(out, reader.fieldnames or [], lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for row in reader:
            if wanted.matches_texts(row):
                gone += 1
            else:
                kept += 1
                writer.writerow(row)
    return kept, gone


def scrub(
    wanted: Wanted,
    sample: Iterable[Mapping[str, Any]],
    findings: Sequence[Mapping[str, Any]],
    reason: str,
) -> Scrubbed:
    """Take the rows that are meant out of what a refused file's entry shows."""
    rows = [dict(row) for row in sample]
    meant = {
        row.get("row")
        for row in rows
        if isinstance(row.get("values"), Mapping) and wanted.matches_texts(row["values"])
    }
    cleaned = []
    for finding in findings:
        new = _without(finding, meant, wanted)
        # A text quotes the first example, and the reason is made of the texts.
        if new.get("text") != finding.get("text"):
            reason = reason.replace(str(finding.get("text")), str(new["text"]))
        cleaned.append(new)
    kept = tuple(row for row in rows if row.get("row") not in meant)
    changed = len(kept) < len(rows) or any(
        new != dict(old) for new, old in zip(cleaned, findings, strict=True)
    )
    return Scrubbed(sample=kept, findings=tuple(cleaned), reason=reason, rows=len(meant), is_changed=changed)


def _without(finding: Mapping[str, Any], meant: set[Any], wanted: Wanted) -> dict[str, Any]:
    """A finding without the examples of rows that are meant, and without the very values."""
    column, examples = finding.get("column"), list(finding.get("examples") or [])
    value = wanted.values.get(str(column))
    kept = [
        one
        for one in examples
        if one.get("row") not in meant and (value is None or str(one.get("value")) != value)
    ]
    if len(kept) == len(examples):
        return dict(finding)
    count, rule = finding.get("count"), finding.get("rule")
    text = f"column {column}: {count} rows break the rule {rule} (its example was forgotten)"
    return {**finding, "examples": kept, "text": text}


def _may_hold(path: Path, values: Iterable[str]) -> bool:
    """Whether a file that cannot be read as rows may hold some values: it is packed, or shows all of them."""
    missing = {value: {value.encode(), value.encode("utf-16-le")} for value in values}
    before = b""
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            if not before and chunk.startswith(_PACKED):
                return True
            text = before + chunk
            missing = {v: forms for v, forms in missing.items() if not any(form in text for form in forms)}
            if not missing:
                return True
            before = text[-_OVERLAP_BYTES:]
    return False


def _types(path: Path, engine: Engine) -> dict[str, str]:
    described = engine.rows(f"DESCRIBE SELECT * FROM {_table(path)}")  # noqa: S608 - quoted
    return {str(row[0]): str(row[1]) for row in described}


def _condition(types: Mapping[str, str], wanted: Wanted) -> str:
    texts = {name: forgetting.column_text(identifier(name)) for name in types}
    return forgetting.matches([wanted.for_types(types)], texts)


def _table(path: Path) -> str:
    return f"read_parquet({quoted(str(path))})"


def _as_number(value: str) -> str | None:
    with contextlib.suppress(ValueError):
        return repr(float(value) or 0.0)
    return None


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
