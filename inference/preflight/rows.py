"""The rows of a recorded request, each with its values for people and as a request of its own."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inference.preflight.recorded import Recorded


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        values: By feature.
        single: The request that asks for this row alone, in the form of the whole request.
    """

    values: Mapping[str, Any]
    single: Recorded


def split(request: Recorded, features: Sequence[str]) -> list[Row]:
    """The rows of a request; none for a body that is not understood.

    Args:
        request: As it was sent.
        features: The inputs in the order of rows without a header.
    """
    kind = request.content_type.partition(";")[0].strip().lower()
    try:
        text = request.body.decode("utf-8-sig")
        if kind == "text/csv":
            return _csv(text, request, features)
        if kind == "application/json":
            return _json(json.loads(text), request)
        if kind.endswith(("jsonlines", "ndjson")):
            lines = [line for line in text.split("\n") if line.strip()]
            return [Row(json.loads(line), replace(request, body=line.encode())) for line in lines]
    except (ValueError, TypeError, csv.Error):
        return []
    return []


def _json(data: Any, request: Recorded) -> list[Row]:
    instances = data["instances"] if isinstance(data, dict) and "instances" in data else data
    if not isinstance(instances, list) or not all(isinstance(row, dict) for row in instances):
        return []
    return [Row(row, replace(request, body=json.dumps({"instances": [row]}).encode())) for row in instances]


def _csv(text: str, request: Recorded, features: Sequence[str]) -> list[Row]:
    lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    header = lines.pop(0) if lines and _has_header(request, lines[0], features) else None
    names = [name.strip() for name in header] if header else list(features)
    return [
        Row(
            dict(zip(names, line, strict=False)),
            replace(request, body=_written([header, line] if header else [line]).encode()),
        )
        for line in lines
    ]


def _has_header(request: Recorded, first: Sequence[str], features: Sequence[str]) -> bool:
    """As ``inference.codecs`` decides: the type's parameter, or else whether the first line names columns."""
    said = request.content_type.replace(" ", "").replace('"', "").lower().partition(";header=")[2]
    if said.startswith(("present", "absent")):
        return said.startswith("present")
    return any(cell.strip() in features for cell in first)


def _written(lines: Sequence[Sequence[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue()
