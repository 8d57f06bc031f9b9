"""Rules of the AWS services that botocore's models do not carry. Each names the page it is from."""

from __future__ import annotations

from typing import Any

from sandbox.calls import Call


def check(call: Call) -> tuple[str, str] | None:
    """The (code, message) AWS refuses a call with, or None."""
    return None
