"""Functions share this machine with what they talk to: few at a time, and with less priority.

On AWS they run elsewhere. Here a queue of thousands of messages would start ten processes of each function
that works on it, and whoever puts the files behind the messages would wait for them.
"""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import functools
import os
from typing import Any

from sandbox.seam.internals import ministack

# Lambda's own least for an event source mapping's MaximumConcurrency:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
LEAST_AT_ONCE = 2
NICE = 5
_BE_NICE = f"import os\nif hasattr(os, 'nice'):\n    os.nice({NICE})\n"


def share_processors() -> None:
    """Limit how many calls a queue leads to at a time, and let functions' processes step back."""
    lambdas, runtime = ministack("services.lambda_svc"), ministack("core.lambda_runtime")
    concurrency, script_of = lambdas._sqs_esm_concurrency, runtime._detect_runtime_binary

    @functools.wraps(concurrency)
    def at_most(*args: Any, **options: Any) -> int:
        return min(int(concurrency(*args, **options)), most_at_once())

    @functools.wraps(script_of)
    def nice(name: str) -> tuple[str, str]:
        binary, script = script_of(name)
        return binary, _BE_NICE + script if name.startswith("python") else script

    lambdas._sqs_esm_concurrency = at_most
    runtime._detect_runtime_binary = nice


def most_at_once() -> int:
    """As many as there are processors."""
    return max(LEAST_AT_ONCE, os.cpu_count() or LEAST_AT_ONCE)
