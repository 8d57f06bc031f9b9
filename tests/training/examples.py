"""A small model, its data files and its training jobs, shared by the tests of training and inference."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from models.spec import ModelSpec, parse

COLUMNS = ("at", "kind", "place", "size", "heavy", "late")
HEADER = ",".join(COLUMNS)
START = datetime(2024, 1, 1)  # noqa: DTZ001 - data files hold local times without a zone


def declare(task: str = "binary", **changes: Any) -> ModelSpec:
    """A spec with every kind of feature."""
    metric = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "r2"}[task]
    data: dict[str, Any] = {
        "name": "toy",
        "task": task,
        "target": "late",
        "time_column": "at",
        "features": {
            "kind": {"type": "category", "values": ["a", "b", "c"]},
            "place": {"type": "category", "nullable": True},
            "size": {"type": "number", "nullable": True, "min": -100, "max": 100},
            "heavy": {"type": "boolean"},
        },
        "training": {"holdout_min_rows": 20, "hyperparameters": {"max_iter": 10}},
        "gate": {"metric": metric},
    }
    return parse(data | changes)


def lines(count: int, task: str = "binary", *, first_hour: int = 0, seed: int = 1) -> list[str]:
    """Rows of CSV without a header, one per hour, whose label depends on the features."""
    source = random.Random(seed)
    made = []
    for hour in range(first_hour, first_hour + count):
        at = (START + timedelta(hours=hour)).isoformat()
        kind, place = source.choice("abc"), source.choice(["x", "y", "NA", ""])
        size = source.choice(["", f"{source.uniform(-100, 100):.3f}"])
        heavy = source.choice(["true", "false"])
        strength = float(size or 0) / 100 + (kind == "a") + source.gauss(0, 0.5)
        label = {
            "binary": str(int(strength > 0.4)),
            "multiclass": "low" if strength < 0 else "middle" if strength < 1 else "high",
            "regression": f"{strength:.4f}",
        }[task]
        made.append(f"{at},{kind},{place},{size},{heavy},{label}")
    return made


def text(rows: list[str]) -> str:
    return "\n".join([HEADER, *rows]) + "\n"


def environment(
    folder: Path,
    spec: ModelSpec,
    files: dict[str, str],
    *,
    run_id: str = "run1",
    champion: Path | None = None,
) -> dict[str, str]:
    """Lay out a training container's folders and give its variables."""
    for name in ("model", "output/data", "config", "spec"):
        (folder / name).mkdir(parents=True)
    for name, content in files.items():
        path = folder / "data" / "accepted" / spec.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="")
    (folder / "spec" / f"{spec.name}.json").write_text(spec.to_json())
    hyperparameters = {"model": spec.name, "run_id": run_id, "sagemaker_program": "training/train.py"}
    (folder / "config" / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    variables = {
        "SM_MODEL_DIR": "model",
        "SM_OUTPUT_DIR": "output",
        "SM_OUTPUT_DATA_DIR": "output/data",
        "SM_INPUT_CONFIG_DIR": "config",
        "SM_CHANNEL_DATA": "data",
        "SM_CHANNEL_SPEC": "spec",
    }
    result = {name: str(folder / path) for name, path in variables.items()}
    return result | ({"SM_CHANNEL_CHAMPION": str(champion)} if champion else {})


def pack(folder: Path, archive: Path) -> Path:
    """What the platform does with a model or output directory when the job ends."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname=".")
    return archive


def tar_bytes(files: dict[str, bytes]) -> bytes:
    """A tar.gz with these files: the same bytes whenever it is made, as those of a job are."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return gzip.compress(buffer.getvalue(), mtime=0)


def evaluation(path: str | Path) -> dict[str, Any]:
    """What a finished job wrote."""
    return dict(json.loads((Path(path) / "evaluation.json").read_text()))
