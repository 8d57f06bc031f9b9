"""`upkeep contract`: a model's data contract, proposed from data and checked on files, without a stack."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from models.load import available, load
from models.spec import ModelSpec
from upkeep import checking, context, proposed_spec, render, rows
from upkeep.checking import Checked
from upkeep.commands.options import AsJson, Port, Stack
from upkeep.errors import QUARANTINED, UpkeepError

app = typer.Typer(help="Propose a model's data contract from files, and check files against it.")

Files = Annotated[
    list[Path], typer.Argument(help="CSV, JSON lines (also .gz, .zst) or Parquet.", metavar="FILE...")
]
_MAX_SAMPLE = 5
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


class Task(Enum):
    """What a model predicts."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


@dataclass(frozen=True)
class _Contract:
    """A spec, and where it is from."""

    spec: ModelSpec
    origin: str


@app.command("learn")
def learn(
    files: Files,
    target: Annotated[str, typer.Option("--target", help="Column that holds the label.")],
    time_column: Annotated[str, typer.Option("--time-column", help="Column that orders the rows.")],
    task: Annotated[Task | None, typer.Option("--task", help="By default what the labels look like.")] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="Name of the model to be.")] = "my-model",
    as_json: AsJson = False,
) -> None:
    """Propose a model.yaml from data: columns, types, ranges, categories, deciles, a key.

    It is printed; save it as models/<name>/model.yaml and review what has a comment.
    """
    try:
        from training.contract.learn import study
    except ModuleNotFoundError as error:
        raise UpkeepError(
            f"Learning needs {error.name}, which is not installed: `pip install 'upkeep[lambda]'`."
        ) from error
    learned = study(
        files, target=target, time_column=time_column, task=task.value if task else None, name=model
    )
    if as_json:
        render.show_json(
            {
                "files": [str(path) for path in files],
                "rows": learned.rows,
                "spec": learned.spec,
                "notes": learned.notes,
                "left_out": learned.left_out,
            }
        )
        return
    typer.echo(proposed_spec.text(learned, files), nl=False)


@app.command("check")
def check(
    files: Files,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Model whose contract counts.", show_default="the only one"),
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(
            "--rejects", help="Write the bad rows of each file there, with the reasons.", metavar="DIR"
        ),
    ] = None,
    as_json: AsJson = False,
    stack: Stack = None,
    port: Port = None,
) -> None:
    """Check files as the intake would, here: what would be accepted, dropped or quarantined, and why.

    The contract is that of models/<model>/model.yaml; with --stack, or when there is no such file, the one
    that the stack was deployed with.

    Exit codes: 0 every file would be accepted, 4 at least one would be quarantined, 1 something failed.
    """
    contract = _contract(model, stack, port)
    found = checking.checked(files, contract.spec, rejects)
    code = 0 if all(one.ok for one in found) else QUARANTINED
    if as_json:
        render.show_json(
            {
                "model": contract.spec.name,
                "contract_version": contract.spec.contract_version,
                "contract": contract.origin,
                "exit_code": code,
                "files": [one.to_json() for one in found],
            }
        )
    else:
        _show(found, contract, render.console())
    raise typer.Exit(code)


def _contract(model: str | None, stack: str | None, port: int | None) -> _Contract:
    here = available()
    if stack is None:
        if model is None and len(here) > 1:
            raise UpkeepError(f"Several models are here: {', '.join(here)}. Choose one with --model.")
        name = model or next(iter(here), None)
        if name in here:
            return _Contract(load([name])[name], f"models/{name}/model.yaml")
    there = context.load(stack, port)
    target = there.model(model)
    return _Contract(rows.deployed_spec(there, target), f"stack {there.stack}")


def _show(found: list[Checked], contract: _Contract, out: Console) -> None:
    spec = contract.spec
    out.print(Text(f"contract {spec.contract_version} of {spec.name} ({contract.origin})", style=render.DIM))
    for one in found:
        _show_file(one, spec, out)
    if len(found) > 1:
        good = [one for one in found if one.ok]
        total = sum(one.report.rows for one in good)
        out.print(f"{len(good)} of {len(found)} files would be accepted, {total:,} rows")


def _show_file(one: Checked, spec: ModelSpec, out: Console) -> None:
    report = one.report
    verdict = "accepted" if one.ok else "quarantined"
    line = Text(f"{one.path}: ").append_text(render.styled(verdict))
    if report.rows:
        line.append(f", {report.rows:,} good rows")
    if report.first and report.last:
        line.append(f" from {report.first} to {report.last}")
    out.print(line)
    for words in (_format(one), _dropped(one, spec), _columns(one)):
        if words:
            out.print(Text(f"  {words}"))
    for finding in sorted(report.findings, key=lambda f: not f.fatal):
        out.print(Text(f"  {finding.text}", style=render.BAD if finding.fatal else render.WARN))
    for row in report.sample[:_MAX_SAMPLE]:
        out.print(Text(f"    row {row['row']}: {'; '.join(row['reasons'])}", style=render.DIM))
    if one.rejects is not None:
        out.print(f"  bad rows: {one.rejects}")


def _format(one: Checked) -> str:
    found = one.report.format
    if not found:
        return ""
    called = {"csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet"}
    words = [called.get(str(found.get("kind")), str(found.get("kind")))]
    if found.get("delimiter"):
        words.append(f"separated by {_DELIMITERS.get(str(found['delimiter']), found['delimiter'])}")
    words += [str(found[key]) for key in ("encoding", "compression") if found.get(key)]
    return "format: " + ", ".join(words)


def _dropped(one: Checked, spec: ModelSpec) -> str:
    report = one.report
    if not report.dropped:
        return ""
    share = report.dropped / (report.rows + report.dropped)
    most = spec.contract.max_bad_share
    verb = "would be dropped" if one.ok else "are bad"
    rows = "row" if report.dropped == 1 else "rows"
    if report.dropped == 1 and not one.ok:
        verb = "is bad"
    return f"{report.dropped:,} {rows} {verb}: {share:.2%}, at most {most:.2%} are (contract.max_bad_share)"


def _columns(one: Checked) -> str:
    """How the columns differ from the contract's, in one line."""
    diff = one.report.diff
    renamed = [f"{old} to {new}" for old, new in (diff.get("renamed") or {}).items()]
    retyped = [
        f"{name} from {types['expected']} to {types['found']}"
        for name, types in (diff.get("retyped") or {}).items()
    ]
    parts = {
        "missing": list(diff.get("missing") or ()),
        "renamed?": renamed,
        "retyped": retyped,
        "added": list(diff.get("added") or one.report.ignored),
    }
    told = [f"{word} {', '.join(names)}" for word, names in parts.items() if names]
    return "columns: " + "; ".join(told) if told else ""
