"""How the demo looks: a line that lives while something happens, and lines that stay.

The same sentences on a terminal, in a pipe and in a build's log; only the spinner and the colours are the
terminal's.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from models.spec import ModelSpec
from upkeep import follow, render
from upkeep.demo_story import Push, Scored, Story
from upkeep.render import is_terminal, seconds

GOOD, BAD, STOPPED = ("✔", "green"), ("✘", "red"), ("⊘", "yellow")
_MARKS = {follow.RELEASED: GOOD, follow.REFUSED: STOPPED, follow.QUARANTINED: STOPPED}
_NEXT_SENTENCE = re.compile(r"(?<=[.?!]) (?=[A-Z])")
_NAME_WIDTH = 10
_WIDTH = 108
_INDENT = " " * (_NAME_WIDTH + 5)
_COMMAND_WIDTH = 50
_REFRESH_PER_SECOND = 10


class DemoView:
    """Tells the story on a console while it happens."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._fancy = is_terminal(out)
        self._width = min(out.width, _WIDTH) if self._fancy else _WIDTH
        self._now = _Now()

    def title(self, months: int) -> None:
        """Say what is about to happen."""
        words = "six months" if months == 6 else ("one month" if months == 1 else f"{months} months")
        self._out.print()
        line = Text("Upkeep", style="bold cyan")
        line.append(
            f"  {words} of real flights, from an empty AWS to a model that keeps itself up", style="bold"
        )
        self._out.print(line)
        said = "Question: will this flight from New York arrive more than 15 minutes late?"
        self._out.print(Text(f"{said} Everything below is really run, offline.", style="dim"))
        self._out.print()

    @contextmanager
    def busy(self, name: str, doing: str) -> Iterator[_Now]:
        """Show that something happens until the block ends; what it yields takes other words for it."""
        self._now.begin(name, doing)
        if not self._fancy:
            yield self._now
            return
        with Live(self._now, console=self._out, refresh_per_second=_REFRESH_PER_SECOND, transient=True):
            yield self._now

    def done(self, name: str, said: str, took: float, mark: tuple[str, str] = GOOD) -> None:
        """Say how a step ended."""
        self._line(name, Text(said), mark, took)

    def gate(self, spec: ModelSpec) -> None:
        """Say what a new version has to do."""
        gate = spec.gate
        least = "" if gate.minimum is None else f" and reach {gate.minimum:g}"
        gain = f"beat the one that serves by more than {gate.minimum_gain:g} in {gate.metric}"
        sure = f"more than chance explains ({gate.confidence:.0%} sure, by the {gate.block})"
        share = f"{spec.training.holdout_share:.0%}"
        both = f"both scored on the newest {share} of all flights, which neither was fitted on"
        self._line("Gate", Text(f"to serve, a new version must {gain}, {sure},{least}; {both}"))
        self._out.print()

    def pushed(self, push: Push) -> None:
        """Say what became of one file, and why."""
        self._line(push.name, Text(f"{push.about}, pushed as {push.file}"))
        if push.stages:
            self._more(Text(", ".join(f"{s.name} {seconds(s.seconds)}" for s in push.stages), style="dim"))
        if push.dropped:
            rows = "1 bad row" if push.dropped == 1 else f"{push.dropped:,} bad rows"
            self._more(Text(f"{rows} left out, and kept beside with the reason of each"))
        if push.challenger is not None:
            self._more(compared(push))
        if push.outcome != follow.RELEASED:
            judged = "the judge: " if push.outcome == follow.REFUSED else ""
            self._more(Text(judged + why(push)))
        self._line("", ended(push), _MARKS.get(push.outcome, BAD), push.seconds)
        self._out.print()

    def scored(self, scored: Scored) -> None:
        """Say how good the predictions were."""
        score = scored.score
        asked = f"asked of version {scored.version}"
        said = f"{score.rows:,} flights of {scored.month}, which no version has seen, {asked}"
        self._line("Predict", Text(said))
        line = Text(f"expected {score.expected_share:.0%} late, really late {score.real_share:.0%}; ")
        line.append(f"AUC {score.auc:.3f}" if score.auc is not None else "no AUC", style="bold")
        line.append(" on the truth of that month")
        self._more(line)
        each = scored.milliseconds / max(1, scored.requests)
        said = f"{scored.requests} requests, {each:.0f} ms each"
        self._line("", Text(said), GOOD, scored.milliseconds / 1000)
        self._out.print()

    def summary(self, story: Story) -> None:
        """Print the table of all that was pushed."""
        pushes = [*story.months, *story.broken, *([story.shuffled] if story.shuffled else [])]
        columns = ["file", "rows", "in all", "challenger", "champion", "gain", "outcome", "serves", "seconds"]
        right = ["rows", "in all", "challenger", "champion", "gain", "seconds"]
        render.show_table(self._out, columns, [_summary_row(push) for push in pushes], right=right)
        self._out.print()

    def close(self, story: Story, next_steps: list[tuple[str, str]]) -> None:
        """Say how it went, and where to look next."""
        problems = story.problems()
        for problem in problems:
            self._out.print(Text(f"✘ {problem}", style="red"))
        if not problems:
            live = sum(push.outcome == follow.RELEASED for push in story.months)
            versions = "1 version" if live == 1 else f"{live} versions"
            line = Text("✔ ", style="green")
            line.append(
                f"{versions} released, nothing got worse, {seconds(story.seconds)} in all.", style="bold"
            )
            self._out.print(line)
        self._out.print()
        for command, why in next_steps:
            line = Text("  ")
            line.append(f"{command:<{_COMMAND_WIDTH}}", style="cyan")
            if len(command) > _COMMAND_WIDTH:
                self._out.print(line)
                line = Text(" " * (_COMMAND_WIDTH + 2))
            line.append(f"  {why}", style="dim")
            self._out.print(line)

    def gap(self) -> None:
        """An empty line."""
        self._out.print()

    def note(self, said: str) -> None:
        """A quiet sentence."""
        self._out.print(Text(said, style="dim"))

    def _line(
        self, name: str, said: Text, mark: tuple[str, str] = ("", ""), took: float | None = None
    ) -> None:
        line = Text(" ")
        line.append(f"{mark[0] or ' '} ", style=mark[1])
        line.append(f"{name:<{_NAME_WIDTH}}  ", style="bold")
        self._print(line, said, took)

    def _more(self, said: Text) -> None:
        self._print(Text(_INDENT), said, None)

    def _print(self, lead: Text, said: Text, took: float | None) -> None:
        """Print a sentence behind its lead; wrapped on a terminal, the seconds at the right end."""
        room = self._width - len(_INDENT) - (12 if took is not None else 0)
        parts = said.wrap(self._out, room) if self._fancy else [said]
        for number, part in enumerate(parts):
            line = lead.copy() if number == 0 else Text(_INDENT)
            part.rstrip()
            line.append_text(part)
            if took is not None and number == 0:
                end = seconds(took)
                line.append(" " * max(2, self._width - line.cell_len - len(end)) + end, style="dim")
            self._out.print(line)


