"""A finished training job's artifact and findings in a store, as the judge meets them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.training.examples import declare, tar_bytes
from tests.training.gate.examples import evaluation
from tests.training.lambdas import ARTIFACTS, DATA
from training.registry import digests, seal

RUN = "r1234567890"
FOLDER = "training/toy/upkeep-test-toy-r1/output"
MODEL_URL = f"s3://{ARTIFACTS}/{FOLDER}/model.tar.gz"
CHAMPION_URL = f"s3://{ARTIFACTS}/training/toy/upkeep-test-toy-r0/output/model.tar.gz"
MANIFEST_URI = f"s3://{DATA}/manifests/toy/r1.json"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
WINDOW = {
    "setting": "100 rows",
    "from": "2024-01-01T00:00:00",
    "to": "2024-01-05T03:00:00",
    "holdout_from": "2024-01-04T08:00:00",
}
EVENT = {
    "model": "toy",
    "run_id": RUN,
    "manifest_uri": MANIFEST_URI,
    "rows": 100,
    "files": 2,
    "dropped": 3,
    "trigger": "data",
    "data_version": "d" * 20,
    "data_version_uri": f"s3://{DATA}/manifests/toy/" + "d" * 20 + ".data.json",
    "contract_version": "c" * 12,
    "champion_url": CHAMPION_URL,
    "training_job": {
        "TrainingJobName": "upkeep-test-toy-r1",
        "AlgorithmSpecification": {"TrainingImage": IMAGE},
        "ModelArtifacts": {"S3ModelArtifacts": MODEL_URL},
    },
}
SEED_DIGESTS = digests.of(declare(), "0" * 64)


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def model_files(run_id: str = RUN, spec: Any = None, code: bytes = b"import os\n") -> dict[str, bytes]:
    """A sealed model whose pickle is none: nobody here loads it."""
    spec = spec or declare()
    files = {name: f"{name} of {run_id}".encode() for name in seal.SIGNED}
    files["spec.json"] = spec.to_json().encode()
    found = {name: sha256(body) for name, body in files.items()}
    tree = {"inference/serving.py": code}
    passport = {
        "format": seal.FORMAT,
        "model": spec.name,
        "run_id": run_id,
        "fitted_until": "2024-01-04T08:00:00",
        "rows_fitted": 80,
        "champion_run_id": "r0",
        "digests": digests.of(spec, seal.code_digest({name: sha256(body) for name, body in tree.items()})),
        "model_digest": seal.model_digest(found),
        "versions": {"scikit-learn": "1.9.0"},
        "files": found,
    }
    sealed = {**files, **{f"code/{name}": body for name, body in tree.items()}}
    return {**sealed, "passport.json": json.dumps(passport).encode()}


def findings(files: dict[str, bytes], **changes: Any) -> dict[str, Any]:
    """The job's evaluation of that model."""
    passport = json.loads(files["passport.json"])
    own = {
        "run_id": passport["run_id"],
        "window": WINDOW,
        "task": "binary",
        "digests": passport["digests"],
        "champion_digests": {**SEED_DIGESTS, "run_id": "r0"},
        "model_digest": passport["model_digest"],
        "passport_sha256": sha256(files["passport.json"]),
    }
    return evaluation(**{**own, **changes})


def finish(store: Any, files: dict[str, bytes] | None = None, **changes: Any) -> dict[str, Any]:
    """Leave in the store what a finished job and those before it have left there; the evaluation."""
    files = files or model_files()
    found = findings(files, **changes)
    gate = {"metric": "roc_auc", "minimum": 0.6, "minimum_gain": 0.002}
    store.put("specs/toy.json", declare(gate=gate).to_json(), ARTIFACTS)
    store.put(f"{FOLDER}/model.tar.gz", tar_bytes(files), ARTIFACTS)
    output = tar_bytes({"evaluation.json": json.dumps(found).encode()})
    store.put(f"{FOLDER}/output.tar.gz", output, ARTIFACTS)
    store.put("manifests/toy/r1.json", '[{"prefix": "s3://data/"}, "accepted/toy/a.csv"]', DATA)
    store.put(CHAMPION_URL.partition(f"{ARTIFACTS}/")[2], b"the champion", ARTIFACTS)
    return found
