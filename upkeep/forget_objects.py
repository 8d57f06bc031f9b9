"""Accepted objects that hold a person's rows: found, written again without them, deleted for good."""

from __future__ import annotations

import dataclasses
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from training.ledger.records import ACTIVE, FORGOTTEN, NO_VERSION, DataRecord
from training.versions import is_seed
from upkeep import data, erasing, forget_rows
from upkeep.errors import UpkeepError, is_gone
from upkeep.forget_report import Match
from upkeep.forget_rows import Wanted
from upkeep.ledger import ERASED, OperatorLedger, ReplacedRecord
from upkeep.runs import Clients

ACCEPTED_DIGITS = 20
_PARALLEL = 4
# User metadata has 2 KB in all: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
_MOST_SOURCE = 1500


@dataclass(frozen=True)
class AcceptedObjects:
    """The accepted objects of a model, as a request to forget works on them.

    Attributes:
        context: The stack.
        ledger: Its ledger.
        model: The model's name.
        wanted: Which rows are meant.
    """

    context: Clients
    ledger: OperatorLedger
    model: str
    wanted: Wanted

    def scan(self) -> tuple[list[Match], int, set[str]]:
        """The accepted objects with such rows, the rows of all, and the columns there are."""
        by_key: dict[str, list[DataRecord]] = {}
        for record in self.ledger.data(self.model):
            if record.state == ACTIVE:
                by_key.setdefault(record.key, []).append(record)
        self.context.client("s3")  # made here: sessions are not for several threads
        with ThreadPoolExecutor(_PARALLEL) as pool:
            looked = list(pool.map(lambda item: self._count(*item), by_key.items()))
        columns = {column for _, found in looked for column in found}
        matches = [match for match, _ in looked if match.matching]
        return matches, sum(match.rows for match, _ in looked), columns

    def _count(self, key: str, records: list[DataRecord]) -> tuple[Match, tuple[str, ...]]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "accepted"
            self._fetch(records[0], path)
            if is_seed(records[0]):
                matching = forget_rows.count_raw(path, self.wanted, key) or 0
                return Match(key=key, records=tuple(records), rows=records[0].rows, matching=matching), ()
            found = forget_rows.count(path, self.wanted)
        match = Match(key=key, records=tuple(records), rows=found.rows, matching=found.matching)
        return match, found.columns

    def _fetch(self, record: DataRecord, path: Path) -> None:
        """Download exactly the version that was accepted."""
        s3, bucket, key = self.context.client("s3"), self.context.outputs.data_bucket, record.key
        pinned = {} if record.version_id == NO_VERSION else {"VersionId": record.version_id}
        try:
            s3.download_file(bucket, key, str(path), ExtraArgs=pinned)
        except s3.exceptions.ClientError as error:
            if not is_gone(error):
                raise
            raise UpkeepError(
                f"s3://{bucket}/{key}: the ledger lists it as accepted, but it is not there. It was deleted; "
                "bring its last version back (aws s3api list-object-versions), then run this again."
            ) from error

    def replace(self, match: Match) -> None:
        """Write one object again, change its records, delete what it was."""
        with tempfile.TemporaryDirectory() as folder:
            path, target = Path(folder) / Path(match.key).name, Path(folder) / "rewritten.parquet"
            self._fetch(match.records[0], path)
            new = self._rewritten(match, path, target)
        note = ReplacedRecord(
            model=self.model,
            forget_id=self.wanted.id,
            key=match.key,
            new_key=new.key,
            rows=match.matching,
            kept=match.is_seed,
        )
        self.ledger.note_replacement(note)
        for record in match.records:
            self._change(record, new, match.matching)
        self._erase(note)

    def _rewritten(self, match: Match, path: Path, target: Path) -> DataRecord:
        """Put what is left of an object; a record that says where it lies and what it is."""
        if match.is_seed:
            found = forget_rows.rewrite_raw(path, self.wanted, target)
        else:
            found = forget_rows.count(path, self.wanted)
            forget_rows.remove(path, self.wanted, target)
        left = found.rows - found.matching
        first = dataclasses.replace(match.records[0], rows=left, first=found.first, last=found.last)
        if not left:
            return dataclasses.replace(
                first, key="", version_id=NO_VERSION, sha256="", bytes=0, state=FORGOTTEN
            )
        sha256, size = data.digest(target), target.stat().st_size
        key = f"accepted/{self.model}/{sha256[:ACCEPTED_DIGITS]}.parquet"
        version = self._put(key, target, sha256, first)
        return dataclasses.replace(first, key=key, version_id=version, sha256=sha256, bytes=size)

    def _put(self, key: str, path: Path, sha256: str, record: DataRecord) -> str:
        """Write an object under its digest's key, once; its version.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        s3, bucket = self.context.client("s3"), self.context.outputs.data_bucket
        facts = {"rows": str(record.rows), "sha256": sha256, "source": quote(record.source)[:_MOST_SOURCE]}
        if not data.exists(self.context, bucket, key):
            with path.open("rb") as body:
                try:
                    s3.put_object(
                        Bucket=bucket,
                        Key=key,
                        Body=body,
                        ContentType="application/vnd.apache.parquet",
                        Metadata=facts,
                        IfNoneMatch="*",
                    )
                except s3.exceptions.ClientError as error:
                    if error.response["Error"]["Code"] not in ("PreconditionFailed", "412"):
                        raise
        return str(s3.head_object(Bucket=bucket, Key=key).get("VersionId") or NO_VERSION)

    def _change(self, old: DataRecord, new: DataRecord, rows: int) -> None:
        changed = dataclasses.replace(
            old,
            key=new.key,
            version_id=new.version_id,
            sha256=new.sha256,
            bytes=new.bytes,
            rows=new.rows,
            first=new.first,
            last=new.last,
            forgotten=old.forgotten + rows,
            state=new.state,
        )
        if not self.ledger.replace_data(old, changed):
            raise UpkeepError(
                f"{old.key} was changed by somebody else in between. Run the same command again; it goes on "
                "where it stopped."
            )

    def finish_erasing(self) -> None:
        """Delete what an earlier try has replaced and not deleted any more."""
        active = {record.key for record in self.ledger.data(self.model) if record.state == ACTIVE}
        for note in self.ledger.replacements(self.model, self.wanted.id):
            if note.state != ERASED and note.key not in active:
                self._erase(note)

    def _erase(self, note: ReplacedRecord) -> None:
        """Delete the old object for good; the seed stays, because it is the deployment's."""
        if not note.kept:
            erasing.erase(self.context, note.key)
        self.ledger.note_erased(note)
