"""How long sessions of roles last, and that they are refused afterwards, as on AWS.

MiniStack refuses a session that is over, but forgets it when the next one begins, and then says that it never
knew it. One hour unless told otherwise: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html.
The credentials that Lambda gives a function are renewed by Lambda and are left as they are.
"""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import functools
import os
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

from sandbox.lifecycle import ACCOUNT
from sandbox.seam.internals import ministack

# Shorter ones let people see what their own tools do when credentials run out.
VARIABLE = "UPKEEP_SESSION_SECONDS"
LIFETIME_SECONDS = 3600.0
_REMEMBERED_SECONDS = 86_400.0


@dataclass(frozen=True)
class _Session:
    """Credentials, as AWS_* variables, and from when on others are given."""

    credentials: dict[str, str]
    renewed_at: float


_lock = threading.Lock()
_current: dict[tuple[str, str], _Session] = {}


def lifetime_seconds() -> float:
    """How long a session lasts."""
    return float(os.environ.get(VARIABLE) or LIFETIME_SECONDS)


def of_role(role_arn: str, session_name: str) -> dict[str, str]:
    """Credentials of a role, as AWS_* variables, that are good for at least half a session's life."""
    with _lock:
        known = _current.get((role_arn, session_name))
        if known is None or time.time() >= known.renewed_at:
            known = _current[role_arn, session_name] = _begin(role_arn.rpartition("/")[2], session_name)
        return dict(known.credentials)


def _begin(role_name: str, session_name: str) -> _Session:
    now, lifetime = time.time(), lifetime_seconds()
    key, secret, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_hex(32)
    ministack("services.sts").register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role_name}/{session_name}",
            "UserId": f"{role_name}:{session_name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": now + lifetime,
        },
    )
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return _Session(dict(zip(names, (key, secret, token), strict=True)), now + lifetime / 2)


def limit_sessions() -> None:
    """Let no session outlast the lifetime, and remember those that are over."""
    sts = ministack("services.sts")
    register, future = sts.register_session, sts._future

    @functools.wraps(register)
    def no_longer(access_key: str, session: dict[str, Any]) -> None:
        asked = session.get("Expiration")
        if isinstance(asked, int | float) and VARIABLE in os.environ:
            session["Expiration"] = min(asked, time.time() + lifetime_seconds())
        register(access_key, session)

    @functools.wraps(future)
    def as_said(seconds: float) -> Any:
        return future(min(seconds, lifetime_seconds()) if VARIABLE in os.environ else seconds)

    sts.register_session = no_longer
    sts._future = as_said
    sts._evict_expired_sessions = forget_long_over


def forget_long_over() -> None:
    """Forget the sessions that have been over for a day."""
    sts = ministack("services.sts")
    before = time.time() - _REMEMBERED_SECONDS
    for key, session in list(sts._sessions.items()):
        if session.get("Expiration", before) < before:
            sts._sessions.pop(key, None)
