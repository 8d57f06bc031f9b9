"""`upkeep rollback`: back to a version that served before."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from upkeep import context, models, releases, render, rollback
from upkeep.commands.options import AsJson, Model, Port, Stack, Yes
from upkeep.context import Context
from upkeep.errors import FAILED
from upkeep.ledger import actor, open_ledger
from upkeep.live import View
from upkeep.outcome import RELEASED
from upkeep.releases import Ending
from upkeep.rollback import Plan
from upkeep.runs import Run

Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait at most.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Start it, and do not follow it.")]


def rollback_command(
    version: Annotated[
        str,
        typer.Argument(
            help="`1.2.3`, a number of `upkeep models`, how a run id begins, `previous` or `seed`.",
            metavar="[VERSION]",
        ),
    ] = models.PREVIOUS,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why, for the record.")] = "",
    model: Model = None,
    no_wait: NoWait = False,
    timeout: Timeout = releases.DEFAULT_TIMEOUT_SECONDS,
    yes: Yes = False,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Go back to the version that served before, or to another that has served; a rollout is stopped.

    Only a terminal is asked whether it is meant; scripts are not. Exit codes: 0 the version serves (or, with
    --no-wait, the rollback has begun), 1 it failed, there is nothing to go back to, or time ran out.
    """
    there = context.load(stack, port)
    target = there.model(model)
    registry = models.read(there, target, open_ledger(there).rollout(target.name))
    planned = rollback.plan(there, registry, version)
    out = render.console(sys.stderr if as_json else None)
    for gone in planned.skipped:
        said = f"The artefact of {gone.words} is gone; going back to {planned.target.words} instead."
        out.print(Text(said, style=render.WARN))
    if not (yes or as_json) and sys.stdin.isatty() and sys.stdout.isatty():
        typer.confirm(f"{planned.words()}?", abort=True, default=True)
    run = rollback.start(there, planned, by=actor(there), reason=reason, at=datetime.now(UTC))
    if no_wait:
        _show_started(planned, run, out, as_json=as_json)
        return
    raise typer.Exit(_follow(there, planned, run, out, timeout, as_json=as_json))


def show_ending(planned: Plan, ending: Ending, out: Console) -> None:
    """Say what served, what serves now, and how long it took."""
    took = render.seconds(ending.watched.seconds)
    if ending.outcome == RELEASED:
        before = planned.served.words if planned.served else "a model the registry does not know"
        line = Text(f"{planned.target.words} serves", style=f"bold {render.GOOD}")
        stopped = f"the rollout of {planned.stops} was stopped" if planned.stops else f"before: {before}"
        line.append(f" after {took}; {stopped}.", style="")
        out.print(line)
        return
    line = Text(ending.outcome, style=f"bold {render.BAD}")
    line.append(f" after {took}. {ending.reason}", style="")
    out.print(line)
    if ending.serving is not None:
        version = ending.serving.version
        known = "what the registry does not know" if version is None else f"version {version or '0 (seed)'}"
        out.print(f"Now serves {known}, configuration {ending.serving.config or '-'}: `upkeep status`.")


def _follow(there: Context, planned: Plan, run: Run, out: Console, timeout: float, *, as_json: bool) -> int:
    with View(out) as view:
        watched = rollback.watch(
            there,
            planned,
            run,
            timeout_seconds=timeout,
            poll_seconds=there.poll_seconds,
            show=lambda known: view.draw(
                known.rows(datetime.now(UTC)), f"{known.where()} · {render.seconds(known.seconds)}"
            ),
        )
    ending = rollback.conclude(there, planned, watched, timeout)
    if as_json:
        render.show_json({**_plain(planned), **ending.to_json()})
    else:
        show_ending(planned, ending, out)
    return ending.exit_code if ending.outcome == RELEASED else FAILED


def _show_started(planned: Plan, run: Run, out: Console, *, as_json: bool) -> None:
    if as_json:
        render.show_json({**_plain(planned), "outcome": "started", "exit_code": 0, "execution": run.arn})
        return
    out.print(f"{planned.words()}: begun. `upkeep status` shows how far it is.")


def _plain(planned: Plan) -> dict[str, object]:
    return {
        "model": planned.model.name,
        "to": planned.target.label,
        "number": planned.target.number,
        "served": planned.served.label if planned.served else None,
        "stops": planned.stops or None,
        "skipped": [one.label for one in planned.skipped],
    }
