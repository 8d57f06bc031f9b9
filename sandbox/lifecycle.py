"""Starts, finds and stops the one sandbox process of a port.

A running sandbox is a directory, `run_dir(port)`, that holds all it writes and is gone after the stop.
Whoever makes the directory starts the sandbox; a lock on the directory above lets one look, clear away and
make at a time. `sandbox.json` in it names the process.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sandbox import processes

HOST = "127.0.0.1"
DEFAULT_PORT = 4566  # LocalStack's, so its clients find the sandbox without configuration
REGION = "us-east-1"
ACCOUNT = "000000000000"
WAIT_SCALE = 0.1  # a state machine's Wait of 10 s takes 1 s

_INFO = "sandbox.json"
_LOG = "sandbox.log"
_STARTING_SECONDS = 15.0  # a directory without sandbox.json is a start under way until this old
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.02
_LOG_TAIL_LINES = 15
_CLAIMS = 3  # the directory above goes with the last sandbox in it, perhaps just now


class SandboxError(Exception):
    """The sandbox cannot be started, found or stopped; the message says why and what to do."""


@dataclass(frozen=True)
class SandboxInfo:
    """A running sandbox: its process, port, URL and working directory."""

    pid: int
    port: int
    url: str
    run_dir: Path

    @property
    def log(self) -> Path:
        """Where the sandbox writes what it does."""
        return self.run_dir / _LOG


def run_dir(port: int) -> Path:
    """Where the sandbox of a port keeps everything it writes."""
    return Path(tempfile.gettempdir()) / f"upkeep-sandbox-{os.getuid()}" / str(port)


def find(port: int = DEFAULT_PORT) -> SandboxInfo | None:
    """The sandbox running on a port, or None."""
    directory = run_dir(port)
    record = _record(directory)
    if record is None or not processes.alive(record["pid"], record.get("started_ticks")):
        return None
    return SandboxInfo(pid=record["pid"], port=port, url=record["url"], run_dir=directory)


def environment(info: SandboxInfo) -> dict[str, str]:
    """The variables that point boto3, the AWS CLI, localstack-client and Pulumi at a sandbox."""
    return {
        "AWS_ENDPOINT_URL": info.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "LOCALSTACK_HOST": f"localhost:{info.port}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def start(
    port: int = DEFAULT_PORT,
    *,
    detach: bool = True,
    timeout_seconds: float = 30.0,
    wait_scale: float = WAIT_SCALE,
    note: Callable[[str], None] = lambda _line: None,
) -> SandboxInfo:
    """Start a sandbox and return once it answers.

    Not detached, it ends when the calling process does, even by SIGKILL (on Linux); detached it outlives it.
    `note` is told of anything cleaned up on the way. `wait_scale` is what a second of a state machine's Wait
    or Retry costs, in seconds.

    Raises:
        SandboxError: the port is taken, a sandbox runs there already, or this one did not answer in time.
    """
    directory = _claim(port, note)
    log: IO[str] | None = None
    process: subprocess.Popen[bytes] | None = None
    try:
        log = _open_log(directory)
        process = _spawn(port, directory, detach=detach, wait_scale=wait_scale)
        info = SandboxInfo(pid=process.pid, port=port, url=f"http://{HOST}:{port}", run_dir=directory)
        _await_ready(info, process, timeout_seconds, log)
    except BaseException:
        if process is not None:
            _end(process.pid)
        shutil.rmtree(directory, ignore_errors=True)
        raise
    finally:
        if log is not None:
            log.close()
    return info


def stop(port: int = DEFAULT_PORT) -> SandboxInfo:
    """Stop the sandbox of a port with everything it started, remove its directory, free its port.

    Raises:
        SandboxError: none runs there, or it did not end in time.
    """
    info = find(port)
    if info is None:
        raise SandboxError(
            f"No sandbox runs on port {port}. Start one with `upkeep sandbox`, or name its port with --port."
        )
    _end(info.pid)
    if info.run_dir.exists():
        shutil.rmtree(info.run_dir, ignore_errors=True)
    with contextlib.suppress(OSError):
        info.run_dir.parent.rmdir()
    return info


def health(info: SandboxInfo, timeout_seconds: float = 2.0) -> dict[str, Any]:
    """What the sandbox says about itself. Raises OSError when it does not answer."""
    connection = http.client.HTTPConnection(HOST, info.port, timeout=timeout_seconds)
    try:
        connection.request("GET", "/_upkeep/health")
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise OSError(f"{info.url}/_upkeep/health answered {response.status}")
        loaded: dict[str, Any] = json.loads(answer)
        return loaded
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"{info.url} does not answer like a sandbox: {error}") from error
    finally:
        connection.close()


def write_record(directory: Path, port: int) -> None:
    """Name the calling process as the sandbox of this directory; written whole or not at all."""
    record = {
        "pid": os.getpid(),
        "started_ticks": processes.start_ticks(os.getpid()),
        "port": port,
        "url": f"http://{HOST}:{port}",
        "started_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    draft = directory / f"{_INFO}.draft"
    draft.write_text(json.dumps(record), encoding="utf-8")
    draft.replace(directory / _INFO)


def _record(directory: Path) -> dict[str, Any] | None:
    try:
        loaded = json.loads((directory / _INFO).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return loaded if isinstance(loaded, dict) and {"pid", "url"} <= loaded.keys() else None


def _claim(port: int, note: Callable[[str], None]) -> Path:
    """Create the run directory of a port; a dead sandbox's is cleared first."""
    directory = run_dir(port)
    for _attempt in range(_CLAIMS):
        _private_parent(directory.parent)
        with contextlib.suppress(FileNotFoundError), _alone(directory.parent):
            _refuse_running(port, directory)
            if directory.exists():
                _clear_stale(directory, note)
            _refuse_taken(port)
            directory.mkdir(mode=0o700)
            return directory
    raise SandboxError(f"{directory.parent} is being removed again and again. Try once more.")


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory; whoever has it is quick, and the kernel takes it from the dead."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _private_parent(parent: Path) -> None:
    """Make the directory above all run directories, ours alone: a shared /tmp may hold a planted one."""
    parent.mkdir(mode=0o700, exist_ok=True)
    status = parent.lstat()
    if parent.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise SandboxError(
            f"{parent} is not a directory that belongs to you alone. "
            "Remove it, or set TMPDIR to a place of your own."
        )


