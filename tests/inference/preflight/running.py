"""Running the job of a check in the image: its inputs as files, small models, and what came of it."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.preflight import places
from inference.preflight.prepare import ENTRYPOINT
from inference.preflight.recorded import Recorded
from infra import archives
from sandbox.containers.processing import ProcessingContainer
from sandbox.containers.requests import ProcessingRequest
from sandbox.image import Image

WAIT_SECONDS = 60.0
FEATURES = ("size", "kind")
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "PIP_NO_BUILD_ISOLATION": "false",
    "PIP_NO_INDEX": "1",
    "SAGEMAKER_PROGRAM": "inference.serving",
    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
}
# The score is the size times a factor that the model's folder holds.
SERVE = """
import json, os, time
from pathlib import Path
from werkzeug.wrappers import Response

def model_fn(model_dir):
    return float(Path(model_dir, "factor").read_text())

def transform_fn(model, body, content_type, accept):
    rows = json.loads(body)["instances"]
    {before}
    scores = [model * row["size"] for row in rows]
    answer = {{"predictions": [{{"score": s, "label": int(s >= 0.5)}} for s in scores]}}
    return Response(json.dumps(answer), {status}, content_type="application/json")
"""

_numbers = itertools.count()


def serving(before: str = "", status: int = 200) -> str:
    """A serving module that does something before it answers."""
    return SERVE.format(before=before, status=status)


def model(factor: float = 1.0, module: str = "", **files: str) -> dict[str, str]:
    """A model's files: a factor and the code that serves it."""
    own = {"factor": str(factor), "code/inference/__init__.py": ""}
    return own | {"code/inference/serving.py": module or serving()} | files


def tarball(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content.encode())
            tar.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()


def requests(*sizes: float) -> list[Recorded]:
    """One recorded request per size."""
    return [
        Recorded(json.dumps({"instances": [{"size": size, "kind": f"k{size}"}]}).encode()) for size in sizes
    ]


def plan(**changes: Any) -> dict[str, Any]:
    side = {"environment": ENVIRONMENT, "name": "", "url": ""}
    return {
        "schema": places.SCHEMA,
        "model": "toy",
        "run_id": "r1",
        "job_name": "upkeep-t-toy-check-1",
        "endpoint": "upkeep-t-toy",
        "source": "recorded",
        "features": list(FEATURES),
        "max_latency_milliseconds": 250.0,
        "start_seconds": 30.0,
        "check_seconds": 45.0,
        "challenger": {**side, "name": "version 1.1.0"},
        "champion": {**side, "name": "version 1.0.0"},
        **changes,
    }


@dataclass
class Check:
    """A finished job.

    Attributes:
        exit_code: Of the container.
        folder: What would be stored in S3.
        lines: Its log.
        message: What it left as ExitMessage.
    """

    exit_code: int
    folder: Path
    lines: list[str]
    message: str

    @property
    def document(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.folder / places.RESULT).read_text())
        return data

    @property
    def page(self) -> str:
        return (self.folder / places.REPORT).read_text()


def write_inputs(
    tree: Path,
    job_plan: Mapping[str, Any],
    asked: list[Recorded],
    challenger: Mapping[str, str],
    champion: Mapping[str, str] | None,
) -> None:
    """The inputs as the platform lays them down."""
    base = tree / "processing" / "input"
    files = {
        "code/code.tar.gz": archives.tar_gz(archives.sources()),
        "check/plan.json": json.dumps(job_plan).encode(),
        "check/requests.jsonl": "".join(request.line() for request in asked).encode(),
        "challenger/model.tar.gz": tarball(challenger),
    }
    if champion is not None:
        files["champion/model.tar.gz"] = tarball(champion)
    for name, content in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def run(folder: Path, image: Image, tree_inputs: Any) -> Check:
    """Run the job on a tree that `tree_inputs(tree)` fills, isolated from the network."""
    tree = folder / f"p{next(_numbers)}"
    tree_inputs(tree)
    request = ProcessingRequest(
        job_name="check",
        tree=tree,
        environment={},
        network_isolation=True,
        credentials=None,
        region="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        entrypoint=list(ENTRYPOINT),
        arguments=[],
    )
    lines: list[str] = []
    container = ProcessingContainer(request, image, lines.append)
    container.start()
    code = container.wait(WAIT_SECONDS)
    if code is None:
        container.stop(0)
    assert code is not None, "the job did not end: " + "\n".join(lines[-20:])
    return Check(code, tree / "processing" / "output", lines, container.failure_text())
