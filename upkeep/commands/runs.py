"""`upkeep runs`: the retrainings, one of them in detail, a new one, and what became of a file."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from training.ledger.records import ACCEPTED, DUPLICATE
from upkeep import context, follow, objects, render, rows, starting, versions
from upkeep import runs as reading
from upkeep.commands.options import AsJson, Model, Port, Stack
from upkeep.commands.push import Timeout, followed, source_for
from upkeep.context import Context
from upkeep.follow import Hold
from upkeep.ledger import OperatorLedger, actor, open_ledger
from upkeep.live import MARKS
from upkeep.objects import Fate
from upkeep.runs import Run, Step
from upkeep.starting import Wish

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
    run: Annotated[
        str,
        typer.Argument(
            help="Run id, or how it begins; or a file: s3://bucket/key, a key, or its name.",
            metavar="RUN|FILE",
        ),
    ],
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show one retraining, its decision and its states; or what became of a file that was pushed.

    Of a file every version is shown: whether it was accepted, why not, where it lies now, and which runs and
    served models were trained on it.
    """
    there = context.load(stack, port)
    ledger = open_ledger(there)
    if objects.is_object(run):
        _show_object(there, ledger, run, as_json=as_json)
        return
    target = there.model(model)
    found = reading.find_run(there, target, run, ledger.runs(target.name))
    window = versions.document(there, target.name, found.data_version) if found.data_version else None
    steps = reading.steps_of(there, found.arn)
    if as_json:
        now = datetime.now(UTC)
        span = (window or {}).get("window")
        steps_plain = [step.to_json(now) for step in steps]
        render.show_json({**found.to_json(), "window": span, "steps": steps_plain})
        return
    show_one(found, steps, render.console(), datetime.now(UTC), (window or {}).get("window"))


@app.command("start")
def start_run(
    model: Model = None,
    force: Annotated[
        bool, typer.Option("--force", help="Past quiet period, cool-down, limits and failed attempts.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Follow the run until the new version answers.")
    ] = False,
    timeout: Timeout = follow.DEFAULT_TIMEOUT_SECONDS,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Start a retraining on the newest data, unless that was trained on already.

    Exit codes with --wait are those of `upkeep push --wait`; 6 when a limit holds the run back.
    """
    there = context.load(stack, port)
    target, ledger = there.model(model), open_ledger(there)
    spec = rows.deployed_spec(there, target)
    out = render.console(sys.stderr if as_json else None)
    source = source_for(there, target, spec, ledger, None)
    wish = starting.ask(there, ledger, spec, actor(there), force=force)
    if wish.under_way is not None and wish.outcome == starting.UNDER_WAY:
        source.earlier -= {wish.under_way.run_id}
    if wish.outcome in (starting.STARTED, starting.UNDER_WAY) and wait:
        raise typer.Exit(followed(there, source, [], out, timeout_seconds=timeout, as_json=as_json))
    hold = source.held() if wish.outcome == starting.STARTED and not force else None
    if as_json:
        held = hold.to_json() if hold else None
        render.show_json({"model": target.name, "forced": force, **wish.to_json(), "held": held})
    else:
        show_wish(wish, target.name, hold, out, force=force)


def show_wish(wish: Wish, model: str, hold: Hold | None, out: Console, *, force: bool) -> None:
    """Say what was asked for, or why nothing was."""
    data = f"data version {wish.data_version[:8]} ({wish.rows:,} rows in {wish.files} files)"
    if wish.outcome == starting.NO_DATA:
        out.print(f"Nothing to train: {model} has no data besides its seed. `upkeep push FILE` brings some.")
        return
    if wish.outcome == starting.UNCHANGED:
        by = f" by run {wish.before.run_id[:8]}" if wish.before else ""
        out.print(f"Unchanged: {data} was trained on{by}; `upkeep runs show` has its decision.")
        return
    if wish.outcome == starting.UNDER_WAY and wish.under_way is not None:
        run = wish.under_way.run_id[:8]
        out.print(f"Run {run} on {data} is under way; `upkeep runs start --wait` follows it.")
        return
    out.print(f"Asked for a run of {model} on {data}{', past all limits' if force else ''}.")
    if wish.under_way is not None:
        out.print(f"Run {wish.under_way.run_id[:8]} is under way; the new one comes after it.")
    if hold is not None:
        said = f"The last one was {hold.words()}: {hold.reason}. --force goes past that."
        out.print(Text(said, style=render.WARN))
    out.print("`upkeep status` shows what holds it back, `upkeep runs` shows it once it runs.")


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


def show_one(
    run: Run, steps: list[Step], out: Console, now: datetime, window: Mapping[str, Any] | None = None
) -> None:
    """Print one run."""
    span = (
        f"{window.get('setting')}: {window.get('from') or '-'} to {window.get('to') or '-'}"
        if window
        else None
    )
    cost = f"{run.usd:.4f} USD" if run.usd is not None else None
    if cost is None and run.worst_usd is not None:
        cost = f"at most {run.worst_usd:.4f} USD"
    facts: list[tuple[str, object]] = [
        ("run", run.id),
        ("model", run.model),
        ("status", run.status),
        ("started", run.started),
        ("duration", render.seconds(run.seconds)),
        ("trigger", run.trigger),
        ("rows", run.rows),
        ("files", run.files),
        ("left out", run.dropped),
        ("data", run.data_version),
        ("window", span),
        ("attempt", run.attempt),
        ("cost", cost),
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
    render.show_facts(out, facts)
    out.print()
    for step in steps:
        mark, style = MARKS.get(step.status, ("", ""))
        line = Text(f"{mark} ", style=style)
        line.append(
            f"{step.name:<24} {render.seconds(step.seconds(now)):>10}  {step.message}".rstrip(), style=""
        )
        out.print(line)


def show_fates(fates: Sequence[Fate], bucket: str, out: Console) -> None:
    """Print what became of each version of a file."""
    for number, fate in enumerate(fates):
        if number:
            out.print()
        facts: list[tuple[str, object]] = [
            ("object", f"s3://{bucket}/{fate.key}"),
            ("version", fate.version_id),
            ("state", fate.state),
            ("since" if fate.state in (objects.QUEUED, objects.WITHDRAWN) else "at", fate.at),
            ("reason", fate.reason),
            ("rows", fate.rows),
            ("left out", fate.dropped),
            ("forgotten", fate.forgotten or None),
            ("delivery", fate.delivery),
            *(("lies at", f"s3://{bucket}/{key}") for key in fate.now_at),
            ("quarantine", f"{fate.quarantine_id} {fate.quarantine_state}".strip()),
        ]
        render.show_facts(out, [(name, value) for name, value in facts if value not in (None, "")])
        if fate.trained:
            columns = ["trained run", "data version", "state", "model version", "approval", "serves"]
            cells = [
                [t.run_id, t.data_version, t.state, t.version, t.approval, "yes" if t.serves else ""]
                for t in fate.trained
            ]
            render.show_table(out, columns, cells)
        elif fate.state in (ACCEPTED, DUPLICATE):
            out.print("No run was trained on it yet: `upkeep status` shows what the next one waits for.")
        if fate.quarantine_id:
            out.print(f"See `upkeep quarantine show {fate.quarantine_id}`.")


def _show_object(there: Context, ledger: OperatorLedger, name: str, *, as_json: bool) -> None:
    fates = objects.find(there, ledger, name)
    if as_json:
        render.show_json({"object": name, "versions": [fate.to_json() for fate in fates]})
        return
    show_fates(fates, there.outputs.data_bucket, render.console())


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
