"""A processing job that starts the image's own server, as the check of a release does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.containers.processing import ProcessingContainer
from sandbox.containers.requests import ProcessingRequest
from sandbox.image import Image
from tests.sandbox.containers.running import WAIT_SECONDS, write

pytestmark = pytest.mark.image

# Starts `serve`, asks it, and writes down which addresses its port listens on.
JOB = """
import json, os, pathlib, socket, subprocess, sys, time, urllib.request

with socket.socket() as found:
    found.bind(("127.0.0.1", 0))
    port = found.getsockname()[1]
own = {"SAGEMAKER_BIND_TO_PORT": str(port), "SAGEMAKER_MODEL_SERVER_WORKERS": "1"}
server = subprocess.Popen(["serve"], env={**os.environ, **own})
deadline = time.monotonic() + 50
while True:
    try:
        body = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", data=b"hello")
        answer = urllib.request.urlopen(body, timeout=20).read().decode()
        break
    except OSError:
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit("the server did not answer")
        time.sleep(0.1)
listening = []
for table in ("tcp", "tcp6"):
    for line in pathlib.Path("/proc/net", table).read_text().splitlines()[1:]:
        address, state = line.split()[1], line.split()[3]
        if state == "0A" and int(address.rpartition(":")[2], 16) == port:
            listening.append(address.rpartition(":")[0])
pathlib.Path(sys.argv[1], "found.json").write_text(json.dumps({"answer": answer, "listening": listening}))
"""
SERVE = """
def model_fn(model_dir):
    return "model"

def transform_fn(model, body, content_type, accept):
    return f"{model} got {body.decode() if isinstance(body, bytes) else body}", "text/plain"
"""


@pytest.mark.parametrize("isolated", [True, False])
def test_a_job_may_start_a_server_that_listens_on_this_machine_alone(
    folder: Path, image: Image, isolated: bool
) -> None:
    tree = folder / f"p-{isolated}"
    code = {"inference/__init__.py": "", "inference/serving.py": SERVE}
    write(tree / "model" / "code", code)
    write(tree / "processing", {"job.py": JOB, "out/.keep": ""})
    lines: list[str] = []
    request = ProcessingRequest(
        job_name="job",
        tree=tree,
        environment={
            "PIP_NO_BUILD_ISOLATION": "false",
            "PIP_NO_INDEX": "1",
            "SAGEMAKER_PROGRAM": "inference.serving",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        },
        network_isolation=isolated,
        credentials=None,
        region="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        entrypoint=["python3", "/opt/ml/processing/job.py"],
        arguments=["/opt/ml/processing/out"],
    )
    container = ProcessingContainer(request, image, lines.append)
    container.start()
    try:
        assert container.wait(WAIT_SECONDS) == 0, "\n".join(lines[-20:])
    finally:
        container.stop(0)
    found = json.loads((tree / "processing" / "out" / "found.json").read_text())
    assert found == {"answer": "model got hello", "listening": ["0100007F"]}  # 127.0.0.1
