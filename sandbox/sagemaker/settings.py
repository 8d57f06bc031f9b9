"""The knobs of the service: AWS's values, which tests and demos shorten."""

from __future__ import annotations

import os
from dataclasses import dataclass

# "during the 8 minutes after startup":
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
STARTUP_SECONDS = 480.0
_LEAST_STARTUP_SECONDS = 45.0
_BAD_PINGS = 5


@dataclass(frozen=True)
class Settings:
    """Times and bounds.

    `time_scale` multiplies the waits of a deployment (canary and linear intervals, baking): 0.1 makes a
    ten-minute canary last one minute. `startup_timeout_seconds` replaces a variant's own allowance for its
    first good ping. `spot_interruption_seconds`: each job on spot capacity is interrupted once, so long after
    its container has started; None for never. `bad_pings` ends a server's start at so many pings that it
    answers with an error: AWS keeps asking, but a model that cannot be loaded does not get better.
    """

    time_scale: float = 1.0
    startup_timeout_seconds: float | None = None
    bad_pings: int | None = None
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


def of_a_sandbox(wait_scale: float) -> Settings:
    """What a sandbox for people waits for.

    A fleet that never answers holds an update up for eight minutes on AWS. Here that is as much shorter as
    the waits of state machines and deployments are, but a server gets the time to start on a busy machine.
    """
    return Settings(
        time_scale=wait_scale,
        startup_timeout_seconds=max(STARTUP_SECONDS * wait_scale, _LEAST_STARTUP_SECONDS),
        bad_pings=_BAD_PINGS,
        metadata_update_events=True,
    )
