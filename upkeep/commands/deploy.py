"""`upkeep up`, `preview`, `down`, `refresh`, `outputs`: the infrastructure of a stack.

Stack `sandbox` and those named `sandbox-...` are applied to the running sandbox by the in-process deployer;
any other stack is handed to the real `pulumi`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from upkeep import context, render
from upkeep.commands.options import AsJson, Port, Stack
from upkeep.errors import FAILED, UpkeepError

if TYPE_CHECKING:
    import boto3

    from sandbox.deployer import stack as deployer
    from sandbox.deployer.engine import ProviderFactory
    from upkeep.deploy_view import Progress
    from upkeep.truth import Truth

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
Diff = Annotated[bool, typer.Option("--diff", help="Show every changed value whole.")]
SkipPreview = Annotated[bool, typer.Option("--skip-preview", "-f", help="Do not show the changes first.")]
ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Show secret outputs in plain text.")]

_INTERRUPTED = 130


def is_sandbox(stack: str) -> bool:
    """Say whether a stack lives in the sandbox."""
    return stack == context.SANDBOX or stack.startswith(f"{context.SANDBOX}-")


@dataclass(frozen=True)
class _Target:
    """A stack of the sandbox, ready to be worked on."""

    name: str
    session: boto3.Session
    stack: deployer.Stack


def _open(name: str, port: int | None) -> _Target:
    from sandbox.deployer import project, stack
    from sandbox.deployer.provider.provider import AwsProvider

    info = context.find_sandbox(port)
    loaded = project.load(context.ROOT, name)
    session = context.sandbox_session(info)
    factories: dict[str, ProviderFactory] = {"aws": lambda: AwsProvider(session, info.url)}
    return _Target(name, session, stack.Stack(loaded, context.checkpoint(info, name), factories))


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
    if not is_sandbox(name):
        _up_elsewhere(name, yes=yes, diff=diff, as_json=as_json, skip_preview=skip_preview)
    _require_consent(yes=yes or skip_preview, as_json=as_json, verb="up")
    target = _open(name, port)
    out = _console(as_json=as_json)
    if not skip_preview:
        planned = _run(out, target, target.stack.preview, quiet=True)
        if planned.changes or not planned.ok:
            _show_plan(out, planned, f"Preview of {name}", full=diff, as_json=as_json)
        _stop_on_failure(planned, as_json=as_json)
        if planned.changes and not yes:
            _confirm("Deploy these changes?")
    going = _removed(name, _plain_outputs(target))
    done = _carry_out(out, target, target.stack.up, going, as_json=as_json)
    found = _read_back(name, target.session, _plain_outputs(target)) if done.ok else []
    _show_done(out, done, found, as_json=as_json)


def preview(stack: Stack = None, port: Port = None, diff: Diff = False, as_json: AsJson = False) -> None:
    """Show what `up` would change, and change nothing."""
    name = context.stack_name(stack)
    if not is_sandbox(name):
        _hand_over("preview", name, diff=diff, as_json=as_json)
    target = _open(name, port)
    out = _console(as_json=as_json)
    planned = _run(out, target, target.stack.preview, quiet=True)
    _show_plan(out, planned, f"Preview of {name}", full=diff, as_json=as_json)
    if as_json:
        render.show_json(planned.to_json())
    if not planned.ok:
        raise typer.Exit(FAILED)


def down(stack: Stack = None, port: Port = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a stack and everything its workflows made; what it would delete is shown and confirmed first."""
    name = context.stack_name(stack)
    if not is_sandbox(name):
        _down_elsewhere(name, yes=yes, as_json=as_json)
    _require_consent(yes=yes, as_json=as_json, verb="down")
    target = _open(name, port)
    out = _console(as_json=as_json)
    planned = _run(out, target, lambda listen: target.stack.destroy(listen, dry_run=True), quiet=True)
    _show_plan(out, planned, f"Teardown of {name}", full=False, as_json=as_json)
    _stop_on_failure(planned, as_json=as_json)
    if planned.changes and not yes:
        _confirm(f"Delete all of {name}? Its data goes with it.")
    done = _carry_out(out, target, target.stack.destroy, _plain_outputs(target), as_json=as_json)
    _show_done(out, done, [], as_json=as_json)


