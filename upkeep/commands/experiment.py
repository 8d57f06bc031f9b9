"""`upkeep experiment`: try a version beside the serving one, with a share of the requests."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.text import Text

from models.spec import Task
from monitoring.sequential import UNKNOWN, WORSE
from training.ledger.experiments import PROMOTED, RUNNING, ExperimentRecord
from upkeep import context, models, releases, render, rows, runs
from upkeep.commands.options import AsJson, Model, Port, Stack, Yes, consent
from upkeep.context import Context
from upkeep.errors import FAILED, REFUSED, RELEASED, UpkeepError
from upkeep.experiments import control, fetch, figures, picture, upload, view
from upkeep.experiments.control import Wish
from upkeep.experiments.figures import Figures
from upkeep.ledger import OperatorLedger, actor, open_ledger
from upkeep.live import View
from upkeep.models import Registry
from upkeep.releases import Watched
from upkeep.runs import Run

app = typer.Typer(no_args_is_help=True)

Weight = Annotated[float, typer.Option("--weight", "-w", help="The treatment's share of the requests.")]
Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait at most.")]
Identity = Annotated[str | None, typer.Option("--id", help="An experiment that has ended, by its id.")]
_LOOK_SECONDS = 15.0


@app.command("start")
def start(
    version: Annotated[
        str, typer.Argument(help="`1.2.3`, a number of `upkeep models`, or how a run id begins.")
    ],
    weight: Weight,
    alpha: Annotated[float, typer.Option("--alpha", help="Chance of a false verdict, at most.")] = 0.05,
    loss: Annotated[
        str | None,
        typer.Option("--loss", help="brier, zero_one or absolute.", show_default="the task's own"),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            "--scale", help="For absolute: the distance that is the whole loss.", show_default=False
        ),
    ] = None,
    minimum_effect: Annotated[
        float, typer.Option("--minimum-effect", help="A difference no larger does not matter.")
    ] = 0.0,
    approve: Annotated[
        bool, typer.Option("--approve", help="Approve the version, for the experiment only.")
    ] = False,
    comment: Annotated[str, typer.Option("--comment", help="Why, for the record.")] = "",
    timeout: Timeout = releases.DEFAULT_TIMEOUT_SECONDS,
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Put an approved version beside the serving one, and give it a share of the requests.

    It takes the way of a release to the endpoint: passport, check, and back when it does not serve. Exit
    codes: 0 both serve, 1 they do not.
    """
    there = context.load(stack, port)
    target, ledger = there.model(model), open_ledger(there)
    spec = rows.deployed_spec(there, target)
    wish = Wish(weight=weight, loss=loss, scale=scale, alpha=alpha, minimum_effect=minimum_effect)
    chosen = control.check_wish(wish, spec)
    registry = _registry(there, target.name, ledger)
    control.check_free(registry, ledger)
    wanted = registry.find(version)
    control.check_version(registry, wanted, approve=approve)
    distance = (scale or control.default_scale(there, registry)) if chosen == "absolute" else 1.0
    who = actor(there)
    record = control.new_record(wanted, wish, chosen, distance, who, datetime.now(UTC))
    if approve:
        control.approve(there, wanted, by=who, comment=comment)
    run = control.start(there, registry, ledger, record)
    out = render.console(sys.stderr if as_json else None)
    watched = _follow(there, registry, run, f"Experiment {record.id}", out, timeout)
    after = ledger.experiment(target.name, record.id) or record
    good = after.state == RUNNING
    if as_json:
        render.show_json(_started(after, watched, good=good))
    elif good:
        line = Text(
            f"Version {after.treatment_version} answers {after.weight:.1%} of the requests", style="bold"
        )
        line.append(f", beside version {after.control_version or 'of the seed'}; experiment {after.id}.")
        out.print(line)
        out.print(
            "Give requests an InferenceId, and put what really happened (inference_id,label) into "
            f"{_labels_uri(there, target.name)}: `upkeep experiment status`."
        )
    else:
        _complain(after, watched, timeout, out)
    raise typer.Exit(RELEASED if good else FAILED)


