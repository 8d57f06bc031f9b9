"""Network isolation: what this platform can do, found out once."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

SUPERVISOR = Path(__file__).parent / "supervisor.py"
PROBE_TIMEOUT_SECONDS = 20.0

Mode = Literal["host", "root", "user"]

# Where a namespace cannot be had, clients that honour proxy variables (pip, requests, boto3) are led to a
# closed port.
CLOSED_PORT = "http://127.0.0.1:9"
NO_WAY_OUT = {
    name: CLOSED_PORT
    for scheme in ("http", "https", "all")
    for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")
}
NOTICE = (
    "sandbox: this platform allows no network namespace, neither to root nor to users, so isolation is only "
    "imitated: no credentials, and proxy variables that lead nowhere; a plain socket still connects"
)


@functools.cache
def isolation_mode(python: Path) -> Mode:
    """How a process can be cut off from the network here.

    `root` when we may do it, `user` when only in a user namespace, `host` when not at all.

    Args:
        python: The interpreter to try it with.
    """
    if sys.platform != "linux":
        return "host"
    modes: tuple[Mode, ...] = ("root", "user") if os.geteuid() == 0 else ("user",)
    return next((mode for mode in modes if _works(python, mode)), "host")


def _works(python: Path, mode: Mode) -> bool:
    try:
        # Standard input stays open while the probe runs: its end would mean that the sandbox is gone.
        with subprocess.Popen(
            [str(python), "-I", "-S", str(SUPERVISOR), mode, str(python), "-I", "-S", "-c", "pass"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as probe:
            return probe.wait(PROBE_TIMEOUT_SECONDS) == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
