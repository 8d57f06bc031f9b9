"""`upkeep predict`: ask the endpoint, and see which version answered."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from upkeep import context, render, rows, serving
from upkeep.commands.options import AsJson, Model, Port, Stack
from upkeep.context import Context
from upkeep.errors import UpkeepError
from upkeep.outputs import ModelOutputs
from upkeep.serving import Answer

_ROWS_PER_REQUEST = 1000


def predict(
    file: Annotated[
        str | None,
        typer.Option("--file", "-f", help="CSV, JSON or JSON lines; `-` reads stdin.", metavar="FILE|-"),
    ] = None,
    json_row: Annotated[
        list[str] | None,
        typer.Option(
            "--json-row", "-j", help="One row as a JSON object; may be given again.", metavar="{...}"
        ),
    ] = None,
    inference_id: Annotated[
        str,
        typer.Option(
            "--inference-id",
            help="Capture the request under this id, so that its label can follow.",
            show_default=False,
        ),
    ] = "",
    target_variant: Annotated[
        str,
        typer.Option(
            "--target-variant", help="Variant that is to answer.", show_default="drawn by the weights"
        ),
    ] = "",
    model: Model = None,
    stack: Stack = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Ask the endpoint for predictions; a row that does not fit the model is refused with the reason."""
    there = context.load(stack, port)
    target = there.model(model)
    given = _given(there, target, file, json_row or [])
    if inference_id and len(given) > _ROWS_PER_REQUEST:
        raise UpkeepError(
            f"--inference-id names one request, which has {_ROWS_PER_REQUEST:,} rows at most; found "
            f"{len(given):,}."
        )
    predictions: list[Any] = []
    answer: Answer | None = None
    for part in rows.chunks(given, _ROWS_PER_REQUEST):
        answer = serving.predict(
            there,
            target,
            request_body(part),
            serving.JSON,
            inference_id=inference_id,
            target_variant=target_variant,
        )
        if not answer.ok:
            message = serving.error_text(answer)
            raise UpkeepError(f"The endpoint refused the request (HTTP {answer.status}): {message}")
        predictions += answer.predictions()
    version = version_of(there, target, answer.run if answer else "")
    if as_json:
        render.show_json(
            {
                "model": target.name,
                "version": version,
                "run": answer.run if answer else "",
                "variant": answer.variant if answer else "",
                "predictions": predictions,
            }
        )
        return
    show(predictions, version, answer.run if answer else "", render.console())


def request_body(part: list[dict[str, Any]]) -> bytes:
    """Rows as the endpoint's JSON."""
    return json.dumps({"instances": part}).encode()


def version_of(there: Context, target: ModelOutputs, run: str) -> int | None:
    """The package version of the run that answered; 0 for the seed, None for a run not in the registry."""
    found = next((p.version for p in serving.list_packages(there, target) if p.run_id == run), None)
    if found is None and run and target.seed_job.endswith(run):
        return serving.SEED_VERSION
    return found


def show(predictions: list[Any], version: int | None, run: str, out: Console) -> None:
    """Print predictions as a table, with what answered below."""
    if predictions and isinstance(predictions[0], dict):
        columns = [str(name) for name in predictions[0]]
        cells = [[number, *(row.get(name) for name in columns)] for number, row in enumerate(predictions, 1)]
    else:
        columns = ["prediction"]
        cells = [[number, value] for number, value in enumerate(predictions, 1)]
    render.show_table(out, ["row", *columns], cells, right=["row", *columns])
    known = f"version {version}" if version is not None else "an unregistered model"
    out.print(Text(f"Answered by {known}{f' (run {run[:8]})' if run else ''}.", style=render.DIM))


def _given(
    there: Context, target: ModelOutputs, file: str | None, json_rows: list[str]
) -> list[dict[str, Any]]:
    if bool(file) == bool(json_rows):
        raise UpkeepError("Give rows to predict: either --file FILE (`-` for stdin) or --json-row '{...}'.")
    spec = rows.deployed_spec(there, target)
    if file:
        return rows.read(file, spec)
    return [row for text in json_rows for row in rows.parse_json(text, spec, "--json-row")]
