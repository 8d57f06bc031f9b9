"""`upkeep reproduce`: train a version again from what it was trained from, and compare."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from upkeep import context, models, render, reproduce_inputs
from upkeep import reproduce as reproducing
from upkeep.commands.options import AsJson, Model, Port, Stack
from upkeep.errors import REFUSED
from upkeep.ledger import open_ledger
from upkeep.live import Row, View
from upkeep.reproduce import Reproduction

_DIGITS = 16
# SecondaryStatus of a job: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html
_WORDS = {
    "artifact": "Look at the registered artifact", "data": "Look for its data and its champion",
    "starting": "Start the job", "comparing": "Compare the two models",
}  # fmt: skip


def reproduce(
    version: Annotated[
        str,
        typer.Argument(
            help="`1.2.3`, a number of `upkeep models`, how a run id begins, `live`, `previous` or `seed`.",
            metavar="VERSION",
        ),
    ],
    model: Model = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds to wait at most.")
    ] = reproducing.DEFAULT_TIMEOUT_SECONDS,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the new model, also when it is the same.")
    ] = False,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Train a version again from its recorded inputs, and see whether the same model comes out.

    Code and spec come from the version's own archive, the data from its manifest, the champion from the
    decision; each is checked first. Nothing that serves is touched. Exit codes: 0 the same model, 3 another
    one, 1 it could not be trained again.
    """
    there = context.load(stack, port)
    target = there.model(model)
    registry = models.read(there, target, open_ledger(there).rollout(target.name))
    found = registry.find(version)
    out = render.console(sys.stderr if as_json else None)
    with tempfile.TemporaryDirectory() as folder, View(out) as view:
        steps = _Steps(view, f"Training {found.words} again")
        inputs = reproduce_inputs.find(there, target, found, Path(folder), steps.begin)
        job = reproducing.Job.of(there, target, inputs, poll_seconds=there.poll_seconds)
        done = reproducing.reproduce(job, timeout, steps.begin)
        steps.end()
    kept = keep or not done.equal
    if not kept:
        reproducing.discard(job)
    if as_json:
        render.show_json({**done.to_json(), "kept": kept})
    else:
        show(done, out, kept=kept)
    if not done.equal:
        raise typer.Exit(REFUSED)


@dataclass
class _Steps:
    """What is done, one after the other, as it is drawn."""

    view: View
    title: str
    rows: list[Row] = field(default_factory=list)
    since: float = 0.0

    def begin(self, name: str) -> None:
        """The step before has ended, this one goes on."""
        self.end()
        self.since = time.monotonic()
        self.rows.append(Row(_WORDS.get(name, name), "running"))
        self._draw()

    def end(self) -> None:
        """Nothing goes on any more."""
        if self.rows:
            took = time.monotonic() - self.since
            self.rows[-1] = replace(self.rows[-1], mark="done", seconds=took)
            self._draw()

    def _draw(self) -> None:
        self.view.draw([Row(self.title), *self.rows], "")


def show(done: Reproduction, out: Console, *, kept: bool) -> None:
    """Say whether it is the same model, and file by file what is not."""
    took = render.seconds(done.seconds)
    if done.equal:
        line = Text("The same model", style=f"bold {render.GOOD}")
        line.append(f": {done.version.words} came out again, byte for byte, in {took}.", style="")
    else:
        line = Text("Another model", style=f"bold {render.BAD}")
        line.append(f": {done.version.words} did not come out again ({took}).", style="")
    out.print(line)
    cells = [
        [file.name, "same" if file.same else "differs", file.recorded[:_DIGITS], file.reproduced[:_DIGITS]]
        for file in done.files
    ]
    cells.append(
        [
            "model",
            "same" if done.equal else "differs",
            done.recorded[:_DIGITS],
            done.reproduced[:_DIGITS],
        ]
    )
    render.show_table(out, ["file", "", "recorded", "reproduced"], cells)
    for name, (was, now) in done.versions.items():
        out.print(f"{name} was {was}, is {now}.")
    if kept:
        out.print(f"The new model: {done.output} (job {done.job}).")
