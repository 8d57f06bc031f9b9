"""Shows deployments the way Pulumi does: the tree of what changes, progress, counts, outputs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text
from rich.tree import Tree

from sandbox.deployer import paths
from sandbox.deployer.events import Change, Diagnostic, Event, Op, Step, StepFinished, StepStarted
from sandbox.deployer.stack import Result
from sandbox.deployer.values import masked
from upkeep import render

if TYPE_CHECKING:
    from upkeep.truth import Truth

_SYMBOLS = {
    Op.CREATE: "+ ",
    Op.UPDATE: "~ ",
    Op.REPLACE: "+-",
    Op.DELETE: "- ",
    Op.SAME: "  ",
    Op.READ: "> ",
    Op.REFRESH: "  ",
}
_STYLES = {Op.CREATE: "green", Op.UPDATE: "yellow", Op.REPLACE: "magenta", Op.DELETE: "red"}
_DONE = {
    Op.CREATE: "created",
    Op.UPDATE: "updated",
    Op.REPLACE: "replaced",
    Op.DELETE: "deleted",
    Op.REFRESH: "read",
}
_DOING = {
    Op.CREATE: "creating",
    Op.UPDATE: "updating",
    Op.REPLACE: "replacing",
    Op.DELETE: "deleting",
    Op.REFRESH: "reading",
}
_VALUE_LIMIT = 100
_CHANGES_SHOWN = 12
_RUNNING_SHOWN = 8
_LOG_WIDTH = 400
_HEARTBEAT_SECONDS = 15.0


def short_type(type_: str) -> str:
    """Return a type as Pulumi shows it: `aws:s3:Bucket` for `aws:s3/bucket:Bucket`."""
    package, _, rest = type_.partition(":")
    module, _, name = rest.rpartition(":")
    return f"{package}:{module.split('/')[0]}:{name}"


def show(out: Console, renderable: RenderableType) -> None:
    """Print without cutting lines where there is no terminal whose width matters."""
    if render.is_terminal(out):
        # An address that the console breaks in two cannot be copied; the terminal breaks lines itself.
        out.print(renderable, soft_wrap=isinstance(renderable, Group))
        return
    before, out.width = out.width, _LOG_WIDTH
    try:
        out.print(renderable)
    finally:
        out.width = before


def tree(result: Result, title: str, *, full: bool = False) -> Tree:
    """Return the changed resources below their parents; `full` shows every value whole."""
    steps = {step.urn: step for step in result.steps}
    shown: dict[str, None] = {}
    for step in result.changes:
        urn = step.urn
        while urn in steps and urn not in shown:
            shown[urn] = None
            urn = steps[urn].parent
    root = Tree(Text(title, style="bold"), guide_style="dim")
    nodes: dict[str, Tree] = {}

    def node(urn: str) -> Tree:
        if urn not in nodes:
            step = steps[urn]
            above = node(step.parent) if step.parent in shown and step.parent != urn else root
            nodes[urn] = above.add(_label(step))
            for line in _change_lines(step, full=full):
                nodes[urn].add(line)
        return nodes[urn]

    for step in result.steps:
        if step.urn in shown:
            node(step.urn)
    return root


def _label(step: Step) -> Text:
    style = _STYLES.get(step.op, "dim")
    label = Text.assemble((f"{_SYMBOLS[step.op]} ", style), short_type(step.type), " ", (step.name, "bold"))
    if step.op is not Op.SAME:
        label.append(f"  {step.op}", style)
    if step.op is Op.REPLACE and step.delete_first:
        label.append(" (deleted first)", "dim")
    if step.reason:
        label.append(f" because {step.reason}", "dim")
    return label


def _change_lines(step: Step, *, full: bool) -> Iterable[Text]:
    if step.op not in (Op.UPDATE, Op.REPLACE):
        return
    changes: dict[str, Change] = {}
    for path, change in step.changes.items():
        changes.update(_inside(path, change))
    items = sorted(changes.items(), key=lambda item: (not item[1].forces_replacement, item[0]))
    for path, change in items if full else items[:_CHANGES_SHOWN]:
        yield _change_line(path, change, full=full)
    if not full and len(items) > _CHANGES_SHOWN:
        yield Text(f"and {len(items) - _CHANGES_SHOWN} more; --diff shows all", style="dim")


def _inside(path: str, change: Change) -> dict[str, Change]:
    """Return the changes inside a JSON document such as a policy or a dashboard, or the change itself."""
    old, new = _document(change.old), _document(change.new)
    if old is None or new is None:
        return {path: change}
    inner = paths.compare(old, new)
    return {
        f"{path} {paths.show(where)}".rstrip(): Change(c.kind, c.old, c.new, change.forces_replacement)
        for where, c in inner.items()
    } or {path: change}


def _document(value: Any) -> Any:
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return None
    try:
        return json.loads(value)
    except ValueError:
        return None


def _change_line(path: str, change: Change, *, full: bool) -> Text:
    symbol, style = {"add": ("+ ", "green"), "delete": ("- ", "red")}.get(change.kind, ("~ ", "yellow"))
    line = Text.assemble((symbol, style), (path, style), ": ")
    if change.kind != "add":
        line.append(value_text(change.old, full=full))
    if change.kind == "update":
        line.append(" → ", "dim")
    if change.kind != "delete":
        line.append(value_text(change.new, full=full))
    if change.forces_replacement:
        line.append("  forces replacement", "magenta")
    return line


def value_text(value: Any, *, full: bool = False) -> str:
    """Return a value in one line, secrets masked, cut to a readable length unless `full`."""
    text = json.dumps(masked(value), ensure_ascii=False, default=str)
    return text if full or len(text) <= _VALUE_LIMIT else f"{text[: _VALUE_LIMIT - 1]}…"


def counts(result: Result, *, planned: bool) -> Text:
    """Return how many resources are created, updated, replaced, deleted, and left as they are."""
    number = result.counts()
    parts: list[Text] = []
    for op in (Op.CREATE, Op.UPDATE, Op.REPLACE, Op.DELETE):
        if number.get(op):
            words = f"to {op}" if planned else _DONE[op]
            parts.append(Text(f"{_SYMBOLS[op].strip()} {number[op]} {words}", _STYLES[op]))
    unchanged = number.get(Op.SAME, 0)
    if not parts:
        return Text(f"No changes; {unchanged} resources are as the program says.")
    if unchanged:
        parts.append(Text(f"{unchanged} unchanged"))
    return Text(", ").join(parts)


def outputs(values: Mapping[str, Any], *, show_secrets: bool = False) -> Group:
    """Return the stack's outputs, one per line, nested ones indented."""
    shown = values if show_secrets else masked(dict(values))
    lines: list[RenderableType] = [Text("Outputs:", style="bold")]
    lines.extend(_output_lines(shown, 4))
    return Group(*lines)


