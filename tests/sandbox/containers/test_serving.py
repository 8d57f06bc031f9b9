"""The behaviours of a serving container that the project's code relies on, with the real server."""

from __future__ import annotations

import importlib.util
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from inference import waking
from sandbox.containers.isolation import isolation_mode
from sandbox.image import Image
from tests.sandbox.containers.running import Serving, serving

pytestmark = pytest.mark.image

NOTE = """
import os
def note(what):
    with open(os.environ["EVENTS"], "a") as file:
        file.write(f"{what} {os.getpid()}\\n")
"""

# Does what the request's header says, so that one server serves many tests.
OBEDIENT = """
import gevent.monkey, json, os, sys, tempfile, time
import flask
from inference.notes import note

note("import")
served = 0

def model_fn(model_dir):
    note("load")
    return {"model_dir": model_dir, "files": sorted(os.listdir(model_dir))}

def about(model, body, content_type, accept):
    return {
        "pid": os.getpid(), "served": served, "model": model, "file": __file__,
        "main": sys.modules["__main__"].__file__,
        "body": type(body).__name__, "text": body if isinstance(body, str) else repr(body),
        "content_type": content_type, "accept": accept, "temporary": tempfile.gettempdir(),
        "patched": gevent.monkey.is_module_patched("socket"), "headers": sorted(flask.request.headers.keys()),
    }

def transform_fn(model, body, content_type, accept):
    global served
    served += 1
    order = flask.request.headers.get("X-Order", "about")
    if order == "raise":
        raise ValueError("broken")
    if order == "refuse":
        return flask.Response('{"error": "no"}', 422, {"X-Own": "1"}, mimetype="application/json")
    if order == "tuple":
        return "a,b", "text/csv", 404
    if order == "text":
        return "plain"
    if order == "compute":
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            pass
    return json.dumps(about(model, body, content_type, accept)), "application/json"
"""

# One worker, slow to load, failing to load while a file exists.
MOODY = """
import os, time
import flask
from inference.notes import note

def model_fn(model_dir):
    note("load")
    time.sleep(0.3)
    if os.path.exists(os.path.join(model_dir, "broken")):
        raise OSError("the model cannot be read")
    return "model"

def transform_fn(model, body, content_type, accept):
    order = flask.request.headers.get("X-Order")
    if order == "raise":
        raise ValueError("predict is broken")
    note("asked")
    end = time.monotonic() + float(body)
    while time.monotonic() < end:
        if order == "sleep":
            time.sleep(0.05)
    note("served")
    return "done", "text/plain"
"""

DEFAULTS = """
class Model:
    def predict(self, rows):
        return rows.sum(axis=1)

def model_fn(model_dir):
    return Model()
"""


def code(module: str) -> dict[str, str]:
    return {"inference/__init__.py": "", "inference/notes.py": NOTE, "inference/serving.py": module}


@pytest.fixture(scope="module")
def server(folder: Path, image: Image) -> Iterator[Serving]:
    """A server with two workers that does what it is told; fresh: nobody has asked it anything."""
    server = serving(folder, image, code(OBEDIENT), {"SAGEMAKER_MODEL_SERVER_WORKERS": "2"})
    server.wait_for("both workers booted", lambda: server.workers() == 2)
    yield server
    server.container.stop(grace_seconds=0)


@pytest.fixture(scope="module")
def moody(folder: Path, image: Image) -> Iterator[Serving]:
    """A server with one worker and a timeout of three seconds, whose model cannot be loaded yet."""
    environment = {"SAGEMAKER_MODEL_SERVER_WORKERS": "1", "SAGEMAKER_MODEL_SERVER_TIMEOUT": "3"}
    server = serving(folder, image, code(MOODY), environment)
    (server.tree / "model" / "broken").touch()
    server.wait_for("the worker booted", lambda: server.workers() == 1)
    yield server
    server.container.stop(grace_seconds=0)


def about(server: Serving, body: bytes = b"{}", **headers: Any) -> dict[str, Any]:
    """What the obedient server says about a request."""
    status, _, text = server.ask(body, **headers)
    assert status == 200, text
    content: dict[str, Any] = json.loads(text)
    return content


def in_background(function: Callable[..., Any], *arguments: Any, **named: Any) -> Future[Any]:
    """Call in a thread."""
    with_result: Future[Any] = Future()
    threading.Thread(
        target=lambda: with_result.set_result(function(*arguments, **named)), daemon=True
    ).start()
    return with_result


def under_way(server: Serving, body: bytes, **headers: Any) -> Future[Any]:
    """Invoke in a thread; returns when the handler has begun."""
    before = len(server.events("asked"))
    request = in_background(server.ask, body, **headers)
    server.wait_for("the handler had begun", lambda: len(server.events("asked")) > before)
    return request


