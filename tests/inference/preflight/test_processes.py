"""The two processes of a check, with small stand-ins for the image's programs."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug.wrappers import Response

from inference.preflight import champion, main
from inference.preflight.outcome import Outcome
from inference.preflight.recorded import Recorded
from inference.preflight.rival import Rival, RivalError
from inference.preflight.server import Server, ServerError
from inference.preflight.settings import Folders
from inference.preflight.unpack import UnpackError, unpack
from tests.inference.preflight.running import requests, tarball
from tests.inference.preflight.test_result import SETTINGS

# Starts a child as gunicorn does, and answers with the status that a file holds.
SERVE = """#!{python}
import http.server, os, pathlib, subprocess, sys, time
{before}
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
pathlib.Path({folder!r}, "child").write_text(str(child.pid))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"" if self.path == "/ping" else self.rfile.read(int(self.headers.get("Content-Length", 0)))
        {answer}
        self.send_response({status})
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET

http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""

Make = Callable[..., Server]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes servers whose `serve` is the stand-in; all of them have ended afterwards."""
    made: list[Server] = []
    (tmp_path / "bin").mkdir()

    def server(before: str = "", answer: str = "pass", status: str = "200") -> Server:
        script = tmp_path / "bin" / "serve"
        text = SERVE.format(
            python=sys.executable, folder=str(tmp_path), before=before, answer=answer, status=status
        )
        script.write_text(text)
        script.chmod(0o755)
        made.append(Server({"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}, tmp_path / "log"))
        return made[-1]

    yield server
    for one in made:
        one.stop()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


class TestTheServer:
    def test_is_ready_at_its_first_good_ping_and_answers(self, make: Make) -> None:
        server = make()
        server.start()
        assert 0 < server.wait_until_ready(20) < 20
        reply = server.ask(Recorded(b"hello", "text/csv"))
        assert (reply.status, reply.body, reply.content_type) == (200, b"hello", "text/plain")
        assert reply.milliseconds > 0

    def test_is_stopped_with_all_it_started(self, make: Make, tmp_path: Path) -> None:
        server = make()
        server.start()
        server.wait_until_ready(20)
        child = int((tmp_path / "child").read_text())
        assert is_running(child)
        server.stop()
        server.stop()
        deadline = time.monotonic() + 5
        while is_running(child) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not is_running(child)
        assert server.ask(Recorded(b"")).status == 0

    def test_that_ends_is_told_with_its_exit_code_and_the_error_it_named(self, make: Make) -> None:
        server = make(before="print('ValueError: no such model'); print('bye'); sys.exit(3)")
        server.start()
        with pytest.raises(ServerError, match="exit code 3 before it answered: ValueError: no such model"):
            server.wait_until_ready(20)

    def test_that_answers_pings_with_an_error_is_given_up_after_some(self, make: Make) -> None:
        server = make(status="503")
        server.start()
        with pytest.raises(ServerError, match="answers /ping with 503"):
            server.wait_until_ready(20)

    def test_that_never_listens_is_given_up_when_the_time_is_over(self, make: Make) -> None:
        server = make(before="time.sleep(60)")
        server.start()
        with pytest.raises(ServerError, match=r"did not answer /ping within 0\.5 s$"):
            server.wait_until_ready(0.5)

    def test_that_does_not_answer_in_time_gives_no_status(self, make: Make) -> None:
        server = make(answer="time.sleep(60 if self.path != '/ping' else 0)")
        server.start()
        server.wait_until_ready(20)
        reply = server.ask(Recorded(b"x"), seconds=0.2)
        assert (reply.status, reply.words) == (0, "no answer: nothing within 0.2 s")

    def test_gets_one_worker_and_a_port_of_its_own(self, make: Make) -> None:
        first, second = make(), make()
        assert first.port != second.port
        assert first._environment["SAGEMAKER_MODEL_SERVER_WORKERS"] == "1"

    def test_without_a_program_to_start_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(ServerError, match="cannot start its server"):
            Server({"PATH": str(tmp_path)}, tmp_path / "log").start()


class TestTheOtherVersion:
    CODE = """
from werkzeug.wrappers import Response
import json, os
def model_fn(folder):
    return float(open(folder + "/factor").read())
def transform_fn(model, body, kind, accept):
    size = json.loads(body)["instances"][0]["size"]
    if size > 0.5:
        return Response("too large", 422)
    return Response(json.dumps({"predictions": [{"score": model * size}]}), 200, content_type=accept)
