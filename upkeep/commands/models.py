"""`upkeep models`: the registered versions, one of them in detail, what differs, and people's approvals."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from upkeep import approvals, context, model_details, model_diff, models, releases, render
from upkeep.commands import models_view
from upkeep.commands.options import AsJson, Model, Port, Stack
from upkeep.commands.rollback import NoWait, Timeout
from upkeep.context import Context
from upkeep.errors import UpkeepError
from upkeep.ledger import actor, open_ledger
from upkeep.live import View
from upkeep.models import Registry, Version
from upkeep.outcome import RELEASED
from upkeep.outputs import ModelOutputs

app = typer.Typer()

_NAMES = "`1.2.3`, a package number, how a run id begins, `live`, `previous` or `seed`."
Name = Annotated[str, typer.Argument(help=_NAMES, metavar="VERSION")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="Newest versions to show.")]
_DEFAULT_LIMIT = 20


@app.callback(invoke_without_command=True)
def list_by_default(
    call: typer.Context,
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    limit: Limit = _DEFAULT_LIMIT,
    as_json: AsJson = False,
) -> None:
    """Show the versions of the models, newest first: what became of each, and which one serves."""
    if call.invoked_subcommand is None:
        list_models(model, stack, port, limit, as_json=as_json)


@app.command("list")
def list_models(
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    limit: Limit = _DEFAULT_LIMIT,
    as_json: AsJson = False,
) -> None:
    """Show the versions of the models, newest first."""
    there = context.load(stack, port)
    targets = [there.model(model)] if model else list(there.outputs.models.values())
    found = [_registry(there, target, limit) for target in targets]
    if as_json:
        render.show_json([one.to_json() for registry in found for one in registry.versions])
        return
    models_view.show_list(found, render.console())


@app.command("show")
def show_model(
    version: Name,
    model: Model = None,
    card: Annotated[bool, typer.Option("--card", help="Print the model card as Markdown.")] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Save the HTML report there.", metavar="FILE", show_default=False),
    ] = None,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show one version: its decision with all checks, metrics, data, digests, who approved it and when."""
    there = context.load(stack, port)
    target = there.model(model)
    found = _registry(there, target).find(version)
    out = render.console(sys.stderr if as_json or card else None)
    if report is not None:
        saved = model_details.save_report(there, found, report)
        out.print(Text(f"Report of {found.words}  →  {saved}"), soft_wrap=True)
        if not (as_json or card):
            return
    details = model_details.read(there, target, found)
    if as_json:
        render.show_json(details.to_json())
    elif card:
        sys.stdout.write(model_details.card(details).rstrip("\n") + "\n")
    else:
        models_view.show_one(details, model_details.report_uri(there, found), out)


@app.command("diff")
def diff_models(
    a: Annotated[str, typer.Argument(help=_NAMES, metavar="A")],
    b: Annotated[str, typer.Argument(help=_NAMES, metavar="B")],
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show what changed from one version to another: data, features, hyperparameters, code, metrics."""
    there = context.load(stack, port)
    target = there.model(model)
    registry = _registry(there, target)
    first, second = (model_details.read(there, target, registry.find(name)) for name in (a, b))
    found = model_diff.compare(there, first, second)
    if as_json:
        render.show_json(found.to_json())
        return
    models_view.show_difference(found, render.console())


@app.command("approve")
def approve_model(
    version: Name,
    comment: Annotated[str, typer.Option("--comment", "-c", help="Why, for the record.")] = "",
    again: Annotated[
        bool, typer.Option("--again", help="Also one that was tried before, or has served before.")
    ] = False,
    override: Annotated[
        bool, typer.Option("--override", help="Also one that the gate refused; needs --comment.")
    ] = False,
    model: Model = None,
    no_wait: NoWait = False,
    timeout: Timeout = releases.DEFAULT_TIMEOUT_SECONDS,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Approve a version; its release begins, and is followed.

    Who approved it, when and why is kept with the version. Exit codes: 0 it serves (or, with --no-wait, is
    approved), 1 it failed, 3 the check before the release refused it, 7 it was taken back.
    """
    if override and not comment.strip():
        raise UpkeepError("--override releases what the gate refused; say why with --comment.")
    there = context.load(stack, port)
    target = there.model(model)
    registry = _registry(there, target)
    found = registry.find(version)
    approvals.check_approval(registry, found, comment=comment, override=override, again=again)
    earlier, by, out = (
        releases.executions(there, target),
        actor(there),
        render.console(sys.stderr if as_json else None),
    )
    now = datetime.now(UTC)
    approvals.approve(there, found, by=by, at=now, comment=comment, override=override, again=again)
    if no_wait:
        _say_settled(found, "approved", by, out, as_json=as_json)
        return
    out.print(Text(f"Approved {found.words} of {found.model} as {by}."))
    if registry.rollout is not None and registry.rollout.owner:
        out.print(f"A {registry.rollout.operation or 'rollout'} is under way; this one comes after it.")
    raise typer.Exit(_follow(there, target, found, earlier, out, timeout, as_json=as_json))


@app.command("reject")
def reject_model(
    version: Name,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why, for the record.")],
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Reject a version, so that nothing releases it; who did, when and why is kept with it."""
    if not reason.strip():
        raise UpkeepError("--reason: say why the version is rejected.")
    there = context.load(stack, port)
    found = _registry(there, there.model(model)).find(version)
    approvals.check_rejection(found)
    by, out = actor(there), render.console(sys.stderr if as_json else None)
    approvals.reject(there, found, by=by, at=datetime.now(UTC), reason=reason)
    _say_settled(found, "rejected", by, out, as_json=as_json)


def _registry(there: Context, target: ModelOutputs, limit: int = 50) -> Registry:
    return models.read(there, target, open_ledger(there).rollout(target.name), limit)


def _follow(
    there: Context,
    target: ModelOutputs,
    version: Version,
    earlier: frozenset[str],
    out: Console,
    timeout: float,
    *,
    as_json: bool,
) -> int:
    arn = version.package.arn if version.package else ""
    with View(out) as view:
        watched = releases.watch(
            there,
            target,
            f"Release of {version.words}",
            lambda: releases.started_for(there, target, arn, earlier),
            timeout_seconds=timeout,
            poll_seconds=there.poll_seconds,
            show=lambda known: view.draw(
                known.rows(datetime.now(UTC)), f"{known.where()} · {render.seconds(known.seconds)}"
            ),
        )
    ending = releases.conclude_release(there, target, arn, watched, timeout)
    if as_json:
        render.show_json({"model": version.model, "version": version.label, **ending.to_json()})
        return ending.exit_code
    line = render.styled(ending.outcome)
    line.stylize("bold")
    said = ending.reason if ending.reason.endswith((".", "!")) else f"{ending.reason}."
    line.append(f" after {render.seconds(ending.watched.seconds)}. {said[:1].upper()}{said[1:]}", style="")
    out.print(line)
    if ending.outcome != RELEASED and ending.serving is not None:
        out.print(f"See `upkeep models show {version.number}` and `upkeep status`.")
    return ending.exit_code


def _say_settled(version: Version, verb: str, by: str, out: Console, *, as_json: bool) -> None:
    if as_json:
        render.show_json(
            {"model": version.model, "version": version.label, "number": version.number, verb: True, "by": by}
        )
        return
    out.print(Text(f"{verb.capitalize()} {version.words} of {version.model} as {by}."))
