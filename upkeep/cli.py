"""The command line `upkeep`: finds the command that was asked for and loads only that one.

Loading everything would cost a second (boto3, Pulumi's engine), Typer's own help a third of one; the list of
commands, which is what people look at most, needs neither.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from upkeep.errors import FAILED, explain

if TYPE_CHECKING:
    import typer

DEBUG_VARIABLE = "UPKEEP_DEBUG"
SUMMARY = "Put a model on AWS and keep it good there; the same on a laptop, offline."

_LOCAL, _STACK, _MODEL = "Try it", "A stack", "Its models"
_OPTIONS = (
    ("--version", "Show the version and exit."),
    ("--install-completion", "Install completion for the current shell."),
    ("--show-completion", "Show completion for the current shell."),
    ("--help, -h", "Show this and exit; `upkeep COMMAND --help` shows a command's options."),
)


@dataclass(frozen=True)
class Command:
    """A command by name; `attribute` of `module` is its function, or the app of its sub-commands."""

    name: str
    module: str
    attribute: str
    panel: str
    help: str


COMMANDS = (
    Command("demo", "demo", "demo", _LOCAL, "See the whole loop on six months of real flights, offline."),
    Command("sandbox", "sandbox", "app", _LOCAL, "Run the offline AWS on this machine."),
    Command("up", "deploy", "up", _STACK, "Deploy a stack, or bring it to what the program says."),
    Command("preview", "deploy", "preview", _STACK, "Show what `up` would change, and change nothing."),
    Command("down", "down", "down", _STACK, "Delete a stack and everything its workflows made."),
    Command("refresh", "deploy", "refresh", _STACK, "Compare a stack's state with what really exists."),
    Command("outputs", "deploy", "outputs", _STACK, "Show the names and addresses a stack exports."),
    Command("push", "push", "push", _MODEL, "Push data files; a retraining follows."),
    Command("status", "status", "status", _MODEL, "Show what serves, what waits, alarms and queues."),
    Command("runs", "runs", "app", _MODEL, "Show retrainings, start one, and see what became of a file."),
    Command("contract", "contract", "app", _MODEL, "Propose a data contract from files, or check files."),
    Command("data", "data", "app", _MODEL, "Show and compare data versions; forget a person's rows."),
    Command("quarantine", "quarantine", "app", _MODEL, "See refused files, release or discard them."),
    Command("replay", "replay", "replay_command", _MODEL, "Send given-up messages back, each once."),
    Command("models", "models", "app", _MODEL, "Show, compare, approve and reject versions."),
    Command("rollback", "rollback", "rollback_command", _MODEL, "Go back to a version that served before."),
    Command("experiment", "experiment", "app", _MODEL, "Let two versions share the traffic."),
    Command("reproduce", "reproduce", "reproduce", _MODEL, "Train a version again and compare the digest."),
    Command("predict", "predict", "predict", _MODEL, "Ask the endpoint, and see which version answered."),
    Command("logs", "logs", "logs", _MODEL, "Show the logs of a run, an endpoint or a function."),
)


def build(wanted: str | None = None) -> typer.Typer:
    """The app with the wanted command loaded and the others named; with all loaded when none is named."""
    import typer

    app = typer.Typer(name="upkeep", help=SUMMARY, pretty_exceptions_enable=False)
    app.callback()(_root)
    for command in COMMANDS:
        if wanted in (None, command.name):
            _attach(app, command)
        else:
            app.command(command.name, help=command.help, rich_help_panel=command.panel)(_unloaded)
    return app


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors become one paragraph on stderr."""
    completing = "_UPKEEP_COMPLETE" in os.environ
    first = argv[0] if argv else "--help"
    if first in ("--help", "-h", "--version") and not completing:
        sys.stdout.write(_version() if first == "--version" else overview(color=_colored()))
        return 0
    wanted = next((word for word in argv if not word.startswith("-")), "")
    try:
        import typer

        command: Any = typer.main.get_command(build(None if completing else wanted))
        command.main(args=list(argv), prog_name="upkeep")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        sys.stderr.write(_words(error) + "\n")
        return FAILED
    return 0


def main() -> None:
    """Entry point of the script `upkeep`."""
    raise SystemExit(run(sys.argv[1:]))


def overview(*, color: bool) -> str:
    """What `upkeep --help` shows: the commands by what they are about."""
    bold, cyan, off = ("\033[1m", "\033[36m", "\033[0m") if color else ("", "", "")
    lines = [f"Usage: {bold}upkeep COMMAND{off} [OPTIONS]", "", SUMMARY]
    for panel in dict.fromkeys(command.panel for command in COMMANDS):
        lines += ["", f"{bold}{panel}{off}"]
        lines += [f"  {cyan}{c.name:<10}{off}  {c.help}" for c in COMMANDS if c.panel == panel]
    lines += ["", f"{bold}Options{off}", *(f"  {name:<20}  {said}" for name, said in _OPTIONS)]
    return "\n".join([*lines, "", f"Begin with {bold}upkeep demo{off}.", ""])


def _colored() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _version() -> str:
    from importlib import metadata

    return f"upkeep {metadata.version('upkeep')}\n"


def _words(error: Exception) -> str:
    said = explain(error)
    if said is None:
        kind = type(error).__name__
        return f"Unexpected {kind}: {error}. This is a bug in Upkeep; {DEBUG_VARIABLE}=1 shows where."
    return f"Error: {said}"


def _attach(app: typer.Typer, command: Command) -> None:
    from importlib import import_module

    import typer

    target = getattr(import_module(f"upkeep.commands.{command.module}"), command.attribute)
    if isinstance(target, typer.Typer):
        app.add_typer(target, name=command.name, short_help=command.help, rich_help_panel=command.panel)
    else:
        app.command(command.name, short_help=command.help, rich_help_panel=command.panel)(target)


def _unloaded() -> None:
    """Stand in for a command that was not asked for."""


def _root() -> None:
    """Options of `upkeep` itself are handled before Typer is loaded."""
