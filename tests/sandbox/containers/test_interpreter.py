"""Finding the image's Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sandbox.containers import interpreter
from sandbox.containers.interpreter import ImageError, Interpreter, find_interpreter, probe

TWELVE = "#!/bin/sh\necho 3 12 7 {path}\n"
BROKEN_SHIM = "#!/bin/sh\necho 'python3.12: command not found' >&2\nexit 127\n"


def command(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text.format(path=path))
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def _nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any Python 3.12, whose uv finds and fetches none."""
    monkeypatch.delenv(interpreter.OVERRIDE, raising=False)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    uv = command(tmp_path / "uv", "uv", "#!/bin/sh\necho 'error: no network' >&2\nexit 2\n")
    monkeypatch.setattr(interpreter, "find_uv", lambda: uv)


def test_the_one_asked_for_is_taken_whatever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(interpreter.OVERRIDE, sys.executable)
    assert find_interpreter().version == sys.version_info[:3]


def test_asking_for_one_that_does_not_run_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(interpreter.OVERRIDE, "/no/python")
    with pytest.raises(ImageError, match="UPKEEP_IMAGE_PYTHON=/no/python does not run"):
        find_interpreter()


def test_a_broken_shim_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = command(tmp_path / "shims", "python3.12", BROKEN_SHIM)
    real = command(tmp_path / "pyenv" / "versions" / "3.12.7" / "bin", "python3.12", TWELVE)
    monkeypatch.setenv("PATH", f"{shim.parent}:/usr/bin:/bin")
    assert probe(shim) is None
    assert find_interpreter() == Interpreter(path=real, version=(3, 12, 7))


def test_uv_is_asked_without_shims_on_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = command(tmp_path / "managed", "python3.12", TWELVE)
    uv = command(tmp_path / "uv", "uv", f'#!/bin/sh\ncase "$PATH" in *shims*) exit 2;; esac\necho {real}\n')
    shim = command(tmp_path / "shims", "python3.12", BROKEN_SHIM)
    monkeypatch.setenv("PATH", f"{shim.parent}:/usr/bin:/bin")
    monkeypatch.setattr(interpreter, "find_uv", lambda: uv)
    assert find_interpreter().path == real


def test_one_on_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = command(tmp_path / "bin", "python3.12", TWELVE)
    monkeypatch.setenv("PATH", f"{real.parent}:/usr/bin:/bin")
    assert find_interpreter().path == real


def test_without_any_the_running_one_is_taken_and_the_reason_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "IMAGE_PYTHON", (3, 99))
    said: list[str] = []
    found = find_interpreter(said.append)
    assert found.version == sys.version_info[:3]
    assert said[-1] == "uv could not fetch Python 3.12: error: no network"
    assert found.gaps[0].startswith(f"Python {found.version_text} instead of 3.12")


def test_the_images_python_has_no_gap() -> None:
    assert Interpreter(path=Path("/p"), version=(3, 12, 1)).gaps == ()


def test_a_virtual_environments_interpreter_gives_the_one_behind_it() -> None:
    found = probe(sys.executable)
    assert found is not None
    assert not (found.path.parent.parent / "pyvenv.cfg").exists()
