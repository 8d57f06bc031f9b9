"""Cutting a container off from the network."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.containers import isolation
from sandbox.containers.isolation import isolation_mode, mount_mode
from sandbox.containers.process import ContainerProcess
from tests.sandbox.containers.running import listener

PYTHON = Path(sys.executable)

CONNECTS = """
import socket, sys
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=2).close()
    print("connected")
except OSError:
    print("refused")
with socket.create_server(("127.0.0.1", 0)) as own:
    socket.create_connection(own.getsockname(), timeout=2).close()
    print("own loopback works")
"""


@pytest.fixture(autouse=True)
def _ask_the_platform_again() -> Iterator[None]:
    for asked in (isolation_mode, mount_mode):
        asked.cache_clear()
    yield
    for asked in (isolation_mode, mount_mode):
        asked.cache_clear()


def outcome(mode: isolation.Mode, folder: Path) -> list[str]:
    lines: list[str] = []
    with listener() as port:
        process = ContainerProcess(
            [sys.executable, "-c", CONNECTS, str(port)],
            environment={},
            cwd=folder,
            python=PYTHON,
            network=mode,
            on_line=lines.append,
        )
        process.start()
        assert process.wait(20) == 0, lines
    return lines


def test_a_container_on_the_hosts_network_reaches_the_host(tmp_path: Path) -> None:
    assert outcome("host", tmp_path)[0] == "connected"


@pytest.mark.parametrize("mode", ["root", "user"])
def test_an_isolated_container_reaches_its_own_loopback_alone(mode: isolation.Mode, tmp_path: Path) -> None:
    if not isolation._works(PYTHON, mode, "none"):
        pytest.skip(f"this platform does not allow it as {mode}")
    assert outcome(mode, tmp_path) == ["refused", "own loopback works"]


def test_the_platform_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def works(_python: Path, mode: isolation.Mode, _mount: isolation.Mount) -> bool:
        asked.append(mode)
        return True

    monkeypatch.setattr(isolation, "_works", works)
    assert {isolation_mode(PYTHON) for _ in range(3)} <= {"root", "user"}
    assert len(asked) == 1


def test_a_platform_that_refuses_leaves_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "SUPERVISOR", Path("/nonexistent.py"))
    assert isolation_mode(PYTHON) == "host"
    assert mount_mode(PYTHON) == "none"


@pytest.mark.parametrize("mount", ["root", "user"])
def test_a_container_sees_its_tree_at_the_images_place_and_the_host_does_not(
    mount: isolation.Mount, tmp_path: Path
) -> None:
    if not isolation._works(PYTHON, "host", mount):
        pytest.skip(f"this platform does not allow it as {mount}")
    (tmp_path / "mine").write_text("mine")
    before = sorted(path.name for path in Path("/opt").iterdir())
    lines: list[str] = []
    process = ContainerProcess(
        [sys.executable, "-c", "import os; print(open('/opt/ml/mine').read(), *sorted(os.listdir('/opt')))"],
        environment={"SAGEMAKER_BASE_DIR": str(tmp_path)},
        cwd=tmp_path,
        python=PYTHON,
        network="host",
        mount=mount,
        on_line=lines.append,
    )
    process.start()
    assert process.wait(20) == 0, lines
    assert lines[0].split() == ["mine", *sorted({*before, "ml"})]
    assert sorted(path.name for path in Path("/opt").iterdir()) == before
    assert (tmp_path / "mine").exists()