class TestAFreshServer:
    """In this order: what holds before the first request, at it, and after it."""

    def test_loads_nothing_at_boot(self, server: Serving) -> None:
        time.sleep(0.5)
        assert server.events("load") == []

    def test_imports_the_module_twice_in_the_parent(self, server: Serving) -> None:
        parent = server.events("import")
        assert len(parent) == 2
        assert len(set(parent)) == 1

    def test_loads_the_model_in_the_worker_of_the_first_request_only(self, server: Serving) -> None:
        server.wait_for_ping()
        assert len(server.events("load")) == 1
        assert server.events("import")[2:] == server.events("load")

    def test_leaves_the_second_worker_cold_until_it_is_asked(self, server: Serving) -> None:
        first = server.events("load")
        assert {about(server)["pid"] for _ in range(3)} <= set(server.events("load"))
        deadline = time.monotonic() + 30
        while server.events("load") == first and time.monotonic() < deadline:
            # While one worker computes, a request can only be taken by the other.
            busy = in_background(server.ask, X_Order="compute")
            time.sleep(0.2)
            about(server)
            busy.result(30)
        assert len(server.events("load")) == 2
        assert len(set(server.events("load"))) == 2


class TestTheCodeOfAServer:
    """Where the code goes and how it is installed."""

    def test_is_copied_from_the_model_and_imported_from_the_copy(self, server: Serving) -> None:
        assert Path(about(server)["file"]) == server.tree / "code" / "inference" / "serving.py"

    def test_gets_the_generated_build_files_in_the_copy_alone(self, server: Serving) -> None:
        generated = {"setup.py", "setup.cfg", "MANIFEST.in"}
        assert generated <= {path.name for path in (server.tree / "code").iterdir()}
        assert not generated & {path.name for path in (server.tree / "model" / "code").iterdir()}

    def test_is_really_built_and_installed_beside_the_shared_environment(
        self, server: Serving, image: Image
    ) -> None:
        assert any("Successfully built inference.serving" in line for line in server.lines)
        assert list(server.tree.glob(".run/venv/lib/python*/site-packages/inference/serving.py"))
        assert not list(image.site_packages.glob("inference*"))

    def test_runs_in_a_server_whose_main_program_is_gunicorn(self, server: Serving) -> None:
        assert Path(about(server)["main"]).name == "gunicorn"

    def test_sees_gevents_sockets_and_the_images_temporary_folder(self, server: Serving) -> None:
        seen = about(server)
        assert seen["patched"] is True
        assert seen["temporary"] == str(server.tree / ".run" / "tmp")

    def test_gets_the_model_folder_with_the_code_in_it(self, server: Serving) -> None:
        assert about(server)["model"] == {"model_dir": str(server.tree / "model"), "files": ["code"]}


