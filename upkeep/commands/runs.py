"""`upkeep runs`: the retrainings, and one of them in detail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from upkeep import context, render
from upkeep import runs as reading
from upkeep.commands.options import AsJson, Model, Port, Stack
from upkeep.live import MARKS
from upkeep.runs import Run, Step

app = typer.Typer()

_DEFAULT_LIMIT = 20


@app.callback(invoke_without_command=True)
def list_by_default(
    call: typer.Context,
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Newest runs to show.")] = _DEFAULT_LIMIT,
    as_json: AsJson = False,
) -> None:
    """Show retrainings, newest first: trigger, rows, champion and challenger, decision and reason."""
    if call.invoked_subcommand is None:
        list_runs(model, stack, port, limit, as_json=as_json)


@app.command("list")
def list_runs(
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Newest runs to show.")] = _DEFAULT_LIMIT,
    as_json: AsJson = False,
) -> None:
    """Show retrainings, newest first."""
    there = context.load(stack, port)
    names = [model] if model else sorted(there.outputs.models)
    found = [run for name in names for run in reading.list_runs(there, there.model(name), limit)]
    if as_json:
        render.show_json([run.to_json() for run in found])
        return
    show_list(found, render.console())


@app.command("show")
def show_run(
    run: Annotated[str, typer.Argument(help="Run id, or how it begins.", metavar="RUN")],
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show one retraining: its decision, the reason, and the states it went through."""
    there = context.load(stack, port)
    found = reading.find_run(there, there.model(model), run)
    steps = reading.steps_of(there, found.arn)
    if as_json:
        now = datetime.now(UTC)
        render.show_json({**found.to_json(), "steps": [step.to_json(now) for step in steps]})
        return
    show_one(found, steps, render.console(), datetime.now(UTC))


def show_list(found: list[Run], out: Console) -> None:
    """Print runs as a table."""
    if not found:
        out.print("No runs yet. `upkeep push FILE` starts one.")
        return
    now = datetime.now(UTC)
    cells = [_row(run, now, short=render.is_terminal(out)) for run in found]
    columns = list(cells[0])
    if len({run.model for run in found}) == 1 and render.is_terminal(out):
        columns.remove("model")
    shown = [[line[name] for name in columns] for line in cells]
    render.show_table(out, columns, shown, right=["rows", "challenger", "champion", "seconds"])


def show_one(run: Run, steps: list[Step], out: Console, now: datetime) -> None:
    """Print one run."""
    facts: list[tuple[str, object]] = [
        ("run", run.id),
        ("model", run.model),
        ("status", run.status),
        ("started", run.started),
        ("duration", render.seconds(run.seconds)),
        ("trigger", run.trigger),
        ("rows", run.rows),
        ("files", run.files),
        ("manifest", run.manifest_uri),
    ]
    if run.decision is not None:
        facts += [
            ("decision", run.decision.decision),
            ("approval", run.decision.approval),
            ("challenger", run.decision.challenger),
            ("champion", run.decision.champion),
            ("reason", run.decision.reason),
            ("evaluation", run.decision.evaluation_uri),
        ]
    if run.error or run.cause:
        facts.append(("error", f"{run.error}: {run.cause}" if run.error else run.cause))
    for name, value in facts:
        line = Text(f"{name:<11} ", style="bold")
        line.append_text(render.styled(render.text(value)))
        out.print(line)
    out.print()
    for step in steps:
        mark, style = MARKS.get(step.status, ("", ""))
        line = Text(f"{mark} ", style=style)
        line.append(
            f"{step.name:<24} {render.seconds(step.seconds(now)):>10}  {step.message}".rstrip(), style=""
        )
        out.print(line)


def _row(run: Run, now: datetime, *, short: bool) -> dict[str, object]:
    """The cells of a run; `short` leaves out what a narrow screen can do without."""
    decision = run.decision
    started: object = run.started
    if short and run.started.astimezone(UTC).date() == now.date():
        started = run.started.astimezone(UTC).strftime("%H:%M:%S")
    return {
        "run": run.short,
        "model": run.model,
        "started": started,
        "trigger": run.trigger,
        "rows": run.rows,
        "challenger": decision.challenger if decision else None,
        "champion": decision.champion if decision else None,
        "decision": decision.decision if decision else run.status,
        "seconds": None if run.seconds is None else f"{run.seconds:.1f}",
        "reason": decision.reason.removeprefix("refused: ") if decision else run.cause or run.error,
    }
