"""The knobs of the service: AWS's values, which tests and demos shorten."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Times and bounds.

    `time_scale` multiplies the waits of a deployment (canary and linear intervals, baking): 0.1 makes a
    ten-minute canary last one minute. `startup_timeout_seconds` replaces a variant's own allowance for its
    first good ping. `spot_interruption_seconds`: each job on spot capacity is interrupted once, so long after
    its container has started; None for never.
    """

    time_scale: float = 1.0
    startup_timeout_seconds: float | None = None
    ping_timeout_seconds: float = 2.0  # your-algorithms-inference-code: "must respond within 2 seconds"
    ping_interval_seconds: float = 0.5
    invoke_timeout_seconds: float = 60.0  # API_runtime_InvokeEndpoint: "within 60 seconds"
    stop_grace_seconds: float = 120.0  # API_StopTrainingJob: 120 s between SIGTERM and SIGKILL
    drain_grace_seconds: float = 30.0  # your-algorithms-inference-code: 30 s between SIGTERM and SIGKILL
    poll_seconds: float = 0.1
    alarm_poll_seconds: float = 0.5
    health_seconds: float = 1.0
    capture_flush_seconds: float = 2.0
    capture_flush_lines: int = 500
    max_parallel_jobs: int = 4
    max_parallel_starts: int = max(1, min(4, os.cpu_count() or 1))
    max_parallel_invocations: int = 64
    metadata_update_events: bool = False
    spot_interruption_seconds: float | None = None
