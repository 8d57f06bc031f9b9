"""What MiniStack's S3 leaves out: versions in events, the bucket's expected owner, conditions of writes.

Sources: "EventBridge event message structure"
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html), "Verifying bucket ownership with
bucket owner condition" (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html),
"Enforce conditional writes on Amazon S3 buckets"
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html).
"""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Mapping
from typing import Any

from sandbox import calls
from sandbox.lifecycle import ACCOUNT
from sandbox.seam.internals import ministack
from sandbox.seam.sagemaker import Answer

# The owner of the bucket, and of the one that is copied from.
_OWNER_HEADERS = ("x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner")
_NO_VERSION = "null"


def complete_buckets() -> None:
    """Fill the gaps."""
    _name_versions()
    _expect_owner()
    _tell_conditions()


def _name_versions() -> None:
    """Give events of buckets with versions the field `version-id` of their object."""
    s3, events = ministack("services.s3"), ministack("services.eventbridge")
    fire, dispatch = s3._fire_s3_event, events._dispatch_event
    # MiniStack fires each event in a thread of its own.
    firing = threading.local()

    @functools.wraps(fire)
    def knowing_the_version(*arguments: Any, version_id: str | None = None, **options: Any) -> None:
        firing.version = version_id
        try:
            fire(*arguments, version_id=version_id, **options)
        finally:
            firing.version = None

    @functools.wraps(dispatch)
    def with_version(event: dict[str, Any], *arguments: Any) -> None:
        version = getattr(firing, "version", None)
        if version and version != _NO_VERSION and event.get("Source") == "aws.s3":
            detail = json.loads(event["Detail"])
            detail["object"] = {**detail["object"], "version-id": version}
            event = {**event, "Detail": json.dumps(detail)}
        dispatch(event, *arguments)

    s3._fire_s3_event = knowing_the_version
    events._dispatch_event = with_version


def _expect_owner() -> None:
    """Refuse a request that expects somebody else's bucket: all buckets here are the account's."""
    s3 = ministack("services.s3")
    handle = s3.handle_request

    @functools.wraps(handle)
    async def for_its_owner(
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, list[str]],
        **options: Any,
    ) -> Any:
        call = calls.current.get()
        if call is not None and call.service == "s3" and _expects_another(headers):
            return _denied(method)
        return await handle(method, path, headers, body, query, **options)

    s3.handle_request = for_its_owner


def _expects_another(headers: Mapping[str, str]) -> bool:
    return any(headers.get(name, ACCOUNT) != ACCOUNT for name in _OWNER_HEADERS)


def _denied(method: str) -> Answer:
    content = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    return 403, {"Content-Type": "application/xml"}, b"" if method == "HEAD" else content


def _tell_conditions() -> None:
    """Give policies the keys `s3:if-none-match` and `s3:if-match` of a write that has such a header."""
    actions = ministack("core.iam_actions")
    known = actions.s3_service_context

    @functools.wraps(known)
    def with_conditions(
        action: str,
        query: dict[str, list[str]] | None,
        path: str = "",
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        found: dict[str, Any] = known(action, query, path, headers)
        if action != "s3:PutObject":
            return found
        given = {name: (headers or {}).get(name) for name in ("if-none-match", "if-match")}
        return found | {f"s3:{name}": value for name, value in given.items() if value}

    actions.s3_service_context = with_conditions
