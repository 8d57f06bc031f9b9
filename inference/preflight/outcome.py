"""What a check found, as it is stored in ``check.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inference.preflight import places
from inference.preflight.measure import Latency
from inference.preflight.settings import Settings


@dataclass
class Outcome:
    """Filled as the check goes on, so that a check that breaks off still tells what it saw.

    Attributes:
        passed: Whether the challenger may get traffic.
        reason: One sentence.
        started_seconds: From the start of the server to its first good ping.
        requests: How many it was asked.
        errors: How many of them failed.
        latency: Of single rows.
        burst_milliseconds: p99 with several requests at the same moment.
        shadow: See ``shadow.compare``.
        notes: What people should know beside it.
        log: The end of the server's output, when it did not start.
        seconds: How long the whole check took.
    """

    passed: bool = False
    reason: str = ""
    started_seconds: float | None = None
    requests: int = 0
    errors: int = 0
    latency: Latency | None = None
    burst_milliseconds: float | None = None
    shadow: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self, settings: Settings) -> dict[str, Any]:
        """The document."""
        return {
            "schema": places.SCHEMA,
            "model": settings.model,
            "run_id": settings.run_id,
            "job_name": settings.job_name,
            "endpoint": settings.endpoint,
            "challenger": settings.challenger.name,
            "champion": settings.champion.name if settings.champion else None,
            "passed": self.passed,
            "reason": self.reason,
            "started_seconds": _rounded(self.started_seconds),
            "source": settings.source,
            "requests": self.requests,
            "errors": self.errors,
            "timed": self.latency.requests if self.latency else 0,
            "p50_milliseconds": _rounded(self.latency.p50_milliseconds if self.latency else None),
            "p99_milliseconds": _rounded(self.latency.p99_milliseconds if self.latency else None),
            "limit_milliseconds": settings.max_latency_milliseconds,
            "burst_p99_milliseconds": _rounded(self.burst_milliseconds),
            "shadow": self.shadow,
            "notes": self.notes,
            "log": self.log,
            "seconds": _rounded(self.seconds),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
