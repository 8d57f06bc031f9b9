from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.sagemaker.errors import ApiError
from sandbox.sagemaker.listing import Listing
from sandbox.sagemaker.store import Record, Store

ENDPOINTS = Listing("ListEndpoints", "Endpoints", "EndpointName", "EndpointStatus")
STATUSES = ("InService", "Failed", "Updating")


def records(rows: list[tuple[str, int, str]]) -> list[Record]:
    store = Store("us-east-1", "000000000000")
    made = {}
    for name, created, status in rows:
        record = store.add("endpoint", name, {"EndpointName": name}, float(created))
        record.fields |= {"EndpointArn": record.arn, "EndpointStatus": status}
        made[name] = record
    return list(made.values())


def all_pages(rows: list[Record], params: dict[str, Any]) -> list[str]:
    names: list[str] = []
    token = None
    for _ in range(len(rows) + 2):
        page = ENDPOINTS.page(rows, {**params, **({"NextToken": token} if token else {})})
        assert len(page["Endpoints"]) <= params["MaxResults"]
        names += [row["EndpointName"] for row in page["Endpoints"]]
        token = page.get("NextToken")
        if token is None:
            return names
    raise AssertionError("the pages do not end")


ROWS = st.lists(
    st.tuples(
        st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True), st.integers(0, 5), st.sampled_from(STATUSES)
    ),
    max_size=25,
    unique_by=lambda row: row[0],
)


@given(
    ROWS,
    st.integers(1, 7),
    st.sampled_from(["Name", "CreationTime", "Status"]),
    st.sampled_from(["Ascending", "Descending"]),
)
def test_pages_show_every_record_once_and_in_order(
    rows: list[tuple[str, int, str]], size: int, by: str, order: str
) -> None:
    found = all_pages(records(rows), {"MaxResults": size, "SortBy": by, "SortOrder": order})
    column = {"Name": 0, "CreationTime": 1, "Status": 2}[by]
    values = {name: (name, created, status)[column] for name, created, status in rows}
    assert sorted(found) == sorted(values)
    shown = [values[name] for name in found]
    assert shown == sorted(shown, reverse=order == "Descending")


@given(ROWS, st.integers(1, 5), st.data())
def test_a_record_that_goes_between_two_pages_hides_no_other(
    rows: list[tuple[str, int, str]], size: int, data: st.DataObject
) -> None:
    whole = records(rows)
    first = ENDPOINTS.page(whole, {"MaxResults": size})
    if "NextToken" not in first:
        return
    gone = data.draw(st.sampled_from([row["EndpointName"] for row in first["Endpoints"]]))
    rest = [record for record in whole if record.name != gone]
    names = [row["EndpointName"] for row in first["Endpoints"]]
    token = first["NextToken"]
    while token:
        page = ENDPOINTS.page(rest, {"MaxResults": size, "NextToken": token})
        names += [row["EndpointName"] for row in page["Endpoints"]]
        token = page.get("NextToken")
    assert sorted(names) == sorted(record.name for record in whole)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["shop-2", "shop-1", "bar"]),
        ({"NameContains": "SHOP"}, ["shop-2", "shop-1"]),
        ({"StatusEquals": "Failed"}, ["shop-1"]),
        ({"CreationTimeAfter": 10}, ["shop-2", "shop-1"]),
        ({"CreationTimeBefore": "1970-01-01T00:00:20Z"}, ["bar"]),
        ({"LastModifiedTimeAfter": 20.0}, ["shop-2"]),
    ],
)
def test_filters_keep_what_they_say(filters: dict[str, Any], expected: list[str]) -> None:
    rows = records([("bar", 10, "InService"), ("shop-1", 20, "Failed"), ("shop-2", 30, "InService")])
    page = ENDPOINTS.page(rows, filters)
    assert [row["EndpointName"] for row in page["Endpoints"]] == expected


@pytest.mark.parametrize("token", ["xx", "W10=", "not base64!"])
def test_a_token_of_ones_own_making_is_refused(token: str) -> None:
    with pytest.raises(ApiError, match="was not given out by this operation"):
        ENDPOINTS.page([], {"NextToken": token})


@pytest.mark.parametrize("key", [["text", "a"], [None, None], ["just one"], 1])
def test_a_token_of_another_order_is_refused(key: Any) -> None:
    token = base64.urlsafe_b64encode(json.dumps(key).encode()).decode()
    with pytest.raises(ApiError, match="was not given out by this operation"):
        ENDPOINTS.page(records([("a", 1, "InService")]), {"NextToken": token})