class _Now:
    """What happens at this moment; draws itself with a spinner and the seconds so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spinner = Spinner("dots", style="cyan")
        self.begin("", "")

    def begin(self, name: str, doing: str) -> None:
        """Start the clock."""
        with self._lock:
            self._name, self._doing, self._began = name, doing, time.monotonic()

    def doing(self, said: str) -> None:
        """Say it in other words."""
        with self._lock:
            self._doing = said

    def __rich__(self) -> Table:
        with self._lock:
            name, doing, took = self._name, self._doing, time.monotonic() - self._began
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_row(
            "",
            self._spinner,
            Text(f"{name:<{_NAME_WIDTH}} ", style="bold"),
            Text(doing),
            Text(f"{took:.0f} s", style="dim"),
        )
        return table


def compared(push: Push) -> Text:
    """Challenger against champion, and on which rows."""
    line = Text(f"{push.metric} ")
    line.append(f"{push.challenger:.4f}", style="bold")
    fresh = f"the same {push.holdout:,} newest flights" if push.holdout else "the same newest flights"
    if push.champion is None or push.gain is None:
        line.append(f" on {fresh}; no champion to compare with")
        return line
    serving = f"version {push.champion_version}" if push.champion_version is not None else "the serving model"
    line.append(f" against {push.champion:.4f} of {serving} on {fresh}: ")
    return line.append(f"{push.gain:+.4f}", style="green" if push.outcome == follow.RELEASED else "yellow")


def why(push: Push) -> str:
    """The reason in one sentence; what to do about it stands in the quarantine's record."""
    missing, added, renamed = (push.diff.get(name) or () for name in ("missing", "added", "renamed"))
    if not missing:
        return _NEXT_SENTENCE.split(push.reason.removeprefix("refused: "), maxsplit=1)[0]
    said = f"column {', '.join(missing)} is missing"
    if added:
        said += f", column {', '.join(added)} is new"
    changes = [f"{old} to {new}" for old, new in dict(renamed).items()]
    return f"{said}; renamed: {', '.join(changes)}?" if changes else said


def ended(push: Push) -> Text:
    """How it ended, in a few words."""
    still = (
        f"version {push.version_live} serves on"
        if push.version_live is not None
        else "the old model serves on"
    )
    if push.outcome == follow.RELEASED:
        return Text(f"version {push.version_live} answers", style="bold green")
    if push.outcome == follow.REFUSED:
        return Text("refused by the gate, ", style="bold yellow").append(still, style="")
    if push.outcome == follow.QUARANTINED:
        return Text("in quarantine, nothing was trained, ", style="bold yellow").append(still, style="")
    return Text(f"{push.outcome}, ", style="bold red").append(still, style="")


def _summary_row(push: Push) -> list[object]:
    return [
        push.name,
        push.rows,
        push.rows_in_all,
        push.challenger,
        push.champion,
        None if push.gain is None else f"{push.gain:+.4f}",
        push.outcome,
        None if push.version_live is None else f"version {push.version_live}",
        f"{push.seconds:.1f}",
    ]
