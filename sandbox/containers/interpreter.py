"""Finding the interpreter of the image environment: Python 3.12, as in the image, or the nearest there is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# docker/sklearn/1.9-0/Dockerfile of github.com/aws/deep-learning-containers: ARG PYTHON_VERSION=3.12
IMAGE_PYTHON = (3, 12)
OVERRIDE = "UPKEEP_IMAGE_PYTHON"

PROBE_TIMEOUT_SECONDS = 20.0
DOWNLOAD_TIMEOUT_SECONDS = 180.0

# Variables that would make a tool work on the caller's environment instead of the one named.
STEERING = (
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONPATH",
    "PYTHONHOME",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_PROJECT",
)

WHO_ARE_YOU = (
    "import sys; print(*sys.version_info[:3], getattr(sys, '_base_executable', None) or sys.executable)"
)


class ImageError(Exception):
    """The image environment could not be made; the message says which step failed and what it printed."""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """An interpreter that has answered.

    Attributes:
        path: The real one, not that of a virtual environment around it.
        version: Major, minor, micro.
    """

    path: Path
    version: tuple[int, int, int]

    @property
    def version_text(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))

    @property
    def matches_image(self) -> bool:
        """Whether the image runs the same Python, so that every pin fits."""
        return self.version[:2] == IMAGE_PYTHON

    @property
    def gaps(self) -> tuple[str, ...]:
        """What differs from the image."""
        if self.matches_image:
            return ()
        advice = f"install Python 3.12 or name one in {OVERRIDE}, and run `python -m sandbox.image`"
        return (f"Python {self.version_text} instead of 3.12: {advice}",)


def find_uv() -> Path:
    """The uv beside the running interpreter, else the one on PATH.

    Raises:
        ImageError: There is none.
    """
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise ImageError(f"uv is neither beside {sys.executable} nor on PATH: run `make setup`")
    return Path(found)


def tool_environment() -> dict[str, str]:
    """The caller's environment without what would steer uv or Python elsewhere."""
    return {name: value for name, value in os.environ.items() if name not in STEERING}


def probe(path: Path | str) -> Interpreter | None:
    """Ask an interpreter who it is; None when it does not run, as a version manager's shim may not."""
    try:
        answer = subprocess.run(
            [str(path), "-I", "-S", "-c", WHO_ARE_YOU],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            check=True,
            timeout=PROBE_TIMEOUT_SECONDS,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor, micro, executable = answer.strip().split(" ", 3)
    return Interpreter(path=Path(executable), version=(int(major), int(minor), int(micro)))


def find_interpreter(report: Callable[[str], None] = lambda _: None) -> Interpreter:
    """Find Python 3.12, fetch it, or fall back on the running interpreter.

    Raises:
        ImageError: UPKEEP_IMAGE_PYTHON names something that does not run, or uv is missing.
    """
    asked = os.environ.get(OVERRIDE)
    if asked:
        found = probe(asked)
        if found is None:
            raise ImageError(f"{OVERRIDE}={asked} does not run; name a Python interpreter or unset it")
        return found
    for candidate in _candidates():
        found = probe(candidate)
        if found is not None and found.matches_image:
            return found
    return _fetch(report) or _running()


def _candidates() -> Iterator[str]:
    """Where Python 3.12 may be, the cheap and likely places first."""
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    shims = [folder for folder in folders if Path(folder).name == "shims"]
    # uv asks every interpreter on PATH and gives up at a shim whose version is not selected.
    environment = tool_environment()
    environment["PATH"] = os.pathsep.join(folder for folder in folders if folder not in shims)
    yield from _uv_find(environment)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(map(str, pyenv.glob("versions/3.12*/bin/python3.12")), reverse=True)
    candidates = [Path(folder) / "python3.12" for folder in folders]
    yield from (str(candidate) for candidate in candidates if candidate.exists())


def _uv(
    *arguments: str, environment: dict[str, str], timeout_seconds: float
) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            [str(find_uv()), "python", *arguments],
            cwd=Path.home(),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_seconds,
        )
    except subprocess.TimeoutExpired:
        return None


def _uv_find(environment: dict[str, str]) -> Iterator[str]:
    arguments = ("find", "3.12", "--system", "--no-project", "--no-python-downloads")
    result = _uv(*arguments, environment=environment, timeout_seconds=PROBE_TIMEOUT_SECONDS)
    if result is not None and result.returncode == 0:
        yield result.stdout.strip()


def _fetch(report: Callable[[str], None]) -> Interpreter | None:
    report("no Python 3.12 found, asking uv to fetch one")
    result = _uv(
        "install",
        "3.12",
        "--no-bin",
        environment=tool_environment(),
        timeout_seconds=DOWNLOAD_TIMEOUT_SECONDS,
    )
    if result is None or result.returncode:
        said = result.stderr if result else f"no answer in {DOWNLOAD_TIMEOUT_SECONDS:.0f} s"
        report(f"uv could not fetch Python 3.12: {''.join(said.strip().splitlines()[-1:])}")
        return None
    for path in _uv_find(tool_environment()):
        return probe(path)
    return None


def _running() -> Interpreter:
    found = probe(sys.executable)
    if found is None:
        raise ImageError(f"the running interpreter {sys.executable} does not answer")
    return found
