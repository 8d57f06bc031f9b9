"""`upkeep sandbox`: the offline AWS on this machine."""

from __future__ import annotations

import json
import shlex
import signal
import time
from types import FrameType
from typing import Annotated

import typer

from sandbox import lifecycle

app = typer.Typer(help="Run the offline AWS on this machine.", no_args_is_help=False)

Port = Annotated[int, typer.Option("--port", "-p", min=1, max=65535, help="Port on 127.0.0.1.")]


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    port: Port = lifecycle.DEFAULT_PORT,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background.")] = False,
    wait_scale: Annotated[
        float,
        typer.Option(
            "--wait-scale", min=0.0, help="What a second of a state machine's Wait costs, in seconds."
        ),
    ] = lifecycle.WAIT_SCALE,
) -> None:
    """Start the sandbox; Ctrl-C stops it and leaves nothing behind."""
    if context.invoked_subcommand is not None:
        return
    # Set before the start, so that a signal during it stops what was started.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        info = lifecycle.start(port, detach=detach, wait_scale=wait_scale, note=_note)
    except lifecycle.SandboxError as error:
        raise _refused(error) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    option = "" if port == lifecycle.DEFAULT_PORT else f" --port {port}"
    stop = f"upkeep sandbox stop{option}" if detach else "Ctrl-C"
    try:
        typer.echo(
            f'Sandbox ready on {info.url}. Use it: eval "$(upkeep sandbox env{option})". '
            f"Log: {info.log}. Stop: {stop}."
        )
        if not detach:
            _stay(info)
    except KeyboardInterrupt:
        lifecycle.stop(info.port)


@app.command()
def env(port: Port = lifecycle.DEFAULT_PORT) -> None:
    """Print the variables that point AWS clients at the sandbox, as lines for a shell to evaluate."""
    for name, value in lifecycle.environment(_running(port)).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command()
def stop(port: Port = lifecycle.DEFAULT_PORT) -> None:
    """Stop the sandbox and everything it started."""
    try:
        info = lifecycle.stop(port)
    except lifecycle.SandboxError as error:
        raise _refused(error) from error
    typer.echo(f"Sandbox on port {info.port} stopped (process {info.pid}).")


@app.command()
def status(
    port: Port = lifecycle.DEFAULT_PORT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say whether a sandbox runs and what it holds. Exit code 1 when none does."""
    info = lifecycle.find(port)
    if info is None:
        typer.echo(
            json.dumps({"running": False, "port": port}) if as_json else f"No sandbox runs on port {port}."
        )
        raise typer.Exit(1)
    try:
        state = lifecycle.health(info)
    except OSError as error:
        raise _refused(
            lifecycle.SandboxError(f"Process {info.pid} holds port {port} but does not answer: {error}")
        ) from error
    if as_json:
        typer.echo(
            json.dumps(
                {"running": True, "port": port, "url": info.url, "run_dir": str(info.run_dir), **state}
            )
        )
        return
    typer.echo(f"Sandbox on {info.url}, process {info.pid}, log {info.log}.")
    typer.echo(f"Services: {', '.join(state['services'])}.")
    held = [
        f"{count} {kind.replace('_', ' ')}{'s' if count > 1 else ''}"
        for kind, count in state["sagemaker"].items()
        if count
    ]
    if held:
        typer.echo(f"SageMaker holds {', '.join(held)}.")


def _stay(info: lifecycle.SandboxInfo) -> None:
    """Wait until the sandbox ends."""
    while lifecycle.find(info.port) is not None:
        time.sleep(0.2)
    typer.echo("The sandbox ended.", err=True)
    raise typer.Exit(1)


def _running(port: int) -> lifecycle.SandboxInfo:
    info = lifecycle.find(port)
    if info is None:
        raise _refused(
            lifecycle.SandboxError(
                f"No sandbox runs on port {port}. "
                "Start one with `upkeep sandbox`, or name its port with --port."
            )
        )
    return info


def _note(line: str) -> None:
    typer.echo(line, err=True)


def _refused(error: lifecycle.SandboxError) -> typer.Exit:
    typer.echo(str(error), err=True)
    return typer.Exit(1)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
