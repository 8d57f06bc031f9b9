"""Sends one request again and again over many connections, and says how long each answer took.

    .venv/bin/python benchmarks/load.py SOCKET REQUEST_FILE --connections 8 --seconds 4

The file holds the raw bytes of one HTTP/1.1 request. One process, one thread, non-blocking unix sockets and
nothing that understands HTTP beyond the length of an answer: some 25 microseconds of a core per request,
a tenth of what the quickest server here needs. Every connection has one request under way, as wrk does it.
"""

from __future__ import annotations

import argparse
import json
import re
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

TIMEOUT_SECONDS = 30.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNK_BYTES = 1 << 20


@dataclass
class Connection:
    """One connection and the answer that is arriving on it."""

    path: str
    keep: bool
    sock: socket.socket = field(init=False)
    began: float = 0.0
    received: bytes = b""

    def open(self) -> None:
        """Connect; the server may be some milliseconds behind with accepting."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(self.path)

    def send(self, request: bytes) -> None:
        """Send the request from its first byte to its last."""
        self.began = time.perf_counter()
        self.received = b""
        self.sock.sendall(request)

    def complete(self) -> bool:
        """Read what has arrived; whether the answer is whole.

        Raises:
            SystemExit: The answer is no 200, or the connection was closed in the middle of it.
        """
        chunk = self.sock.recv(_CHUNK_BYTES)
        self.received += chunk
        head = self.received.find(b"\r\n\r\n")
        if head < 0 and chunk:
            return False
        if not self.received.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            raise SystemExit(f"no 200: {self.received[:2000]!r}")
        length = _LENGTH.search(self.received, 0, head + 2)
        if length is None:
            raise SystemExit(f"an answer without its length: {self.received[:head]!r}")
        if len(self.received) >= head + 4 + int(length[1]):
            return True
        if not chunk:
            raise SystemExit(f"closed in the middle of an answer: {self.received[:2000]!r}")
        return False


def drive(
    path: str, request: bytes, *, connections: int, seconds: float, warm_seconds: float, keep: bool
) -> tuple[list[float], int]:
    """Keep every connection busy; gives the seconds of answers asked for after the warm-up, and all answers.

    Args:
        path: The server's unix socket.
        request: Raw bytes of one request.
        connections: How many requests are under way at any time.
        seconds: How long answers are counted.
        warm_seconds: How long before that they are not.
        keep: Whether a connection is used again; else each request opens one of its own.
    """
    poll = select.epoll()
    lines: dict[int, Connection] = {}

    def start(line: Connection) -> None:
        line.open()
        lines[line.sock.fileno()] = line
        poll.register(line.sock.fileno(), select.EPOLLIN)

    for _ in range(connections):
        line = Connection(path, keep)
        start(line)
        line.send(request)
    first = time.perf_counter() + warm_seconds
    last = first + seconds
    found: list[float] = []
    answers = 0
    while time.perf_counter() < last:
        ready = poll.poll(TIMEOUT_SECONDS)
        if not ready:
            raise SystemExit(f"no answer in {TIMEOUT_SECONDS:g} s")
        for number, _ in ready:
            line = lines[number]
            if not line.complete():
                continue
            now = time.perf_counter()
            answers += 1
            if line.began >= first:
                found.append(now - line.began)
            if keep:
                line.send(request)
            else:
                poll.unregister(number)
                del lines[number]
                line.sock.close()
                began = time.perf_counter()  # opening the connection is part of it
                start(line)
                line.send(request)
                line.began = began
    for line in lines.values():
        line.sock.close()
    poll.close()
    return found, answers


def summary(found: list[float], seconds: float) -> dict[str, float]:
    """Requests per second, and the median and the 99th percentile in milliseconds."""
    ordered = sorted(found)
    if not ordered:
        raise SystemExit("not one request was answered in time")
    return {
        "throughput": len(ordered) / seconds,
        "p50_milliseconds": 1000 * ordered[len(ordered) // 2],
        "p99_milliseconds": 1000 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
    }


def main() -> None:
    """Drive one server and print the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("socket")
    parser.add_argument("request", type=Path)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--warm-seconds", type=float, default=0.5)
    parser.add_argument("--fresh", action="store_true", help="a new connection for every request")
    options = parser.parse_args()
    used = time.process_time()
    found, answers = drive(
        options.socket,
        options.request.read_bytes(),
        connections=options.connections,
        seconds=options.seconds,
        warm_seconds=options.warm_seconds,
        keep=not options.fresh,
    )
    figures = summary(found, options.seconds)
    figures["answers"] = answers
    figures["load_cpu_share"] = (time.process_time() - used) / (options.seconds + options.warm_seconds)
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main()
