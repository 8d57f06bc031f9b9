"""Rules of CloudWatch Logs.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
"""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.rules.rule import Broken, Params, Rule

_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731)
_LONG_RETENTION_DAYS = (1096, 1827, 2192, 2557, 2922, 3288, 3653)


def _retention(params: Params) -> Broken:
    days, allowed = params.get("retentionInDays"), (*_RETENTION_DAYS, *_LONG_RETENTION_DAYS)
    if days in allowed:
        return None
    return (
        "InvalidParameterException",
        (
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(map(str, allowed))}]"
        ),
    )


RULES: Mapping[str, Rule] = {
    "PutRetentionPolicy": _retention,
}