class TestRequests:
    """What a handler gets and what becomes of its answer."""

    @pytest.mark.parametrize("content_type", ["text/csv", "application/json"])
    def test_two_content_types_arrive_as_text(self, server: Serving, content_type: str) -> None:
        seen = about(server, b"1,2", Content_Type=content_type)
        assert (seen["body"], seen["text"], seen["content_type"]) == ("str", "1,2", content_type)

    @pytest.mark.parametrize(
        "content_type", ["text/csv; charset=utf-8", "application/x-parquet", "text/plain"]
    )
    def test_any_other_content_type_arrives_as_bytes(self, server: Serving, content_type: str) -> None:
        assert about(server, b"1,2", Content_Type=content_type)["body"] == "bytes"

    def test_invalid_utf_8_is_replaced(self, server: Serving) -> None:
        assert about(server, b"a\xffb", Content_Type="text/csv")["text"] == "a\ufffdb"

    def test_missing_types_have_defaults(self, server: Serving) -> None:
        seen = about(server, b"{}")
        assert (seen["content_type"], seen["accept"]) == ("application/json", "application/json")

    @pytest.mark.parametrize(
        ("accept", "seen"), [("*/*", "application/json"), ("text/csv, a/b;q=0.5", "text/csv, a/b;q=0.5")]
    )
    def test_accept_is_passed_on_unless_it_is_anything(self, server: Serving, accept: str, seen: str) -> None:
        assert about(server, Accept=accept)["accept"] == seen

    def test_headers_arrive_but_those_with_underscores_vanish(self, server: Serving) -> None:
        headers = {"X-Amzn-SageMaker-Custom-Attributes": "a=1", "X_Lost": "1"}
        _, _, content = server.container.request("POST", "/invocations", b"{}", headers, 10)
        seen = json.loads(content)["headers"]
        assert "X-Amzn-Sagemaker-Custom-Attributes" in seen
        assert not [name for name in seen if "Lost" in name]

    def test_a_returned_response_keeps_its_status_and_headers(self, server: Serving) -> None:
        status, headers, text = server.ask(X_Order="refuse")
        assert (status, headers["X-Own"], text) == (422, "1", '{"error": "no"}')

    def test_an_exception_is_an_html_page_with_500(self, server: Serving) -> None:
        status, headers, text = server.ask(X_Order="raise")
        assert (status, headers["Content-Type"].split(";")[0]) == (500, "text/html")
        assert "broken" not in text

    def test_a_tuple_is_body_and_type_and_nothing_else(self, server: Serving) -> None:
        status, headers, text = server.ask(X_Order="tuple")
        assert (status, headers["Content-Type"], text) == (200, "text/csv; charset=utf-8", "a,b")

    def test_a_plain_string_is_html(self, server: Serving) -> None:
        status, headers, text = server.ask(X_Order="text")
        assert (status, headers["Content-Type"].split(";")[0], text) == (200, "text/html", "plain")

    def test_ping_is_empty_and_for_reading_only(self, server: Serving) -> None:
        assert server.get("/ping")[::2] == (200, b"")
        assert server.container.request("POST", "/ping", b"", {}, 10)[0] == 405

    def test_execution_parameters_exist_only_when_the_module_has_them(self, server: Serving) -> None:
        assert server.get("/execution-parameters")[0] == 404

    def test_other_paths_do_not_reach_the_server(self, server: Serving) -> None:
        assert server.get("/metrics")[::2] == (404, b"{}")

    def test_workers_are_processes_that_share_nothing(self, server: Serving) -> None:
        with ThreadPoolExecutor(8) as pool:
            busy = [pool.submit(server.ask, X_Order="compute") for _ in range(2)]
            answers = [pool.submit(about, server) for _ in range(8)]
            seen = [answer.result() for answer in answers] + [json.loads(one.result()[2]) for one in busy]
        per_worker = {
            pid: [one["served"] for one in seen if one["pid"] == pid] for pid in {one["pid"] for one in seen}
        }
        assert len(per_worker) == 2
        assert all(len(set(counts)) == len(counts) for counts in per_worker.values())

    def test_no_tcp_port_is_opened(self, server: Serving, image: Image) -> None:
        assert any(f"Listening at: unix:{server.tree}/.run/http.sock" in line for line in server.lines)
        if isolation_mode(image.python) == "host":
            pytest.skip("without a network of its own, its ports cannot be told from the host's")
        sockets = Path(f"/proc/{about(server)['pid']}/net/tcp").read_text().splitlines()[1:]
        assert sockets == []


class TestAMoodyServer:
    """In this order: a model that cannot be loaded, then can; a predict that fails, then one that hangs."""

    def test_a_failing_load_is_500_and_is_tried_again_each_time(self, moody: Serving) -> None:
        assert [moody.get("/ping")[0] for _ in range(2)] == [500, 500]
        assert len(moody.events("load")) == 2

    def test_concurrent_first_requests_load_more_than_once_in_one_worker(self, moody: Serving) -> None:
        (moody.tree / "model" / "broken").unlink()
        before = len(moody.events("load"))
        with ThreadPoolExecutor(3) as pool:
            statuses = list(pool.map(lambda _: moody.get("/ping")[0], range(3)))
        assert statuses == [200, 200, 200]
        assert len(moody.events("load")) - before > 1
        assert len(set(moody.events("load"))) == 1

    def test_ping_stays_200_when_predict_is_broken(self, moody: Serving) -> None:
        assert moody.ask(X_Order="raise")[0] == 500
        assert moody.get("/ping")[::2] == (200, b"")

    def test_a_computing_request_delays_ping_and_a_waiting_one_does_not(self, moody: Serving) -> None:
        computing = under_way(moody, b"1.2", X_Order="compute")
        assert moody.container.ping(timeout_seconds=0.5) is False
        assert computing.result(30)[0] == 200
        waiting = under_way(moody, b"1.8", X_Order="sleep")
        assert moody.container.ping(timeout_seconds=1.5) is True
        assert waiting.result(30)[0] == 200

    def test_a_caller_less_patient_than_the_server_gives_up_by_itself(self, moody: Serving) -> None:
        with pytest.raises(TimeoutError):
            moody.ask(b"0.6", timeout_seconds=0.2, X_Order="sleep")

    def test_a_request_over_the_timeout_is_504_and_its_worker_is_replaced_cold(self, moody: Serving) -> None:
        loads, booted = len(moody.events("load")), moody.workers()
        assert moody.ask(b"60", X_Order="compute")[0] == 504
        moody.wait_for("the worker was replaced", lambda: moody.workers() > booted)
        moody.wait_for_ping()
        assert len(moody.events("load")) > loads
        assert moody.events("load")[-1] != moody.events("load")[0]

    def test_stopping_lets_the_request_under_way_finish(self, moody: Serving) -> None:
        served = len(moody.events("served"))
        request = under_way(moody, b"1.0", X_Order="sleep")
        moody.container.stop(grace_seconds=20.0)
        assert request.result(5)[::2] == (200, "done")
        assert len(moody.events("served")) == served + 1
        assert not moody.container.alive()
        assert moody.get("/ping")[0] == 502