def refresh(stack: Stack = None, port: Port = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Compare the state with what really exists; what is gone is made again by the next `up`."""
    name = context.stack_name(stack)
    if not is_sandbox(name):
        _hand_over("refresh", name, yes=yes, as_json=as_json)
    _require_consent(yes=yes, as_json=as_json, verb="refresh")
    target = _open(name, port)
    out = _console(as_json=as_json)
    found: list[Any] = []

    def look(listen: Progress) -> deployer.Result:
        engine, findings, result = target.stack.look(listen)
        found.extend((engine, findings))
        return result

    seen = _run(out, target, look, quiet=True)
    _show_plan(out, seen, f"What differs in {name}", full=False, as_json=as_json)
    _stop_on_failure(seen, as_json=as_json)
    if seen.changes and not yes:
        _confirm("Take this over into the state?")
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
    if not is_sandbox(name):
        options = ["--show-secrets"] if show_secrets else []
        _hand_over("outputs", name, as_json=as_json, more=options)
    from sandbox.deployer.values import masked, plain
    from upkeep import deploy_view

    target = _open(name, port)
    values = target.stack.outputs()
    if not values:
        raise UpkeepError(f"Stack {name!r} is not deployed: it has no outputs. Deploy it with `upkeep up`.")
    if as_json:
        render.show_json(plain(values) if show_secrets else masked(values))
    else:
        shown = plain(values) if show_secrets else values
        deploy_view.show(render.console(), deploy_view.outputs(shown, show_secrets=show_secrets))


def _console(*, as_json: bool) -> Console:
    return render.console(sys.stderr if as_json else None)


def _run(
    out: Console, target: _Target, work: Callable[[Progress], deployer.Result], *, quiet: bool
) -> deployer.Result:
    """Do the work with its progress shown; what the program prints never mixes with JSON on stdout."""
    from upkeep.deploy_view import Progress, diagnostics

    aside = contextlib.redirect_stdout(sys.stderr) if out.file is sys.stderr else contextlib.nullcontext()
    shown = quiet and render.is_terminal(out)
    waiting = (
        out.status("Comparing the program with what is there ...") if shown else contextlib.nullcontext()
    )
    with Progress(out, quiet=quiet) as progress, _interruptible(out, target), aside, waiting:
        result = work(progress)
    diagnostics(out, progress.messages)
    return result


def _carry_out(
    out: Console,
    target: _Target,
    work: Callable[[Progress], deployer.Result],
    going: dict[str, Any],
    *,
    as_json: bool,
) -> deployer.Result:
    """Change the stack; what the workflows of the models that go have made is deleted before and after."""
    _sweep(out, target.session, going, after=False)
    done = _run(out, target, work, quiet=as_json)
    if done.ok:
        _sweep(out, target.session, going, after=True)
    return done


@contextlib.contextmanager
def _interruptible(out: Console, target: _Target) -> Iterator[None]:
    """Let Ctrl-C finish what has started; a second one ends at once, and the next run finds what was left."""
    pressed = 0

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        pressed += 1
        if pressed > 1:
            os._exit(_INTERRUPTED)
        target.stack.cancel()
        out.print("Finishing what has started; Ctrl-C again ends at once.")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _show_plan(out: Console, planned: deployer.Result, title: str, *, full: bool, as_json: bool) -> None:
    from upkeep import deploy_view

    if as_json:
        return
    if planned.changes:
        deploy_view.show(out, deploy_view.tree(planned, title, full=full))
    if planned.ok:
        out.print(deploy_view.counts(planned, planned=True))


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


def _stop_on_failure(result: deployer.Result, *, as_json: bool) -> None:
    if result.ok:
        return
    if as_json:
        render.show_json(result.to_json())
    raise typer.Exit(FAILED)


def _require_consent(*, yes: bool, as_json: bool, verb: str) -> None:
    if yes or (sys.stdin.isatty() and not as_json):
        return
    reason = "With --json" if as_json else "Not on a terminal,"
    raise UpkeepError(f"{reason} nobody can be asked. Add --yes: `upkeep {verb} --yes`.")


def _confirm(question: str) -> None:
    if not typer.confirm(question):
        typer.echo("Nothing was changed.")
        raise typer.Exit(FAILED)


def _plain_outputs(target: _Target) -> dict[str, Any]:
    from sandbox.deployer.values import plain

    values: dict[str, Any] = plain(target.stack.outputs())
    return values


def _sweep(out: Console, session: boto3.Session, exported: dict[str, Any], *, after: bool) -> None:
    """Delete what the workflows made; a stack that never came up has no outputs, and made nothing."""
    if not exported.get("models"):
        return
    from upkeep import teardown

    (teardown.sweep_after if after else teardown.sweep)(session, exported, out.print)


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

    out = _console(as_json=as_json)
    try:
        there = context.load(stack)
    except UpkeepError:  # not deployed yet: nothing can have been removed
        there = None
    gone = _removed(stack, dict(there.outputs.raw)) if there else {}
    if gone and not yes:
        _confirm(
            f"{', '.join(gone['models'])} is no longer declared. Delete all its versions and jobs first?"
        )
    if there is not None:
        _sweep(out, there.session, gone, after=False)
    flags = {"--yes": yes, "--diff": diff, "--json": as_json, "--skip-preview": skip_preview}
    code = pulumi_cli.run("up", stack, [flag for flag, given in flags.items() if given])
    if code != 0:
        raise typer.Exit(code)
    # Pulumi's own document is on stdout with --json, so this is said beside it.
    there = context.load(stack)
    found = _read_back(stack, there.session, dict(there.outputs.raw))
    deploy_view.served(out, found)
    raise typer.Exit(0 if all(one.ok for one in found) else FAILED)


def _down_elsewhere(stack: str, *, yes: bool, as_json: bool) -> None:
    from upkeep import pulumi_cli

    _require_consent(yes=yes, as_json=as_json, verb=f"down --stack {stack}")
    out = _console(as_json=as_json)
    try:
        there = context.load(stack)
    except UpkeepError as error:
        out.print(f"Nothing of the workflows is deleted: {error}")
        there = None
    if not yes:
        _confirm(f"Delete all of {stack}, beginning with what its workflows made?")
    raw = dict(there.outputs.raw) if there else {}
    if there is not None:
        _sweep(out, there.session, raw, after=False)
    flags = ["--yes", *(["--json"] if as_json else [])]
    code = pulumi_cli.run("down", stack, flags)
    if code == 0 and there is not None:
        _sweep(out, there.session, raw, after=True)
    raise typer.Exit(code)
