"""Container output on its way to CloudWatch Logs, sent in batches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.sagemaker.clock import Clock
    from sandbox.sagemaker.platform import Platform


class Logs:
    """Buffers lines per stream; `flush` sends them in the order they came."""

    def __init__(self, platform: Platform, clock: Clock) -> None:
        self._platform = platform
        self._clock = clock
        self._buffers: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self._lock = threading.Lock()
        self._sending = threading.Lock()

    def writer(self, group: str, stream: str) -> Callable[[str], None]:
        """A function that appends one line to the stream."""
        key = (group, stream)

        def write(line: str) -> None:
            entry = (round(self._clock.now() * 1000), line)
            with self._lock:
                self._buffers.setdefault(key, []).append(entry)

        return write

    def flush(self) -> None:
        """Send everything buffered; lines of a stream that could not be sent are kept for the next time."""
        with self._sending:
            with self._lock:
                batches, self._buffers = self._buffers, {}
            failure: Exception | None = None
            for (group, stream), lines in batches.items():
                try:
                    self._platform.put_logs(group, stream, lines)
                except Exception as error:  # noqa: BLE001 - raised below, after the other streams had their turn
                    failure = error
                    with self._lock:
                        self._buffers[group, stream] = lines + self._buffers.get((group, stream), [])
            if failure is not None:
                raise failure
