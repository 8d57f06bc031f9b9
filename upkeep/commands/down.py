"""`upkeep down`: a stack goes, with all that its workflows made; protected data stays unless asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from upkeep import context, deployment, render
from upkeep.commands.options import AsJson, Port, Stack, Yes
from upkeep.errors import FAILED, UpkeepError

if TYPE_CHECKING:
    import boto3

    from sandbox.deployer import stack as deployer
    from upkeep.keeping import Kept

WithData = Annotated[
    bool, typer.Option("--with-data", help="Delete protected buckets, ledger and key too, for good.")
]


def down(
    stack: Stack = None,
    port: Port = None,
    yes: Yes = False,
    with_data: WithData = False,
    as_json: AsJson = False,
) -> None:
    """Delete a stack and everything its workflows made; what it would delete is shown and confirmed first.

    Where `upkeep:protect` is true, buckets, ledger and key are kept, and listed with what they hold.
    """
    name = context.stack_name(stack)
    if not deployment.is_sandbox(name):
        _down_elsewhere(name, yes=yes, with_data=with_data, as_json=as_json)
    deployment.require_consent(yes=yes, as_json=as_json, verb="down")
    target = deployment.open_target(name, port)
    out = deployment.console(as_json=as_json)
    if with_data:
        _give_up_data(out, target, yes=yes)
    planned = deployment.run(
        out,
        target,
        lambda listen: target.stack.destroy(listen, dry_run=True, keep_protected=True),
        quiet=True,
    )
    deployment.show_plan(out, planned, f"Teardown of {name}", full=False, as_json=as_json)
    deployment.stop_on_failure(planned, as_json=as_json)
    if planned.changes and not yes:
        stays = "What is protected stays." if planned.kept else "Its data goes with it."
        deployment.confirm(f"Delete all of {name}? {stays}")
    region = str(deployment.plain_outputs(target).get("region", ""))
    done = deployment.carry_out(
        out,
        target,
        lambda listen: target.stack.destroy(listen, keep_protected=True),
        deployment.plain_outputs(target),
        as_json=as_json,
    )
    _show_done(out, done, target.session, region, name, as_json=as_json)


def _give_up_data(out: Console, target: deployment.Target, *, yes: bool) -> None:
    from upkeep import keeping

    kept = keeping.of_resources(target.stack.protected())
    if not kept:
        return
    region = str(deployment.plain_outputs(target).get("region", ""))
    _confirm_loss(out, target.session, region, kept, target.name, yes=yes)
    keeping.give_up(target.session, region, kept, out.print)
    target.stack.unprotect()


def _confirm_loss(
    out: Console, session: boto3.Session, region: str, kept: list[Kept], stack: str, *, yes: bool
) -> None:
    """Show what would be lost, and have the stack's name typed: one key is too little for years of data."""
    from upkeep import keeping

    for line in keeping.words(session, region, kept):
        out.print(Text(f"to be deleted for good: {line}", style=render.BAD))
    if not yes and typer.prompt(f"Type {stack} to delete this data for good") != stack:
        typer.echo("Nothing was changed.")
        raise typer.Exit(FAILED)


def _show_done(
    out: Console, done: deployer.Result, session: boto3.Session, region: str, stack: str, *, as_json: bool
) -> None:
    from upkeep import deploy_view, keeping

    kept = keeping.of_resources(done.kept)
    if as_json:
        render.show_json(done.to_json())
    else:
        out.print(deploy_view.counts(done, planned=False))
        out.print(Text(f"Duration: {render.seconds(done.seconds)}", style="dim"))
    if not done.ok:
        said = f"{len(done.failures)} failed; run the same command again for the rest."
        if not as_json:
            out.print(Text(said, style=render.BAD))
        raise typer.Exit(FAILED)
    _show_kept(out, keeping.words(session, region, kept), stack)


def _show_kept(out: Console, lines: list[str], stack: str) -> None:
    if not lines:
        return
    out.print(Text("Kept, because the stack protects its data (upkeep:protect), and still paid for:"))
    for line in lines:
        out.print(Text(f"  {line}"))
    again = f"`upkeep up --stack {stack}` takes it up again"
    out.print(Text(f"{again}; `upkeep down --stack {stack} --with-data` deletes it for good."))


def _down_elsewhere(stack: str, *, yes: bool, with_data: bool, as_json: bool) -> NoReturn:
    from upkeep import keeping, pulumi_cli

    deployment.require_consent(yes=yes, as_json=as_json, verb=f"down --stack {stack}")
    out = deployment.console(as_json=as_json)
    try:
        there = context.load(stack)
    except UpkeepError as error:
        out.print(f"Nothing of the workflows is deleted: {error}")
        there = None
    raw: dict[str, Any] = dict(there.outputs.raw) if there else {}
    region, session = str(raw.get("region", "")), there.session if there else None
    if with_data and session is not None:
        kept = keeping.of_export(pulumi_cli.export(stack))
        _confirm_loss(out, session, region, kept, stack, yes=yes)
    elif not yes:
        deployment.confirm(f"Delete all of {stack}, beginning with what its workflows made?")
    if session is not None:
        deployment.sweep(out, session, raw, after=False)
    if with_data and session is not None:
        keeping.give_up(session, region, keeping.of_export(pulumi_cli.export(stack)), out.print)
        code = pulumi_cli.run("unprotect", stack, ["--yes"])
        if code != 0:
            raise typer.Exit(code)
    flags = ["--yes", "--exclude-protected", *(["--json"] if as_json else [])]
    code = pulumi_cli.run("down", stack, flags)
    if code == 0 and session is not None:
        deployment.sweep(out, session, raw, after=True)
        kept = keeping.of_export(pulumi_cli.export(stack))
        _show_kept(out, keeping.words(session, region, kept), stack)
    raise typer.Exit(code)
