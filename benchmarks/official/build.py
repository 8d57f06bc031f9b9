"""Trains with the project's own job, then wraps the same fitted estimator as an ordinary pipeline.

Run by the image environment's Python: FOLDER holds spec/, data/ and config/ as a training job finds them;
model/ becomes the project's model directory, official/ the user's.
"""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from training import artifact, reading
from training.main import main


def train(folder: Path) -> artifact.Model:
    """The project's job on the project's folders; gives the model as the server loads it."""
    paths = {
        "SM_MODEL_DIR": "model",
        "SM_OUTPUT_DIR": "output",
        "SM_OUTPUT_DATA_DIR": "output/data",
        "SM_INPUT_CONFIG_DIR": "config",
        "SM_CHANNEL_DATA": "data",
        "SM_CHANNEL_SPEC": "spec",
    }
    if main({name: str(folder / path) for name, path in paths.items()}):
        raise SystemExit("the training job failed")
    return artifact.load(folder / "model")


def pipeline(model: artifact.Model, frame: Any) -> Pipeline:
    """The estimator behind a ColumnTransformer that gives the columns it was fitted on."""
    steps: list[tuple[str, Any, list[str]]] = []
    for is_category, group in groupby(model.encoder.columns, lambda c: c.feature.type == "category"):
        columns = list(group)
        names = [column.feature.name for column in columns]
        if is_category:
            # What the estimator knows, and one number more for what it does not.
            encoder = OrdinalEncoder(
                categories=[list(column.categories) for column in columns],
                handle_unknown="use_encoded_value",
                unknown_value=max(len(column.categories) for column in columns),
            )
            steps.append((f"categories{len(steps)}", encoder, names))
        else:
            steps.append((f"numbers{len(steps)}", "passthrough", names))
    prepare = ColumnTransformer(steps).fit(frame)
    return Pipeline([("prepare", prepare), ("model", model.estimator)])


def build(folder: Path) -> None:
    """Train and store both."""
    model = train(folder)
    frame = reading.read(folder / "data", model.spec).frame
    known = frame[list(model.encoder.names)].copy()
    for column in model.encoder.columns:
        # Categories beyond those the project's encoder keeps are unknown to both.
        if column.feature.type == "category":
            known = known[known[column.feature.name].isin(column.categories)]
    official = folder / "official"
    official.mkdir(exist_ok=True)
    joblib.dump(pipeline(model, pd.DataFrame(known)), official / "pipeline.joblib")
    (official / "columns.json").write_text(json.dumps(model.encoder.names))


if __name__ == "__main__":
    build(Path(sys.argv[1]))
