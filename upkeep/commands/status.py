"""`upkeep status`: what serves, what ran last, what needs attention."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from upkeep import context, health, render
from upkeep.commands.options import AsJson, Port, Stack
from upkeep.health import Health, ModelHealth
from upkeep.serving import SEED_LABEL, SEED_VERSION


def status(stack: Stack = None, port: Port = None, as_json: AsJson = False) -> None:
    """Show what serves, the last runs, what holds back or waits, alarms that are not OK, and the queues."""
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
    if any(found.dead_letters.values()):
        counts = ", ".join(f"{count} of {name}" for name, count in found.dead_letters.items() if count)
        said = (
            f"Dead letters: {counts}; `upkeep replay --dry-run` shows them, `upkeep replay` sends them back."
        )
        lines.append(Text(said, style=render.BAD))
    if found.unassigned:
        said = f"{found.unassigned} refused files were pushed to no model: `upkeep quarantine list`."
        lines.append(Text(said, style=render.WARN))
    for model in found.models:
        lines += _waiting(model)
        lines += _served(model)
        if model.last_run is not None and model.last_run.status not in ("RUNNING", "SUCCEEDED"):
            run = model.last_run
            said = f"{model.name}: run {run.short} {run.status}: {run.cause or run.error}"
            lines.append(Text(said, style=render.BAD))
        if model.pending:
            versions = ", ".join(map(str, model.pending))
            said = f"{model.name}: version {versions} waits for approval: `upkeep models`."
            lines.append(Text(said, style=render.WARN))
    if found.queued:
        lines.append(Text(f"{found.queued} messages in the intake queue."))
    return lines or [Text("No alarm, no dead letter, nothing refused, nothing waiting.", style=render.GOOD)]


def _waiting(model: ModelHealth) -> list[Text]:
    """What of a model's data waits, for what, and what a person can do."""
    lines = []
    if model.hold is not None:
        option = f" --model {model.name}"
        said = f"{model.name}: the next run is {model.hold.words()}: {model.hold.reason}. "
        lines.append(Text(f"{said}`upkeep runs start{option} --force` starts it now.", style=render.WARN))
    if model.forced:
        lines.append(
            Text(f"{model.name}: {model.forced} wants a run; it starts as soon as none is under way.")
        )
    for delivery in model.deliveries:
        overdue = "overdue" if delivery.overdue else "open"
        said = f"{model.name}: delivery {delivery.folder or '(no folder)'} is {overdue}"
        since = f" since {render.text(delivery.since)}" if delivery.since else ""
        style = render.WARN if delivery.overdue else ""
        lines.append(Text(f"{said}{since}: {delivery.words()}.", style=style))
    if model.quarantined:
        said = f"{model.name}: {model.quarantined} refused files wait: `upkeep quarantine list`."
        lines.append(Text(said, style=render.WARN))
    return lines


def _served(model: ModelHealth) -> list[Text]:
    """Whether the endpoint serves what it should, and what is under way there."""
    found = model.truth
    if found is None:
        return []
    lines = []
    if found.problem:
        lines.append(Text(f"{model.name}: {found.problem}.", style=render.BAD))
    elif found.note:
        style = "cyan" if found.moving else render.WARN
        lines.append(Text(f"{model.name}: {found.note}.", style=style))
    if model.experiment:
        said = f"{model.name}: experiment {model.experiment} is on: `upkeep experiment status`."
        lines.append(Text(said, style="cyan"))
    return lines


def version_text(model: ModelHealth) -> str:
    """What serves, as people say it: `1.2.0 (number 3, run 1a2b3c4d)`."""
    serving = model.serving
    if serving.version == SEED_VERSION:
        return f"{SEED_LABEL} (seed)"
    known = f"version {serving.version}" if serving.version is not None else "unregistered model"
    if model.label and not model.label.startswith("v"):
        return f"{model.label} (number {serving.version}, run {serving.run_id[:8]})"
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
