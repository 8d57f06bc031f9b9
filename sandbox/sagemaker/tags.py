"""AddTags, ListTags, DeleteTags."""

from __future__ import annotations

from typing import Any

from sandbox.sagemaker import errors
from sandbox.sagemaker.context import Context

_MAX_TAGS = 50  # "Maximum number of tags per resource: 50", Tagging AWS resources


class Tags:
    """Tags on any resource of the service."""

    def __init__(self, context: Context) -> None:
        self._store = context.store

    def add(self, params: dict[str, Any]) -> dict[str, Any]:
        """AddTags: overwrites the value of a key that is there; answers with all tags of the resource."""
        with self._store.lock:
            tags = self._store.tags(params["ResourceArn"])
            merged = {**tags, **{tag["Key"]: tag.get("Value", "") for tag in params["Tags"]}}
            if len(merged) > _MAX_TAGS:
                raise errors.validation(
                    f"{params['ResourceArn']} would have {len(merged)} tags; at most {_MAX_TAGS} are allowed."
                )
            tags.update(merged)
            return {"Tags": _entries(tags)}

    def list_all(self, params: dict[str, Any]) -> dict[str, Any]:
        """ListTags, in pages of MaxResults (50 by default, so all of them)."""
        with self._store.lock:
            entries = _entries(self._store.tags(params["ResourceArn"]))
        token = params.get("NextToken") or "0"
        if not token.isdecimal():
            raise errors.validation(f"NextToken {token!r} was not given out by this operation.")
        start = int(token)
        size = int(params.get("MaxResults") or _MAX_TAGS)
        answer: dict[str, Any] = {"Tags": entries[start : start + size]}
        if start + size < len(entries):
            answer["NextToken"] = str(start + size)
        return answer

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """DeleteTags: keys that are not there are passed over."""
        with self._store.lock:
            tags = self._store.tags(params["ResourceArn"])
            for key in params["TagKeys"]:
                tags.pop(key, None)
        return {}


def _entries(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
