"""The image environment: the scikit-learn image's exact packages, installed once on this machine.

`ensure` gives a virtual environment on Python 3.12 with the versions pinned in `containers/image.txt`, AWS's
two toolkits among them, and the framework module of `containers/glue`. It is shared and never written to
again: each container puts its own layer over it (sandbox/containers/layer.py).

A virtual environment cannot be moved, so it is built in place under a file lock; it counts as built only when
its marker file is there, and a half-built one is removed and built again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.containers.interpreter import (
    ImageError,
    Interpreter,
    find_interpreter,
    find_uv,
    tool_environment,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTAINERS = Path(__file__).parent / "containers"
PINS = CONTAINERS / "image.txt"
GLUE = CONTAINERS / "glue"
# Built from source with the environment's own setuptools; everything else comes as a wheel.
BUILT_FROM_SOURCE = ("inotify-simple", "retrying", "sagemaker-containers", "sagemaker-training")
# Raised when this module installs differently from the same pins.
RECIPE = 1

INSTALL_TIMEOUT_SECONDS = 900.0
LOCK_TIMEOUT_SECONDS = 1200.0

# The toolkits' only C file is for MPI. Where no compiler exists this one leaves an empty file behind, so that
# the rest of the package still installs.
COMPILER_STAND_IN = """#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = -o ] && : > "$2"; shift; done
"""

CONSOLE_SCRIPT = """#!{python}
import sys
from {module} import {function}
if __name__ == "__main__":
    sys.exit({function}())
"""
# Both toolkits ship a `train`; which one the published image holds is not known, so both stay reachable.
CONSOLE_SCRIPTS = {
    "train": ("sagemaker_training.cli.train", "main"),
    "train-containers": ("sagemaker_containers.cli.train", "main"),
    "serve": ("sagemaker_sklearn_container.serving", "serving_entrypoint"),
}


@dataclass(frozen=True, kw_only=True)
class Image:
    """A ready image environment.

    Attributes:
        python: Its interpreter.
        bin: Its folder of commands.
        gaps: What differs from the real image, one sentence each; empty when nothing does.
    """

    python: Path
    bin: Path
    gaps: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        """The environment's own folder."""
        return self.bin.parent

    @property
    def site_packages(self) -> Path:
        """Where its packages are."""
        return _site_packages(self.root)


