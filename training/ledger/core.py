"""Reads and writes single items of the ledger's table: strongly consistent, conditional, complete.

A condition names attributes as ``#name`` and values as ``:name``. DynamoDB decides it together with the
write, so of two writers with the same condition one wins.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from training import clock
from training.aws import code
from training.ledger.attributes import pack
from training.ledger.item import Item, Record

_NAME = re.compile(r"#(\w+)")
_CONFLICT_ATTEMPTS = 6
_CONFLICT_WAIT_SECONDS = 0.05
_CONFLICTS = ("TransactionConflictException", "TransactionInProgressException")
_CONDITION_FAILED = "ConditionalCheckFailed"
ABSENT = "attribute_not_exists(#pk)"


class LedgerError(Exception):
    """The ledger could not be written, though its conditions held."""


class Core:
    """The table, and the few kinds of calls the ledger makes.

    Attributes:
        now: Asked for the time, in seconds since 1970.
    """

    def __init__(self, dynamodb: Any, table: str, now: Callable[[], float] | None = None) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._given_now = now

    def now(self) -> float:
        """Seconds since 1970."""
        return self._given_now() if self._given_now else clock.now()

    def _get(self, model: str, sort_key: str) -> Item | None:
        key = _key(model, sort_key)
        answer = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    def _get_several(self, model: str, sort_keys: Sequence[str]) -> dict[str, Item]:
        """Up to 100 items in one call, by sort key."""
        found: dict[str, Item] = {}
        asked = {self._table: {"Keys": [_key(model, key) for key in sort_keys], "ConsistentRead": True}}
        for attempt in range(_CONFLICT_ATTEMPTS):
            answer = self._dynamodb.batch_get_item(RequestItems=asked)
            found |= {item["sk"]["S"]: item for item in answer["Responses"].get(self._table, [])}
            asked = answer.get("UnprocessedKeys") or {}
            if not asked:
                return found
            wait(attempt)
        raise LedgerError(f"{self._table}: read only {len(found)} of {len(sort_keys)} items; try again")

    def _query(self, model: str, prefix: str, limit: int | None = None) -> Iterator[Item]:
        """Items whose sort keys begin so, in their order; all pages, or as many items as asked for."""
        asked: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": {":pk": pack(model), ":prefix": pack(prefix)},
            "ConsistentRead": True,
        }
        left = limit
        while left is None or left > 0:
            answer = self._dynamodb.query(**asked, **({} if left is None else {"Limit": left}))
            yield from answer["Items"]
            left = None if left is None else left - len(answer["Items"])
            if not answer.get("LastEvaluatedKey"):
                return
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _put(self, record: Record, condition: str, values: Mapping[str, Any] | None = None) -> bool:
        """Write a whole item; False when the condition does not hold."""
        return self._write(self._dynamodb.put_item, self._put_action(record, condition, values)) is not None

    def _update(
        self,
        model: str,
        sort_key: str,
        changes: Mapping[str, Any],
        condition: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> Item | None:
        """Change attributes, None removes one; the whole new item, None when the condition does not hold."""
        action = self._update_action(model, sort_key, changes, condition, values)
        answer = self._write(self._dynamodb.update_item, {**action, "ReturnValues": "ALL_NEW"})
        return None if answer is None else answer["Attributes"]

    def _transact(self, *actions: Mapping[str, Any]) -> list[int]:
        """All or nothing; each action is ``{"Put": ...}`` or ``{"Update": ...}``.

        Returns:
            The places of the actions whose conditions do not hold; empty when it is done.

        Raises:
            LedgerError: Others kept writing the same items.
        """
        for attempt in range(_CONFLICT_ATTEMPTS):
            try:
                self._dynamodb.transact_write_items(TransactItems=list(actions))
            except self._dynamodb.exceptions.ClientError as error:
                if code(error) in _CONFLICTS:
                    wait(attempt)
                    continue
                if code(error) != "TransactionCanceledException":
                    raise
                reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
                failed = [place for place, reason in enumerate(reasons) if reason == _CONDITION_FAILED]
                if failed:
                    return failed
                if "TransactionConflict" not in reasons:
                    raise
                wait(attempt)
            else:
                return []
        raise LedgerError(f"{self._table}: others kept writing the same items; try again")

    def _put_action(
        self, record: Record, condition: str, values: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "Item": record.to_item(),
            **_condition(condition, values or {}, condition),
        }

    def _update_action(
        self,
        model: str,
        sort_key: str,
        changes: Mapping[str, Any],
        condition: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        kept = [name for name, value in changes.items() if value is not None]
        gone = [name for name, value in changes.items() if value is None]
        parts = ["SET " + ", ".join(f"#{name} = :new_{name}" for name in kept)] if kept else []
        parts += ["REMOVE " + ", ".join(f"#{name}" for name in gone)] if gone else []
        text = " ".join(parts)
        new = {f"new_{name}": changes[name] for name in kept}
        return {
            "TableName": self._table,
            "Key": _key(model, sort_key),
            "UpdateExpression": text,
            **_condition(condition, {**(values or {}), **new}, f"{text} {condition}"),
        }

    def _write(self, call: Callable[..., Any], action: Mapping[str, Any]) -> Any:
        for attempt in range(_CONFLICT_ATTEMPTS):
            try:
                return call(**action)
            except self._dynamodb.exceptions.ClientError as error:
                if code(error) == "ConditionalCheckFailedException":
                    return None
                if code(error) not in _CONFLICTS:
                    raise
                wait(attempt)
        raise LedgerError(f"{self._table}: others kept writing the same item; try again")


def any_of(name: str, values: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The condition that an attribute has one of some values."""
    given = {f"{name}_{place}": value for place, value in enumerate(values)}
    return f"#{name} IN ({', '.join(f':{key}' for key in given)})", given


def _key(model: str, sort_key: str) -> Item:
    return {"pk": pack(model), "sk": pack(sort_key)}


def _condition(condition: str, values: Mapping[str, Any], expressions: str) -> dict[str, Any]:
    names = set(_NAME.findall(expressions))
    given = {
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {f"#{name}": name for name in sorted(names)},
        "ExpressionAttributeValues": {f":{name}": pack(value) for name, value in values.items()},
    }
    return {name: value for name, value in given.items() if value}


def wait(attempt: int) -> None:
    """Longer each time, and not the same for two who collided."""
    clock.sleep(_CONFLICT_WAIT_SECONDS * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
