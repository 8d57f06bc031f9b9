"""A container's process and its family: output, ends, and that nobody is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.containers.process import MAX_LINE_BYTES, ContainerProcess

PYTHON = Path(sys.executable)
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
REPOSITORY = Path(__file__).parents[3]

# Starts a child in a session of its own, which would outlive it, and says its number.
LEAVES_SOMEBODY = """
import subprocess, sys, time
child = subprocess.Popen(["sleep", "300"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(float(sys.argv[1]))
"""


@pytest.fixture
def lines() -> list[str]:
    return []


Run = Callable[..., ContainerProcess]


@pytest.fixture
def run(tmp_path: Path, lines: list[str]) -> Run:
    """Start a Python program, given as text, as a container's process."""

    def start(program: str, *arguments: str) -> ContainerProcess:
        process = ContainerProcess(
            [sys.executable, "-c", program, *arguments],
            environment=ENVIRONMENT,
            cwd=tmp_path,
            python=PYTHON,
            network="host",
            on_line=lines.append,
        )
        process.start()
        return process

    return start


def alive(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def first_line(lines: list[str]) -> str:
    deadline = time.monotonic() + 10
    while not lines:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return lines[0]


def test_both_outputs_arrive_line_by_line_before_the_wait_is_over(run: Run, lines: list[str]) -> None:
    process = run(
        "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.stdout.write('last')"
    )
    assert process.wait(10) == 0
    assert sorted(lines) == ["err", "last", "out"]


def test_output_that_is_not_text_does_not_end_the_reading(run: Run, lines: list[str]) -> None:
    process = run("import sys; sys.stdout.buffer.write(b'a\\xff\\r\\nb\\n')")
    assert process.wait(10) == 0
    assert lines == ["a\ufffd", "b"]


def test_output_without_an_end_of_line_comes_in_pieces(run: Run, lines: list[str]) -> None:
    process = run("print('x' * 2_500_000, end='')")
    assert process.wait(10) == 0
    assert [len(line) for line in lines] == [MAX_LINE_BYTES, MAX_LINE_BYTES, 2_500_000 - 2 * MAX_LINE_BYTES]


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_a_process_whose_name_is_no_text_is_stopped_like_any_other(run: Run, lines: list[str]) -> None:
    process = run(
        "import ctypes, signal, sys, time\n"
        "ctypes.CDLL(None).prctl(15, b'\\xff\\xfe', 0, 0, 0)\n"  # PR_SET_NAME
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    assert first_line(lines) == "ready"
    process.stop(5)
    assert process.exit_code == 7


def test_a_listener_that_fails_does_not_stop_the_container(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_line: str) -> None:
        raise ValueError("no room")

    process = ContainerProcess(
        [sys.executable, "-c", "print(('x' * 999 + '\\n') * 500)"],
        environment=ENVIRONMENT,
        cwd=tmp_path,
        python=PYTHON,
        network="host",
        on_line=refuse,
    )
    process.start()
    assert process.wait(10) == 0
    assert "was not taken" in caplog.text


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import sys; sys.exit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("import os; os.abort()", 134),
    ],
)
def test_the_exit_code_is_the_commands(run: Run, program: str, code: int) -> None:
    assert run(program).wait(10) == code


def test_a_command_that_does_not_exist_is_127(tmp_path: Path, lines: list[str]) -> None:
    process = ContainerProcess(
        ["nowhere"],
        environment=ENVIRONMENT,
        cwd=tmp_path,
        python=PYTHON,
        network="host",
        on_line=lines.append,
    )
    process.start()
    assert process.wait(10) == 127
    assert lines == ["exec: nowhere: No such file or directory"]


def test_waiting_is_over_when_the_time_is(run: Run) -> None:
    process = run("import time; time.sleep(60)")
    assert process.wait(0.1) is None
    assert process.alive()
    process.stop(0)
    assert process.exit_code == 137


def test_a_process_starts_once(run: Run) -> None:
    process = run("pass")
    with pytest.raises(RuntimeError, match="starts once"):
        process.start()
    process.wait(10)


def test_sigterm_reaches_a_command_that_handles_it(run: Run, lines: list[str]) -> None:
    process = run(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    first_line(lines)
    process.stop(grace_seconds=10)
    assert process.exit_code == 5


@pytest.mark.skipif(sys.platform != "linux", reason="the rule is read from /proc")
def test_sigterm_is_not_noticed_by_a_command_without_a_handler(run: Run, lines: list[str]) -> None:
    process = run("import time; print('ready', flush=True); time.sleep(0.6)")
    first_line(lines)
    process.stop(grace_seconds=10)
    assert process.exit_code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are only handed over on Linux")
class TestNobodyIsLeftBehind:
    def test_when_the_command_ends(self, run: Run, lines: list[str]) -> None:
        process = run(LEAVES_SOMEBODY, "0")
        assert process.wait(10) == 0
        assert not alive(int(first_line(lines)))

    def test_when_the_container_is_stopped(self, run: Run, lines: list[str]) -> None:
        process = run(LEAVES_SOMEBODY, "60")
        child = int(first_line(lines))
        assert alive(child)
        process.stop(grace_seconds=0)
        assert not alive(child)

    def test_when_the_sandbox_is_killed(self, tmp_path: Path) -> None:
        sandbox = (
            "import sys, time\n"
            "from pathlib import Path\n"
            "from sandbox.containers.process import ContainerProcess\n"
            "python = Path(sys.executable)\n"
            "command = [sys.executable, '-c', sys.argv[1], '60']\n"
            "say = lambda line: print(line, flush=True)\n"
            "process = ContainerProcess(\n"
            "    command, environment={}, cwd=Path('/'), python=python, network='host', on_line=say)\n"
            "process.start()\n"
            "time.sleep(60)\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", sandbox, LEAVES_SOMEBODY],
            env=dict(os.environ) | {"PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            child = int(process.stdout.readline())
            assert alive(child)
            process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while alive(child):
            assert time.monotonic() < deadline, "the container outlived the sandbox"
            time.sleep(0.02)
