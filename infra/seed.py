"""The committed sample that the first model of a stack is trained on."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

from models.spec import ModelSpec, SpecError


@dataclass(frozen=True, kw_only=True)
class Seed:
    """The committed sample the first model is trained on.

    Attributes:
        content: The CSV file.
        name: Its file name.
    """

    content: bytes
    name: str = "seed.csv"

    @classmethod
    def read(cls, path: Path, spec: ModelSpec) -> Seed:
        """Read the file.

        Raises:
            SpecError: There is no such file, or it lacks columns of the spec.
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
        return cls(content=content, name=path.name)

    @property
    def facts(self) -> dict[str, str]:
        """What the intake writes on every file it accepts, so that nobody has to count the rows again."""
        rows = sum(1 for line in self.content.splitlines() if line.strip()) - 1
        return {"rows": str(rows), "sha256": hashlib.sha256(self.content).hexdigest(), "source": self.name}

    def key(self, model: str) -> str:
        """Where the intake would have put the file."""
        return f"accepted/{model}/{hashlib.sha256(self.content).hexdigest()[:16]}-{self.name}"