def _output_lines(values: Mapping[str, Any], indent: int) -> Iterable[Text]:
    width = max((len(str(key)) for key in values), default=0)
    for key in sorted(values):
        value = values[key]
        head = f"{' ' * indent}{key:<{width}}"
        if isinstance(value, Mapping) and value:
            yield Text(f"{head.rstrip()}:")
            yield from _output_lines(value, indent + 4)
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            yield Text.assemble(head, ": ", (text, "cyan"))


def served(out: Console, found: Sequence[Truth]) -> None:
    """Print what the endpoints serve, and what is wrong with that."""
    for one in found:
        if one.problem:
            out.print(Text(f"{one.model}: {one.problem}.", style="red"))
        elif one.note:
            out.print(Text(f"{one.model}: {one.note}.", style="cyan" if one.moving else "yellow"))
    good = [one for one in found if one.ok and not one.moving]
    if good:
        names = ", ".join(f"{one.model} serves {one.serves}" for one in good)
        out.print(Text(f"Read back: {names}, as released.", style="dim"))
    if not all(one.ok for one in found):
        out.print(Text("Nothing was deleted; what served serves on.", style="red"))


def diagnostics(out: Console, events: Iterable[Diagnostic]) -> None:
    """Print messages about resources and the program, errors last, each once."""
    seen: set[tuple[str, str]] = set()
    for item in sorted(events, key=lambda item: item.severity == "error"):
        if (item.urn, item.message) in seen:
            continue
        seen.add((item.urn, item.message))
        style = {"error": "red", "warning": "yellow"}.get(item.severity, "dim")
        where = f"{short_type(_type(item.urn))} {item.urn.split('::')[-1]}: " if item.urn else ""
        out.print(Text.assemble((f"{item.severity}: ", style), (where, "bold"), item.message))


