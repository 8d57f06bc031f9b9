"""Data versions: which accepted files a run is trained on, recorded so that it can be told years later.

A data version is a function of what is accepted and of ``training.window``, and of nothing else: whoever
computes it, in whatever order the files came, gets the same files, the same digest and the same record.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from training.aws import code, is_missing
from training.ledger.records import ACTIVE, DataRecord
from training.manifest import ALL_ROWS, Manifest

SCHEMA = 1
# As infra/seed.py names the file that the first model is trained on.
SEED_SUFFIX = "-seed.csv"
_ANY_TIME = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


class VersionError(Exception):
    """A stored data version that differs from the one that should be there."""


@dataclass(frozen=True)
class DataVersion:
    """What one training is to read.

    Attributes:
        model: Whose data it is.
        bucket: Where the files lie.
        window: ``training.window`` of the spec.
        records: Of the files that the window reaches, one per accepted object, by key.
    """

    model: str
    bucket: str
    window: str
    records: tuple[DataRecord, ...]

    @property
    def manifest(self) -> Manifest:
        """The files in SageMaker's form."""
        return Manifest.of(self.bucket, (record.key for record in self.records), self.window)

    @property
    def id(self) -> str:
        """Digest of the files' keys, which are digests of their content, and of the window."""
        return self.manifest.run_id

    @property
    def rows(self) -> int:
        """Rows of all files; a window may use fewer."""
        return sum(record.rows for record in self.records)

    @property
    def dropped(self) -> int:
        """Bad rows that were left out of the files when they were accepted."""
        return sum(record.dropped for record in self.records)

    @property
    def is_seed(self) -> bool:
        """Whether there is only what the first model was trained on."""
        return all(is_seed(record) for record in self.records)

    @property
    def uri(self) -> str:
        """Where the record is stored."""
        return f"s3://{self.bucket}/{record_key(self.model, self.id)}"

    @property
    def manifest_uri(self) -> str:
        """Where the manifest is stored."""
        return f"s3://{self.bucket}/{self.manifest.key(self.model)}"

    def document(self) -> dict[str, Any]:
        """The record as plain data; nothing in it depends on when it is made."""
        newest = _newest(self.records)
        days = _days(self.window)
        if days and newest:
            oldest: datetime | None = newest - timedelta(days=days)
        else:
            oldest = min(
                (_span(record)[0] for record in self.records if record.first and record.last), default=None
            )
        return {
            "schema": SCHEMA,
            "model": self.model,
            "data_version": self.id,
            "window": {
                "setting": self.window,
                "from": oldest and oldest.isoformat(),
                "to": newest and newest.isoformat(),
            },
            "contract_versions": sorted({record.contract for record in self.records} - {""}),
            "rows": self.rows,
            "dropped": self.dropped,
            "objects": [_object(record) for record in self.records],
            "created_at": max((record.accepted_at for record in self.records), default=0),
        }


@dataclass(frozen=True)
class Difference:
    """What changed from one data version to another.

    Attributes:
        added: Objects only in the second, as their records have them.
        removed: Objects only in the first.
        rows: More rows in the second.
        window: Both settings, when they differ.
        contracts: Contract versions of each, when they differ.
    """

    added: tuple[Mapping[str, Any], ...]
    removed: tuple[Mapping[str, Any], ...]
    rows: int
    window: tuple[str, str] | None
    contracts: tuple[tuple[str, ...], tuple[str, ...]] | None

    @property
    def is_empty(self) -> bool:
        """Whether both hold the same rows under the same contract."""
        return not (self.added or self.removed or self.rows or self.window or self.contracts)


def is_seed(record: DataRecord) -> bool:
    """Whether the file is the one the first model was trained on."""
    return record.key.endswith(SEED_SUFFIX)


def record_key(model: str, data_version: str) -> str:
    """Key of a data version's record in the data bucket."""
    return f"manifests/{model}/{data_version}.data.json"


def select(model: str, bucket: str, window: str, records: Iterable[DataRecord]) -> DataVersion:
    """The newest data version.

    Args:
        model: Whose data it is.
        bucket: Where accepted files lie.
        window: ``all``, ``<n> days`` or ``<n> rows``.
        records: Of everything that may count, in any order; forgotten ones are left out.
    """
    distinct: dict[str, DataRecord] = {}
    # Two pushes may hold the same rows in other bytes: the same object, told of by the first of them.
    for record in sorted(records, key=lambda one: (one.accepted_at, one.raw_sha256)):
        if record.state == ACTIVE:
            distinct.setdefault(record.key, record)
    known = sorted(distinct.values(), key=lambda one: one.key)
    return DataVersion(model, bucket, window, tuple(_within(window, known)))


def _within(window: str, records: Sequence[DataRecord]) -> list[DataRecord]:
    if window == ALL_ROWS or not records:
        return list(records)
    days, newest = _days(window), _newest(records)
    if days is None:
        return _newest_rows(records, int(window.split()[0]))
    if newest is None:
        return list(records)
    return [record for record in records if _span(record)[1] >= newest - timedelta(days=days)]


