"""`upkeep replay`: messages that were given up go back to their queues."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from upkeep import context, render, replay
from upkeep.commands.options import AsJson, Port, Stack
from upkeep.ledger import open_ledger
from upkeep.replay import Handled

_COLUMNS = ("queue", "about", "since", "error", "action")


def replay_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show them, and change nothing.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Messages of each queue at most.", show_default="all")
    ] = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="Delete messages that nothing of this stack can have sent.")
    ] = False,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Send the messages that were given up back to their queues, each once.

    Mend first what made them fail: the error is shown. A message is deleted from the dead letters only after
    its queue has taken it. Running it again does no harm.
    """
    there = context.load(stack, port)
    options = replay.Options(dry_run=dry_run, drop=drop, limit=limit)
    handled = list(replay.replay(there, open_ledger(there), options))
    if as_json:
        render.show_json(
            {"stack": there.stack, "dry_run": dry_run, "messages": [h.to_json() for h in handled]}
        )
        return
    show(handled, render.console(), dry_run=dry_run)


def show(handled: list[Handled], out: Console, *, dry_run: bool) -> None:
    """Print what became of each message."""
    if not handled:
        out.print("No dead letters.")
        return
    cells = [[h.queue, h.subject.text, h.given_up, h.error or h.why, h.action] for h in handled]
    render.show_table(out, _COLUMNS, cells)
    counts = Counter(h.action for h in handled)
    out.print(Text(", ".join(f"{count} {action}" for action, count in counts.items()) + "."))
    if counts[replay.LEFT]:
        said = "Nothing of this stack can have sent those left; `upkeep replay --drop` deletes them."
        out.print(Text(said, style=render.WARN))
    if counts[replay.SENT]:
        names = dict.fromkeys(h.subject.key for h in handled if h.action == replay.SENT and h.subject.key)
        first = next(iter(names), "")
        about = f"`upkeep runs show {first}`" if first else "`upkeep status`"
        out.print(f"What becomes of them: {about}.")
    elif dry_run:
        out.print("`upkeep replay` does it.")
