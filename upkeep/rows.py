"""Rows for a prediction, read from CSV, JSON or JSON lines and typed by the model's spec."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from models.spec import ModelSpec, parse
from upkeep.errors import UpkeepError
from upkeep.outputs import ModelOutputs, StackOutputs
from upkeep.runs import Clients, read_json

_TRUE, _FALSE = {"true", "1", "yes"}, {"false", "0", "no"}


def deployed_spec(context: Clients, model: ModelOutputs) -> ModelSpec:
    """The spec a stack was deployed with, which is what its containers and Lambdas use.

    Raises:
        UpkeepError: It is not in the artifacts bucket.
    """
    outputs: StackOutputs = context.outputs
    key = f"specs/{model.name}.json"
    record = read_json(context, outputs.artifacts_bucket, key)
    if record is None:
        uri = f"s3://{outputs.artifacts_bucket}/{key}"
        raise UpkeepError(
            f"The spec of model {model.name!r} is not at {uri}; run `upkeep up` to bring it back."
        )
    return parse(record, key)


def read(source: str, spec: ModelSpec) -> list[dict[str, Any]]:
    """The rows of a file, or of stdin for `-`.

    Raises:
        UpkeepError: It is not readable as CSV, JSON or JSON lines, or holds no rows.
    """
    name = "stdin" if source == "-" else source
    text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8-sig")
    rows = list(parse_rows(text, spec, name))
    if not rows:
        raise UpkeepError(f"{name}: no rows to predict.")
    return rows


def parse_rows(text: str, spec: ModelSpec, name: str) -> Iterator[dict[str, Any]]:
    """Rows from text; what it looks like decides how it is read."""
    start = text.lstrip()[:1]
    if start == "[":
        yield from (for_model(row, spec) for row in _load(text, name))
    elif start == "{":
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield for_model(_load(line, f"{name}, line {number}"), spec)
    else:
        yield from (for_model(row, spec) for row in csv.DictReader(io.StringIO(text)))


def parse_json(text: str, spec: ModelSpec, name: str) -> list[dict[str, Any]]:
    """One row as a JSON object, or a JSON list of such.

    Raises:
        UpkeepError: It is no JSON, or something else than rows.
    """
    found = _load(text, name)
    return [for_model(row, spec) for row in (found if isinstance(found, list) else [found])]


def for_model(row: object, spec: ModelSpec) -> dict[str, Any]:
    """A row as the endpoint wants it: without target and time, text turned into the spec's types.

    Values that do not fit are left as they are: the endpoint says what is wrong with them.
    """
    if not isinstance(row, dict):
        raise UpkeepError(f"A row must be an object of columns and values, found {row!r:.80}.")
    types = {feature.name: feature.type for feature in spec.features}
    left_out = {spec.target, spec.time_column}
    return {
        str(name): _typed(value, types.get(str(name), "category"))
        for name, value in row.items()
        if name is not None and name not in left_out
    }


def first_row(path: Path, spec: ModelSpec) -> dict[str, Any] | None:
    """The first row of a text file of data; None for other files, such as Parquet."""
    if path.suffix.lower() not in (".csv", ".json", ".jsonl", ".ndjson"):
        return None
    with contextlib.suppress(UpkeepError, UnicodeDecodeError), path.open(encoding="utf-8-sig") as stream:
        head = "".join(line for line, _ in zip(stream, range(2), strict=False))
        return next(parse_rows(head, spec, path.name), None)
    return None


def chunks(rows: list[dict[str, Any]], size: int) -> Iterable[list[dict[str, Any]]]:
    """The rows in pieces small enough for one request (6 MB at most)."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _typed(value: object, kind: str) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    if kind == "number":
        with contextlib.suppress(ValueError):
            return float(value)
    if kind == "boolean" and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    return value


def _load(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UpkeepError(f"{name}: not readable as JSON: {error}.") from error
