"""Builds Markdown in which a text of somebody else stays a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from training.report.markup import clean
from training.report.numbers import NOTHING

# https://spec.commonmark.org/0.31.2/#backslash-escapes, and of GitHub's tables the bar
_MEANT = re.compile(r"([\\`*_{}\[\]<>#+!|~$&])")
_LIST = re.compile(r"^(\d{1,9})([.)])(?=\s|$)|^([-=:])")
# Bare addresses become links too: https://github.github.com/gfm/#autolinks-extension-
_ADDRESS = re.compile(r"(https?|ftp|mailto|xmpp|www)([:.])", re.IGNORECASE)
_MOST = 1_000


def plain(text: object, most: int = _MOST) -> str:
    """A text on one line in which no character has a meaning in Markdown."""
    line = " ".join(clean(text, most).split())
    escaped = _MEANT.sub(r"\\\1", line)
    linkless = _ADDRESS.sub(r"\1\\\2", escaped)
    return _LIST.sub(lambda found: f"{found[1] or ''}\\{found[2] or found[3]}", linkless)


def code(text: object, most: int = _MOST) -> str:
    """A text of machines, such as a digest, as it is; also one with backticks."""
    line = " ".join(clean(text, most).split()).replace("|", "\u00a6")
    if not line:
        return NOTHING
    longest = max((len(found) for found in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def table(head: Sequence[str], lines: Iterable[Sequence[str]], numbers: int = 0) -> list[str]:
    """A table of cells that are Markdown already.

    Args:
        head: Names of the columns.
        lines: The rows.
        numbers: How many columns behind the first hold numbers.
    """
    rules = ["---:" if 1 <= i <= numbers else "---" for i in range(len(head))]
    return [_line(one) for one in (head, rules, *lines)]


def facts(pairs: Iterable[tuple[str, str | None]]) -> list[str]:
    """A list of names and what is known of them; those of which nothing is known are left out."""
    return [f"- {name}: {found}" for name, found in pairs if found not in (None, "", NOTHING)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
