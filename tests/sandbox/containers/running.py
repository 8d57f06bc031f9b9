"""Running containers in tests: what a test has to say about a job or a server, and what came of it."""

from __future__ import annotations

import io
import itertools
import json
import socket
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandbox.containers import ServingContainer, ServingSpec, TrainingContainer, TrainingSpec
from sandbox.image import Image

REPOSITORY = Path(__file__).parents[3]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "ASIATEST", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
WAIT_SECONDS = 60.0

# Writes down how it was started.
REPORT = """
import json, os, sys
import models.spec
report = {"argv": sys.argv, "path": sys.path, "cwd": os.getcwd(), "env": dict(os.environ)}
report["uses"] = models.spec.__file__
with open(os.path.join(os.environ["SM_MODEL_DIR"], "report.json"), "w") as file:
    json.dump(report, file)
"""

_numbers = itertools.count()


def archive(path: Path, files: Mapping[str, str]) -> Path:
    """Write a .tar.gz with these files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content.encode())
            tar.addfile(member, io.BytesIO(content.encode()))
    return path


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Write these files under a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def package(script: str) -> dict[str, str]:
    """A submitted archive with the project's layout and this training script."""
    return {
        "training/train.py": script,
        "models/__init__.py": "",
        "models/spec.py": "",
        "training/__init__.py": "",
    }


@dataclass
class Training:
    """A training container with its lines."""

    container: TrainingContainer
    tree: Path
    lines: list[str]

    def finish(self) -> int:
        """Wait for the end; gives the exit code."""
        code = self.container.wait(WAIT_SECONDS)
        if code is None:
            self.container.stop(0)
        assert code is not None, "the job did not end: " + "\n".join(self.lines[-20:])
        return code

    @property
    def report(self) -> dict[str, Any]:
        """What REPORT wrote."""
        content: dict[str, Any] = json.loads((self.tree / "model" / "report.json").read_text())
        return content

    @property
    def text(self) -> str:
        """All output."""
        return "\n".join(self.lines)


def training(
    folder: Path, image: Image, files: Mapping[str, str], *, unpacked: bool = False, **changes: Any
) -> Training:
    """Start a job like the project's own: isolated, its code in the channel `code`."""
    tree = folder / f"t{next(_numbers)}"
    channel = tree / "input" / "data" / "code"
    if unpacked:
        write(channel, files)
    else:
        archive(channel / "code.tar.gz", files)
    submitted = "/opt/ml/input/data/code" + ("" if unpacked else "/code.tar.gz")
    hyperparameters = {"sagemaker_program": "training/train.py", "sagemaker_submit_directory": submitted}
    hyperparameters |= changes.pop("hyperparameters", {})
    spec = TrainingSpec(
        job_name="job-1",
        tree=tree,
        image=image,
        hyperparameters={name: value for name, value in hyperparameters.items() if value is not None},
        environment={},
        channels={"code": {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}},
        instance_type="ml.m5.large",
        instance_count=1,
        network_isolation=True,
        credentials=CREDENTIALS,
        region="us-east-1",
        endpoint_url="http://127.0.0.1:9",
    )
    lines: list[str] = []
    container = TrainingContainer(replace(spec, **changes), lines.append)
    container.start()
    return Training(container, tree, lines)


@dataclass
class Serving:
    """A serving container with its lines."""

    container: ServingContainer
    tree: Path
    lines: list[str]

    def wait_for(self, what: str, condition: Callable[[], Any]) -> None:
        """Wait until something is the case; fails with the last lines when the server ends before."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            tail = "\n".join(self.lines[-20:])
            assert self.container.alive(), f"the server ended before {what}:\n{tail}"
            assert time.monotonic() < deadline, f"{what} did not happen:\n{tail}"
            time.sleep(0.05)

    def wait_for_ping(self) -> None:
        """Wait until /ping is answered with 200.

        More patiently than the platform: a second ping while the first one loads would load once more.
        """
        self.wait_for("a ping was answered", lambda: self.container.ping(WAIT_SECONDS))

    def workers(self) -> int:
        """How many workers gunicorn says it has booted."""
        return sum("Booting worker" in line for line in self.lines)

    def ask(
        self, body: bytes = b"{}", timeout_seconds: float = 30.0, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """Invoke; header names with _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        status, answer, content = self.container.request("POST", "/invocations", body, named, timeout_seconds)
        return status, answer, content.decode()

    def get(self, path: str, timeout_seconds: float = 10.0) -> tuple[int, dict[str, str], bytes]:
        """GET a path."""
        return self.container.request("GET", path, b"", {}, timeout_seconds)

    def events(self, kind: str) -> list[int]:
        """Process ids that wrote down an event of this kind, in order."""
        try:
            lines = (self.tree / "events").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [int(line.split()[1]) for line in lines if line.split()[0] == kind]


def serving(
    folder: Path,
    image: Image,
    files: Mapping[str, str],
    environment: Mapping[str, str | None],
    **changes: Any,
) -> Serving:
    """Start a server like the project's own: isolated, its code in model/code, pip kept off the network."""
    tree = folder / f"s{next(_numbers)}"
    write(tree / "model" / "code", files)
    variables: dict[str, str | None] = {
        "SAGEMAKER_PROGRAM": "inference.serving",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "PIP_NO_BUILD_ISOLATION": "false",
        "PIP_NO_INDEX": "1",
        "EVENTS": "/opt/ml/events",
        **environment,
    }
    spec = ServingSpec(
        name="server",
        tree=tree,
        image=image,
        environment={name: value for name, value in variables.items() if value is not None},
        network_isolation=True,
        credentials=CREDENTIALS,
        region="us-east-1",
        endpoint_url="http://127.0.0.1:9",
    )
    lines: list[str] = []
    container = ServingContainer(replace(spec, **changes), lines.append)
    container.start()
    return Serving(container, tree, lines)


@contextmanager
def listener() -> Iterator[int]:
    """A port on the host that accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
