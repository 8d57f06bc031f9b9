"""`upkeep demo`: the whole loop on real data, offline."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Annotated

import typer

from sandbox import lifecycle
from upkeep import render
from upkeep.commands.options import AsJson
from upkeep.demo import MAX_MONTHS, Demo, next_steps
from upkeep.demo_deploy import deploy
from upkeep.demo_view import DemoView
from upkeep.errors import FAILED

_INTERRUPTED = 130


def demo(
    months: Annotated[
        int,
        typer.Option("--months", min=1, max=MAX_MONTHS, help="Months of flights to push, from January on."),
    ] = 6,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the sandbox running afterwards.")] = False,
    port: Annotated[
        int, typer.Option("--port", "-p", min=1, max=65535, help="Port of the sandbox on 127.0.0.1.")
    ] = lifecycle.DEFAULT_PORT,
    as_json: AsJson = False,
) -> None:
    """See the whole loop offline: deploy, push real flights month by month, judge, release, predict.

    One broken file must end in quarantine, and the gate must refuse one month with shuffled labels. Exit code
    0 only if all of that went as promised. Ctrl-C stops everything and leaves nothing behind.
    """
    out = render.console(sys.stderr if as_json else None)
    view = DemoView(out)
    run = Demo(port, months, keep, view, deploy)
    try:
        with _interruptible(), _stdout_kept_clean(as_json=as_json):
            story = run.run()
    except KeyboardInterrupt:
        view.note("Stopped; nothing was left behind.")
        raise typer.Exit(_INTERRUPTED) from None
    if as_json:
        render.show_json(story.to_json())
    else:
        view.summary(story)
        view.close(story, next_steps(story, port, keep=keep))
    if story.problems():
        raise typer.Exit(FAILED)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Make a polite end (SIGTERM, a closed terminal) the same as Ctrl-C while the demo runs."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _stdout_kept_clean(*, as_json: bool) -> Iterator[None]:
    """Send whatever the Pulumi program prints to stderr, so that stdout is one JSON document."""
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        yield


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
