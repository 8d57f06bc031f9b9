"""The image environment: what is in it, and that it is made once and whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from sandbox import image as module
from sandbox.containers.interpreter import ImageError, Interpreter
from sandbox.image import Image, ensure, read_pins

INTERPRETER = Interpreter(path=Path("/usr/bin/python3.12"), version=(3, 12, 1))
OTHER = Interpreter(path=Path("/usr/bin/python3.13"), version=(3, 13, 0))


class FakeUv:
    """Answers like uv: `venv` makes folders, a package of `missing` has no wheel in that version."""

    def __init__(self, missing: dict[str, str] | None = None) -> None:
        self.missing = missing or {}
        self.calls: list[list[str]] = []

    def run(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        self.calls.append([str(part) for part in command])
        if "venv" in command:
            root = Path(command[-1])
            toolkit = root / "lib" / "python3.12" / "site-packages" / "sagemaker_containers"
            toolkit.mkdir(parents=True)
            (root / "bin").mkdir()
            (root / "bin" / "python").touch()
            (toolkit / "_mapping.py").write_text("import collections\nclass A(collections.Mapping): ...\n")
        wanted = command[-1]
        failed = wanted in self.missing
        stderr = (
            f"no wheel for {wanted}"
            if failed
            else f"Would install 1 package\n + {wanted.replace('<=', '==')}\n"
        )
        for pin, nearest in self.missing.items():
            if wanted == pin.replace("==", "<="):
                stderr = f"Would install 1 package\n + {nearest}\n"
        return subprocess.CompletedProcess(command, int(failed), "", stderr)

    def installed(self) -> list[str]:
        """The packages of the real installs."""
        return [
            part
            for call in self.calls
            if "install" in call and "--dry-run" not in call
            for part in call
            if "==" in part
        ]


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeUv:
    fake = FakeUv()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", fake.run)
    monkeypatch.setattr(module, "find_interpreter", lambda _report: INTERPRETER)
    return fake


def test_every_package_is_pinned_exactly() -> None:
    pins = read_pins()
    assert pins["scikit-learn"] == "1.9.0"
    assert (pins["sagemaker-training"], pins["sagemaker-containers"]) == ("4.8.0", "2.8.6.post2")
    assert all(version[0].isdigit() and "*" not in version for version in pins.values())


def test_an_environment_that_is_there_is_not_built_again(uv: FakeUv) -> None:
    first = ensure()
    calls = len(uv.calls)
    assert ensure() == first
    assert len(uv.calls) == calls


def test_concurrent_calls_build_it_once(uv: FakeUv) -> None:
    found: list[Image] = []
    threads = [threading.Thread(target=lambda: found.append(ensure())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert len(set(found)) == 1
    assert sum("venv" in call for call in uv.calls) == 1


def test_a_half_built_environment_is_built_again(uv: FakeUv) -> None:
    image = ensure()
    (image.root / ".complete").unlink()
    leftover = image.root / "leftover"
    leftover.touch()
    assert ensure() == image
    assert not leftover.exists()


def test_an_environment_whose_interpreter_is_gone_is_built_again(uv: FakeUv) -> None:
    image = ensure()
    image.python.unlink()
    image.python.symlink_to("/no/python")
    assert ensure().python.exists()


def test_another_interpreter_has_another_environment(uv: FakeUv, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ensure()
    monkeypatch.setattr(module, "find_interpreter", lambda _report: OTHER)
    assert ensure().root != first.root


def test_a_failing_step_says_what_uv_said_and_leaves_nothing_that_counts(
    uv: FakeUv, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "error: no space left")

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(
        ImageError, match=r"could not create the environment of the image .*\nerror: no space left"
    ):
        ensure()
    monkeypatch.setattr(subprocess, "run", uv.run)
    assert ensure().gaps == ()


def test_what_another_python_lacks_is_replaced_by_the_nearest_and_named(
    uv: FakeUv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_interpreter", lambda _report: OTHER)
    uv.missing = {"numpy==2.5.1": "numpy==2.4.0"}
    said: list[str] = []
    image = ensure(said.append)
    assert "numpy==2.4.0" in uv.installed()
    assert "numpy==2.5.1" not in uv.installed()
    assert "pandas==2.2.3" in uv.installed()
    assert image.gaps[1:] == ("numpy==2.4.0 instead of 2.5.1",)
    assert f"gap: {image.gaps[0]}" in said


def test_without_a_compiler_the_toolkits_still_install_and_the_gap_is_named(
    uv: FakeUv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert ensure().gaps == (
        "no C compiler here: the toolkits lack their host name library, which only MPI jobs use",
    )


def test_the_command_is_one_line_when_the_environment_is_there(
    uv: FakeUv, capsys: pytest.CaptureFixture[str]
) -> None:
    image = ensure()
    assert module.main() == 0
    assert capsys.readouterr().out == f"image: {image.root} (no gaps)\n"


def test_the_images_own_patch_is_applied_to_a_copy(uv: FakeUv) -> None:
    patched = (ensure().site_packages / "sagemaker_containers" / "_mapping.py").read_text()
    assert patched == "import collections\nimport collections.abc\nclass A(collections.abc.Mapping): ...\n"


@pytest.mark.image
def test_the_real_environment_holds_the_pinned_versions() -> None:
    image = ensure()
    if image.gaps:
        pytest.skip(f"not the image's Python: {image.gaps[0]}")
    program = (
        "import importlib.metadata as m, json\n"
        "print(json.dumps({d.name.lower().replace('_', '-'): d.version for d in m.distributions()}))"
    )
    result = subprocess.run(
        [image.python, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    installed = json.loads(result.stdout)
    wanted = {
        name.lower().replace("_", "-").replace(".", "-"): version for name, version in read_pins().items()
    }
    assert {name.replace(".", "-"): version for name, version in installed.items()} == wanted


@pytest.mark.image
def test_the_real_environment_has_both_trainers_and_the_server() -> None:
    image = ensure()
    assert {"train", "train-containers", "serve", "gunicorn"} <= {path.name for path in image.bin.iterdir()}
    assert "sagemaker_training.cli.train" in (image.bin / "train").read_text()
