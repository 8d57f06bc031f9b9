"""What a check found: for people as sentences, for programs as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from training.words import cut

EXAMPLES = 3
SAMPLE_ROWS = 20
_REASONS = 3
# A reason goes into notices and tables: on one line, and no longer than one can read.
_MAX_TEXT = 1000


@dataclass(frozen=True)
class Finding:
    """One rule that the file or some of its rows break.

    Attributes:
        column: Name of the column; None for the file as a whole.
        rule: Short name of the rule: file, encoding, header, columns, types, structure, missing, type, range,
            values, label, key, future, age, rows, unit.
        count: Rows that break it; 1 for the file as a whole.
        text: One sentence for people.
        examples: The first of them as ``{"row", "value"}``; rows are counted from 1 after the header.
        fatal: Whether the file is refused for it; rows that are merely left out are not.
    """

    column: str | None
    rule: str
    count: int
    text: str
    examples: tuple[dict[str, Any], ...] = ()
    fatal: bool = True

    def __post_init__(self) -> None:
        """Keep what a file holds from breaking the line, or the terminal, that the text is shown on."""
        shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in self.text)
        object.__setattr__(self, "text", cut(shown, _MAX_TEXT))


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a check found.

    Attributes:
        rows: Good rows; 0 when the file cannot be read.
        dropped: Bad rows, which are left out.
        forgotten: Rows left out because somebody asked for it.
        findings: Empty for a file in which everything is good.
        ignored: Columns the spec does not name; they are kept.
        first: Time of the oldest good row, ISO 8601; None when there is none.
        last: Time of the newest good row.
        format: ``kind``, ``compression``, ``delimiter`` and ``encoding``, as far as they are known.
        sample: The first bad rows as ``{"row", "reasons", "values"}``.
        diff: How the columns differ from the contract's; empty when none is missing or retyped.
    """

    rows: int = 0
    dropped: int = 0
    forgotten: int = 0
    findings: tuple[Finding, ...] = ()
    ignored: tuple[str, ...] = ()
    first: str | None = None
    last: str | None = None
    format: Mapping[str, str | None] = field(default_factory=dict)
    sample: tuple[dict[str, Any], ...] = ()
    diff: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the good rows can be trained with."""
        return not any(f.fatal for f in self.findings)

    @property
    def reason(self) -> str:
        """Everything that is wrong, for people; what refuses the file first, and a few findings in full."""
        ordered = sorted(self.findings, key=lambda f: not f.fatal)
        texts = [f.text for f in ordered[:_REASONS]]
        more = len(ordered) - len(texts)
        return "; ".join(texts) + (f"; and {more} more" if more else "")

    def details(self) -> list[dict[str, Any]]:
        """The findings as plain data, for the reason file."""
        return [{k: v for k, v in asdict(f).items() if k != "text"} for f in self.findings]


class UnusableError(Exception):
    """The file as a whole cannot be taken; carries the finding."""

    def __init__(
        self,
        rule: str,
        text: str,
        count: int = 1,
        examples: tuple[dict[str, Any], ...] = (),
        *,
        diff: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(text)
        self.finding = Finding(None, rule, count, text, examples)
        self.diff = dict(diff or {})
