"""The container's two functions: one model per worker, and a response for every request."""

import json
import shutil
import sys
import threading
from types import ModuleType

import pytest

from inference import responses, serving
from training import artifact
from training.errors import ArtifactError


@pytest.fixture(autouse=True)
def _no_model_yet(monkeypatch):
    monkeypatch.setattr(serving, "_loaded", {})


class Response:
    """What Flask's class does with its arguments, for an environment without Flask."""

    def __init__(self, body, status, headers, content_type):
        self.body, self.status, self.headers, self.content_type = body, int(status), headers, content_type


@pytest.fixture
def response(monkeypatch):
    module = ModuleType("flask")
    module.Response = Response
    monkeypatch.setitem(sys.modules, "flask", module)
    responses._response.cache_clear()
    yield
    responses._response.cache_clear()


def test_the_first_requests_of_a_worker_load_the_model_once(model_dirs, monkeypatch):
    loads = []
    original = artifact.load

    def slow(folder, passport_sha256):
        loads.append(folder)
        threading.Event().wait(0.05)
        return original(folder, passport_sha256)

    monkeypatch.setattr(artifact, "load", slow)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(serving.model_fn(str(model_dirs["binary"]))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert len(set(map(id, found))) == 1


def test_a_model_that_was_changed_is_not_served_and_is_tried_again(model_dirs, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_dirs["binary"], folder)
    good = (folder / "features.json").read_text()
    (folder / "features.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"features\.json"):
        serving.model_fn(str(folder))
    (folder / "features.json").write_text(good)
    assert serving.model_fn(str(folder)) is serving.model_fn(str(folder))


@pytest.mark.parametrize(("body", "status"), [("a,x,1,true", 200), ("a", 400)])
def test_every_request_gets_a_response_with_its_own_status(model_dirs, response, body, status):
    model = serving.model_fn(str(model_dirs["binary"]))
    answer = serving.transform_fn(model, body, "text/csv", "application/json")
    assert (answer.status, answer.content_type) == (status, "application/json")
    assert answer.headers["X-Amzn-SageMaker-Custom-Attributes"] == "model=toy;run=run-binary"
    assert ("predictions" in json.loads(answer.body)) == (status == 200)
