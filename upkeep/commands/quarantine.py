"""`upkeep quarantine`: files that were refused; see why, release them, discard them."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from training.ledger.records import NO_MODEL, QuarantineRecord
from upkeep import context, follow, quarantine, render, rows
from upkeep.commands.options import AsJson, Model, Port, Stack, Yes, consent
from upkeep.commands.push import Timeout, Wait, followed, source_for
from upkeep.context import Context
from upkeep.data import Upload
from upkeep.errors import QUARANTINED, UpkeepError
from upkeep.ledger import actor, open_ledger
from upkeep.outputs import ModelOutputs
from upkeep.quarantine import Release, moment

app = typer.Typer(no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Id of the entry, or how it begins.", metavar="ID")]
_SHOWN_ROWS = 5


@app.command("list")
def list_entries(
    model: Model = None,
    all_entries: Annotated[bool, typer.Option("--all", "-a", help="Also those that have ended.")] = False,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show refused files that wait for a decision, newest first."""
    there = context.load(stack, port)
    found = quarantine.entries(open_ledger(there), _names(there, model), ended=all_entries)
    if as_json:
        render.show_json([_plain(entry) for entry in found])
        return
    show_list(found, render.console(), ended=all_entries)


@app.command("show")
def show_entry(
    entry_id: Id, model: Model = None, stack: Stack = None, port: Port = None, as_json: AsJson = False
) -> None:
    """Show one refused file: why, which rows, how its columns differ, and what to do."""
    there = context.load(stack, port)
    entry = quarantine.find(open_ledger(there), _names(there, model), entry_id)
    diff = quarantine.diff_of(there, entry)
    if as_json:
        render.show_json({**_plain(entry), "diff": diff, "advice": quarantine.advice(entry)})
        return
    show_one(entry, diff, there.outputs.data_bucket, render.console())


@app.command("release")
def release_entry(
    entry_id: Id,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="Model to give a file to that was pushed to none.", show_default=False
        ),
    ] = None,
    wait: Wait = False,
    timeout: Timeout = follow.DEFAULT_TIMEOUT_SECONDS,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Check a refused file again with the deployed contract, and let it arrive again if it is good now.

    A file can be released once only. Exit code 4 when the check still refuses it: then nothing changes. With
    --wait the codes are those of `upkeep push --wait`.
    """
    there = context.load(stack, port)
    ledger = open_ledger(there)
    entry = quarantine.find(ledger, _names(there, None), entry_id)
    target = _target(there, entry, model)
    spec = rows.deployed_spec(there, target)
    out = render.console(sys.stderr if as_json else None)
    source = source_for(there, target, spec, ledger, None)
    done = quarantine.release(there, ledger, entry, target, spec, actor(there))
    if not done.done:
        _show_refused(done, spec.contract_version, out, as_json=as_json)
        raise typer.Exit(QUARANTINED)
    if wait:
        upload = _upload(there, done)
        raise typer.Exit(followed(there, source, [upload], out, timeout_seconds=timeout, as_json=as_json))
    if as_json:
        render.show_json({**_plain(done.entry), "key": done.key, "version_id": done.version_id})
        return
    dropped = f", {done.report.dropped:,} bad rows left out" if done.report.dropped else ""
    out.print(Text(f"Released {entry.id}: {done.report.rows:,} good rows{dropped}  →  {done.key}"))
    out.print(f"The intake checks it once more: `upkeep runs show {done.key}`.")


@app.command("discard")
def discard_entry(
    entry_id: Id, yes: Yes = False, stack: Stack = None, port: Port = None, as_json: AsJson = False
) -> None:
    """Delete a refused file; what it was and why stays recorded."""
    there = context.load(stack, port)
    ledger = open_ledger(there)
    entry = quarantine.find(ledger, _names(there, None), entry_id)
    question = f"Delete {entry.name} ({render.size(entry.size)}, {entry.reason})?"
    consent(question, yes=yes, as_json=as_json)
    ended = quarantine.discard(there, ledger, entry, actor(there))
    if as_json:
        render.show_json(_plain(ended))
        return
    render.console().print(Text(f"Discarded {ended.id}: {ended.name} is deleted, its entry stays."))


def show_list(found: list[QuarantineRecord], out: Console, *, ended: bool) -> None:
    """Print entries as a table."""
    if not found:
        said = "Nothing was ever refused." if ended else "Nothing waits in quarantine; --all shows what did."
        out.print(said)
        return
    columns = ["id", "model", "file", "size", "refused", "state", "reason"]
    cells = [[e.id, e.model, e.name, render.size(e.size), moment(e.at), e.state, e.reason] for e in found]
    render.show_table(out, columns, cells, right=["size"])


def show_one(entry: QuarantineRecord, diff: dict[str, Any], bucket: str, out: Console) -> None:
    """Print one entry."""
    facts: list[tuple[str, object]] = [
        ("id", entry.id),
        ("file", entry.name),
        ("model", entry.model),
        ("state", entry.state),
        ("refused", moment(entry.at)),
        (
            "seen",
            f"{entry.seen} times, last {render.text(moment(entry.last_at))}" if entry.seen > 1 else None,
        ),
        ("size", render.size(entry.size)),
        ("pushed as", entry.source),
        ("delivery", entry.delivery),
        ("lies at", f"s3://{bucket}/{entry.key}"),
        ("contract", entry.contract),
        ("ended", moment(entry.ended_at)),
        ("by", entry.by),
        ("reason", entry.reason),
    ]
    render.show_facts(out, [(name, value) for name, value in facts if value not in (None, "")])
    _show_findings(entry, out)
    _show_diff(diff, out)
    _show_sample(entry, out)
    out.print()
    out.print(Text(quarantine.advice(entry)))


def _show_findings(entry: QuarantineRecord, out: Console) -> None:
    if not entry.findings:
        return
    out.print()
    cells = [
        [
            f.get("column"),
            f.get("rule"),
            f.get("count"),
            "no" if f.get("fatal") is False else "yes",
            _examples(f),
        ]
        for f in entry.findings
    ]
    render.show_table(out, ["column", "rule", "rows", "fatal", "examples"], cells, right=["rows"])


def _examples(finding: dict[str, Any]) -> str:
    return "; ".join(f"row {e.get('row')}: {e.get('value')!r}" for e in finding.get("examples") or [])


def _show_diff(diff: dict[str, Any], out: Console) -> None:
    """How the columns differ from the contract's."""
    lines = [(name, value) for name, value in diff.items() if value]
    if not lines:
        return
    out.print()
    out.print(Text("Columns that differ from the contract", style="bold"))
    for name, value in lines:
        said = ", ".join(map(_change, value)) if isinstance(value, list | tuple) else str(value)
        out.print(Text(f"  {name:<8} {said}"))