"""

    def version(self, folder: Path, code: str = CODE) -> Path:
        model = folder / "model"
        (model / "code" / "inference").mkdir(parents=True)
        (model / "code" / "inference" / "__init__.py").write_text("")
        (model / "code" / "inference" / "serving.py").write_text(code)
        (model / "factor").write_text("2")
        return model

    def rival(self, folder: Path, model: Path, *sizes: float) -> Rival:
        lines = folder / "requests.jsonl"
        lines.write_text("".join(request.line() for request in requests(*sizes)))
        return Rival(model, lines, folder, dict(os.environ) | {"SAGEMAKER_PROGRAM": "inference.serving"})

    def test_answers_with_its_own_code(self, tmp_path: Path) -> None:
        found = self.rival(tmp_path, self.version(tmp_path), 0.25, 0.75).replies(20)
        assert [reply.status for reply in found] == [200, 422]
        assert json.loads(found[0].body) == {"predictions": [{"score": 0.5}]}
        assert found[0].content_type == "application/json"

    def test_that_cannot_be_imported_is_told(self, tmp_path: Path) -> None:
        rival = self.rival(tmp_path, self.version(tmp_path, "import nothing_like_this"), 0.1)
        with pytest.raises(RivalError, match="exit code 1: ModuleNotFoundError: No module named"):
            rival.replies(20)

    def test_that_answers_nothing_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(RivalError, match="none of the requests; the first: 422: too large"):
            self.rival(tmp_path, self.version(tmp_path), 0.9).replies(20)

    def test_that_hangs_is_given_up_and_stopped(self, tmp_path: Path) -> None:
        rival = self.rival(tmp_path, self.version(tmp_path, "import time\ntime.sleep(60)"), 0.1)
        with pytest.raises(RivalError, match="did not answer all requests"):
            rival.replies(0.3)
        rival.stop()
        assert rival._process.poll() is not None


class TestAReplyAsTheContainerMakesIt:
    def reply(self, transform: Callable[..., Any], **request: str) -> dict[str, Any]:
        module = SimpleNamespace(transform_fn=transform)
        given = {"content_type": "application/json", "accept": "text/csv", "body": "{}"} | request
        return champion.answer(module, None, given)

    @pytest.mark.parametrize(
        ("kind", "given"),
        [("application/json", "é"), ("text/csv", "é"), ("text/csv; header=absent", b"\xc3\xa9")],
    )
    def test_the_body_is_text_for_exactly_two_types(self, kind: str, given: str | bytes) -> None:
        seen: list[Any] = []

        def transform(*arguments: Any) -> str:
            seen.append(arguments)
            return "answer"

        assert self.reply(transform, content_type=kind, body="é")["status"] == 200
        assert seen == [(None, given, kind, "text/csv")]

    def test_a_pair_is_a_body_and_its_type_and_an_exception_is_500(self) -> None:
        assert self.reply(lambda *_: ("a,b", "text/csv", 404))["status"] == 200
        assert self.reply(lambda *_: Response("no", 415))["status"] == 415
        assert self.reply(lambda *_: 1 / 0)["status"] == 500


class TestUnpacking:
    def test_everything_of_the_archive_is_there(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(tarball({"model.joblib": "m", "code/inference/serving.py": "s"}))
        unpack(tmp_path / "a", tmp_path / "out")
        assert (tmp_path / "out/code/inference/serving.py").read_text() == "s"

    def test_nothing_leaves_its_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(tarball({"../escaped": "x"}))
        with pytest.raises(UnpackError, match="no readable model archive"):
            unpack(tmp_path / "a", tmp_path / "out")
        assert not (tmp_path / "escaped").exists()

    def test_what_unpacks_to_too_much_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("inference.preflight.unpack.MAX_UNPACKED_BYTES", 10)
        (tmp_path / "a").write_bytes(tarball({"model.joblib": "x" * 11}))
        with pytest.raises(UnpackError, match="unpacks to more than 10 bytes"):
            unpack(tmp_path / "a", tmp_path / "out")


def test_a_report_that_cannot_be_drawn_holds_no_result_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_document: Any) -> str:
        raise ValueError("<axis>")

    monkeypatch.setattr("inference.preflight.report.render", broken)
    folders = Folders(tmp_path)
    main._write(Outcome(passed=True, reason="fine").to_dict(SETTINGS), folders)
    assert json.loads((folders.output / "check.json").read_text())["passed"] is True
    assert "ValueError(&#x27;&lt;axis&gt;&#x27;)" in (folders.output / "check.html").read_text()


def test_paths_of_the_container_lead_below_the_root_of_this_one() -> None:
    folders = Folders(Path("/tree"))
    given = {"A": "/opt/ml/model/code", "B": "s3://b/opt/ml/x", "C": "1"}
    assert folders.moved(given) == {"A": "/tree/model/code", "B": "s3://b/opt/ml/x", "C": "1"}
    assert Folders(Path("/opt/ml")).moved(given) == given
    assert folders.input == Path("/tree/processing/input")