def _type(urn: str) -> str:
    parts = urn.split("::")
    return parts[2].rpartition("$")[2] if len(parts) > 3 else ""


class Progress:
    """Shows steps while they run: a live view on a terminal, one line per finished step elsewhere."""

    def __init__(self, out: Console, *, quiet: bool = False) -> None:
        self._out = out
        self._quiet = quiet
        self._lock = threading.Lock()
        self._running: dict[int, tuple[Step, float]] = {}
        self._done = 0
        self._started = time.monotonic()
        self._live: Live | None = None
        self._spinner = Spinner("dots")
        self._stop = threading.Event()
        self._beats: threading.Thread | None = None
        self.messages: list[Diagnostic] = []

    def __enter__(self) -> Progress:
        if self._quiet:
            return self
        if render.is_terminal(self._out):
            self._live = Live(
                get_renderable=self._view, console=self._out, refresh_per_second=8, transient=True
            )
            self._live.start()
        else:
            self._beats = threading.Thread(target=self._beat, name="progress", daemon=True)
            self._beats.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._live is not None:
            self._live.stop()
        if self._beats is not None:
            self._beats.join()

    def __call__(self, event: Event) -> None:
        """Take an event of the engine; called from its threads."""
        with self._lock:
            if isinstance(event, Diagnostic):
                self.messages.append(event)
            elif isinstance(event, StepStarted):
                self._running[id(event.step)] = (event.step, time.monotonic())
            elif isinstance(event, StepFinished):
                self._running.pop(id(event.step), None)
                self._done += 1
                self._say(event)

    def _say(self, event: StepFinished) -> None:
        step = event.step
        if self._quiet or (step.op is Op.REFRESH and not event.error):
            return
        style = "red" if event.error else _STYLES.get(step.op, "")
        words = "failed" if event.error else _DONE.get(step.op, str(step.op))
        line = Text.assemble(
            (f"{_SYMBOLS[step.op]} ", style), short_type(step.type), " ", (step.name, "bold"), f" {words}"
        )
        line.append(f" ({event.seconds:.1f} s)", "dim")
        if event.error:
            line.append(f": {event.error}", "red")
        self._out.print(line)

    def _view(self) -> RenderableType:
        now = time.monotonic()
        with self._lock:
            running = sorted(self._running.values(), key=lambda item: item[1])
        head = Text(f" {self._done} done, {len(running)} running, {now - self._started:.0f} s")
        self._spinner.update(text=head)
        lines = [
            Text(
                f"   {_DOING.get(step.op, '')} {short_type(step.type)} {step.name} ({now - since:.0f} s)",
                "dim",
            )
            for step, since in running[:_RUNNING_SHOWN]
        ]
        if len(running) > _RUNNING_SHOWN:
            lines.append(Text(f"   and {len(running) - _RUNNING_SHOWN} more", "dim"))
        return Group(self._spinner, *lines)

    def _beat(self) -> None:
        """Say what still runs, so that a log shows that nothing hangs."""
        while not self._stop.wait(_HEARTBEAT_SECONDS):
            now = time.monotonic()
            with self._lock:
                slow = [item for item in self._running.values() if now - item[1] >= _HEARTBEAT_SECONDS]
            for step, since in slow:
                words = _DOING.get(step.op, "")
                self._out.print(f"…  {words} {short_type(step.type)} {step.name} for {now - since:.0f} s")
