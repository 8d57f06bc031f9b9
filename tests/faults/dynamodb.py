"""One-region DynamoDB in memory: conditions, updates, queries with pages, transactions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.faults.account import Clock, RefusedError
from tests.faults.expressions import Item, holds, invalid, updated

# A page has 1 MB on AWS; here it is so short that code which reads one page only is found out.
PAGE_ITEMS = 10
_BATCH = 100
# The condition that nearly all queries have, read without the parser.
_BEGINS = re.compile(r"#?pk = (:\w+) AND begins_with\(#?sk, (:\w+)\)")


class DynamoDB:
    """Tables whose keys are ``pk`` and ``sk``.

    Attributes:
        tables: Table to (pk, sk) to item.
        log: All writes, in order: (time, table, (pk, sk), item or None).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.tables: dict[str, dict[tuple[str, str], Item]] = {}
        self.log: list[tuple[float, str, tuple[str, str], Item | None]] = []
        self._tokens: set[str] = set()

    def perform(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a call."""
        method = getattr(self, f"_{operation}", None)
        if method is None:
            raise NotImplementedError(operation)
        found: dict[str, Any] = method(params)
        return found

    def items(self, table: str, pk: str, start: str = "") -> list[Item]:
        """The items of a partition whose sort key begins so."""
        found = sorted(self._table(table).items())
        return [item for key, item in found if key[0] == pk and key[1].startswith(start)]

    def _table(self, name: str) -> dict[tuple[str, str], Item]:
        if name not in self.tables:
            raise RefusedError("ResourceNotFoundException", 400, f"Requested resource not found: {name}")
        return self.tables[name]

    def _check(self, params: Mapping[str, Any], item: Item | None) -> None:
        if holds(params.get("ConditionExpression"), *_words(params), item):
            return
        more = {}
        if params.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and item is not None:
            more = {"Item": item}
        message = "The conditional request failed"
        raise RefusedError("ConditionalCheckFailedException", 400, message, **more)

    def _write(self, table: str, key: tuple[str, str], item: Item | None) -> None:
        if item is None:
            self._table(table).pop(key, None)
        else:
            self._table(table)[key] = item
        self.log.append((self._clock.now, table, key, item))

    def _PutItem(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        item = {name: dict(value) for name, value in params["Item"].items()}
        _check_values(item)
        key = _key(item)
        old = self._table(params["TableName"]).get(key)
        self._check(params, old)
        self._write(params["TableName"], key, item)
        return {"Attributes": old} if old and params.get("ReturnValues") == "ALL_OLD" else {}

    def _GetItem(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._table(params["TableName"]).get(_key(params["Key"]))
        return {"Item": _projected(found, params)} if found else {}

    def _UpdateItem(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        key = _key(params["Key"])
        old = self._table(params["TableName"]).get(key)
        self._check(params, old)
        new = updated(params.get("UpdateExpression"), *_words(params), old or dict(params["Key"]))
        _check_values(new)
        self._write(params["TableName"], key, new)
        returned = {"ALL_OLD": old or {}, "ALL_NEW": new}
        if (wanted := params.get("ReturnValues", "NONE")) in returned:
            return {"Attributes": returned[wanted]}
        if wanted == "UPDATED_NEW":
            return {"Attributes": {n: v for n, v in new.items() if (old or {}).get(n) != v}}
        if wanted == "UPDATED_OLD":
            return {"Attributes": {n: v for n, v in (old or {}).items() if new.get(n) != v}}
        return {}

    def _DeleteItem(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        key = _key(params["Key"])
        old = self._table(params["TableName"]).get(key)
        self._check(params, old)
        self._write(params["TableName"], key, None)
        return {"Attributes": old} if old and params.get("ReturnValues") == "ALL_OLD" else {}

    def _Query(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        names, values = _words(params)
        condition = params["KeyConditionExpression"]
        rows = list(self._table(params["TableName"]).items())
        if match := _BEGINS.fullmatch(condition):
            pk, start = (values[name]["S"] for name in match.groups())
            found = [row for row in rows if row[0][0] == pk and row[0][1].startswith(start)]
        else:
            found = [row for row in rows if holds(condition, names, values, row[1])]
        found.sort(key=lambda row: row[0], reverse=not params.get("ScanIndexForward", True))
        return self._page(params, found)

    def _Scan(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._page(params, sorted(self._table(params["TableName"]).items()))

    def _page(self, params: Mapping[str, Any], rows: list[tuple[tuple[str, str], Item]]) -> dict[str, Any]:
        if start := params.get("ExclusiveStartKey"):
            after = _key(start)
            backward = not params.get("ScanIndexForward", True)
            rows = [row for row in rows if (row[0] < after if backward else row[0] > after)]
        most = min(params.get("Limit", PAGE_ITEMS), PAGE_ITEMS)
        page, more = rows[:most], len(rows) > most
        kept = [item for _, item in page if holds(params.get("FilterExpression"), *_words(params), item)]
        answer: dict[str, Any] = {"Count": len(kept), "ScannedCount": len(page)}
        if params.get("Select") != "COUNT":
            answer["Items"] = [_projected(item, params) for item in kept]
        if more:
            pk, sk = page[-1][0]
            answer["LastEvaluatedKey"] = {"pk": {"S": pk}, "sk": {"S": sk}}
        return answer

    def _BatchGetItem(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        answers: dict[str, list[Item]] = {}
        left: dict[str, Any] = {}
        for table, asked in params["RequestItems"].items():
            if len(asked["Keys"]) > _BATCH:
                raise invalid("Too many items requested for the BatchGetItem call")
            page, rest = asked["Keys"][:PAGE_ITEMS], asked["Keys"][PAGE_ITEMS:]
            found = [self._table(table).get(_key(key)) for key in page]
            answers[table] = [_projected(item, asked) for item in found if item]
            if rest:
                left[table] = {**asked, "Keys": rest}
        return {"Responses": answers, "UnprocessedKeys": left}

    def _BatchWriteItem(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        for table, requests in params["RequestItems"].items():
            for request in requests:
                if "PutRequest" in request:
                    self._PutItem({"TableName": table, "Item": request["PutRequest"]["Item"]})
                else:
                    self._DeleteItem({"TableName": table, "Key": request["DeleteRequest"]["Key"]})
        return {"UnprocessedItems": {}}

    def _TransactWriteItems(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        # For ten minutes a repeated call with the same token is one call; botocore makes up a token per call.
        if (token := params.get("ClientRequestToken", "")) in self._tokens:
            return {}
        kinds = {"Put": "Item", "Update": "Key", "Delete": "Key", "ConditionCheck": "Key"}
        reasons = []
        for action in params["TransactItems"]:
            ((kind, asked),) = action.items()
            old = self._table(asked["TableName"]).get(_key(asked[kinds[kind]]))
            try:
                self._check(asked, old)
                reasons.append({"Code": "None"})
            except RefusedError as refused:
                reasons.append({"Code": "ConditionalCheckFailed", "Message": refused.message, **refused.more})
        if any(reason["Code"] != "None" for reason in reasons):
            codes = ", ".join(str(reason["Code"]) for reason in reasons)
            message = (
                f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
            )
            raise RefusedError("TransactionCanceledException", 400, message, CancellationReasons=reasons)
        for action in params["TransactItems"]:
            ((kind, asked),) = action.items()
            if kind != "ConditionCheck":
                plain = {name: value for name, value in asked.items() if name != "ConditionExpression"}
                getattr(self, f"_{kind}Item")(plain)
        if token:
            self._tokens.add(token)
        return {}

    def _TransactGetItems(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Responses": [self._GetItem(action["Get"]) for action in params["TransactItems"]]}


def _words(params: Mapping[str, Any]) -> tuple[Mapping[str, str], Mapping[str, Any]]:
    return params.get("ExpressionAttributeNames", {}), params.get("ExpressionAttributeValues", {})


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    try:
        return item["pk"]["S"], item["sk"]["S"]
    except KeyError as error:
        raise invalid("The provided key element does not match the schema") from error


def _check_values(item: Mapping[str, Any]) -> None:
    """Refuse what DynamoDB refuses: numbers that are none, empty sets, an item beyond 400 KB."""
    size = 0
    for name, value in item.items():
        ((kind, held),) = value.items()
        if kind == "N":
            Decimal(held)
        if kind in ("SS", "NS", "BS") and not held:
            raise invalid("An string set  may not be empty")
        size += len(name) + len(str(held))
    if size > 400 * 1024:
        raise invalid("Item size has exceeded the maximum allowed size")


def _projected(item: Item, params: Mapping[str, Any]) -> Item:
    if text := params.get("ProjectionExpression"):
        names = params.get("ExpressionAttributeNames", {})
        wanted = {names.get(part.strip(), part.strip()) for part in text.split(",")}
        item = {name: value for name, value in item.items() if name in wanted}
    return {name: dict(value) for name, value in item.items()}