@pytest.fixture(scope="module")
def doomed(folder: Path, image: Image) -> Iterator[dict[str, Serving]]:
    """Servers that cannot start, side by side to save time."""
    without_switch = {"PIP_NO_BUILD_ISOLATION": None, "PIP_NO_INDEX": None, "PIP_RETRIES": "0"}
    servers = {
        "slash": serving(folder, image, code(DEFAULTS), {"SAGEMAKER_PROGRAM": "inference/serving.py"}),
        "no switch": serving(folder, image, code(DEFAULTS), without_switch),
    }
    yield servers
    for server in servers.values():
        server.container.stop(grace_seconds=0)


def test_without_the_pip_switch_and_without_network_the_server_ends_with_1(
    doomed: dict[str, Serving],
) -> None:
    server = doomed["no switch"]
    assert server.container.wait(60) == 1, "\n".join(server.lines)
    assert any("InstallModuleError" in line for line in server.lines)
    assert server.workers() == 0


def test_a_slash_in_the_programs_name_is_a_failure_at_the_start(doomed: dict[str, Serving]) -> None:
    server = doomed["slash"]
    assert server.container.wait(60) == 1, "\n".join(server.lines)
    assert any("No module named 'inference/serving'" in line for line in server.lines)


@pytest.fixture(scope="module")
def plain(folder: Path, image: Image) -> Iterator[Serving]:
    """A server with the toolkit's own handlers and as many workers as it likes."""
    files = code(DEFAULTS + "\ndef execution_parameters_fn():\n    return '{}'\n")
    server = serving(folder, image, files, {})
    server.wait_for_ping()
    yield server
    server.container.stop(grace_seconds=0)


def test_there_is_one_worker_per_processor_by_default(plain: Serving) -> None:
    plain.wait_for("all workers booted", lambda: plain.workers() == os.cpu_count())


def test_the_default_handlers_read_csv_predict_and_write_json(plain: Serving) -> None:
    status, headers, text = plain.ask(b"1,2\n3,4\n", Content_Type="text/csv", Accept="application/json")
    assert (status, headers["Content-Type"], json.loads(text)) == (200, "application/json", [3.0, 7.0])


def test_execution_parameters_are_the_modules_own(plain: Serving) -> None:
    assert plain.get("/execution-parameters")[::2] == (200, b"{}")


@pytest.mark.parametrize(
    ("files", "program"),
    [
        ({"inference/__init__.py": "", "inference.py": DEFAULTS}, "inference.py"),
        (code(DEFAULTS + "\ndef transform_fn(*a): ...\ndef predict_fn(*a): ...\n"), "inference.serving"),
    ],
    ids=["a package beats a module of its name", "two ways to predict exclude each other"],
)
def test_a_server_without_usable_handlers_comes_up_and_answers_500(
    folder: Path, image: Image, files: dict[str, str], program: str
) -> None:
    environment = {"SAGEMAKER_PROGRAM": program, "SAGEMAKER_MODEL_SERVER_WORKERS": "1"}
    server = serving(folder, image, files, environment)
    try:
        server.wait_for("the worker booted", lambda: server.workers() == 1)
        assert server.get("/ping")[0] == 500
    finally:
        server.container.stop(grace_seconds=0)


# Loads as a model does: computing, so that this worker takes no other request meanwhile.
WAKING = """
import time
from inference import waking
from inference.notes import note

def model_fn(model_dir):
    woken = waking.wake_others()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        pass
    note("load")
    return woken

def transform_fn(model, body, content_type, accept):
    return "ok", "text/csv"
"""


def test_one_ping_warms_every_worker_of_the_projects_own_server(folder: Path, image: Image) -> None:
    files = code(WAKING) | {"inference/waking.py": Path(waking.__file__).read_text()}
    server = serving(folder, image, files, {"SAGEMAKER_MODEL_SERVER_WORKERS": "3"})
    try:
        server.wait_for_ping()
        server.wait_for("all workers are warm", lambda: len(set(server.events("load"))) == 3)
        assert len(server.events("load")) == 3
    finally:
        server.container.stop(grace_seconds=0)


def test_the_glue_is_the_images_and_not_the_projects() -> None:
    assert importlib.util.find_spec("sagemaker_sklearn_container") is None
