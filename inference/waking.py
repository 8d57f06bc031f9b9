"""Lets the first worker that is asked wake the others, so that no client waits for a model to be loaded.

The container loads nothing when it starts: each worker does at its first request, and a ping is answered by
one of them. So an endpoint is in service while half its workers are cold, and some of the first clients wait
for seconds; on an endpoint that is asked rarely that is one in a hundred requests for a long time.

A worker knows the socket it listens on, because all of them have inherited it. One that is about to load its
model sends pings there, and while it is busy the others take them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from pathlib import Path

_log = logging.getLogger(__name__)
# Set for the container by the release: how many workers there are.
WORKERS_VARIABLE = "SAGEMAKER_MODEL_SERVER_WORKERS"
CONNECT_SECONDS = 1.0
MOST_WORKERS = 64
_PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_DESCRIPTORS = Path("/proc/self/fd")


def wake_others() -> list[socket.socket]:
    """Send a ping for every other worker of this server.

    Returns:
        The connections, to be kept open until this worker is ready; nothing is read from them. Empty when
        this process listens nowhere, as in a test or a job.
    """
    others = min(_workers(), MOST_WORKERS) - 1
    if others < 1:
        return []
    address = listening_address()
    if address is None:
        return []
    sent: list[socket.socket] = []
    for _ in range(others):
        connection = _ping(*address)
        if connection is None:
            break
        sent.append(connection)
    return sent


def listening_address() -> tuple[int, object] | None:
    """Family and address of the stream socket this process listens on; None when there is none."""
    for descriptor in _open_descriptors():
        # A copy, because closing the object must not close the server's own.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as found:
            if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return found.family, found.getsockname()
    return None


def _open_descriptors() -> list[int]:
    try:
        return sorted(int(entry.name) for entry in _DESCRIPTORS.iterdir())
    except OSError:  # not Linux
        return []


def _workers() -> int:
    try:
        return int(os.environ.get(WORKERS_VARIABLE, "1"))
    except ValueError:
        return 1


def _ping(family: int, address: object) -> socket.socket | None:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(CONNECT_SECONDS)
        connection.connect(address)  # type: ignore[arg-type]  # as getsockname gave it
        connection.sendall(_PING)
    except OSError as error:
        _log.warning("the other workers could not be woken: %s", error)
        connection.close()
        return None
    return connection