def _refuse_running(port: int, directory: Path) -> None:
    info = find(port)
    if info is not None:
        raise SandboxError(
            f"A sandbox already runs on port {port} (process {info.pid}). "
            f'Use it with `eval "$(upkeep sandbox env --port {port})"`, '
            f"stop it with `upkeep sandbox stop --port {port}`, or start another one with --port."
        )
    with contextlib.suppress(OSError):
        age_seconds = time.time() - directory.stat().st_mtime
        if _record(directory) is None and age_seconds < _STARTING_SECONDS:
            raise SandboxError(
                f"A sandbox is being started on port {port} right now. Wait for it, or use --port."
            )


def _clear_stale(directory: Path, note: Callable[[str], None]) -> None:
    record = _record(directory)
    owner = f"process {record['pid']}" if record else "a start that did not finish"
    note(f"Removed {directory}, left by {owner}, which no longer runs.")
    shutil.rmtree(directory, ignore_errors=True)


def _refuse_taken(port: int) -> None:
    """Raise when something else listens on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError as error:
            raise SandboxError(
                f"Port {port} needs rights you do not have. Use --port with 1024 or more."
            ) from error
        except OSError as error:
            raise SandboxError(
                f"Port {port} on {HOST} is taken by another program, which is not an Upkeep sandbox. "
                "End it, or start the sandbox elsewhere with --port."
            ) from error


def _open_log(directory: Path) -> IO[str]:
    """Make the log and keep it open: a start that fails removes the directory, its words are still wanted."""
    path = directory / _LOG
    path.touch(mode=0o600)
    return path.open(encoding="utf-8", errors="replace")


def _spawn(port: int, directory: Path, *, detach: bool, wait_scale: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sandbox.server", "--port", str(port), "--run-dir", str(directory)]
    command += ["--wait-scale", str(wait_scale)]
    if not detach:
        command += ["--parent", str(os.getpid())]
    with (directory / _LOG).open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_clean_environment(directory),
            cwd=directory,
            start_new_session=True,
        )


def _clean_environment(directory: Path) -> dict[str, str]:
    """What the sandbox and all it starts may see: no AWS profile, credentials or proxies of the person's.

    HOME stays because the image environment is cached there; AWS's files are looked up elsewhere.
    """
    kept = {"PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "XDG_CACHE_HOME", "SYSTEMROOT"}
    clean = {name: value for name, value in os.environ.items() if name in kept or name.startswith("UPKEEP_")}
    root = str(Path(__file__).resolve().parent.parent)
    return clean | {
        "PYTHONPATH": root,
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(directory / "tmp"),
        "AWS_CONFIG_FILE": str(directory / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(directory / "no-aws-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _await_ready(
    info: SandboxInfo, process: subprocess.Popen[bytes], timeout_seconds: float, log: IO[str]
) -> None:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SandboxError(
                f"The sandbox ended while starting (exit code {process.returncode}).{_tail(log)}"
            )
        with contextlib.suppress(OSError):
            if health(info).get("pid") == process.pid:
                return
        time.sleep(_POLL_SECONDS)
    raise SandboxError(f"The sandbox did not answer within {timeout_seconds:g} s.{_tail(log)}")


def _tail(log: IO[str]) -> str:
    lines = log.read().splitlines()[-_LOG_TAIL_LINES:]
    return "".join(f"\n  {line}" for line in ["Its last words:", *lines]) if lines else ""


def _end(pid: int) -> None:
    """Ask the sandbox to stop and wait until it has."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # ours when this very process started it
        if not processes.alive(pid):
            return
        time.sleep(_POLL_SECONDS)
    raise SandboxError(
        f"The sandbox (process {pid}) did not stop within {_STOP_SECONDS:g} s; end it with `kill -9 {pid}`."
    )
