"""Starts the program that answers with the version that serves now, and collects its replies."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from inference.preflight import champion
from inference.preflight.server import Reply


class RivalError(Exception):
    """There are no replies to compare with; the text says why."""


class Rival:
    """One run of the program.

    Args:
        model: Unpacked model of the version.
        requests: The requests' file.
        work: Folder for its replies and its output.
        environment: Its variables.
    """

    def __init__(self, model: Path, requests: Path, work: Path, environment: Mapping[str, str]) -> None:
        self._replies, self._log = work / "champion.jsonl", work / "champion.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, champion.__file__, str(model), str(requests), str(self._replies)],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def replies(self, seconds: float) -> list[Reply]:
        """Wait for all replies.

        Raises:
            RivalError: It failed, took too long, or answered nothing with 200.
        """
        try:
            code = self._process.wait(max(seconds, 0.001))
        except subprocess.TimeoutExpired:
            raise RivalError(f"it did not answer all requests within {seconds:.0f} s") from None
        if code:
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise RivalError(f"it ended with exit code {code}: {lines[-1][:300] if lines else 'no output'}")
        found = [_reply(line) for line in self._replies.read_text(encoding="utf-8").splitlines()]
        if not any(reply.status == 200 for reply in found):
            raise RivalError(f"it answers none of the requests; the first: {found[0].words}")
        return found

    def stop(self) -> None:
        """End it and everything it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(5)


def _reply(line: str) -> Reply:
    data = json.loads(line)
    return Reply(data["status"], base64.b64decode(data["base64"]), data["content_type"], data["milliseconds"])
