"""`upkeep push`: data files to the stack, and what becomes of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from upkeep import checking, context, data, follow, render, rows, runs
from upkeep.aws_source import AwsSource
from upkeep.commands.options import AsJson, Model, Port, Stack
from upkeep.context import Context
from upkeep.data import Upload
from upkeep.errors import QUARANTINED
from upkeep.follow import Result
from upkeep.live import FollowView
from upkeep.outputs import ModelOutputs


def push(
    files: Annotated[list[Path], typer.Argument(help="CSV files.", metavar="FILE...")],
    model: Model = None,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Follow the files until the new version answers.")
    ] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Push without checking the files here first.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds to wait at most.")
    ] = follow.DEFAULT_TIMEOUT_SECONDS,
    as_json: AsJson = False,
    stack: Stack = None,
    port: Port = None,
) -> None:
    """Push data files to a model; a retraining follows, and a release if the new model is better.

    Exit codes with --wait: 0 released (or nothing new), 1 failed or timed out, 3 refused by the gate, 4 a
    file was quarantined, 5 waiting for a person's approval. Files refused by the check here: 4.
    """
    there = context.load(stack, port)
    target = there.model(model)
    out = render.console(sys.stderr if as_json else None)
    uploads = data.plan(there, target, files)
    spec = rows.deployed_spec(there, target)
    refused = checking.refused(files, spec)
    if refused and not no_check:
        _show_refused(refused, out, as_json=as_json)
        raise typer.Exit(QUARANTINED)
    sound = [path for path in files if path not in {item.path for item in refused}]
    source = source_for(there, target, rows.first_row(sound[0], spec) if sound else None)
    send_all(there, uploads, out)
    if not wait:
        _show_pushed(there, target, uploads, out, as_json=as_json)
        return
    with FollowView(out) as view:
        result = follow.follow(
            source, uploads, timeout_seconds=timeout, poll_seconds=there.poll_seconds, show=view.show
        )
    if as_json:
        render.show_json(result.to_json())
    else:
        show_result(result, out)
    raise typer.Exit(result.exit_code)


def source_for(there: Context, target: ModelOutputs, sample: dict[str, Any] | None) -> AwsSource:
    """What to ask about a push; made before the upload, so that it knows which runs are older.

    `sample` is a row that fits the model, for the request that shows which version answers.
    """
    return AwsSource(there, target, frozenset(runs.run_names(there, target)), sample)


def send_all(there: Context, uploads: list[Upload], out: Console) -> None:
    """Upload the files, with a bar each on a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=out, transient=True, disable=not render.is_terminal(out)) as progress:
        for upload in uploads:
            task = progress.add_task(upload.path.name, total=upload.size or None)
            data.send(there, upload, lambda count, task=task: progress.advance(task, count))  # type: ignore[misc]


def show_result(result: Result, out: Console) -> None:
    """Say how it ended, and why."""
    progress = result.progress
    outcome = render.styled(result.outcome)
    outcome.stylize("bold")
    line = Text().append_text(outcome)
    if progress.package is not None and result.outcome == follow.RELEASED:
        line.append(f": version {progress.package.version} answers", style="bold")
    line.append(f" after {render.seconds(progress.seconds)}. {sentence(result.reason)}")
    out.print(line)
    if result.outcome != follow.QUARANTINED:
        for upload in progress.quarantined:
            out.print(Text(f"quarantined: {upload.path.name}: {upload.reason}", style=render.WARN))


def sentence(reason: str) -> str:
    """A recorded reason as a sentence of its own, without the outcome it begins with."""
    said = reason.removeprefix("refused: ").strip()
    return said if said.endswith((".", "!", "?")) else f"{said}."


def _show_pushed(
    there: Context, target: ModelOutputs, uploads: list[Upload], out: Console, *, as_json: bool
) -> None:
    if as_json:
        render.show_json(
            {"model": target.name, "stack": there.stack, "files": [u.to_json() for u in uploads]}
        )
        return
    for upload in uploads:
        out.print(Text(f"{upload.path}  {render.size(upload.size)}  →  {upload.uri}"))
    out.print("What becomes of them: `upkeep runs` and `upkeep status`; `upkeep push --wait` follows them.")


def _show_refused(refused: list[checking.Refusal], out: Console, *, as_json: bool) -> None:
    if as_json:
        found: list[dict[str, Any]] = [{"file": str(item.path), "reason": item.reason} for item in refused]
        render.show_json({"outcome": "refused by the local check", "exit_code": QUARANTINED, "files": found})
        return
    for item in refused:
        out.print(Text(f"{item.path}: {item.reason}", style=render.WARN))
    out.print(
        "Nothing was pushed; the stack would put these into quarantine. --no-check pushes them all the same."
    )
