"""Leaves no process behind: adopts orphaned descendants and ends them.

Linux gives both halves (`prctl(2)`): a *child subreaper* inherits every orphan below it whatever session the
orphan is in, and a *parent death signal* tells a process that its starter is gone even when that was SIGKILL.
Elsewhere neither exists, so there a worker can outlive a SIGKILL of the sandbox.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_GRACE_SECONDS = 1.0
_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.02


def _prctl(option: int, value: int) -> None:
    """Call `prctl`; raises OSError when the kernel refuses. Does nothing outside Linux."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent dies."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(parent: int) -> None:
    """Get SIGTERM when `parent` ends; raises SystemExit when it already has.

    The kernel ties the signal to the thread that started this process, so callers start it from a thread that
    lives as long as they do.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(f"the process {parent} that started the sandbox is gone")


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: tells it from a later one with the same id.

    None when the process is gone, or where there is no /proc.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def alive(pid: int, ticks: int | None = None) -> bool:
    """Whether the process runs (a zombie does not), and is the one that started at `ticks`."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return ticks is None or start_ticks(pid) == ticks
    if _state(pid) in {"Z", "X"}:
        return False
    return ticks is None or start_ticks(pid) in (ticks, None)


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, nearest first. Empty where there is no /proc."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            stat = (entry / "stat").read_text(encoding="ascii", errors="replace")
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        children = parents.get(queue.pop(0), [])
        found += children
        queue += children
    return found


def end_descendants(pid: int, grace_seconds: float = _GRACE_SECONDS) -> list[int]:
    """End everything below `pid`: SIGTERM, a grace, SIGKILL. Returns what is left (nothing, normally)."""
    _signal_all(descendants(pid), signal.SIGTERM)
    if _gone(pid, grace_seconds):
        return []
    deadline = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < deadline:
        _signal_all(descendants(pid), signal.SIGKILL)
        if _gone(pid, _POLL_SECONDS * 5):
            return []
    return [child for child in descendants(pid) if alive(child)]


def _gone(pid: int, seconds: float) -> bool:
    """Wait until nothing below `pid` runs, reaping adopted children on the way."""
    deadline = time.monotonic() + seconds
    while True:
        _reap()
        if not any(alive(child) for child in descendants(pid)):
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _state(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]
