"""`upkeep up`, `preview`, `refresh`, `outputs`: the infrastructure of a stack.

Stack `sandbox` and those named `sandbox-...` are applied to the running sandbox by the in-process deployer;
any other stack is handed to the real `pulumi`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from upkeep import context, deployment, render
from upkeep.commands.options import AsJson, Port, Stack
from upkeep.errors import FAILED, UpkeepError

if TYPE_CHECKING:
    import boto3

    from sandbox.deployer import stack as deployer
    from upkeep.deploy_view import Progress
    from upkeep.truth import Truth

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
Diff = Annotated[bool, typer.Option("--diff", help="Show every changed value whole.")]
SkipPreview = Annotated[bool, typer.Option("--skip-preview", "-f", help="Do not show the changes first.")]
ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Show secret outputs in plain text.")]


def up(
    stack: Stack = None,
    port: Port = None,
    yes: Yes = False,
    skip_preview: SkipPreview = False,
    diff: Diff = False,
    as_json: AsJson = False,
) -> None:
    """Deploy a stack, or bring it to what the program says; the changes are shown and confirmed first.

    Afterwards every endpoint is asked what it really serves. Exit code 1 also when that is not what was
    released last: SageMaker takes an update back without an error anywhere.
    """
    name = context.stack_name(stack)
    if not deployment.is_sandbox(name):
        _up_elsewhere(name, yes=yes, diff=diff, as_json=as_json, skip_preview=skip_preview)
    deployment.require_consent(yes=yes or skip_preview, as_json=as_json, verb="up")
    target = deployment.open_target(name, port)
    out = deployment.console(as_json=as_json)
    if not skip_preview:
        planned = deployment.run(out, target, target.stack.preview, quiet=True)
        if planned.changes or not planned.ok:
            deployment.show_plan(out, planned, f"Preview of {name}", full=diff, as_json=as_json)
        deployment.stop_on_failure(planned, as_json=as_json)
        if planned.changes and not yes:
            deployment.confirm("Deploy these changes?")
    going = _removed(name, deployment.plain_outputs(target))
    done = deployment.carry_out(out, target, target.stack.up, going, as_json=as_json)
    found = _read_back(name, target.session, deployment.plain_outputs(target)) if done.ok else []
    _show_done(out, done, found, as_json=as_json)


def preview(stack: Stack = None, port: Port = None, diff: Diff = False, as_json: AsJson = False) -> None:
    """Show what `up` would change, and change nothing."""
    name = context.stack_name(stack)
    if not deployment.is_sandbox(name):
        _hand_over("preview", name, diff=diff, as_json=as_json)
    target = deployment.open_target(name, port)
    out = deployment.console(as_json=as_json)
    planned = deployment.run(out, target, target.stack.preview, quiet=True)
    deployment.show_plan(out, planned, f"Preview of {name}", full=diff, as_json=as_json)
    if as_json:
        render.show_json(planned.to_json())
    if not planned.ok:
        raise typer.Exit(FAILED)


def refresh(stack: Stack = None, port: Port = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Compare the state with what really exists; what is gone is made again by the next `up`."""
    name = context.stack_name(stack)
    if not deployment.is_sandbox(name):
        _hand_over("refresh", name, yes=yes, as_json=as_json)
    deployment.require_consent(yes=yes, as_json=as_json, verb="refresh")
    target = deployment.open_target(name, port)
    out = deployment.console(as_json=as_json)
    found: list[Any] = []

    def look(listen: Progress) -> deployer.Result:
        engine, findings, result = target.stack.look(listen)
        found.extend((engine, findings))
        return result

    seen = deployment.run(out, target, look, quiet=True)
    deployment.show_plan(out, seen, f"What differs in {name}", full=False, as_json=as_json)
    deployment.stop_on_failure(seen, as_json=as_json)
    if seen.changes and not yes:
        deployment.confirm("Take this over into the state?")
    done = target.stack.accept(*found)
    if as_json:
        render.show_json(done.to_json())
    elif done.changes:
        out.print("The state is true again; run `upkeep up` to repair what differs from the program.")


