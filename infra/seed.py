"""The committed sample that the first model of a stack is trained on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


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
    def read(cls, path: Path) -> Seed:
        """Read the file.

        Raises:
            FileNotFoundError: The model has none.
        """
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no such file; every model needs a small real sample for its first training"
            )
        return cls(content=path.read_bytes(), name=path.name)

    @property
    def facts(self) -> dict[str, str]:
        """What the intake writes on every file it accepts, so that nobody has to count the rows again."""
        rows = sum(1 for line in self.content.splitlines() if line.strip()) - 1
        return {"rows": str(rows), "sha256": hashlib.sha256(self.content).hexdigest(), "source": self.name}

    def key(self, model: str) -> str:
        """Where the intake would have put the file."""
        return f"accepted/{model}/{hashlib.sha256(self.content).hexdigest()[:16]}-{self.name}"