@app.command("status")
def status(
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", help="Write an HTML page with the plot.", dir_okay=False, show_default=False
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again until there is a verdict.")] = False,
    stop_if_worse: Annotated[
        bool, typer.Option("--stop-if-worse", help="With --watch: end the experiment when it does harm.")
    ] = False,
    every: Annotated[
        float, typer.Option("--every", min=1, help="Seconds between two looks.")
    ] = _LOOK_SECONDS,
    experiment_id: Identity = None,
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Show what an experiment has shown so far; one may look, and act on it, whenever one likes.

    Exit code 3 when the treatment is worse.
    """
    if stop_if_worse and not watch:
        raise UpkeepError("--stop-if-worse acts while --watch looks; give both.")
    there = context.load(stack, port)
    out = render.console(sys.stderr if as_json else None)
    found = _look(there, model, experiment_id, out)
    while watch and found.record.under_way and found.test.verdict == UNKNOWN:
        if not as_json:
            out.print(Text(f"{found.at:%H:%M:%S}  {view.explanation(found)}"))
        time.sleep(every)
        found = _look(there, model, experiment_id, out)
    if report is not None:
        report.write_text(picture.render(found), encoding="utf-8")
    if as_json:
        render.show_json(found.to_json())
    else:
        view.show(found, out)
        if found.record.under_way:
            out.print(view.advice(found))
        if report is not None:
            out.print(f"Report: {report}")
    if found.test.verdict == WORSE and stop_if_worse and found.record.under_way:
        limit = releases.DEFAULT_TIMEOUT_SECONDS
        watched = _end(there, found.record, "it is worse", promote=False, out=out, timeout=limit)
        after = open_ledger(there).experiment(found.record.model, found.record.id) or found.record
        if after.under_way:
            _complain(after, watched, limit, out)
            raise typer.Exit(FAILED)
        _say_ended(after, watched, _note(there, after, out), out)
    raise typer.Exit(REFUSED if found.test.verdict == WORSE else RELEASED)


@app.command("weight")
def weight_command(
    weight: Annotated[float, typer.Argument(help="The treatment's share of the requests, such as 0.3.")],
    timeout: Timeout = releases.DEFAULT_TIMEOUT_SECONDS,
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Give the treatment another share; every outcome keeps counting by the share of its time."""
    there = context.load(stack, port)
    target, ledger = there.model(model), open_ledger(there)
    control.check_weight(weight)
    registry = _registry(there, target.name, ledger)
    record = control.current(registry, ledger)
    control.check_idle(registry)
    run = control.change_weight(there, registry, record, weight)
    out = render.console(sys.stderr if as_json else None)
    watched = _follow(there, registry, run, f"Share of experiment {record.id}", out, timeout)
    after = ledger.experiment(target.name, record.id) or record
    good = after.open_weight == weight
    if as_json:
        render.show_json(_started(after, watched, good=good))
    elif good:
        out.print(f"Version {after.treatment_version} answers {weight:.1%} of the requests now.")
    else:
        _complain(after, watched, timeout, out)
    raise typer.Exit(RELEASED if good else FAILED)


@app.command("stop")
def stop(
    promote: Annotated[
        bool, typer.Option("--promote", help="Release the treatment; the rollout is an ordinary one.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why, for the record.")] = "",
    timeout: Timeout = releases.DEFAULT_TIMEOUT_SECONDS,
    yes: Yes = False,
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """End the experiment: back to the control alone, and with --promote the treatment is released.

    Promoting a version of which it is not known that it is better asks first. Exit codes: 0 done, 1 not.
    """
    there = context.load(stack, port)
    out = render.console(sys.stderr if as_json else None)
    target, ledger = there.model(model), open_ledger(there)
    record = control.current(_registry(there, target.name, ledger), ledger)
    if promote:
        found = _look(there, target.name, record.id, out)
        if found.test.verdict in (UNKNOWN, WORSE):
            question = f"{view.headline(found)} {view.explanation(found)} Release it all the same?"
            consent(question, yes=yes, as_json=as_json)
    watched = _end(there, record, reason, promote=promote, out=out, timeout=timeout)
    after = ledger.experiment(target.name, record.id) or record
    good = not after.under_way and watched.run is not None and watched.run.status == "SUCCEEDED"
    shown = _note(there, after, out) if good else None
    if as_json:
        numbers = shown.to_json() if shown else None
        render.show_json({**_started(after, watched, good=good), "figures": numbers})
    elif good:
        _say_ended(after, watched, shown, out)
    else:
        _complain(after, watched, timeout, out)
    raise typer.Exit(RELEASED if good else FAILED)


@app.command("list")
def list_command(
    model: Model = None, stack: Stack = None, port: Port = None, as_json: AsJson = False
) -> None:
    """Show all experiments of a model, newest first."""
    there = context.load(stack, port)
    found = open_ledger(there).experiments(there.model(model).name)
    if as_json:
        render.show_json([upload.plain(one) for one in found])
        return
    view.show_list(found, render.console())


@app.command("labels")
def labels(
    files: Annotated[list[Path], typer.Argument(help="CSV files with inference_id,label.", exists=True)],
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Bring what really happened: check label files, and put them where experiments find them."""
    there = context.load(stack, port)
    target = there.model(model)
    task = rows.deployed_spec(there, target).task
    done = [upload.labels(there, target, path, task, datetime.now(UTC)) for path in files]
    if as_json:
        render.show_json(done)
        return
    out = render.console()
    for one in done:
        out.print(f"{one['file']}: {one['labels']:,} labels  →  {one['uri']}")
        for words in one["bad_named"]:
            out.print(Text(f"  left out: {words}", style=render.WARN))


def _registry(there: Context, model: str, ledger: OperatorLedger) -> Registry:
    return models.read(there, there.model(model), ledger.rollout(model))


def _look(there: Context, model: str | None, experiment_id: str | None, out: Console) -> Figures:
    """The figures of the experiment that is meant: the one under way, else the last."""
    target, ledger = there.model(model), open_ledger(there)
    registry = _registry(there, target.name, ledger)
    record: ExperimentRecord | None
    if experiment_id is not None:
        record = ledger.experiment(target.name, experiment_id)
        if record is None:
            known = ", ".join(one.id for one in ledger.experiments(target.name)[:10]) or "none"
            raise UpkeepError(f"Model {target.name} has no experiment {experiment_id!r}; there is {known}.")
    else:
        record = ledger.current_experiment(target.name)
        if record is not None:
            record = control.reconcile(registry, ledger, record) or record
        record = record or next(iter(ledger.experiments(target.name)), None)
        if record is None:
            raise UpkeepError(
                f"Model {target.name} has no experiment. `upkeep experiment start VERSION` begins one."
            )
    task = rows.deployed_spec(there, target).task
    return _figures(there, registry, record, task, out)


def _figures(
    there: Context, registry: Registry, record: ExperimentRecord, task: Task, out: Console
) -> Figures:
    """Read the files, with a bar while there is much to bring."""
    if not render.is_terminal(out):
        return figures.read(there, registry.model, record, task)
    columns = TextColumn("Reading requests and labels"), BarColumn(), DownloadColumn()
    with Progress(*columns, console=out, transient=True) as bar:
        line = bar.add_task("", total=None)

        def tell(done: int, total: int) -> None:
            bar.update(line, completed=done, total=total)

        return figures.read(there, registry.model, record, task, tell)


def _end(
    there: Context, record: ExperimentRecord, reason: str, *, promote: bool, out: Console, timeout: float
) -> Watched:
    """Have the experiment ended."""
    ledger = open_ledger(there)
    registry = _registry(there, record.model, ledger)
    run = control.stop(there, registry, record, promote=promote, reason=reason, by=actor(there))
    return _follow(there, registry, run, f"End of experiment {record.id}", out, timeout)


def _note(there: Context, record: ExperimentRecord, out: Console) -> Figures | None:
    """Write down what an experiment has shown; it has ended, whether that can be read or not."""
    try:
        found = _look(there, record.model, record.id, out)
    except UpkeepError as error:
        out.print(Text(f"What it has shown is not noted: {error}", style=render.WARN))
        return None
    open_ledger(there).note_experiment(record.model, record.id, found.test.verdict, _summary(found))
    return found


def _summary(found: Figures) -> dict[str, Any]:
    """The figures that stay in the ledger."""
    kept = ("outcomes", "difference", "interval", "p_value", "decided_at", "share_p_value", "variants", "at")
    whole = found.to_json()
    return {name: whole[name] for name in kept}


def _follow(
    there: Context, registry: Registry, run: Run, title: str, out: Console, timeout: float
) -> Watched:
    with View(out) as live:
        return releases.watch(
            there,
            registry.model,
            title,
            lambda: runs.find_described(there, registry.model, run.arn) or run,
            timeout_seconds=timeout,
            poll_seconds=there.poll_seconds,
            show=lambda known: live.draw(
                known.rows(datetime.now(UTC)), f"{known.where()} · {render.seconds(known.seconds)}"
            ),
        )


def _say_ended(record: ExperimentRecord, watched: Watched, found: Figures | None, out: Console) -> None:
    serves = record.treatment_version if record.state == PROMOTED else record.control_version or "the seed"
    line = Text(record.state.capitalize(), style="bold")
    said = view.headline(found) if found else ""
    line.append(f" after {render.seconds(watched.seconds)}; {serves} serves all requests. {said}", style="")
    out.print(line)


def _complain(record: ExperimentRecord, watched: Watched, timeout: float, out: Console) -> None:
    run = watched.run
    why = record.reason or (run.cause or run.error if run else "") or "the release machine gives no reason"
    if not watched.ended:
        why = f"not done after {timeout:g} s; it was waiting for {watched.where()}"
    line = Text(f"Experiment {record.id} is {record.state}", style=f"bold {render.BAD}")
    line.append(f": {why}. `upkeep status` shows what serves.", style="")
    out.print(line)


def _started(record: ExperimentRecord, watched: Watched, *, good: bool) -> dict[str, Any]:
    return {
        **upload.plain(record),
        "done": good,
        "exit_code": RELEASED if good else FAILED,
        "seconds": round(watched.seconds, 2),
    }


def _labels_uri(there: Context, model: str) -> str:
    return f"s3://{there.outputs.data_bucket}/{fetch.label_prefix(there.model(model))}"
