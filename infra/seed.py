"""The committed sample that the first model of a stack is trained on."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from models.spec import ModelSpec, SpecError
from training.ledger.records import NO_VERSION, DataRecord


@dataclass(frozen=True, kw_only=True)
class Seed:
    """The committed sample the first model is trained on.

    Attributes:
        content: The CSV file.
        name: Its file name.
        first: Time of its oldest row, ISO 8601 in UTC.
        last: Time of its newest row.
    """

    content: bytes
    name: str = "seed.csv"
    first: str = ""
    last: str = ""

    @classmethod
    def read(cls, path: Path, spec: ModelSpec) -> Seed:
        """Read the file.

        Raises:
            SpecError: There is no such file, it lacks columns of the spec, or its time column holds no times.
        """
        shown = "/".join(path.parts[-3:])
        if not path.is_file():
            raise SpecError(
                [f"{shown}: no such file; every model needs a small real sample for its first training"]
            )
        content = path.read_bytes()
        header = next(csv.reader([content.partition(b"\n")[0].decode("utf-8-sig", "replace")]), [])
        missing = [column for column in spec.columns if column not in header]
        if missing:
            found = ", ".join(header[:20]) or "nothing"
            raise SpecError([f"{shown}: missing column {', '.join(missing)}; found {found}"])
        first, last = _span(content, spec.time_column, shown)
        return cls(content=content, name=path.name, first=first, last=last)

    @property
    def sha256(self) -> str:
        """Digest of its content: what the ledger knows it by."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def facts(self) -> dict[str, str]:
        """What the intake writes on every file it accepts, so that nobody has to count the rows again."""
        return {"rows": str(self.rows), "sha256": self.sha256, "source": self.name}

    @property
    def rows(self) -> int:
        """Rows below the header."""
        return sum(1 for line in self.content.splitlines() if line.strip()) - 1

    def key(self, model: str) -> str:
        """Where the intake would have put the file."""
        return f"accepted/{model}/{self.sha256[:16]}-{self.name}"

    def record(self, spec: ModelSpec, version_id: str | None) -> DataRecord:
        """What the ledger says of it: accepted before everything else."""
        return DataRecord(
            model=spec.name,
            raw_sha256=self.sha256,
            key=self.key(spec.name),
            version_id=version_id or NO_VERSION,
            sha256=self.sha256,
            rows=self.rows,
            first=self.first,
            last=self.last,
            bytes=len(self.content),
            contract=spec.contract_version,
            source=f"models/{spec.name}/{self.name}",
        )


def _span(content: bytes, time_column: str, shown: str) -> tuple[str, str]:
    """Times of the oldest and the newest row, as ISO 8601 in UTC."""
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig", "replace")))
    times: list[datetime] = []
    for number, row in enumerate(rows, start=1):
        try:
            time = datetime.fromisoformat(row[time_column])
        except (TypeError, ValueError) as error:
            raise SpecError(
                [f"{shown}: row {number}, {time_column}: found {row[time_column]!r}, expected ISO 8601"]
            ) from error
        times.append(time if time.tzinfo else time.replace(tzinfo=UTC))
    if not times:
        raise SpecError([f"{shown}: found no rows below the header"])
    first, last = (time.astimezone(UTC).isoformat() for time in (min(times), max(times)))
    return first, last
