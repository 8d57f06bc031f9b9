"""`upkeep push`: data files to the stack, and what becomes of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from models.spec import ModelSpec
from upkeep import checking, context, data, deliveries, follow, render, rows
from upkeep.aws_source import AwsSource
from upkeep.commands.options import AsJson, Model, Port, Stack
from upkeep.context import Context
from upkeep.data import Upload
from upkeep.deliveries import Delivery
from upkeep.errors import QUARANTINED, UpkeepError
from upkeep.follow import Result
from upkeep.ledger import OperatorLedger, open_ledger
from upkeep.live import FollowView
from upkeep.logged_out import LOG_IN, explained
from upkeep.outputs import ModelOutputs

Wait = Annotated[bool, typer.Option("--wait", "-w", help="Follow the files until the new version answers.")]
Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait at most.")]


def push(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Files (CSV, JSON lines, Parquet; also .gz and .zst), or folders of them.", metavar="FILE..."
        ),
    ],
    model: Model = None,
    wait: Wait = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Push without checking the files here first.")
    ] = False,
    manifest: Annotated[
        bool | None,
        typer.Option(
            "--manifest/--no-manifest",
            help="Complete the delivery with a _MANIFEST.json: nothing is trained on before it is there.",
            show_default="as the model's triggers.delivery says",
        ),
    ] = None,
    delivery: Annotated[
        str | None,
        typer.Option("--delivery", help="Folder of the delivery below incoming/<model>/.", metavar="NAME"),
    ] = None,
    timeout: Timeout = follow.DEFAULT_TIMEOUT_SECONDS,
    as_json: AsJson = False,
    stack: Stack = None,
    port: Port = None,
) -> None:
    """Push data files to a model; a retraining follows, and a release if the new model is better.

    All files of one call, and all in a folder, are one delivery and lead to one retraining.

    Exit codes with --wait: 0 released (or nothing new), 1 failed or timed out, 3 refused by the gate or by
    the check before the release, 4 a file was quarantined, 5 waiting for a person's approval, 6 the
    retraining is held back by a limit, 7 released and taken back. Files refused by the check here: 4.
    """
    there = context.load(stack, port)
    target = there.model(model)
    ledger = open_ledger(there)
    out = render.console(sys.stderr if as_json else None)
    spec = rows.deployed_spec(there, target)
    if manifest is False and spec.triggers.delivery == "manifest":
        raise UpkeepError(
            f"Model {target.name} trains on nothing without a manifest (triggers.delivery: manifest in its "
            "spec); leave out --no-manifest."
        )
    planned = deliveries.plan(
        target,
        files,
        ledger,
        manifest=spec.triggers.delivery == "manifest" if manifest is None else manifest,
        name=delivery,
    )
    paths = [upload.path for upload in planned.uploads]
    # Also without the check of the command: a bad row would be refused by every version.
    checks = checking.checked(paths, spec) if wait or not no_check else []
    refused = [one for one in checks if not one.ok]
    if refused and not no_check:
        _show_refused(refused, out, as_json=as_json)
        raise typer.Exit(QUARANTINED)
    for one in checks:
        if one.losses:
            out.print(Text(f"{one.path}: {one.losses}: {one.reason}", style=render.WARN))
    sound = next((one.path for one in checks if one.ok and not one.report.dropped), None)
    source = source_for(there, target, spec, ledger, rows.first_row(sound, spec) if sound else None)
    sent = send_all(there, planned, out)
    if not wait:
        _show_pushed(there, target, planned, sent, out, as_json=as_json)
        return
    raise typer.Exit(followed(there, source, sent, out, timeout_seconds=timeout, as_json=as_json))


def source_for(
    there: Context,
    target: ModelOutputs,
    spec: ModelSpec,
    ledger: OperatorLedger,
    sample: dict[str, Any] | None,
) -> AwsSource:
    """What to ask about a push; made before the upload, so that it knows which runs are older.

    `sample` is a row that fits the model, for the request that shows which version answers.
    """
    earlier = frozenset(record.run_id for record in ledger.runs(target.name))
    return AwsSource(there, target, spec, ledger, earlier, sample)


def followed(
    there: Context,
    source: AwsSource,
    uploads: Sequence[Upload],
    out: Console,
    *,
    timeout_seconds: float,
    as_json: bool,
) -> int:
    """Follow until the outcome is known, show it, and return its exit code."""
    with FollowView(out) as view:
        result = follow.follow(
            source,
            uploads,
            timeout_seconds=timeout_seconds,
            poll_seconds=there.poll_seconds,
            quiet_seconds=source.spec.triggers.quiet_seconds,
            show=view.show,
        )
    if as_json:
        render.show_json(result.to_json())
    else:
        show_result(result, out)
    return result.exit_code


def send_all(there: Context, delivery: Delivery, out: Console) -> list[Upload]:
    """Upload the files, with a bar each on a terminal, and the manifest after them."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    sent: list[Upload] = []

    def words() -> str:
        return (
            f"after {len(sent)} of {len(delivery.uploads)} files were sent. {LOG_IN}, then push the same "
            "again: what is there already is not trained on twice."
        )

    bars = Progress(*columns, console=out, transient=True, disable=not render.is_terminal(out))
    with explained(words), bars as progress:
        for upload in delivery.uploads:
            task = progress.add_task(upload.name, total=upload.size or None)
            sent.append(data.send(there, upload, lambda count, task=task: progress.advance(task, count)))  # type: ignore[misc]
        deliveries.complete(there, delivery)
    return sent


