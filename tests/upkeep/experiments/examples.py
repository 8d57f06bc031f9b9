"""Captured requests, labels and experiments, as SageMaker and people write them."""

import json
from datetime import UTC, datetime

from training.ledger.experiments import RUNNING, ExperimentRecord
from upkeep.experiments.fetch import Found

T0 = 1_800_000_000.0  # 2027-01-15 08:00 UTC


def capture(event, asked, inference_id=None, predictions=((0.2, 0),), **output):
    """A line of a capture file."""
    rows = [{"score": score, "label": label} for score, label in predictions]
    side = {
        "observedContentType": "application/json",
        "mode": "OUTPUT",
        "data": json.dumps({"predictions": rows}),
        "encoding": "JSON",
        **output,
    }
    metadata = {
        "eventId": event,
        "inferenceTime": datetime.fromtimestamp(asked, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if inference_id:
        metadata["inferenceId"] = inference_id
    return json.dumps(
        {"captureData": {"endpointOutput": side}, "eventMetadata": metadata, "eventVersion": "0"}
    )


def experiment(**changes):
    """An experiment that has been running since T0, with a tenth of the requests."""
    base = {
        "model": "flights",
        "id": "x0000001",
        "state": RUNNING,
        "treatment_package": "arn:pkg/2",
        "treatment_version": "1.1.0",
        "control_version": "1.0.0",
        "config": "upkeep-dev-flights-v2-x0000001",
        "weights": [{"weight": 0.1, "since": T0}],
        "wanted_weight": 0.1,
        "created_at": T0 - 60,
        "started_at": T0,
    }
    return ExperimentRecord(**{**base, **changes})


class Files:
    """Files as they were downloaded."""

    def __init__(self, folder):
        self.folder = folder
        self.captures, self.labels = [], []

    def captured(self, variant, *lines, modified=T0 + 100):
        path = self.folder / f"c{len(self.captures)}.jsonl"
        path.write_text("\n".join(lines) + "\n")
        self.captures.append((Found(key=path.name, bytes=1, modified=modified, variant=variant), path))

    def labelled(self, text, modified=T0 + 200):
        path = self.folder / f"l{len(self.labels)}.csv"
        path.write_text("inference_id,label\n" + text)
        self.labels.append((Found(key=f"labels/{path.name}", bytes=1, modified=modified), path))
