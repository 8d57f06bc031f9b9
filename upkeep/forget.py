"""Takes a person's rows out of the accepted data, and out of everything that arrives later.

The order makes a crash at any point harmless, and the same command goes on where it stopped:

1. The request is recorded, as digests of the values. From here on the intake leaves such rows out.
2. Checks that began before it are waited for: they do not know of it.
3. Each accepted object with such rows is written again without them, under its new digest. What replaces
   what is noted; then the ledger's records change, by a condition on the old key; then all versions of the
   old object are deleted for good.
4. Rows that were dropped when their files were accepted, and refused files, are gone through as well.
5. The dispatcher is woken: without these rows the data is another version, and a run on it is due.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from models.spec import ModelSpec
from training.contract.forgetting import ForgettingError
from training.ledger.records import ACTIVE, CLAIMED, FORGOTTEN, NO_VERSION, DataRecord, ForgetRecord
from training.versions import is_seed
from upkeep import data, engine, erasing, forget_rows, lineage
from upkeep.errors import UpkeepError, is_gone
from upkeep.forget_beside import Beside
from upkeep.forget_report import Looked, Match, Result
from upkeep.forget_rows import Wanted
from upkeep.ledger import ERASED, OperatorLedger, ReplacedRecord
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients
from upkeep.starting import wake

ID_DIGITS = 16
ACCEPTED_DIGITS = 20
_PARALLEL = 4
_POLL_SECONDS = 2.0
# Longer than the intake function may run, 15 minutes: https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html
_MOST_WAIT_SECONDS = 1000.0


def conditions(where: Sequence[str]) -> dict[str, str]:
    """Columns and values from `column=value` words; a row is meant when all match.

    Raises:
        UpkeepError: A word has no column, or two name one column.
    """
    found: dict[str, str] = {}
    for word in where:
        column, equals, value = word.partition("=")
        if not equals or not column:
            raise UpkeepError(f"--where: found {word!r}, expected COLUMN=VALUE, such as customer_id=4711.")
        if column in found:
            raise UpkeepError(
                f"--where: column {column!r} is named twice. A row is meant when all conditions match, and "
                "no "
                "row has two values; run the command once for each."
            )
        found[column] = value
    return found


@dataclass
class Forgetting:
    """One request on one model.

    Attributes:
        context: The stack.
        ledger: Its ledger.
        model: The model.
        spec: As it is deployed.
        values: Column to value; all must match.
        sleep: Waits.
    """

    context: Clients
    ledger: OperatorLedger
    model: ModelOutputs
    spec: ModelSpec
    values: Mapping[str, str]
    sleep: Callable[[float], None] = time.sleep
    _wanted: Wanted = field(init=False)
    _conditions: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        engine.require("Forgetting rows")
        wanted = Wanted(self.spec, self.values)
        try:
            request = wanted.request()
        except ForgettingError as error:
            raise UpkeepError(f"--where: {error}.") from error
        self._conditions = dict(request.conditions)
        self._wanted = Wanted(self.spec, self.values, request_id(self.model.name, self._conditions))

    @property
    def id(self) -> str:
        """Of the request: the same conditions are the same request."""
        return self._wanted.id

    def look(self) -> Looked:
        """How many rows are meant, and where; changes nothing.

        Raises:
            UpkeepError: No object has such a column.
        """
        matches, rows, columns = self._scan()
        unknown = [column for column in self.values if column not in (*self.spec.columns, *columns)]
        if unknown:
            known = ", ".join(dict.fromkeys([*self.spec.columns, *sorted(columns)]))
            raise UpkeepError(
                f"--where: no file of model {self.model.name} has a column {', '.join(unknown)}; "
                f"columns: {known}."
            )
        noted = self.ledger.replacements(self.model.name, self.id)
        keys = {match.key for match in matches} | {record.key for record in noted}
        meant = lineage.ancestors(self.ledger, self.model.name, keys)
        return Looked(
            id=self.id,
            model=self.model.name,
            columns=tuple(self.values),
            matches=tuple(matches),
            rows=rows,
            beside=Beside(self.context, self.ledger, self.model.name, self._wanted).look(),
            trained=tuple(lineage.trained_on(self.context, self.ledger, self.model, meant)),
            seed=any(match.is_seed for match in matches) or any(record.kept for record in noted),
            seed_serves=lineage.seed_serves(self.context, self.model),
            resumed=bool(noted),
        )

    def carry_out(self, by: str, *, discard_quarantined: bool = False) -> Result:
        """Do it, or go on with it."""
        record = ForgetRecord(
            model=self.model.name, id=self.id, conditions=self._conditions, by=by, at=self.ledger.now()
        )
        self.ledger.record_forget(record)
        self._await_checks()
        matches, _, _ = self._scan()
        for match in matches:
            self._replace(match)
        self._finish_erasing()
        beside = Beside(self.context, self.ledger, self.model.name, self._wanted)
        found = beside.carry_out(by, discard=discard_quarantined)
        done = self.ledger.replacements(self.model.name, self.id)
        self.ledger.update_forget(
            self.model.name, self.id, rows=sum(one.rows for one in done), objects=len(done)
        )
        if done:
            self._wake()
        keys = lineage.ancestors(self.ledger, self.model.name, [one.key for one in done])
        return Result(
            id=self.id,
            model=self.model.name,
            columns=tuple(self.values),
            replaced=tuple(done),
            beside=found,
            trained=tuple(lineage.trained_on(self.context, self.ledger, self.model, keys)),
            seed=any(one.kept for one in done),
            seed_serves=lineage.seed_serves(self.context, self.model),
        )

    def _scan(self) -> tuple[list[Match], int, set[str]]:
        """The accepted objects with such rows, the rows of all, and the columns there are."""
        by_key: dict[str, list[DataRecord]] = {}
        for record in self.ledger.data(self.model.name):
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
                matching = forget_rows.count_raw(path, self._wanted, key) or 0
                return Match(key=key, records=tuple(records), rows=records[0].rows, matching=matching), ()
            found = forget_rows.count(path, self._wanted)
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
                f"s3://{bucket}/{key}: the ledger lists it as accepted, but it is not there. Somebody "
                "deleted "
                "it; bring its last version back (aws s3api list-object-versions), then run this again."
            ) from error

    def _await_checks(self) -> None:
        """Wait until every check that began before the request has ended, by its word or by its claim."""
        began = self.ledger.now()
        waiting = [
            one
            for one in self.ledger.objects(self.model.name)
            if one.state == CLAIMED and one.claimed_until > began
        ]
        waited = 0.0
        while waiting:
            if waited > _MOST_WAIT_SECONDS:
                keys = ", ".join(one.key for one in waiting[:3])
                raise UpkeepError(
                    f"The intake has not ended its work on {keys} within {_MOST_WAIT_SECONDS:.0f} s, and "
                    "does "
                    "not know of this request. It is recorded; run the same command again."
                )
            self.sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS
            now = self.ledger.now()
            found = [self.ledger.at(one.key, one.version_id) for one in waiting]
            waiting = [
                new
                for old, new in zip(waiting, found, strict=True)
                if new is not None
                and new.state == CLAIMED
                and new.claimed_until > now
                and (new.owner, new.claimed_until) == (old.owner, old.claimed_until)
            ]

    def _replace(self, match: Match) -> None:
        """Write one object again, change its records, delete what it was."""
        with tempfile.TemporaryDirectory() as folder:
            path, target = Path(folder) / Path(match.key).name, Path(folder) / "rewritten.parquet"
            self._fetch(match.records[0], path)
            new = self._rewritten(match, path, target)
        note = ReplacedRecord(
            model=self.model.name,
            forget_id=self.id,
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
            found = forget_rows.rewrite_raw(path, self._wanted, target)
        else:
            found = forget_rows.count(path, self._wanted)
            forget_rows.remove(path, self._wanted, target)
        left = found.rows - found.matching
        first = replace(match.records[0], rows=left, first=found.first, last=found.last)
        if not left:
            return replace(first, key="", version_id=NO_VERSION, sha256="", bytes=0, state=FORGOTTEN)
        sha256, size = data.digest(target), target.stat().st_size
        key = f"accepted/{self.model.name}/{sha256[:ACCEPTED_DIGITS]}.parquet"
        version = self._put(key, target, sha256, first)
        return replace(first, key=key, version_id=version, sha256=sha256, bytes=size)

    def _put(self, key: str, path: Path, sha256: str, record: DataRecord) -> str:
        """Write an object under its digest's key, once; its version.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        s3, bucket = self.context.client("s3"), self.context.outputs.data_bucket
        facts = {"rows": str(record.rows), "sha256": sha256, "source": quote(record.source)[:1500]}
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
        changed = replace(
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

    def _finish_erasing(self) -> None:
        """Delete what an earlier try has replaced and not deleted any more."""
        active = {record.key for record in self.ledger.data(self.model.name) if record.state == ACTIVE}
        for note in self.ledger.replacements(self.model.name, self.id):
            if note.state != ERASED and note.key not in active:
                self._erase(note)

    def _erase(self, note: ReplacedRecord) -> None:
        """Delete the old object for good; the seed stays, because it is the deployment's."""
        if not note.kept:
            erasing.erase(self.context, note.key)
        self.ledger.note_erased(note)

    def _wake(self) -> None:
        wake(self.context, self.model.name, "arrival")


def request_id(model: str, found: Mapping[str, str]) -> str:
    """The id of a request: of the model and the digests."""
    text = json.dumps([model, dict(found)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]