def show_result(result: Result, out: Console) -> None:
    """Say how it ended, and why."""
    progress = result.progress
    outcome = render.styled(result.outcome)
    outcome.stylize("bold")
    line = Text().append_text(outcome)
    if progress.package is not None and result.outcome == follow.RELEASED:
        line.append(f": {progress.package.words} answers", style="bold")
    line.append(f" after {render.seconds(progress.seconds)}. {sentence(result.reason)}")
    out.print(line)
    if result.outcome != follow.QUARANTINED:
        for upload in progress.quarantined:
            out.print(Text(f"quarantined: {upload.name}: {upload.reason}", style=render.WARN))
    for upload in progress.quarantined:
        if upload.quarantine_id:
            out.print(f"See `upkeep quarantine show {upload.quarantine_id}`.")
    if any(upload.state == data.DEAD for upload in progress.uploads):
        out.print("Mend what failed, then `upkeep replay` sends it back.")


def sentence(reason: str) -> str:
    """A recorded reason as a sentence of its own, without the outcome it begins with."""
    said = reason.removeprefix("refused: ").strip()
    return said if said.endswith((".", "!", "?")) else f"{said}."


def _show_pushed(
    there: Context,
    target: ModelOutputs,
    planned: Delivery,
    sent: Sequence[Upload],
    out: Console,
    *,
    as_json: bool,
) -> None:
    if as_json:
        render.show_json(
            {
                "model": target.name,
                "stack": there.stack,
                "delivery": planned.folder or None,
                "manifest": planned.manifest_key or None,
                "files": [upload.to_json() for upload in sent],
            }
        )
        return
    for upload in sent:
        out.print(Text(f"{upload.path}  {render.size(upload.size)}  →  {upload.uri}"))
    if planned.manifest_key:
        out.print(Text(f"manifest of {len(sent)} files  →  s3://{sent[0].bucket}/{planned.manifest_key}"))
    out.print(
        f"What becomes of them: `upkeep runs show {sent[0].key}` and `upkeep status`; "
        "`upkeep push --wait` follows them."
    )


def _show_refused(refused: list[checking.Checked], out: Console, *, as_json: bool) -> None:
    if as_json:
        found: list[dict[str, Any]] = [{"file": str(item.path), "reason": item.reason} for item in refused]
        render.show_json({"outcome": "refused by the local check", "exit_code": QUARANTINED, "files": found})
        return
    for item in refused:
        out.print(Text(f"{item.path}: {item.reason}", style=render.WARN))
    out.print(
        "Nothing was pushed; the stack would put these into quarantine. --no-check pushes them all the same."
    )
