"""DynamoDB's attribute values to plain data and back, without Decimal.

Numbers come back as int when they are whole and as float otherwise.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Attribute = dict[str, Any]
# A number has up to 38 digits and an exponent between -130 and 125:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
_LARGEST, _SMALLEST, _MOST_DIGITS = 9.9e125, 1e-130, 38


def pack(value: object) -> Attribute:
    """One value as DynamoDB takes it; a number it cannot hold becomes text.

    Raises:
        TypeError: Neither one of JSON's types nor bytes or a tuple.
    """
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, (int, float)):
        return {"N": repr(value)} if _is_number(value) else {"S": str(value)}
    if isinstance(value, Mapping):
        return {"M": {str(key): pack(item) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return {"L": [pack(item) for item in value]}
    raise TypeError(f"found a {type(value).__name__}, the ledger holds JSON's types and bytes only")


def unpack(attribute: Mapping[str, Any]) -> Any:
    """The plain value of an attribute; sets become sorted lists."""
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return _number(value)
        case "M":
            return {key: unpack(item) for key, item in value.items()}
        case "L":
            return [unpack(item) for item in value]
        case "NULL":
            return None
        case "SS":
            return sorted(value)
        case "NS":
            return sorted(_number(item) for item in value)
    return value  # S, BOOL, B, BS


def _is_number(value: float) -> bool:
    if isinstance(value, int):
        return len(str(abs(value))) <= _MOST_DIGITS
    return math.isfinite(value) and (value == 0 or _SMALLEST <= abs(value) <= _LARGEST)


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