def _newest_rows(records: Sequence[DataRecord], rows: int) -> list[DataRecord]:
    """The files that may hold one of the newest rows: fewer than that many rows are surely newer.

    Rows that are alike count once, and files whose times overlap may repeat each other's rows. Surely
    different are only those of files that follow one another, so the best chain of such files is counted
    (weighted interval scheduling). Rows that are alike within one file cannot be told from here.
    """
    spans = [_span(record) for record in records]
    order = sorted(range(len(records)), key=lambda i: spans[i][0])
    starts = [spans[i][0] for i in order]
    # surely[i]: different rows in the files order[i:], at least.
    surely = [0] * (len(order) + 1)
    for i in reversed(range(len(order))):
        after = bisect_right(starts, spans[order[i]][1])
        surely[i] = max(surely[i + 1], records[order[i]].rows + surely[after])
    return [
        record
        for record, (_, last) in zip(records, spans, strict=True)
        if surely[bisect_right(starts, last)] < rows
    ]


def diff(a: Mapping[str, Any], b: Mapping[str, Any]) -> Difference:
    """Compare two records of data versions."""
    before = {one["key"]: one for one in a["objects"]}
    after = {one["key"]: one for one in b["objects"]}
    windows = (str(a["window"]["setting"]), str(b["window"]["setting"]))
    contracts = (tuple(a["contract_versions"]), tuple(b["contract_versions"]))
    return Difference(
        added=tuple(after[key] for key in sorted(after.keys() - before.keys())),
        removed=tuple(before[key] for key in sorted(before.keys() - after.keys())),
        rows=int(b["rows"]) - int(a["rows"]),
        window=windows if windows[0] != windows[1] else None,
        contracts=contracts if contracts[0] != contracts[1] else None,
    )


def store(s3: Any, version: DataVersion, owner: str) -> None:
    """Write manifest and record; what is there already must name the same files.

    Two pushes may have made the same file, and the one that was first may be recorded last: the record then
    tells of the other push, and stays as it is.

    Raises:
        VersionError: Something else lies under the name; it is left as it is.
    """
    record = json.dumps(version.document(), indent=1)
    _write_once(s3, version.bucket, record_key(version.model, version.id), record, owner, _files)
    body = version.manifest.body
    _write_once(s3, version.bucket, version.manifest.key(version.model), body, owner, lambda text: text)


def load(s3: Any, bucket: str, model: str, data_version: str, owner: str) -> dict[str, Any] | None:
    """The record of a data version; None when there is none of this name."""
    key = record_key(model, data_version)
    try:
        answer = s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
    except s3.exceptions.ClientError as error:
        if is_missing(error, s3, bucket, key, owner):
            return None
        raise
    found: dict[str, Any] = json.loads(answer["Body"].read())
    return found


def _files(text: str) -> object:
    """What of a record is the same for everybody who computes it."""
    try:
        found = json.loads(text)
        files = [(one["key"], one["sha256"], one["rows"]) for one in found["objects"]]
        return found["model"], found["data_version"], found["window"]["setting"], files
    except (ValueError, TypeError, KeyError):
        return text


def _write_once(
    s3: Any, bucket: str, key: str, body: str, owner: str, meaning: Callable[[str], object]
) -> None:
    """Write an object whose meaning must not change once it is there.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    try:
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=body.encode(),
            ContentType="application/json",
            IfNoneMatch="*",
            ExpectedBucketOwner=owner,
        )
    except s3.exceptions.ClientError as error:
        if code(error) not in ("PreconditionFailed", "412"):
            raise
        answer = s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
        if meaning(answer["Body"].read().decode(errors="replace")) != meaning(body):
            raise VersionError(
                f"s3://{bucket}/{key}: found other content than this data version has; "
                "a data version never changes, so look who wrote it"
            ) from error


def _object(record: DataRecord) -> dict[str, Any]:
    return {
        "key": record.key,
        "version_id": record.version_id,
        "sha256": record.sha256,
        "rows": record.rows,
        "dropped": record.dropped,
        "first": record.first,
        "last": record.last,
        "source": record.source,
        "raw_sha256": record.raw_sha256,
        "contract": record.contract,
        "accepted_at": record.accepted_at,
    }


def _days(window: str) -> int | None:
    return int(window.split()[0]) if window.endswith("days") else None


def _newest(records: Iterable[DataRecord]) -> datetime | None:
    return max((_span(record)[1] for record in records if record.first and record.last), default=None)


def _span(record: DataRecord) -> tuple[datetime, datetime]:
    """Times of the oldest and the newest row; the rows of a file without them may be of any time."""
    if not record.first or not record.last:
        return _ANY_TIME
    return _time(record.first), _time(record.last)


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
