"""Checks files here with the very check the intake makes there, so that a bad one is not even sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.spec import ModelSpec
from upkeep.errors import UpkeepError

if TYPE_CHECKING:
    from training.contract.findings import Report


@dataclass(frozen=True)
class Checked:
    """A file, and what the stack would say of it.

    Attributes:
        path: The file.
        report: What the check found.
        rejects: Where the bad rows were written, with their reasons; None when there are none.
    """

    path: Path
    report: Report
    rejects: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether the stack would accept it; otherwise it goes to quarantine."""
        return self.report.ok

    @property
    def reason(self) -> str:
        """Everything found, in words."""
        return self.report.reason

    @property
    def losses(self) -> str:
        """Which rows of an accepted file are left out, in words; empty when all are good."""
        if not self.report.dropped or not self.ok:
            return ""
        rows = self.report.rows + self.report.dropped
        noun = "row" if rows == 1 else "rows"
        return f"{self.report.dropped:,} of {rows:,} {noun} would be dropped"

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        report = self.report
        return {
            "file": str(self.path),
            "verdict": "accepted" if self.ok else "quarantined",
            "rows": report.rows,
            "dropped": report.dropped,
            "first": report.first,
            "last": report.last,
            "format": dict(report.format),
            "added_columns": list(report.ignored),
            "diff": dict(report.diff),
            "reason": report.reason,
            "findings": [dataclasses.asdict(finding) for finding in report.findings],
            "sample": list(report.sample),
            "rejects": str(self.rejects) if self.rejects else None,
        }


def checked(paths: Iterable[Path], spec: ModelSpec, rejects: Path | None = None) -> list[Checked]:
    """Check files.

    Args:
        paths: The files.
        spec: Holds the contract.
        rejects: Folder that the bad rows are written to, as ``<name>.rejected.csv``; made when it is missing.

    Raises:
        UpkeepError: What the check reads files with is not installed.
        OSError: A file cannot be opened.
    """
    return [_check(path, spec, rejects) for path in paths]


def refused(paths: Iterable[Path], spec: ModelSpec) -> list[Checked]:
    """The files that do not keep the model's data contract; see ``checked``."""
    return [one for one in checked(paths, spec) if not one.ok]


def _check(path: Path, spec: ModelSpec, rejects: Path | None) -> Checked:
    try:
        from training.contract.check import check_file

        if rejects is None:
            return Checked(path, check_file(path, spec, name=path.name))
        rejects.mkdir(parents=True, exist_ok=True)
        target = rejects / f"{path.name}.rejected.csv"
        target.unlink(missing_ok=True)
        report = check_file(path, spec, name=path.name, reject_to=target)
        if not report.ok and not target.exists():
            # The check writes them for files it accepts; a person wants to see above all why it does not.
            lenient = dataclasses.replace(
                spec, contract=dataclasses.replace(spec.contract, max_bad_share=1.0)
            )
            check_file(path, lenient, name=path.name, reject_to=target)
        return Checked(path, report, target if target.exists() else None)
    except ModuleNotFoundError as error:
        raise UpkeepError(
            f"Checking files here needs {error.name}, which is not installed: "
            "`pip install 'upkeep[lambda]'`; `upkeep push --no-check` leaves the check to the stack."
        ) from error
