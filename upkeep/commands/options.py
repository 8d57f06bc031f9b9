"""Options that mean the same in every command."""

from __future__ import annotations

from typing import Annotated

import typer

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
