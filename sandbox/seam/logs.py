"""What MiniStack's CloudWatch Logs leaves out: metrics in log lines, and streams looked up by prefix."""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import functools
from typing import Any

from sandbox.embedded_metrics import metrics_in
from sandbox.seam.account import Account
from sandbox.seam.internals import ministack

_NO_STREAM = ":none:"  # a colon is allowed in no stream name


def complete_logs(account: Account) -> None:
    """Fill both gaps."""
    _extract_metrics(account)
    _filter_by_prefix()


def _extract_metrics(account: Account) -> None:
    """Read the metrics out of what functions print."""
    functions = ministack("services.lambda_svc")
    store = functions._emit_lambda_logs

    @functools.wraps(store)
    def store_and_extract(func: Any, request_id: str, log_text: str, *rest: Any, **named: Any) -> None:
        store(func, request_id, log_text, *rest, **named)
        for line in (log_text or "").splitlines():
            for namespace, data in metrics_in(line):
                account.put_metrics(namespace, data)

    functions._emit_lambda_logs = store_and_extract


def _filter_by_prefix() -> None:
    """Honour logStreamNamePrefix of FilterLogEvents, which MiniStack takes and ignores."""
    logs = ministack("services.cloudwatch_logs")
    search = logs._filter_log_events

    @functools.wraps(search)
    def search_streams(data: dict[str, Any]) -> Any:
        prefix = data.get("logStreamNamePrefix")
        group = logs._log_groups.get(logs._resolve_log_group_name(data))
        if prefix and group is not None:
            names = [name for name in group["streams"] if name.startswith(prefix)]
            data = {**data, "logStreamNames": names or [_NO_STREAM]}
        return search(data)

    logs._filter_log_events = search_streams
