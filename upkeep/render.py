"""How the command line looks: tables and marks on a terminal, aligned plain text everywhere else."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

GOOD, BAD, WARN, DIM = "green", "red", "yellow", "dim"
_STYLES = {
    "released": GOOD, "promote": GOOD, "InService": GOOD, "SUCCEEDED": GOOD, "accepted": GOOD, "OK": GOOD,
    "refused": WARN, "refuse": WARN, "quarantined": WARN, "waiting for approval": WARN, "Updating": WARN,
    "open": WARN, "held": WARN, "dead": BAD, "active": GOOD,
    "live": GOOD, "passed": GOOD, "pending": WARN, "rejected": WARN, "refused by the check": WARN,
    "rolled back": BAD, "releasing": "cyan", "experiment": "cyan", "superseded": DIM,
    "RUNNING": "cyan", "FAILED": BAD, "TIMED_OUT": BAD, "ABORTED": BAD, "failed": BAD, "Failed": BAD,
    "ALARM": BAD, "Missing": BAD, "timeout": BAD,
}  # fmt: skip


def console(stream: IO[str] | None = None) -> Console:
    """A console on stdout, or the stream given; without colour where NO_COLOR is set or it is no terminal."""
    out = stream or sys.stdout
    return Console(
        file=out, highlight=False, soft_wrap=not out.isatty(), no_color="NO_COLOR" in os.environ or None
    )


def is_terminal(out: Console) -> bool:
    """Whether live views and boxes make sense there."""
    return out.is_terminal and not out.is_dumb_terminal


def show_json(data: Any) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=_plain) + "\n")


def show_table(
    out: Console, columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()
) -> None:
    """Print rows below their column names.

    Args:
        out: Where to.
        columns: Column names.
        rows: Cells; None is shown as a dash.
        right: Names of the columns aligned to the right.
    """
    cells = [[text(cell) for cell in row] for row in rows]
    if is_terminal(out):
        out.print(_boxed(columns, cells, right))
        return
    widths = [max(len(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    for line in [[c.upper() for c in columns], *cells]:
        padded = [
            value.rjust(width) if name in right else value.ljust(width)
            for value, width, name in zip(line, widths, columns, strict=True)
        ]
        out.print(Text("  ".join(padded).rstrip()))


def show_facts(out: Console, facts: Sequence[tuple[str, object]]) -> None:
    """Print names and values, one per line."""
    for name, value in facts:
        line = Text(f"{name:<11} ", style="bold")
        line.append_text(styled(text(value)))
        out.print(line)


def _boxed(columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for line in cells:
        table.add_row(*(styled(value) for value in line))
    return table


def styled(value: str) -> Text:
    """A word in the colour of what it means."""
    return Text(value, style=_STYLES.get(value, ""))


def text(value: object) -> str:
    """One cell: numbers grouped, times in UTC, nothing as a dash."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def seconds(value: float | None) -> str:
    """A duration for people: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`."""
    if value is None:
        return "-"
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: int) -> str:
    """Bytes for people."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def iso(moment: datetime | None) -> str | None:
    """A time for machines: ISO 8601 in UTC."""
    return (
        None
        if moment is None
        else moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")
