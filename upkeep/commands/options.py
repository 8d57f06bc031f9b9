"""Options that mean the same in every command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from upkeep.errors import UpkeepError

Stack = Annotated[
    str | None,
    typer.Option("--stack", "-s", envvar="UPKEEP_STACK", help="Stack to work on.", show_default="sandbox"),
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        "-p",
        min=1,
        max=65535,
        help="Port of the sandbox.",
        show_default="4566, or the only one running",
    ),
]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Model to work on.", show_default="the only one deployed")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


def consent(question: str, *, yes: bool, as_json: bool) -> None:
    """Ask before something that cannot be undone.

    Raises:
        UpkeepError: Nobody can answer, and --yes was not given.
        typer.Abort: The person said no.
    """
    if yes:
        return
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UpkeepError(f"{question} Nobody can answer here; --yes says that you agree.")
    typer.confirm(question, abort=True)
