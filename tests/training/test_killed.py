"""A training that is killed at any moment leaves nothing that loads."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.examples import declare, environment, lines, text
from training import artifact, bundle
from training.errors import ArtifactError
from training.main import main
from training.registry import seal

ROOT = Path(__file__).resolve().parents[2]


class _Camera:
    """Takes a picture of a folder before each file in it is opened for writing, or renamed."""

    def __init__(self, folder: Path, album: Path) -> None:
        self.folder, self.album = folder, album
        self.written: list[str] = []
        self.on = False
        sys.addaudithook(self._hook)  # cannot be taken off again, only switched

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.on or event not in ("open", "os.rename"):
            return
        flags = arguments[2] if event == "open" else os.O_WRONLY
        path = arguments[0]
        if not (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)) or isinstance(path, int):
            return
        name = os.fsdecode(path)  # type: ignore[arg-type]
        if name.startswith(f"{self.folder}/"):
            self.picture(name.removeprefix(f"{self.folder}/"))

    def picture(self, written_next: str) -> None:
        self.on = False
        shutil.copytree(self.folder, self.album / f"{len(self.written):04d}")
        self.written.append(written_next)
        self.on = True


@contextlib.contextmanager
def _watching(camera: _Camera) -> Iterator[None]:
    camera.on = True
    try:
        yield
    finally:
        camera.on = False


def _refused(folder: Path) -> bool:
    with pytest.raises(ArtifactError):
        artifact.load(folder)
    return True


def test_a_training_killed_before_or_inside_any_write_leaves_nothing_that_loads(tmp_path, monkeypatch):
    variables = environment(tmp_path / "job", declare(), {"a.csv": text(lines(200))})
    # Which code it is does not matter here, and a hundred files more are a hundred pictures of them.
    monkeypatch.setattr(bundle, "PACKAGES", ("models",))
    model = Path(variables["SM_MODEL_DIR"])
    camera = _Camera(model, tmp_path / "album")
    with _watching(camera):
        assert main(variables) == 0
    assert artifact.load(model).run_id == "run1", "only the finished one loads"
    assert {*artifact.SIGNED, f"{artifact.PASSPORT}.unfinished"} <= set(camera.written)
    assert camera.written[-1] == f"{artifact.PASSPORT}.unfinished", "its name is the last thing it gets"
    killed = 0
    for number, name in enumerate(camera.written[1:], 1):
        state = camera.album / f"{number:04d}"
        assert _refused(state), f"killed before {name} was written"
        torn = state / camera.written[number - 1]
        for length in {torn.stat().st_size // 2, 0} if torn.is_file() else ():
            os.truncate(torn, length)
            assert _refused(state), f"killed inside {torn.name}"
            killed += 1
    assert killed > 20


def test_a_job_that_fails_after_its_model_was_stored_leaves_nothing_that_loads(tmp_path, monkeypatch):
    """SageMaker uploads what a failed job left, too."""
    variables = environment(tmp_path, declare(), {"a.csv": text(lines(200))})
    write = artifact.write_json

    def full(path: Path, data: object) -> None:
        if path.name == "evaluation.json":
            raise OSError(28, "No space left on device", str(path))
        write(path, data)

    monkeypatch.setattr(artifact, "write_json", full)
    assert main(variables) == 1
    assert "No space left on device" in (tmp_path / "output" / "failure").read_text()
    assert _refused(tmp_path / "model")


@pytest.mark.parametrize("name", [*artifact.SIGNED, f"{artifact.PASSPORT}.unfinished"])
def test_a_full_disk_while_the_model_is_stored_fails_the_job_with_that_reason(tmp_path, monkeypatch, name):
    variables = environment(tmp_path, declare(), {"a.csv": text(lines(200))})
    # /dev/full takes no byte: every write to it is a full disk.
    (tmp_path / "model" / name).symlink_to("/dev/full")
    monkeypatch.setattr(bundle, "PACKAGES", ("models",))
    assert main(variables) == 1
    assert "No space left on device" in (tmp_path / "output" / "failure").read_text()
    assert not (tmp_path / "model" / artifact.PASSPORT).exists()
    (tmp_path / "model" / name).unlink()
    assert _refused(tmp_path / "model")


@pytest.mark.parametrize("moment", ["code", seal.MODEL, seal.FITTED])
def test_the_real_script_killed_by_sigkill_leaves_nothing_that_loads(tmp_path, moment):
    variables = environment(tmp_path, declare(), {"a.csv": text(lines(200))})
    script = [sys.executable, "-m", "training.train"]
    process = subprocess.Popen(
        script,
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while process.poll() is None and not (tmp_path / "model" / moment).exists():
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) in (-signal.SIGKILL, 0)
    finished = (tmp_path / "model" / artifact.PASSPORT).exists()
    if process.returncode == -signal.SIGKILL and not finished:
        assert _refused(tmp_path / "model")
    else:  # it was quicker than the signal: then all of it is there
        assert artifact.load(tmp_path / "model").run_id == "run1"
        assert json.loads((tmp_path / "output" / "data" / "evaluation.json").read_text())["run_id"] == "run1"
