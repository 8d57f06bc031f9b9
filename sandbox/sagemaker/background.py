"""Recurring work on one thread: flushing logs, metrics and captures, watching servers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Ticker:
    """Calls each task about every so many seconds until closed. A failing task is logged and tried again."""

    def __init__(self, name: str, tasks: list[tuple[float, Callable[[], None]]]) -> None:
        self._tasks = tasks
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop and wait for the task under way; the tasks run once more so that nothing buffered is lost."""
        self._stop.set()
        self._thread.join(30.0)
        for _, task in self._tasks:
            _attempt(task)

    def _run(self) -> None:
        due = [time.monotonic() + seconds for seconds, _ in self._tasks]
        while not self._stop.wait(max(0.01, min(due) - time.monotonic())):
            for index, (seconds, task) in enumerate(self._tasks):
                if time.monotonic() >= due[index]:
                    _attempt(task)
                    due[index] = time.monotonic() + seconds


def _attempt(task: Callable[[], None]) -> None:
    try:
        task()
    except Exception:  # noqa: BLE001 - a failing flush must not end the others
        _log.exception("background task %s failed", getattr(task, "__qualname__", task))
