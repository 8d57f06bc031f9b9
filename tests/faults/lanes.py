"""Calls of functions that run "at the same time", one step at a time, in an order that can be repeated.

Each call runs in a thread of its own; only the one that was given the turn runs. It gives the turn back where
it calls AWS. So every interleaving of the calls of two functions can be played, and played again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

_PATIENCE_SECONDS = 120.0


class Killed(BaseException):
    """The process is gone. No handler may catch this, as none survives a SIGKILL."""


class Lane:
    """One call of a function.

    Attributes:
        name: For the history.
        deadline: When the platform ends it, in virtual seconds.
        wake_at: It waits until this virtual time.
        ended: Whether it has returned, failed or was killed.
        result: What it returned.
        error: What it raised.
        calls: How many calls of AWS it has made.
        thread: Where it runs.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Any],
        deadline: float,
        *,
        alone: Callable[[float], None] | None = None,
    ) -> None:
        self.name = name
        self.deadline = deadline
        self.wake_at = 0.0
        self.ended = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.calls = 0
        self._work = work
        self._doomed = False
        self._alone = alone
        self._mine, self._yours = threading.Lock(), threading.Lock()
        self._mine.acquire()
        self._yours.acquire()
        # Without others beside it there is nobody to give the turn to: it works where it is called.
        self.thread = (
            threading.current_thread()
            if alone
            else threading.Thread(target=self._run, name=name, daemon=True)
        )

    def resume(self) -> None:
        """Give it the turn, until it pauses or ends."""
        if self._alone:
            self._work_off()
            return
        if not self.thread.ident:
            self.thread.start()
        self._mine.release()
        if not self._yours.acquire(timeout=_PATIENCE_SECONDS):
            raise AssertionError(f"{self.name} does not give the turn back")

    def pause(self, until: float) -> None:
        """Give the turn back, from inside."""
        if self._alone:
            self._alone(until)
            return
        self.wake_at = until
        self._yours.release()
        self._mine.acquire()
        if self._doomed:
            raise Killed(f"{self.name} was ended from outside")

    def kill(self) -> None:
        """End it where it stands."""
        self._doomed = True
        while not self.ended:
            self.resume()
        self.thread.join()

    def _run(self) -> None:
        self._mine.acquire()
        self._work_off()
        self._yours.release()

    def _work_off(self) -> None:
        try:
            if self._doomed:
                raise Killed(f"{self.name} never began")  # noqa: TRY301 - as if it had begun
            self.result = self._work()
        except BaseException as error:  # noqa: BLE001 - whatever it was, the world looks at it
            self.error = error
        finally:
            self.ended = True
