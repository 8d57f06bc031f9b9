"""What forgetting found and did, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from training.ledger.records import DataRecord
from training.versions import is_seed
from upkeep.errors import FAILED
from upkeep.ledger import ReplacedRecord
from upkeep.lineage import Trained


@dataclass(frozen=True, kw_only=True)
class Match:
    """An accepted object with such rows.

    Attributes:
        key: The object.
        records: The contents that became it; usually one.
        rows: All of its rows.
        matching: Those that are meant.
    """

    key: str
    records: tuple[DataRecord, ...]
    rows: int
    matching: int

    @property
    def is_seed(self) -> bool:
        """Whether it is the file the first model was trained on."""
        return is_seed(self.records[0])

    def to_json(self) -> dict[str, Any]:
        """The object as `--json` prints it."""
        sources = [record.source for record in self.records]
        return {"key": self.key, "sources": sources, "rows": self.rows, "matching": self.matching}


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """A file beside the accepted data that holds such rows, or may.

    Attributes:
        kind: `rejected` (dropped rows of an accepted file) or `quarantine`.
        key: The object.
        matching: Rows that are meant; None when the file cannot be read as rows.
        action: What was done: `found`, `removed`, `left` or `discarded`.
        quarantine_id: Of a refused file.
        sampled: Rows that its quarantine entry showed, or shows.
    """

    kind: str
    key: str
    matching: int | None
    action: str
    quarantine_id: str = ""
    sampled: int = 0

    @property
    def is_unsure(self) -> bool:
        """Whether nobody knows if such rows are in it."""
        return self.matching is None and self.action in ("found", "left")


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What there is to forget; nothing has been changed.

    Attributes:
        id: Of the request.
        model: Whose data.
        columns: Columns of the conditions.
        matches: Accepted objects with such rows.
        rows: Rows of all accepted objects.
        beside: Other files with such rows.
        trained: Runs that were trained on these objects.
        seed: Whether the seed has such rows.
        seed_serves: Whether the model trained on the seed serves.
        resumed: Whether an earlier try has done part of it.
    """

    id: str
    model: str
    columns: tuple[str, ...]
    matches: tuple[Match, ...]
    rows: int
    beside: tuple[Elsewhere, ...]
    trained: tuple[Trained, ...]
    seed: bool
    seed_serves: bool
    resumed: bool

    @property
    def matching(self) -> int:
        """Rows that are meant, in accepted objects."""
        return sum(match.matching for match in self.matches)

    @property
    def exit_code(self) -> int:
        """1 when something could not be looked into."""
        return FAILED if any(one.is_unsure for one in self.beside) else 0

    def to_json(self) -> dict[str, Any]:
        """The plan as `--json` prints it."""
        return {
            "id": self.id,
            "model": self.model,
            "columns": list(self.columns),
            "matching_rows": self.matching,
            "rows": self.rows,
            "objects": [match.to_json() for match in self.matches],
            **_rest(self.beside, self.trained, seed=self.seed, seed_serves=self.seed_serves),
            "resumed": self.resumed,
        }


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was forgotten; all tries of the request together.

    Attributes:
        id: Of the request.
        model: Whose data.
        columns: Columns of the conditions.
        replaced: Accepted objects that were written again.
        beside: Other files with such rows.
        trained: Runs that were trained on these rows.
        seed: Whether the seed had such rows.
        seed_serves: Whether the model trained on the seed serves.
    """

    id: str
    model: str
    columns: tuple[str, ...]
    replaced: tuple[ReplacedRecord, ...]
    beside: tuple[Elsewhere, ...]
    trained: tuple[Trained, ...]
    seed: bool
    seed_serves: bool

    @property
    def rows(self) -> int:
        """Rows taken out of accepted objects."""
        return sum(one.rows for one in self.replaced)

    @property
    def exit_code(self) -> int:
        """1 when something could not be looked into."""
        return FAILED if any(one.is_unsure for one in self.beside) else 0

    def to_json(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        return {
            "id": self.id,
            "model": self.model,
            "columns": list(self.columns),
            "forgotten_rows": self.rows,
            "objects": [
                {"key": one.key, "new_key": one.new_key or None, "rows": one.rows, "state": one.state}
                for one in self.replaced
            ],
            **_rest(self.beside, self.trained, seed=self.seed, seed_serves=self.seed_serves),
            "exit_code": self.exit_code,
        }


def _rest(
    beside: tuple[Elsewhere, ...], trained: tuple[Trained, ...], *, seed: bool, seed_serves: bool
) -> dict[str, Any]:
    return {
        "elsewhere": [asdict(one) for one in beside],
        "trained": [run.to_json() for run in trained],
        "seed": seed,
        "served_models": [run.version for run in trained if run.serves] + [0] * (seed and seed_serves),
    }
