"""Puts label files where experiments find them, after a look at them."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.spec import Task
from training.ledger.experiments import ExperimentRecord
from upkeep.errors import UpkeepError
from upkeep.experiments.fetch import label_prefix
from upkeep.experiments.labels import Problems, read_labels
from upkeep.outputs import ModelOutputs
from upkeep.render import iso
from upkeep.runs import Clients

_NOT_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def labels(context: Clients, model: ModelOutputs, path: Path, task: Task, at: datetime) -> dict[str, Any]:
    """Upload one file under a name that no other upload has.

    Raises:
        UpkeepError: No line of it can be used.
    """
    problems = Problems()
    count = sum(1 for _ in read_labels(path, path.name, task, problems))
    if not count:
        why = problems.named[0] if problems.named else f"{path.name}: no lines"
        raise UpkeepError(f"{why}. Nothing was uploaded; a label file has the header inference_id,label.")
    stem = _NOT_NAME.sub("-", path.stem)[:80]
    key = f"{label_prefix(model)}{at.astimezone(UTC):%Y%m%dT%H%M%S%f}-{stem}.csv"
    bucket = context.outputs.data_bucket
    context.client("s3").upload_file(str(path), bucket, key)
    return {
        "file": path.name,
        "labels": count,
        "bad": problems.count,
        "bad_named": problems.named,
        "uri": f"s3://{bucket}/{key}",
    }


def plain(record: ExperimentRecord) -> dict[str, Any]:
    """An experiment as `--json` prints it, its times in ISO 8601."""
    times = ("created_at", "started_at", "ended_at")
    shown = {name: _iso(getattr(record, name)) for name in times}
    weights = [{k: v if k == "weight" else _iso(v) for k, v in period.items()} for period in record.weights]
    return {**asdict(record), **shown, "weights": weights}


def _iso(seconds: float) -> str | None:
    return iso(datetime.fromtimestamp(seconds, UTC)) if seconds else None
