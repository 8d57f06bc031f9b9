"""`upkeep logs`: what a run, an endpoint or a function wrote."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.text import Text

from upkeep import context, logbook, render, runs
from upkeep.commands.options import AsJson, Model, Port, Stack
from upkeep.context import Context
from upkeep.errors import UpkeepError
from upkeep.logbook import Line, Place
from upkeep.outputs import ModelOutputs

FUNCTIONS = ("intake", "dispatch", "judge", "release")
_LEVELS = {
    "ERROR": render.BAD,
    "CRITICAL": render.BAD,
    "WARNING": render.WARN,
    "DEBUG": render.DIM,
    "METRICS": render.DIM,
}


def logs(
    run: Annotated[
        str | None, typer.Option("--run", help="Training log of a run; the newest when nothing is named.")
    ] = None,
    endpoint: Annotated[bool, typer.Option("--endpoint", help="Log of the model's endpoint.")] = False,
    function: Annotated[
        str | None,
        typer.Option("--function", help=f"Log of a function: {', '.join(FUNCTIONS)}.", metavar="NAME"),
    ] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="Lines to show at most.")] = 200,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep showing new lines until Ctrl-C.")
    ] = False,
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show the log of a run's training job, of an endpoint, or of a function; the newest run's by default."""
    if sum([run is not None, endpoint, function is not None]) > 1:
        raise UpkeepError("Name one of --run, --endpoint and --function, not several.")
    there = context.load(stack, port)
    if function is not None:
        place = function_place(there.outputs.prefix, function)
    else:
        place = _model_place(there, there.model(model), run, endpoint=endpoint)
    lines: Iterable[Line] = (
        logbook.follow(there, place, last, there.poll_seconds) if follow else logbook.read(there, place, last)
    )
    _show(lines, as_json=as_json)


def _shown(line: Line) -> Text:
    entry = logbook.readable(line.message)
    shown = Text(line.at.strftime("%H:%M:%S.%f")[:-3] + "  ", style=render.DIM)
    if entry.level:
        shown.append(f"{entry.level:<7} ", style=_LEVELS.get(entry.level, ""))
    shown.append(entry.message, style="")
    if entry.error:
        shown.append(f": {entry.error}", style=render.BAD)
    return shown


def function_place(prefix: str, name: str) -> Place:
    """Where a function logs; its short name is enough.

    Raises:
        UpkeepError: There is no such function.
    """
    short = name.removeprefix(f"{prefix}-")
    if short not in FUNCTIONS:
        raise UpkeepError(f"--function: found {name!r}, allowed: {', '.join(FUNCTIONS)}.")
    return Place(f"{logbook.FUNCTION_GROUP}{prefix}-{short}")


def _model_place(there: Context, target: ModelOutputs, run: str | None, *, endpoint: bool) -> Place:
    if endpoint:
        return Place(f"{logbook.ENDPOINT_GROUP}{target.endpoint}")
    if run is not None:
        return Place(logbook.TRAINING_GROUP, f"{target.endpoint}-{runs.find_run(there, target, run).id}/")
    newest = runs.run_names(there, target, 1)
    if newest:
        return Place(logbook.TRAINING_GROUP, f"{target.endpoint}-{next(iter(newest))}/")
    return Place(logbook.TRAINING_GROUP, f"{target.seed_job}/")


def _show(lines: Iterable[Line], *, as_json: bool) -> None:
    out = render.console()
    none = True
    for line in lines:
        none = False
        if as_json:
            sys.stdout.write(json.dumps(line.to_json(), ensure_ascii=False) + "\n")
            sys.stdout.flush()
            continue
        out.print(_shown(line))
    if none and not as_json:
        out.print(Text("No lines.", style=render.DIM))
