"""Checks files here with the very check the intake makes there, so that a bad one is not even sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from models.spec import ModelSpec
from upkeep.errors import UpkeepError


@dataclass(frozen=True)
class Refusal:
    """A file the stack would put into quarantine, and why."""

    path: Path
    reason: str


def refused(paths: Iterable[Path], spec: ModelSpec) -> list[Refusal]:
    """The files that do not keep the model's data contract.

    Raises:
        UpkeepError: What the check reads files with is not installed.
    """
    from training.contract.check import check_file

    found = []
    for path in paths:
        try:
            verdict = check_file(path, spec)
        except ModuleNotFoundError as error:
            raise UpkeepError(
                f"Checking files here needs {error.name}, which is not installed: "
                "`pip install 'upkeep[lambda]'`, or leave the check to the stack with --no-check."
            ) from error
        if not verdict.ok:
            found.append(Refusal(path, verdict.reason))
    return found
