"""`upkeep status`: what serves, what ran last, what needs attention."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from upkeep import context, health, render
from upkeep.commands.options import AsJson, Port, Stack
from upkeep.health import Health, ModelHealth


def status(stack: Stack = None, port: Port = None, as_json: AsJson = False) -> None:
    """Show what each model's endpoint serves, its last run, alarms that are not OK, and the queues."""
    there = context.load(stack, port)
    found = health.read(there)
    if as_json:
        render.show_json({"stack": there.stack, "region": there.region, **found.to_json()})
        return
    show(found, there.stack, there.endpoint_url or there.region, render.console())


def show(found: Health, stack: str, where: str, out: Console) -> None:
    """Print the state of a stack."""
    out.print(Text(f"Stack {stack} ({where})", style="bold"))
    columns = ["model", "endpoint", "serves", "since", "last run", "decision", "quarantined"]
    render.show_table(out, columns, [_row(model) for model in found.models], right=["quarantined"])
    out.print()
    for line in attention(found):
        out.print(line)


def attention(found: Health) -> list[Text]:
    """What a person should look at; one line says so when there is nothing."""
    lines = [Text(f"ALARM {alarm.name}: {alarm.reason}", style=render.BAD) for alarm in found.alarms]
    if found.dead_letters:
        said = f"{found.dead_letters} dead letters: see `upkeep logs --function intake`."
        lines.append(Text(said, style=render.BAD))
    for model in found.models:
        if model.serving.failure:
            lines.append(Text(f"{model.name}: {model.serving.failure}", style=render.BAD))
        if model.last_run is not None and model.last_run.status not in ("RUNNING", "SUCCEEDED"):
            run = model.last_run
            said = f"{model.name}: run {run.short} {run.status}: {run.cause or run.error}"
            lines.append(Text(said, style=render.BAD))
        if model.pending:
            versions = ", ".join(map(str, model.pending))
            lines.append(Text(f"{model.name}: version {versions} waits for approval.", style=render.WARN))
    if found.queued:
        lines.append(Text(f"{found.queued} messages in the intake queue."))
    return lines or [Text("No alarm, no dead letter, nothing waiting.", style=render.GOOD)]


def version_text(model: ModelHealth) -> str:
    """What serves, as people say it: `version 3 (run 1a2b3c4d)`."""
    serving = model.serving
    if serving.version == 0:
        return "version 0 (seed)"
    known = f"version {serving.version}" if serving.version is not None else "unregistered model"
    return f"{known} (run {serving.run_id[:8]})" if serving.run_id else known


def _row(model: ModelHealth) -> list[object]:
    run = model.last_run
    decision = run.decision.decision if run and run.decision else (run.status if run else None)
    return [
        model.name,
        model.serving.status,
        version_text(model),
        model.serving.since,
        run.short if run else None,
        decision,
        model.quarantined,
    ]
