"""What training and processing jobs share: a bounded number at a time, each on its own thread, stoppable."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Job:
    """One job's thread and its ways of ending early: `stop` asks, `kill` is the end of the sandbox."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.kill = threading.Event()
        self.thread: threading.Thread | None = None


class Jobs:
    """Runs jobs; more than `max_parallel` wait for their turn."""

    def __init__(self, name: str, max_parallel: int) -> None:
        self._name = name
        self._turns = threading.Semaphore(max_parallel)
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._closed = False

    def start(self, key: str, run: Callable[[Job], None]) -> None:
        """Run `run(job)` on a thread of its own."""
        job = Job()

        def work() -> None:
            try:
                with self._turns:
                    run(job)
            except Exception:  # noqa: BLE001 - the end of a thread: nobody is left to raise to
                _log.exception("%s job %s ended with an unexpected error", self._name, key)
            finally:
                with self._lock:
                    if self._jobs.get(key) is job:
                        del self._jobs[key]

        job.thread = threading.Thread(target=work, name=f"sagemaker-{self._name}-{key}", daemon=True)
        with self._lock:
            if self._closed:
                raise RuntimeError(f"the sandbox is stopping; {self._name} job {key} is not started")
            self._jobs[key] = job
            job.thread.start()

    def request_stop(self, key: str) -> None:
        """Ask a job to stop; nothing happens when it has ended."""
        with self._lock:
            job = self._jobs.get(key)
        if job is not None:
            job.stop.set()

    def kill(self) -> None:
        """Tell every job to end at once; takes no new one from now on."""
        with self._lock:
            self._closed = True
            jobs = list(self._jobs.values())
        for job in jobs:
            job.kill.set()
            job.stop.set()

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Kill every job and wait for its thread."""
        self.kill()
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            if job.thread is not None:
                job.thread.join(timeout_seconds)
