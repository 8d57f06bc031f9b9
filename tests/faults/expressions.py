"""DynamoDB's expressions: conditions, key conditions, filters and updates on plain typed items."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from decimal import Decimal
from functools import cache
from typing import Any

from tests.faults.account import RefusedError

Value = Mapping[str, Any]
Item = dict[str, Any]
Test = Callable[[Mapping[str, Any], Mapping[str, str], Mapping[str, Any]], bool]

_TOKEN = re.compile(r"\s*(<>|<=|>=|[=<>(),+\-]|[#:]?[A-Za-z_][\w.#]*|\[\d+\])")
_CLAUSES = ("SET", "REMOVE", "ADD", "DELETE")


def invalid(message: str) -> RefusedError:
    """What DynamoDB says to a call it cannot read."""
    return RefusedError("ValidationException", 400, message)


@cache
def _tokens(text: str) -> tuple[str, ...]:
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if not match:
            raise invalid(f"Invalid expression: {text!r} at {at}")
        found.append(match[1])
        at = match.end()
    return tuple(found)


class _Reader:
    """Walks through the tokens of one expression."""

    def __init__(
        self, text: str, names: Mapping[str, str], values: Mapping[str, Any], item: Mapping[str, Any]
    ):
        self.tokens, self.at = _tokens(text), 0
        self.names, self.values, self.item = names, values, item

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        self.at += 1
        if self.at > len(self.tokens):
            raise invalid("Invalid expression: it ends too early")
        return self.tokens[self.at - 1]

    def expect(self, token: str) -> None:
        if (found := self.take()) != token:
            raise invalid(f"Invalid expression: found {found!r}, expected {token!r}")

    def path(self) -> tuple[str, ...]:
        token = self.take()
        parts = []
        for part in token.split("."):
            if part.startswith("#") and part not in self.names:
                raise invalid(f"An expression attribute name used in expression is not defined: {part}")
            parts.append(self.names.get(part, part))
        return tuple(parts)

    def operand(self) -> Value | None:
        token = self.next
        if token.startswith(":"):
            return self.value()
        if token == "size" and self._calls():
            self.take(), self.expect("(")
            found = get(self.item, self.path())
            self.expect(")")
            return None if found is None else {"N": str(len(next(iter(found.values()))))}
        return get(self.item, self.path())

    def value(self) -> Value:
        token = self.take()
        if token not in self.values:
            raise invalid(f"An expression attribute value used in expression is not defined: {token}")
        found: Value = self.values[token]
        return found

    def _calls(self) -> bool:
        return self.at + 1 < len(self.tokens) and self.tokens[self.at + 1] == "("

    # Conditions, in the order their operators bind.

    def either(self) -> bool:
        result = self.both()
        while self.next.upper() == "OR":
            self.take()
            result = self.both() or result
        return result

    def both(self) -> bool:
        result = self.negated()
        while self.next.upper() == "AND":
            self.take()
            result = self.negated() and result
        return result

    def negated(self) -> bool:
        if self.next.upper() == "NOT":
            self.take()
            return not self.negated()
        return self.single()

    def single(self) -> bool:
        if self.next == "(":
            self.take()
            result = self.either()
            self.expect(")")
            return result
        if self._calls() and self.next != "size":
            return self.function()
        left = self.operand()
        operator = self.take().upper()
        if operator == "BETWEEN":
            low = self.operand()
            if self.take().upper() != "AND":
                raise invalid("Invalid expression: BETWEEN without AND")
            return compare(left, ">=", low) & compare(left, "<=", self.operand())
        if operator == "IN":
            self.expect("(")
            found = compare(left, "=", self.operand())
            while self.take() == ",":
                found = compare(left, "=", self.operand()) or found
            return found
        return compare(left, operator, self.operand())

    def function(self) -> bool:
        name = self.take()
        self.expect("(")
        here = get(self.item, self.path())
        other = None
        if self.next == ",":
            self.take()
            other = self.operand()
        self.expect(")")
        if name == "attribute_exists":
            return here is not None
        if name == "attribute_not_exists":
            return here is None
        if other is None:
            raise invalid(f"Invalid function: {name}")
        if name == "attribute_type":
            return here is not None and other["S"] in here
        if name == "begins_with":
            return here is not None and "S" in here and str(here["S"]).startswith(str(other["S"]))
        if name == "contains":
            (wanted,) = other.values()
            held = next(iter(here.values())) if here else ()
            return other in held if here and "L" in here else wanted in held
        raise invalid(f"Invalid function: {name}")

    # Updates.

    def update(self, target: Item) -> None:
        clause = ""
        while self.at < len(self.tokens):
            if self.next.upper() in _CLAUSES:
                clause = self.take().upper()
            elif self.next == ",":
                self.take()
            path = self.path()
            if clause == "SET":
                self.expect("=")
                put(target, path, self.result())
            elif clause == "REMOVE":
                drop(target, path)
            elif clause == "ADD":
                add(target, path, self.value())
            elif clause == "DELETE":
                take_out(target, path, self.value())
            else:
                raise invalid("Invalid UpdateExpression")

    def result(self) -> Value:
        left = self.term()
        while self.next in ("+", "-"):
            sign = 1 if self.take() == "+" else -1
            right = self.term()
            if "N" not in left or "N" not in right:
                raise invalid("An operand in the update expression has an incorrect data type")
            left = {"N": str(Decimal(left["N"]) + sign * Decimal(right["N"]))}
        return left

    def term(self) -> Value:
        if self._calls() and self.next in ("if_not_exists", "list_append"):
            name = self.take()
            self.expect("(")
            first = get(self.item, self.path()) if name == "if_not_exists" else self.term()
            self.expect(",")
            second = self.term()
            self.expect(")")
            if name == "if_not_exists":
                return first if first is not None else second
            return {"L": [*(first or {"L": []})["L"], *second["L"]]}
        found = self.operand()
        if found is None:
            raise invalid("The provided expression refers to an attribute that does not exist in the item")
        return found


def holds(text: str | None, names: Mapping[str, str], values: Mapping[str, Any], item: Item | None) -> bool:
    """Whether a condition is true of an item; None is an item that is not there."""
    if not text:
        return True
    reader = _Reader(text, names, values, item or {})
    result = reader.either()
    if reader.next:
        raise invalid(f"Invalid expression: {reader.next!r} is left over")
    return result


def updated(text: str | None, names: Mapping[str, str], values: Mapping[str, Any], item: Item) -> Item:
    """The item after an update; what is read is the item before it."""
    result: Item = {key: dict(value) for key, value in item.items()}
    if text:
        _Reader(text, names, values, item).update(result)
    return result


def compare(left: Value | None, operator: str, right: Value | None) -> bool:
    """Compare two typed values; values of two types are never equal and have no order."""
    if left is None or right is None:
        return operator == "<>"
    (kind, a), (other, b) = next(iter(left.items())), next(iter(right.items()))
    if kind != other:
        return operator == "<>"
    if kind == "N":
        a, b = Decimal(a), Decimal(b)
    if operator == "=":
        return bool(a == b)
    if operator == "<>":
        return bool(a != b)
    if kind not in ("N", "S", "B"):
        return False
    return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator])


def get(item: Mapping[str, Any], path: tuple[str, ...]) -> Value | None:
    """The value at a path; None when there is none."""
    found: Any = item.get(path[0])
    for part in path[1:]:
        found = (found or {}).get("M", {}).get(part)
    return found  # type: ignore[no-any-return]


def put(item: Item, path: tuple[str, ...], value: Value) -> None:
    """Set the value at a path whose parents are there."""
    _parent(item, path)[path[-1]] = dict(value)


def drop(item: Item, path: tuple[str, ...]) -> None:
    """Remove what is at a path."""
    _parent(item, path).pop(path[-1], None)


def add(item: Item, path: tuple[str, ...], value: Value) -> None:
    """Add a number to a number, or elements to a set."""
    here = get(item, path)
    if "N" in value:
        put(item, path, {"N": str(Decimal((here or {"N": "0"})["N"]) + Decimal(value["N"]))})
        return
    ((kind, more),) = value.items()
    put(item, path, {kind: sorted({*(here or {kind: []})[kind], *more})})


def take_out(item: Item, path: tuple[str, ...], value: Value) -> None:
    """Remove elements of a set."""
    here = get(item, path)
    ((kind, gone),) = value.items()
    left = [element for element in (here or {kind: []})[kind] if element not in gone]
    if left:
        put(item, path, {kind: left})
    else:
        drop(item, path)


def _parent(item: Item, path: tuple[str, ...]) -> MutableMapping[str, Any]:
    found: Any = item
    for part in path[:-1]:
        if part not in found or "M" not in found[part]:
            raise invalid("The document path provided in the update expression is invalid for update")
        found[part] = {"M": dict(found[part]["M"])}
        found = found[part]["M"]
    return found  # type: ignore[no-any-return]