def outputs(
    stack: Stack = None, port: Port = None, show_secrets: ShowSecrets = False, as_json: AsJson = False
) -> None:
    """Show the names and addresses a stack exports."""
    name = context.stack_name(stack)
    if not deployment.is_sandbox(name):
        options = ["--show-secrets"] if show_secrets else []
        _hand_over("outputs", name, as_json=as_json, more=options)
    from sandbox.deployer.values import masked, plain
    from upkeep import deploy_view

    target = deployment.open_target(name, port)
    values = target.stack.outputs()
    if not values:
        raise UpkeepError(f"Stack {name!r} is not deployed: it has no outputs. Deploy it with `upkeep up`.")
    if as_json:
        render.show_json(plain(values) if show_secrets else masked(values))
    else:
        shown = plain(values) if show_secrets else values
        deploy_view.show(render.console(), deploy_view.outputs(shown, show_secrets=show_secrets))


def _show_done(out: Console, done: deployer.Result, found: Sequence[Truth], *, as_json: bool) -> None:
    from upkeep import deploy_view

    if as_json:
        render.show_json({**done.to_json(), "serving": [one.to_json() for one in found]})
    else:
        if done.outputs and done.ok:
            deploy_view.show(out, deploy_view.outputs(done.outputs))
        out.print(deploy_view.counts(done, planned=False))
        out.print(Text(f"Duration: {render.seconds(done.seconds)}", style="dim"))
        deploy_view.served(out, found)
    if not done.ok:
        if not as_json:
            out.print(
                Text(f"{len(done.failures)} failed; run the same command again for the rest.", style="red")
            )
        raise typer.Exit(FAILED)
    if not all(one.ok for one in found):
        raise typer.Exit(FAILED)


def _read_back(stack: str, session: boto3.Session, exported: dict[str, Any]) -> list[Truth]:
    """What the endpoints really serve: an update may be taken back without an error anywhere.

    Nothing to look at in a stack without models.
    """
    if not (exported.get("models") and exported.get("ledger_table")):
        return []
    from upkeep import outputs as stack_outputs
    from upkeep import truth
    from upkeep.ledger import open_ledger

    there = context.Context(stack, session, stack_outputs.parse(exported, stack))
    return truth.read_all(there, open_ledger(there))


def _hand_over(
    verb: str,
    stack: str,
    *,
    yes: bool = False,
    diff: bool = False,
    as_json: bool = False,
    skip_preview: bool = False,
    more: list[str] | None = None,
) -> NoReturn:
    """Let the real `pulumi` do it, and end with its exit code."""
    from upkeep import pulumi_cli

    flags = {"--yes": yes, "--diff": diff, "--json": as_json, "--skip-preview": skip_preview}
    options = [*(flag for flag, given in flags.items() if given), *(more or [])]
    raise typer.Exit(pulumi_cli.run(verb, stack, options))


def _removed(stack: str, exported: dict[str, Any]) -> dict[str, Any]:
    """The outputs of the models that the stack no longer declares."""
    from upkeep import teardown

    return teardown.removed(exported, teardown.declared_models(context.ROOT, stack))


def _up_elsewhere(stack: str, *, yes: bool, diff: bool, as_json: bool, skip_preview: bool) -> NoReturn:
    """Empty the registry groups of models that go, let the real `pulumi` deploy, and look what serves."""
    from upkeep import deploy_view, pulumi_cli

    out = deployment.console(as_json=as_json)
    try:
        there = context.load(stack)
    except UpkeepError:  # not deployed yet: nothing can have been removed
        there = None
    gone = _removed(stack, dict(there.outputs.raw)) if there else {}
    if gone and not yes:
        deployment.confirm(
            f"{', '.join(gone['models'])} is no longer declared. Delete all its versions and jobs first?"
        )
    if there is not None:
        deployment.sweep(out, there.session, gone, after=False)
    flags = {"--yes": yes, "--diff": diff, "--json": as_json, "--skip-preview": skip_preview}
    code = pulumi_cli.run("up", stack, [flag for flag, given in flags.items() if given])
    if code != 0:
        raise typer.Exit(code)
    # Pulumi's own document is on stdout with --json, so this is said beside it.
    there = context.load(stack)
    found = _read_back(stack, there.session, dict(there.outputs.raw))
    deploy_view.served(out, found)
    raise typer.Exit(0 if all(one.ok for one in found) else FAILED)
