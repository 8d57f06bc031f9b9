"""Functions' log lines that are metrics become metrics."""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import functools
from typing import Any

from sandbox.embedded_metrics import metrics_in
from sandbox.seam.account import Account
from sandbox.seam.internals import ministack


def extract_metrics(account: Account) -> None:
    """Read the metrics out of what functions print, which MiniStack only stores."""
    functions = ministack("services.lambda_svc")
    store = functions._emit_lambda_logs

    @functools.wraps(store)
    def store_and_extract(func: Any, request_id: str, log_text: str, *rest: Any, **named: Any) -> None:
        store(func, request_id, log_text, *rest, **named)
        for line in (log_text or "").splitlines():
            for namespace, data in metrics_in(line):
                account.put_metrics(namespace, data)

    functions._emit_lambda_logs = store_and_extract
