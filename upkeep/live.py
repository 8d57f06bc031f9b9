"""Shows a push being followed: a live view of the state machines, or one line per change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from upkeep import data
from upkeep.follow import Progress
from upkeep.phases import PHASE
from upkeep.render import is_terminal, seconds, size
from upkeep.runs import Run, Step

MARKS = {"done": ("✔", "green"), "failed": ("✘", "red"), "running": ("…", "cyan"), "refused": ("!", "yellow")}
_FATES = {
    data.QUARANTINED: "quarantined", data.IGNORED: "ignored", data.DEAD: "given up",
    data.GONE: "deleted before it was seen",
}  # fmt: skip
_REFRESH_PER_SECOND = 8
_WIDTH = 30
_NOTICEABLE_SECONDS = 0.5


@dataclass(frozen=True)
class Row:
    """One line of the view; `mark` is a key of `MARKS`, empty for a heading."""

    name: str
    mark: str = ""
    detail: str = ""
    seconds: float | None = None


def rows(progress: Progress, now: datetime) -> list[Row]:
    """What there is to see, from top to bottom."""
    shown = [_file_row(upload) for upload in progress.uploads]
    if progress.hold is not None and progress.run is None:
        shown.append(Row(f"The retraining is {progress.hold.words()}", "refused", progress.hold.reason))
    if progress.run is not None and not progress.repeated:
        about = f"Retraining {progress.run.short}"
        shown.append(Row(about, detail=_run_rows(progress.run)))
        shown += [_step_row(step, now) for step in progress.steps if _worth_showing(step, now)]
    if progress.release is not None and progress.package is not None and not progress.repeated:
        shown.append(Row(f"Release of {progress.package.words}"))
        shown += release_rows(progress.release_steps, now)
    return shown


def release_rows(steps: Sequence[Step], now: datetime) -> list[Row]:
    """The phases of a release, or its states where it tells no phases."""
    return [_step_row(step, now) for step in steps if _worth_showing(step, now)]


class View:
    """Draws rows as they come on a console; use it as a context manager."""

    def __init__(self, out: Console, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._out = out
        self._now = now
        self._live = (
            Live(console=out, refresh_per_second=_REFRESH_PER_SECOND, transient=False)
            if is_terminal(out)
            else None
        )
        self._spinner = Spinner("dots", style="cyan")
        self._said: set[tuple[str, str]] = set()
        self._last: list[Row] | None = None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            if self._last is not None:
                self._live.update(self._table(self._last, ""))
            self._live.stop()

    def draw(self, shown: list[Row], waiting_for: str) -> None:
        """Draw what is known now, and on a terminal what is waited for."""
        self._last = shown
        if self._live:
            self._live.update(self._table(shown, waiting_for))
        else:
            self._say(shown)

    def _table(self, shown: list[Row], waiting_for: str) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column(width=1)
        table.add_column(min_width=_WIDTH)
        table.add_column(justify="right")
        table.add_column(overflow="fold")
        for row in shown:
            mark: RenderableType = (
                self._spinner if row.mark == "running" else Text(*MARKS.get(row.mark, ("", "")))
            )
            took = seconds(row.seconds) if row.seconds is not None else ""
            table.add_row(
                mark, Text(row.name, style="" if row.mark else "bold"), took, Text(row.detail, style="dim")
            )
        if waiting_for:
            table.add_row(Text(""), Text(waiting_for, style="dim"), "", "")
        return table

    def _say(self, shown: list[Row]) -> None:
        for row in shown:
            key = (row.name, row.mark)
            if row.mark == "running" or key in self._said:
                continue
            self._said.add(key)
            took = f"  {seconds(row.seconds)}" if row.seconds is not None else ""
            detail = f"  {row.detail}" if row.detail else ""
            lead = f"  {MARKS[row.mark][0]} " if row.mark else ""
            self._out.print(Text(f"{lead}{row.name}{took}{detail}"))


class FollowView(View):
    """Draws the progress of a push."""

    def show(self, progress: Progress) -> None:
        """Draw what is known now."""
        self.draw(rows(progress, self._now()), f"{progress.where()} · {seconds(progress.seconds)}")


def _worth_showing(step: Step, now: datetime) -> bool:
    """Tasks and phases, what failed, and what takes its time; not the states that only decide or count."""
    return step.kind in ("Task", PHASE) or step.status == "failed" or step.seconds(now) >= _NOTICEABLE_SECONDS


def _run_rows(run: Run) -> str:
    if run.rows is None:
        return ""
    where = (
        "" if run.decision or run.files is None else f" in {run.files} file{'' if run.files == 1 else 's'}"
    )
    return f"{run.rows:,} rows{where}"


def _file_row(upload: data.Upload) -> Row:
    name = f"{upload.name} ({size(upload.size)})"
    if upload.state == data.ARRIVED:
        return Row(name, "running", "being checked")
    if upload.state != data.ACCEPTED:
        mark = "failed" if upload.state == data.DEAD else "refused"
        return Row(name, mark, ": ".join(filter(None, [_FATES[upload.state], upload.reason])))
    said = ["accepted before" if upload.known else "accepted"]
    if upload.rows is not None:
        said.append(f"{upload.rows:,} rows")
    if upload.dropped:
        said.append(f"{upload.dropped:,} bad rows left out")
    return Row(name, "done", ", ".join(said))


def _step_row(step: Step, now: datetime) -> Row:
    return Row(step.name, step.status, step.message, max(0.0, step.seconds(now)))
