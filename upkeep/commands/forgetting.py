"""Shows what `upkeep data forget` found and did."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from upkeep import render
from upkeep.forget_beside import DISCARDED_NOW, QUARANTINE, REJECTED, REMOVED
from upkeep.forget_report import Elsewhere, Looked, Result
from upkeep.lineage import Trained


def show_plan(plan: Looked, out: Console) -> None:
    """Print what is meant, before anything is changed."""
    if plan.matches:
        cells = [[m.key, m.rows, m.matching, ", ".join(r.source for r in m.records)] for m in plan.matches]
        render.show_table(out, ["object", "rows", "matching", "pushed as"], cells, right=["rows", "matching"])
    objects = f"{len(plan.matches)} accepted object{'' if len(plan.matches) == 1 else 's'}"
    out.print(f"{plan.matching:,} of {plan.rows:,} accepted rows match, in {objects}.")
    if plan.resumed:
        out.print(f"Request {plan.id} was begun before; it goes on where it stopped.")
    _show_beside(plan.beside, out)
    _show_seed(plan.model, out, seed=plan.seed, serves=plan.seed_serves)
    _show_trained(plan.trained, out)


def show_result(result: Result, out: Console) -> None:
    """Print what was done."""
    objects = f"{len(result.replaced)} object{'' if len(result.replaced) == 1 else 's'}"
    out.print(Text(f"Forgotten: {result.rows:,} rows of {objects} (request {result.id}).", style="bold"))
    for one in result.replaced:
        what = f"→ {one.new_key}" if one.new_key else "no row was left"
        kept = "; the old object stays, it is the deployment's" if one.kept else "; all versions deleted"
        out.print(Text(f"  {one.key}  {one.rows:,} rows  {what}{kept}"))
    _show_beside(result.beside, out)
    _show_seed(result.model, out, seed=result.seed, serves=result.seed_serves)
    _show_trained(result.trained, out)
    out.print("Rows like these that arrive later are left out by the intake.")
    if result.replaced:
        out.print(
            f"The data is another version now: a run is due (`upkeep status`); `upkeep runs start --model "
            f"{result.model} --force` starts it past all limits."
        )


def _show_beside(beside: Sequence[Elsewhere], out: Console) -> None:
    for one in beside:
        out.print(Text(_beside(one), style=render.WARN if one.is_unsure else ""))


def _beside(one: Elsewhere) -> str:
    """A file beside the accepted data, as a sentence."""
    count = "an unknown number of" if one.matching is None else f"{one.matching:,}"
    if one.kind == REJECTED:
        done = "were removed" if one.action == REMOVED else "are"
        return f"{count} such rows {done} among the dropped rows in {one.key}."
    shown = f"; {one.sampled} of them {'were' if one.action != 'found' else 'are'} shown in its entry"
    said = f"Quarantine {one.quarantine_id}: {count} such rows{shown if one.sampled else ''}"
    if one.action == DISCARDED_NOW:
        return f"{said}; the file was deleted for good."
    if one.kind == QUARANTINE and one.is_unsure:
        said = f"Quarantine {one.quarantine_id}: cannot be read as rows, and may hold such ones"
    if one.matching == 0:
        return f"{said}; {'they are gone from it' if one.action == REMOVED else 'the file itself is gone'}."
    return f"{said}. `upkeep quarantine discard {one.quarantine_id}` deletes the file."


def _show_seed(model: str, out: Console, *, seed: bool, serves: bool) -> None:
    if not seed:
        return
    said = (
        f"The seed has such rows. Later runs read it without them, but models/{model}/seed.csv in git and "
        "the stack's seed object still hold them: take them out there and run `upkeep up`."
    )
    out.print(Text(said, style=render.WARN))
    if serves:
        out.print(Text("The endpoint serves the model that was trained on the seed.", style=render.WARN))


def _show_trained(trained: Sequence[Trained], out: Console) -> None:
    if not trained:
        out.print("No run was trained on these rows.")
        return
    out.print()
    cells = [
        [run.run_id, run.data_version[:8], run.state, run.version, run.approval, "yes" if run.serves else ""]
        for run in trained
    ]
    render.show_table(out, ["trained run", "data", "state", "version", "approval", "serves"], cells)
    serving = [run for run in trained if run.serves]
    if serving:
        said = (
            f"Version {serving[0].version} serves and was trained on these rows, until another is released."
        )
        out.print(Text(said, style=render.WARN))
    out.print(
        "Models keep what they have learned, and each model's archive holds a few sample rows: delete the "
        "packages (`aws sagemaker delete-model-package`) and the archives that must go."
    )
