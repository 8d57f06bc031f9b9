"""What the commands on a stack have in common: opening it, carrying work out, showing it, asking first."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from upkeep import context, render
from upkeep.errors import FAILED, UpkeepError

if TYPE_CHECKING:
    import boto3

    from sandbox.deployer import stack as deployer
    from sandbox.deployer.engine import ProviderFactory
    from upkeep.deploy_view import Progress

_INTERRUPTED = 130


def is_sandbox(stack: str) -> bool:
    """Say whether a stack lives in the sandbox."""
    return stack == context.SANDBOX or stack.startswith(f"{context.SANDBOX}-")


@dataclass(frozen=True)
class Target:
    """A stack of the sandbox, ready to be worked on."""

    name: str
    session: boto3.Session
    stack: deployer.Stack


def open_target(name: str, port: int | None) -> Target:
    """Open a stack of the sandbox."""
    from sandbox.deployer import project, stack
    from sandbox.deployer.provider.provider import AwsProvider

    info = context.find_sandbox(port)
    loaded = project.load(context.ROOT, name)
    session = context.sandbox_session(info)
    factories: dict[str, ProviderFactory] = {"aws": lambda: AwsProvider(session, info.url)}
    return Target(name, session, stack.Stack(loaded, context.checkpoint(info, name), factories))


def console(*, as_json: bool) -> Console:
    """Where people read: stderr when stdout is for JSON."""
    return render.console(sys.stderr if as_json else None)


def run(
    out: Console, target: Target, work: Callable[[Progress], deployer.Result], *, quiet: bool
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


def carry_out(
    out: Console,
    target: Target,
    work: Callable[[Progress], deployer.Result],
    going: dict[str, Any],
    *,
    as_json: bool,
) -> deployer.Result:
    """Change the stack; what the workflows of the models that go have made is deleted before and after."""
    sweep(out, target.session, going, after=False)
    done = run(out, target, work, quiet=as_json)
    if done.ok:
        sweep(out, target.session, going, after=True)
    return done


@contextlib.contextmanager
def _interruptible(out: Console, target: Target) -> Iterator[None]:
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


def show_plan(out: Console, planned: deployer.Result, title: str, *, full: bool, as_json: bool) -> None:
    """Show what would change."""
    from upkeep import deploy_view

    if as_json:
        return
    if planned.changes:
        deploy_view.show(out, deploy_view.tree(planned, title, full=full))
    if planned.ok:
        out.print(deploy_view.counts(planned, planned=True))


def stop_on_failure(result: deployer.Result, *, as_json: bool) -> None:
    """End with an error when a preview has failed."""
    if result.ok:
        return
    if as_json:
        render.show_json(result.to_json())
    raise typer.Exit(FAILED)


def require_consent(*, yes: bool, as_json: bool, verb: str) -> None:
    """Refuse to go on where nobody can be asked and nobody has agreed."""
    if yes or (sys.stdin.isatty() and not as_json):
        return
    reason = "With --json" if as_json else "Not on a terminal,"
    raise UpkeepError(f"{reason} nobody can be asked. Add --yes: `upkeep {verb} --yes`.")


def confirm(question: str) -> None:
    """Ask; without a yes nothing is changed."""
    if not typer.confirm(question):
        typer.echo("Nothing was changed.")
        raise typer.Exit(FAILED)


def plain_outputs(target: Target) -> dict[str, Any]:
    """The outputs of the last deployment as plain data."""
    from sandbox.deployer.values import plain

    values: dict[str, Any] = plain(target.stack.outputs())
    return values


def sweep(out: Console, session: boto3.Session, exported: dict[str, Any], *, after: bool) -> None:
    """Delete what the workflows made; a stack that never came up has no outputs, and made nothing."""
    if not exported.get("models"):
        return
    from upkeep import teardown

    (teardown.sweep_after if after else teardown.sweep)(session, exported, out.print)
