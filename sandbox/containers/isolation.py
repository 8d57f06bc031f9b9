"""What this platform can do to set a container apart, found out once: its network, its view of /opt/ml."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

SUPERVISOR = Path(__file__).parent / "supervisor.py"
PROBE_TIMEOUT_SECONDS = 20.0

Mode = Literal["host", "root", "user"]
Mount = Literal["none", "root", "user"]

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
    return next((mode for mode in _ways() if _works(python, mode, "none")), "host")


@functools.cache
def mount_mode(python: Path) -> Mount:
    """How a process can see its tree at /opt/ml here, so that a path its code spells out is found.

    `root` when we may do it, `user` when only in a user namespace, `none` when not at all: then only the
    paths in variables, hyperparameters and arguments lead to the tree.

    Args:
        python: The interpreter to try it with.
    """
    return next((mode for mode in _ways() if _works(python, "host", mode)), "none")


def _ways() -> tuple[Literal["root", "user"], ...]:
    if sys.platform != "linux":
        return ()
    return ("root", "user") if os.geteuid() == 0 else ("user",)


def _works(python: Path, network: Mode, mount: Mount) -> bool:
    with tempfile.TemporaryDirectory(prefix="uk-") as tree:
        return _ends_well(
            [str(python), "-I", "-S", str(SUPERVISOR), network, mount, str(python), "-I", "-S", "-c", "pass"],
            tree,
        )


def _ends_well(command: list[str], tree: str) -> bool:
    try:
        # Standard input stays open while the probe runs: its end would mean that the sandbox is gone.
        with subprocess.Popen(
            command,
            env={"SAGEMAKER_BASE_DIR": tree},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as probe:
            return probe.wait(PROBE_TIMEOUT_SECONDS) == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
