"""One container as a process: started under the supervisor, output handed on by line, ended for good."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.containers.isolation import SUPERVISOR, Mode, Mount, mount_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_log = logging.getLogger(__name__)

# The supervisor's own deadline for ending what is left is 10 s.
KILL_TIMEOUT_SECONDS = 15.0
DRAIN_TIMEOUT_SECONDS = 10.0
# An event has at most 1 MB:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
MAX_LINE_BYTES = 1024 * 1024


class ContainerProcess:
    """A command under the supervisor, with its whole family.

    Args:
        command: Looked up on the PATH of `environment`.
        environment: All the variables it gets.
        cwd: Its working directory.
        python: The interpreter that runs the supervisor.
        network: `host` to stay on the host's network, else how to leave it (sandbox/containers/isolation.py).
        mount: How to see SAGEMAKER_BASE_DIR at /opt/ml; as the platform allows when not given.
        on_line: Gets each line of standard output and standard error, from one thread, in order; a line
            longer than a log event in pieces.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: Path,
        python: Path,
        network: Mode,
        on_line: Callable[[str], None],
        mount: Mount | None = None,
    ) -> None:
        if mount is None:
            mount = mount_mode(python) if "SAGEMAKER_BASE_DIR" in environment else "none"
        self._arguments = [str(python), "-I", "-S", str(SUPERVISOR), network, mount, *command]
        self._environment = dict(environment)
        self._cwd = cwd
        self._on_line = on_line
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """Start the command.

        Raises:
            RuntimeError: It was started before.
        """
        if self._process is not None:
            raise RuntimeError("a container process starts once; make a new one to run it again")
        self._process = subprocess.Popen(
            self._arguments,
            env=self._environment,
            cwd=self._cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"container-{self._process.pid}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        stream = self._started().stdout
        if stream is None:
            return
        while line := stream.readline(MAX_LINE_BYTES):
            try:
                self._on_line(line.decode("utf-8", "replace").rstrip("\r\n"))
            except Exception:  # noqa: BLE001
                # A full pipe would stop the container: whoever listens may fail, the reading goes on.
                _log.exception("a line of a container's output was not taken")

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the container has not been started")
        return self._process

    @property
    def exit_code(self) -> int | None:
        """The command's exit code once it has ended, 128 + n when signal n ended it."""
        return None if self._process is None else self._process.poll()

    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def wait(self, timeout_seconds: float | None) -> int | None:
        """Wait for the end and for the last line; gives the exit code, or None when the time is over."""
        process = self._started()
        try:
            code = process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(DRAIN_TIMEOUT_SECONDS)
        self._close()
        return code

    def stop(self, grace_seconds: float) -> None:
        """End it: SIGTERM to the command alone, SIGKILL to everything in the container after the grace."""
        if self._process is None:
            return
        if grace_seconds > 0 and self.alive():
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            self.wait(grace_seconds)
        if self.alive():
            self._kill()
        self.wait(KILL_TIMEOUT_SECONDS)

    def _kill(self) -> None:
        process = self._started()
        if process.stdin is not None:
            # The supervisor takes the end of its standard input as the order to end everything.
            with contextlib.suppress(OSError):
                process.stdin.close()
        deadline = time.monotonic() + KILL_TIMEOUT_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _close(self) -> None:
        process = self._started()
        if self._reader is not None and self._reader.is_alive():
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
