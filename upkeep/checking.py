"""Checks files here with the very check the intake makes there, so that a bad one is not even sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from models.spec import ModelSpec


@dataclass(frozen=True)
class Refusal:
    """A file the stack would put into quarantine, and why."""

    path: Path
    reason: str


def refused(paths: Iterable[Path], spec: ModelSpec) -> list[Refusal]:
    """The files that do not keep the model's data contract."""
    from training.checks import check_file  # late: it loads DuckDB

    found = []
    for path in paths:
        verdict = check_file(path, spec)
        if not verdict.ok:
            found.append(Refusal(path, verdict.reason))
    return found
