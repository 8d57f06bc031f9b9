"""A spot instance that is taken away: the job goes on where it was, with the real script and image."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.archives import sources
from infra.jobs import spot_parameters, stopping_condition
from models.load import load, seed_file
from models.spec import ModelSpec
from sandbox.sagemaker.clock import SystemClock
from sandbox.sagemaker.image_containers import ImageContainers
from sandbox.sagemaker.service import SageMaker
from sandbox.sagemaker.settings import Settings
from tests.sandbox.sagemaker.fakes import tarball
from tests.sandbox.sagemaker.harness import Service
from tests.sandbox.sagemaker.test_training_jobs import channel, request

pytestmark = [pytest.mark.image, pytest.mark.xdist_group("image")]

# Many small stages: there is time to take the instance away between the first and the last.
ITERATIONS = 600
CHANGES = {
    "training": {
        "max_runtime_seconds": 3600,
        "hyperparameters": {"max_iter": ITERATIONS, "learning_rate": 0.01, "max_leaf_nodes": 8},
    }
}


class _TakesBack(SystemClock):
    """Jumps past the interruption as soon as a job has kept its first trees."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._jump = 0.0

    def now(self) -> float:
        if not self._jump and list(self._root.glob("t-*/checkpoints/*.joblib")):
            self._jump = INTERRUPTION_SECONDS
        return super().now() + self._jump


INTERRUPTION_SECONDS = 1000.0


class _RealService(Service):
    """The service of the other tests with real containers."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._loop.run_until_complete(self.sagemaker.close())
        self.sagemaker = SageMaker(
            self.platform,
            settings=Settings(
                spot_interruption_seconds=INTERRUPTION_SECONDS, poll_seconds=0.02, stop_grace_seconds=5
            ),
            containers=ImageContainers(),
            clock=_TakesBack(root),
        )


@pytest.fixture(scope="module")
def service() -> Iterator[_RealService]:
    folder = Path(tempfile.mkdtemp(prefix="uk-"))
    made = _RealService(folder / "sm")
    objects = made.platform.s3.objects
    objects["artifacts", "code/1/code.tar.gz"] = tarball(dict(sources()))
    objects["data", "accepted/flights/seed.csv"] = seed_file("flights").read_bytes()
    manifest = [{"prefix": "s3://data/"}, "accepted/flights/seed.csv"]
    objects["data", "manifests/1.json"] = json.dumps(manifest).encode()
    yield made
    made.close()
    shutil.rmtree(folder)


def _train(service: _RealService, name: str, spec: ModelSpec) -> tuple[dict[str, Any], dict[str, Any]]:
    """The job's description and its evaluation."""
    # The deployed spec is the same for both: what it costs decides nothing about the model.
    plain = dataclasses.replace(spec, training=dataclasses.replace(spec.training, spot=False))
    service.platform.s3.objects["artifacts", "specs/flights.json"] = plain.to_json().encode()
    asked = request(
        name,
        HyperParameters={
            "sagemaker_program": "training/train.py",
            "sagemaker_submit_directory": "/opt/ml/input/data/code/code.tar.gz",
            "model": "flights",
            "run_id": "1" * 20,
        },
        InputDataConfig=[
            channel("code", "s3://artifacts/code/1/code.tar.gz"),
            channel("spec", "s3://artifacts/specs/flights.json"),
            channel("data", "s3://data/manifests/1.json", "ManifestFile"),
        ],
        EnableNetworkIsolation=True,
        StoppingCondition=stopping_condition(spec),
    )
    spot = {key.removesuffix(".$"): value for key, value in spot_parameters(spec, "").items()}
    if spot:
        spot["CheckpointConfig"] = {"S3Uri": f"s3://artifacts/checkpoints/flights/{name}"}
    service("CreateTrainingJob", **asked | spot)
    ended = ("Completed", "Failed", "Stopped")
    job = service.until("DescribeTrainingJob", "TrainingJobStatus", *ended, seconds=240, TrainingJobName=name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    output = service.platform.s3.objects["artifacts", f"training/flights/{name}/output/output.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(output)) as tar:
        file = tar.extractfile("evaluation.json")
        assert file is not None
        return job, json.loads(file.read())


def test_a_job_that_was_interrupted_ends_with_the_same_model_as_one_that_was_not(
    service: _RealService,
) -> None:
    spec = load(["flights"], {"flights": CHANGES})["flights"]
    on_spot = dataclasses.replace(spec, training=dataclasses.replace(spec.training, spot=True))
    job, interrupted = _train(service, "interrupted", on_spot)
    stages = [stage["Status"] for stage in job["SecondaryStatusTransitions"]]
    again = ["Starting", "Downloading", "Training"]
    assert stages == [*again, "Interrupted", *again, "Uploading", "Completed"]
    lines = [line for lines in service.platform.logs.values() for line in lines]
    kept = [line for line in lines if line.startswith("checkpoint after ")]
    assert len(kept) == len(set(kept)), "no stage was fitted twice"
    whole, unhurried = _train(service, "not-interrupted", spec)
    assert "Interrupted" not in [stage["Status"] for stage in whole["SecondaryStatusTransitions"]]
    assert interrupted["challenger"] == unhurried["challenger"]
    assert interrupted["model_digest"] == unhurried["model_digest"]
