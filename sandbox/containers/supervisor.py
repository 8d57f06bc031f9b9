"""Process 1 of a sandbox container; run as a file by the image's interpreter, standard library only.

    python -I -S supervisor.py <network: host|root|user> <mount: none|root|user> command [argument ...]

It does what a container runtime does for the process in it: cuts the network off and puts the tree at /opt/ml
where asked, passes SIGTERM on the way the kernel does for process 1, and leaves nobody behind, neither when
the command ends nor when the sandbox dies: the sandbox holds the other end of standard input and never writes
to it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import time

# linux/sched.h, linux/prctl.h, linux/sockios.h, linux/if.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
# linux/mount.h
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2
PR_SET_CHILD_SUBREAPER = 36
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1

NOT_FOUND = 127
NO_NAMESPACE = 125
TREE = "SAGEMAKER_BASE_DIR"
OPT = "/opt"
OPT_ML = "/opt/ml"
KILL_DEADLINE_SECONDS = 10.0


def separate(network: str, mount: str) -> None:
    """Leave the host's network and see the tree at /opt/ml, as asked.

    `root` needs the right to, `user` gets it from a user namespace of its own, in which we are root.

    Raises:
        OSError: The platform refuses.
    """
    in_user = "user" in (network, mount)
    flags = (CLONE_NEWNET if network != "host" else 0) | (CLONE_NEWNS if mount != "none" else 0)
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", flags | (CLONE_NEWUSER if in_user else 0))
    if in_user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
                file.write(text)
    if network != "host":
        _bring_loopback_up()
    if mount != "none":
        _mount_tree(os.environ[TREE])


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None, flags: int) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    _call("mount", *texts, ctypes.c_ulong(flags), None)


def _mount_tree(tree: str) -> None:
    """Put the tree at /opt/ml in our own view of the file system; the host's stays as it is."""
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    if not os.path.isdir(OPT_ML):  # noqa: PTH112
        _replace_opt(os.path.join(tree, ".run", "opt"))  # noqa: PTH118
    _mount(tree, OPT_ML, None, MS_BIND | MS_REC)


def _replace_opt(aside: str) -> None:
    """Cover /opt by a folder of ours with the same entries, because we may not make one in the host's."""
    os.makedirs(aside, exist_ok=True)  # noqa: PTH103
    _mount(OPT, aside, None, MS_BIND | MS_REC)
    _mount("tmpfs", OPT, "tmpfs", 0)
    for entry in os.scandir(aside):
        target = os.path.join(OPT, entry.name)  # noqa: PTH118
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)  # noqa: PTH115, PTH211
            continue
        if entry.is_dir():
            os.mkdir(target)  # noqa: PTH102
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
        _mount(entry.path, target, None, MS_BIND | MS_REC)
    _call("umount2", os.fsencode(aside), MNT_DETACH)
    os.mkdir(OPT_ML)  # noqa: PTH102


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh", b"lo", 0)
        flags = struct.unpack("16sh", fcntl.ioctl(handle, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))


def become_reaper() -> None:
    """Make orphans of this container our children, so that they can be found and ended (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start(command: list[str]) -> int:
    """Start the command in a process group of its own, without standard input; gives its process id."""
    pid = os.fork()
    if pid:
        return pid
    os.setpgid(0, 0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        print(f"exec: {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(NOT_FOUND)


def handles(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal; without /proc it is taken to have one."""
    try:
        # A name may be any bytes, also half a character: the kernel cuts it after 15.
        with open(f"/proc/{pid}/status", errors="replace") as file:  # noqa: PTH123
            caught = next(line for line in file if line.startswith("SigCgt:"))
    except (OSError, StopIteration):
        return True
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def forward(pid: int, number: int) -> None:
    """Pass a signal on as the kernel does for process 1: what it has no handler for, it does not notice."""
    if handles(pid, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def reap() -> dict[int, int]:
    """Collect what has ended: process id to wait status.

    Raises:
        ChildProcessError: There are no children left at all.
    """
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            if ended:
                return ended
            raise
        if pid == 0:
            return ended
        ended[pid] = status


def children() -> list[int]:
    """Our direct children, orphans handed to us included; empty where there is no /proc."""
    own = str(os.getpid())
    found = []
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir("/proc"):  # noqa: PTH208
            with contextlib.suppress(OSError):
                if name.isdigit() and _parent(name) == own:
                    found.append(int(name))
    return found


def _parent(pid: str) -> str:
    with open(f"/proc/{pid}/stat", errors="replace") as file:  # noqa: PTH123
        # The command name stands in brackets and may hold anything, brackets included.
        return file.read().rpartition(")")[2].split()[1]


def kill_all(group: int) -> None:
    """End everything in the container: killing a parent hands us its children, so until none is left."""
    deadline = time.monotonic() + KILL_DEADLINE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        for pid in children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            reap()
        except ChildProcessError:
            return
        time.sleep(0.005)


def watch(pid: int) -> int | None:
    """Wait for the command; gives its wait status, or None when the sandbox is gone."""
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        # The command may have ended before the handler stood, so look before waiting.
        ended = reap()
        if pid in ended:
            return ended[pid]
        readable, _, _ = select.select([0, awake], [], [])
        if awake in readable and signal.SIGTERM in os.read(awake, 512):
            forward(pid, signal.SIGTERM)
        if 0 in readable and not os.read(0, 512):
            return None


def main(arguments: list[str]) -> int:
    """Run the command to its end; gives its exit code, 128 + n for signal n, as a container does."""
    network, mount, *command = arguments
    if (network, mount) != ("host", "none"):
        try:
            separate(network, mount)
        except OSError as error:
            print(
                f"sandbox: the container could not be separated from this machine: {error}", file=sys.stderr
            )
            return NO_NAMESPACE
    become_reaper()
    pid = start(command)
    status = watch(pid)
    kill_all(pid)
    if status is None:
        return 128 + signal.SIGKILL
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
