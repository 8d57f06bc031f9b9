"""The metrics of endpoints in CloudWatch, gathered for about a second and sent together.

Names, units and dimensions: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.sagemaker.clock import Clock
    from sandbox.sagemaker.platform import Platform

_NAMESPACE = "AWS/SageMaker"
_MAX_VALUES = 150  # API_MetricDatum: at most 150 different values in one datum

_UNITS = {
    "Invocations": "None",
    "InvocationsPerInstance": "None",
    "Invocation4XXErrors": "None",
    "Invocation5XXErrors": "None",
    "InvocationModelErrors": "None",
    "ModelLatency": "Microseconds",
    "OverheadLatency": "Microseconds",
}


class InvocationMetrics:
    """Counts invocations per endpoint and variant until the next flush."""

    def __init__(self, platform: Platform, clock: Clock) -> None:
        self._platform = platform
        self._clock = clock
        self._lock = threading.Lock()
        self._values: dict[tuple[str, str, str], Counter[float]] = {}

    def record(
        self,
        endpoint: str,
        variant: str,
        *,
        status: int,
        model_microseconds: float,
        overhead_microseconds: float,
        instances: int,
    ) -> None:
        """Note one invocation. `status` is the container's.

        0 when it gave no answer, which counts as a 5XX.
        """
        failed = not 200 <= status < 300
        values = {
            "Invocations": 1.0,
            "InvocationsPerInstance": 1.0 / max(1, instances),
            "Invocation4XXErrors": float(400 <= status < 500),
            "Invocation5XXErrors": float(failed and not 400 <= status < 500),
            "InvocationModelErrors": float(failed),
            "ModelLatency": round(model_microseconds),
            "OverheadLatency": round(max(0.0, overhead_microseconds)),
        }
        with self._lock:
            for name, value in values.items():
                self._values.setdefault((endpoint, variant, name), Counter())[float(value)] += 1

    def flush(self) -> None:
        """Send what was gathered."""
        with self._lock:
            gathered, self._values = self._values, {}
        data: list[dict[str, Any]] = []
        for (endpoint, variant, name), counts in gathered.items():
            items = sorted(counts.items())
            data += [
                self._datum(endpoint, variant, name, items[start : start + _MAX_VALUES])
                for start in range(0, len(items), _MAX_VALUES)
            ]
        if data:
            self._platform.put_metrics(_NAMESPACE, data)

    def _datum(
        self, endpoint: str, variant: str, name: str, items: list[tuple[float, int]]
    ) -> dict[str, Any]:
        return {
            "MetricName": name,
            "Dimensions": [
                {"Name": "EndpointName", "Value": endpoint},
                {"Name": "VariantName", "Value": variant},
            ],
            "Timestamp": self._clock.now(),
            "Unit": _UNITS[name],
            "Values": [value for value, _ in items],
            "Counts": [float(count) for _, count in items],
        }
