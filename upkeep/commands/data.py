"""`upkeep data`: what was trained on, how it changed, and rows that must be forgotten."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from training.versions import Difference, diff
from upkeep import context, forget, render, rows, serving, versions
from upkeep.commands.forgetting import show_plan, show_result
from upkeep.commands.options import AsJson, Model, Port, Stack, Yes, consent
from upkeep.errors import UpkeepError
from upkeep.ledger import OperatorLedger, actor, open_ledger
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients
from upkeep.versions import Version

app = typer.Typer(no_args_is_help=True)

_NAMES = "How its id or a run's begins, `latest`, or `latest~1` for the one before."
Name = Annotated[str, typer.Argument(help=_NAMES, metavar="VERSION")]
_OBJECTS = 20


@app.command("list")
def list_versions(
    model: Model = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Newest versions to show.")] = 20,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show the data versions that were trained on, newest first, with decisions and what serves."""
    there = context.load(stack, port)
    target, ledger = there.model(model), open_ledger(there)
    serving_run = serving.read_serving(there, target).run_id
    known = list(versions.trained(ledger, target.name).items())[:limit]
    found = [versions.read(there, target, one, records, serving_run) for one, records in known]
    if as_json:
        render.show_json([one.to_json() for one in found])
        return
    show_list(found, render.console())