def _change(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    return " ".join(f"{name} {value}" for name, value in item.items())


def _show_sample(entry: QuarantineRecord, out: Console) -> None:
    if not entry.sample:
        return
    out.print()
    shown = entry.sample[:_SHOWN_ROWS]
    more = len(entry.sample) - len(shown)
    out.print(Text(f"Bad rows{f' ({more} more with --json)' if more else ''}", style="bold"))
    for row in shown:
        reasons = row.get("reasons")
        said = "; ".join(map(str, reasons)) if isinstance(reasons, list | tuple) else str(reasons)
        out.print(Text(f"  row {row.get('row')}: {said}"))
        values = row.get("values")
        if isinstance(values, dict):
            out.print(Text("    " + ", ".join(f"{k}={v}" for k, v in values.items()), style=render.DIM))
        elif values:
            out.print(Text(f"    {values}", style=render.DIM))


def _show_refused(done: Release, contract: str, out: Console, *, as_json: bool) -> None:
    report = done.report
    if as_json:
        found = {"reason": report.reason, "findings": report.details(), "contract": contract}
        render.show_json({**_plain(done.entry), "check": found, "exit_code": QUARANTINED})
        return
    line = Text("Still refused", style=render.WARN)
    line.append(f" by contract {contract}: {report.reason}", style="")
    out.print(line)
    out.print(f"Nothing was changed; {done.entry.id} stays in quarantine.")


def _names(there: Context, model: str | None) -> list[str]:
    """Under which names to look; any name that people pushed files for."""
    known = quarantine.partitions(there, there.outputs.models)
    if model is None:
        return known
    if model not in known:
        raise UpkeepError(f"Model {model!r} has no quarantine; there is: {', '.join(known)}.")
    return [model]


def _target(there: Context, entry: QuarantineRecord, model: str | None) -> ModelOutputs:
    """The model that gets the file."""
    if entry.model in there.outputs.models:
        if model not in (None, entry.model):
            raise UpkeepError(
                f"Quarantine {entry.id} is a file of model {entry.model!r}; leave out --model {model}."
            )
        return there.model(entry.model)
    if model is None:
        meant = "for no model" if entry.model == NO_MODEL else f"for {entry.model!r}, which is not deployed"
        known = ", ".join(sorted(there.outputs.models))
        raise UpkeepError(
            f"Quarantine {entry.id}: {entry.source} was pushed {meant}. Give it to one with --model: {known}."
        )
    return there.model(model)


def _upload(there: Context, done: Release) -> Upload:
    """The released file, to be followed like a pushed one."""
    return Upload(
        path=Path(done.entry.name),
        bucket=there.outputs.data_bucket,
        key=done.key,
        name=done.entry.name,
        size=done.entry.size,
        sha256=done.entry.sha256 or "",
        version_id=done.version_id,
        delivery=done.entry.delivery,
    )


def _plain(entry: QuarantineRecord) -> dict[str, Any]:
    """An entry as `--json` prints it, its times in ISO 8601."""
    times = {name: render.iso(moment(getattr(entry, name))) for name in ("at", "last_at", "ended_at")}
    return {**asdict(entry), **times}