def cache_dir() -> Path:
    """Where image environments are kept: `$XDG_CACHE_HOME/upkeep`, else `~/.cache/upkeep`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "upkeep"


def ensure(report: Callable[[str], None] = lambda _: None) -> Image:
    """Give the image environment, building it when this machine does not have it yet.

    Safe under concurrent calls from several processes: one builds, the others wait.

    Args:
        report: Gets one line per step and per gap.

    Raises:
        ImageError: A step failed, or another process has been building for 20 minutes.
    """
    interpreter = find_interpreter(report)
    root = cache_dir() / f"image-{_digest(interpreter)}"
    image = _load(root)
    if image is None:
        with _lock(root.with_suffix(".lock"), report):
            image = _load(root) or _build(root, interpreter, report)
    for gap in image.gaps:
        report(f"gap: {gap}")
    return image


def _digest(interpreter: Interpreter) -> str:
    digest = hashlib.sha256(f"{RECIPE} {interpreter.path} {interpreter.version}".encode())
    for path in [PINS, *sorted(GLUE.rglob("*.py"))]:
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _load(root: Path) -> Image | None:
    python = root / "bin" / "python"
    try:
        marker = json.loads((root / ".complete").read_text())
    except FileNotFoundError:
        return None
    # The interpreter below may have been uninstalled since; the link then leads nowhere.
    return Image(python=python, bin=root / "bin", gaps=tuple(marker["gaps"])) if python.exists() else None


@contextlib.contextmanager
def _lock(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    with path.open("w") as file:
        waiting = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ImageError(
                        f"another process has held {path} for {LOCK_TIMEOUT_SECONDS:.0f} s; "
                        f"end it, or remove the file, and start again"
                    ) from None
            if not waiting:
                report("waiting for another process that builds the same image environment")
                waiting = True
            time.sleep(0.2)
        yield


def _build(root: Path, interpreter: Interpreter, report: Callable[[str], None]) -> Image:
    report(f"building the image environment in {root} on Python {interpreter.version_text}")
    started = time.monotonic()
    if root.exists():
        shutil.rmtree(root)
    uv = _Uv(root)
    uv.run("create the environment", "venv", "--quiet", "--python", str(interpreter.path), str(root))
    gaps = list(interpreter.gaps)
    gaps += _install(uv, exact=interpreter.matches_image, report=report)
    _apply_image_patch(root)
    shutil.copytree(
        GLUE, _site_packages(root), dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    _write_console_scripts(root)
    _compile(root)
    draft = root / ".complete.draft"
    draft.write_text(json.dumps({"gaps": gaps}))
    draft.replace(root / ".complete")
    report(f"image environment ready after {time.monotonic() - started:.0f} s")
    return Image(python=root / "bin" / "python", bin=root / "bin", gaps=tuple(gaps))


class _Uv:
    """The uv command on one environment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._uv = find_uv()

    def run(self, what: str, *arguments: str, **environment: str) -> str:
        """Run uv and give its output.

        Raises:
            ImageError: It failed or took longer than 15 minutes; with its last lines.
        """
        result = self.attempt(*arguments, **environment)
        if result.returncode:
            last_lines = "\n".join((result.stderr or result.stdout).strip().splitlines()[-15:])
            raise ImageError(f"could not {what} of the image ({' '.join(arguments[:2])}):\n{last_lines}")
        return result.stdout

    def attempt(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run uv and give what happened, failed or not."""
        try:
            return subprocess.run(
                [str(self._uv), *arguments],
                # Not the caller's folder: uv would read the project's own settings there.
                cwd=self.root.parent,
                env=tool_environment() | environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=INSTALL_TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise ImageError(
                f"uv {' '.join(arguments[:2])} took longer than {INSTALL_TIMEOUT_SECONDS:.0f} s"
            ) from None

    def pip(self, command: str, *arguments: str) -> tuple[str, ...]:
        """The arguments of `uv pip` on this environment."""
        return ("pip", command, "--python", str(self.root / "bin" / "python"), *arguments)


def read_pins() -> dict[str, str]:
    """The pinned packages: name to version, in the file's order."""
    lines = (line.strip() for line in PINS.read_text().splitlines())
    return dict(line.split("==", 1) for line in lines if line and not line.startswith("#"))


def _install(uv: _Uv, *, exact: bool, report: Callable[[str], None]) -> list[str]:
    pins = read_pins()
    wheels = [f"{name}=={version}" for name, version in pins.items() if name not in BUILT_FROM_SOURCE]
    sources = [f"{name}=={pins[name]}" for name in BUILT_FROM_SOURCE]
    report(f"installing {len(pins)} packages")
    only_wheels = ("--no-deps", "--only-binary", ":all:")
    gaps: list[str] = []
    if not exact:
        wheels, gaps = _nearest(uv, wheels, only_wheels, report)
    uv.run("install the packages", *uv.pip("install", *only_wheels, *wheels))
    gaps += _install_sources(uv, sources)
    return gaps


def _nearest(
    uv: _Uv, wheels: list[str], options: tuple[str, ...], report: Callable[[str], None]
) -> tuple[list[str], list[str]]:
    """Replace the pins this interpreter has no wheel for by the nearest version it has one for."""
    chosen, gaps = [], []
    for pin in wheels:
        name, version = pin.split("==")
        for candidate in (pin, f"{name}<={version}", f"{name}>={version}"):
            found = uv.attempt(*uv.pip("install", "--dry-run", *options, candidate))
            if found.returncode == 0:
                break
        else:
            raise ImageError(f"no version of {name} installs here:\n{found.stderr.strip()}")
        if candidate != pin:
            # uv's dry run ends with one line per package: " + numpy==2.4.1".
            candidate = found.stderr.rsplit("+ ", 1)[-1].split()[0]
            gaps.append(f"{candidate} instead of {version}")
            report(f"{pin} is not available here, taking {candidate}")
        chosen.append(candidate)
    return chosen, gaps


def _install_sources(uv: _Uv, sources: list[str]) -> list[str]:
    arguments = uv.pip("install", "--no-deps", "--no-build-isolation", *sources)
    if any(shutil.which(compiler) for compiler in ("cc", "gcc", "clang")):
        uv.run("build the toolkits", *arguments)
        return []
    stand_in = uv.root / "bin" / "no-compiler"
    stand_in.write_text(COMPILER_STAND_IN)
    stand_in.chmod(0o755)
    # Not through uv's cache: what is built here is no use where a compiler is installed later.
    uv.run("build the toolkits", "--no-cache", *arguments, CC=str(stand_in), LDSHARED=str(stand_in))
    for library in _site_packages(uv.root).glob("gethostname.*"):
        library.unlink()
    # Imported at every start and used for MPI alone, which preloads the file.
    (_site_packages(uv.root) / "gethostname.py").touch()
    return ["no C compiler here: the toolkits lack their host name library, which only MPI jobs use"]


def _site_packages(root: Path) -> Path:
    return next((root / "lib").glob("python3.*/site-packages"))


def _apply_image_patch(root: Path) -> None:
    """Do what the image's Dockerfile does with sed: the class moved in Python 3.10."""
    path = _site_packages(root) / "sagemaker_containers" / "_mapping.py"
    patched = path.read_text().replace("collections.Mapping", "collections.abc.Mapping")
    patched = patched.replace("import collections\n", "import collections\nimport collections.abc\n", 1)
    # uv links files from its cache: writing in place would change the cached copy too.
    path.unlink()
    path.write_text(patched)


def _write_console_scripts(root: Path) -> None:
    for name, (module, function) in CONSOLE_SCRIPTS.items():
        script = root / "bin" / name
        script.unlink(missing_ok=True)
        script.write_text(
            CONSOLE_SCRIPT.format(python=root / "bin" / "python", module=module, function=function)
        )
        script.chmod(0o755)


def _compile(root: Path) -> None:
    """Compile everything once: containers do not write byte code, so each start would compile again."""
    command = [str(root / "bin" / "python"), "-m", "compileall", "-q", "-j", "0", str(_site_packages(root))]
    # Some packages carry templates and test data that are no valid Python: the exit code says nothing here.
    subprocess.run(
        command, check=False, capture_output=True, timeout=INSTALL_TIMEOUT_SECONDS, env=tool_environment()
    )


def main() -> int:
    """Build the image environment and print what it does; `python -m sandbox.image`."""
    try:
        image = ensure(lambda line: print(f"image: {line}", flush=True))
    except ImageError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    gaps = len(image.gaps)
    print(f"image: {image.root} ({gaps or 'no'} gap{'' if gaps == 1 else 's'})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
