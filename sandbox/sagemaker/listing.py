"""The List operations: filters, order and pages, the same for every kind of resource."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sandbox.sagemaker import errors, shapes
from sandbox.sagemaker.store import Record

_DEFAULT_PAGE = 10  # API_ListTrainingJobs and its siblings: MaxResults defaults to 10


@dataclass(frozen=True)
class Listing:
    """How one List operation looks.

    `member` is the list in its answer, `name` and `status` the fields that NameContains and StatusEquals look
    at, `descending` AWS's default order where a request names none.
    """

    operation: str
    member: str
    name: str
    status: str | None = None
    descending: bool = True

    def page(
        self,
        records: Iterable[Record],
        params: dict[str, Any],
        values: Callable[[Record], dict[str, Any]] = Record.values,
    ) -> dict[str, Any]:
        """One page of the answer.

        A page token stays good when records come and go: it names the last one shown.
        """
        rows = [row for row in map(values, records) if self._matches(row, params)]
        order = self._order(params)
        descending = params.get("SortOrder", "Descending" if self.descending else "Ascending") == "Descending"
        rows.sort(key=order, reverse=descending)
        token = params.get("NextToken")
        if token:
            last = _decode(token)
            rows = [row for row in rows if _is_after(order(row), last, token, descending=descending)]
        size = int(params.get("MaxResults") or _DEFAULT_PAGE)
        shown = rows[:size]
        answer: dict[str, Any] = {
            self.member: [shapes.project_item(self.operation, self.member, row) for row in shown]
        }
        if len(rows) > size:
            answer["NextToken"] = _encode(order(shown[-1]))
        return answer

    def _order(self, params: dict[str, Any]) -> Callable[[dict[str, Any]], tuple[Any, str]]:
        by = params.get("SortBy", "CreationTime")
        field = {"Name": self.name, "Status": self.status or self.name}.get(by, "CreationTime")
        unique = _unique_field(self.member)
        return lambda row: (row[field], str(row[unique]))

    def _matches(self, row: dict[str, Any], params: dict[str, Any]) -> bool:
        contains = params.get("NameContains")
        if contains and contains.lower() not in str(row.get(self.name, "")).lower():
            return False
        if self.status and params.get("StatusEquals") not in (None, row.get(self.status)):
            return False
        return all(
            _in_range(row[field], params.get(f"{field}After"), params.get(f"{field}Before"))
            for field in ("CreationTime", "LastModifiedTime")
        )


def _unique_field(member: str) -> str:
    """The ARN of a row: names repeat among the versions of a model package group."""
    stem = member.removesuffix("SummaryList").removesuffix("Summaries")
    return {"Models": "ModelArn", "EndpointConfigs": "EndpointConfigArn", "Endpoints": "EndpointArn"}.get(
        stem, f"{stem}Arn"
    )


def _in_range(value: float, after: Any, before: Any) -> bool:
    if after is not None and value <= shapes.epoch(after):
        return False
    return before is None or value < shapes.epoch(before)


def _encode(key: tuple[Any, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _decode(token: str) -> tuple[Any, ...]:
    try:
        key = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError) as error:
        raise _not_ours(token) from error
    if not (isinstance(key, list) and len(key) == 2):
        raise _not_ours(token)
    return tuple(key)


def _is_after(key: tuple[Any, ...], last: tuple[Any, ...], token: str, *, descending: bool) -> bool:
    try:
        return key < last if descending else key > last
    except TypeError as error:  # the token is of a list in another order
        raise _not_ours(token) from error


def _not_ours(token: str) -> errors.ApiError:
    return errors.validation(f"NextToken {token!r} was not given out by this operation.")