@app.command("show")
def show_version(
    version: Annotated[
        str, typer.Argument(help=f"{_NAMES} `next` is what a run would read now.", metavar="VERSION")
    ],
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show one data version: its files with their digests, its runs, and whether it serves."""
    there = context.load(stack, port)
    found = _read(there, there.model(model), open_ledger(there), version)
    if as_json:
        render.show_json(found.to_json(whole=True))
        return
    show_one(found, render.console())


@app.command("diff")
def diff_versions(
    a: Annotated[str, typer.Argument(help=_NAMES, metavar="A")],
    b: Annotated[str, typer.Argument(help=_NAMES, metavar="B")],
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show what changed from one data version to another: files, rows, window, contract."""
    there = context.load(stack, port)
    target, ledger = there.model(model), open_ledger(there)
    first, second = (_read(there, target, ledger, name) for name in (a, b))
    for name, one in ((a, first), (b, second)):
        if one.document is None:
            raise UpkeepError(f"Data version {name!r} ({one.id}): its record is gone from the data bucket.")
    found = diff(first.document or {}, second.document or {})
    if as_json:
        render.show_json(_plain(first, second, found))
        return
    show_difference(first, second, found, render.console())


@app.command("forget")
def forget_rows(
    where: Annotated[
        list[str],
        typer.Option(
            "--where", "-w", help="Rows with this value; given again: and this.", metavar="COL=VALUE"
        ),
    ],
    model: Model = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Count, and change nothing.")] = False,
    discard_quarantined: Annotated[
        bool, typer.Option("--discard-quarantined", help="Also delete refused files that hold such rows.")
    ] = False,
    yes: Yes = False,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Take a person's rows out of the accepted data, for good, and out of everything that arrives later.

    Says first how many rows that is, and afterwards which models were trained on them. Run again with the
    same conditions it goes on where it stopped. Exit code 1 when something could not be looked into.
    """
    there = context.load(stack, port)
    target, ledger = there.model(model), open_ledger(there)
    spec = rows.deployed_spec(there, target)
    out = render.console(sys.stderr if as_json else None)
    work = forget.Forgetting(there, ledger, target, spec, forget.conditions(where))
    plan = work.look()
    if dry_run:
        if as_json:
            render.show_json({"dry_run": True, **plan.to_json()})
        else:
            show_plan(plan, out)
        raise typer.Exit(plan.exit_code)
    if not (as_json or yes):
        show_plan(plan, out)
    consent(f"Take these rows out of the data of {target.name}, for good?", yes=yes, as_json=as_json)
    result = work.carry_out(actor(there), discard_quarantined=discard_quarantined)
    if as_json:
        render.show_json(result.to_json())
    else:
        show_result(result, out)
    raise typer.Exit(result.exit_code)


def show_list(found: list[Version], out: Console) -> None:
    """Print data versions as a table."""
    if not found:
        out.print("No data version yet. `upkeep push FILE` makes the first.")
        return
    columns = ["version", "runs", "files", "rows", "window", "contract", "decision", "serves"]
    cells = [
        [
            one.short,
            " ".join(run.short for run in one.runs),
            one.files,
            one.of_document("rows"),
            one.of_document("window", "setting"),
            " ".join(contract[:8] for contract in one.of_document("contract_versions") or []),
            one.decision,
            "yes" if one.served else "",
        ]
        for one in found
    ]
    render.show_table(out, columns, cells, right=["files", "rows"])


def show_one(found: Version, out: Console) -> None:
    """Print one data version."""
    window = found.of_document("window") or {}
    facts: list[tuple[str, object]] = [
        ("version", found.id),
        ("model", found.of_document("model")),
        ("rows", found.of_document("rows")),
        ("left out", found.of_document("dropped")),
        ("window", window.get("setting")),
        ("from", window.get("from")),
        ("to", window.get("to")),
        ("contract", ", ".join(found.of_document("contract_versions") or [])),
        ("decision", found.decision),
        ("serves", found.served or "no"),
    ]
    render.show_facts(out, facts)
    if found.runs:
        out.print()
        cells = [
            [r.id, r.started, r.attempt, r.status, r.usd, r.decision and r.decision.reason]
            for r in found.runs
        ]
        render.show_table(out, ["run", "started", "attempt", "status", "USD", "reason"], cells)
    objects = found.of_document("objects")
    if objects is None:
        out.print(Text("Its record is gone from the data bucket.", style=render.WARN))
        return
    out.print()
    shown = objects[:_OBJECTS] if render.is_terminal(out) else objects
    cells = [[o["key"], o["rows"], o["dropped"], o["first"], o["last"], o["source"]] for o in shown]
    columns = ["object", "rows", "left out", "first", "last", "pushed as"]
    render.show_table(out, columns, cells, right=["rows", "left out"])
    if len(shown) < len(objects):
        out.print(f"and {len(objects) - len(shown)} more; --json shows all.")


def show_difference(first: Version, second: Version, found: Difference, out: Console) -> None:
    """Print what changed."""
    out.print(Text(f"{first.short} → {second.short}", style="bold"))
    if found.is_empty:
        out.print("The same files, window and contract.")
        return
    for mark, style, objects in (("+", render.GOOD, found.added), ("-", render.BAD, found.removed)):
        for one in objects:
            line = Text(f"{mark} {one['key']}", style=style)
            line.append(f"  {one['rows']:,} rows, pushed as {one['source'] or '-'}", style="")
            out.print(line)
    before, after = first.of_document("rows"), second.of_document("rows")
    out.print(f"rows      {before:,} → {after:,} ({found.rows:+,})")
    if found.window:
        out.print(f"window    {found.window[0]} → {found.window[1]}")
    if found.contracts:
        out.print(f"contract  {' → '.join(', '.join(one) or '-' for one in found.contracts)}")


def _read(there: Clients, target: ModelOutputs, ledger: OperatorLedger, name: str) -> Version:
    if name == versions.NEXT:
        spec = rows.deployed_spec(there, target)
        coming = versions.next_version(there, ledger, spec)
        return Version(id=coming.id, runs=(), document=coming.document())
    version, records = versions.find(ledger, target.name, name)
    serving_run = serving.read_serving(there, target).run_id
    return versions.read(there, target, version, records, serving_run)


def _plain(first: Version, second: Version, found: Difference) -> dict[str, Any]:
    return {
        "a": first.id,
        "b": second.id,
        "added": [dict(one) for one in found.added],
        "removed": [dict(one) for one in found.removed],
        "rows": found.rows,
        "window": found.window,
        "contract_versions": found.contracts,
    }
