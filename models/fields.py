"""Reads plain data into dataclasses whose fields carry their own limits; collects every error.

Standard library only, as everything that ``models.spec`` needs.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, field
from typing import Any, get_args, get_type_hints

# Reads a field that needs more than its type; returns its value and appends its errors.
Reader = Callable[[object, list[str]], Any]


def limit(default: Any = MISSING, **rule: Any) -> Any:
    """A field with a limit: ``minimum``, ``maximum`` or ``pattern``, the latter with ``like`` in words."""
    return field(default=default, metadata=rule)


def read(
    cls: type,
    data: object,
    path: str,
    errors: list[str],
    readers: Mapping[str, Reader] | None = None,
) -> dict[str, Any] | None:
    """Read one section.

    Args:
        cls: The dataclass of the section; fields that are dataclasses are sections below it.
        data: What the file holds there.
        path: Dotted path of the section with a dot at its end, empty for the whole file.
        errors: Every error is appended: the key, what was found and what is allowed.
        readers: Of fields of this section that are read in their own way.

    Returns:
        Values for the constructor; None when the section is not a mapping.
    """
    where = path.rstrip(".") or "the file"
    if not isinstance(data, Mapping):
        errors.append(f"{where}: found {shown(data)}, expected keys and values")
        return None
    hints = get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    errors.extend(
        f"{path}{key}: unknown key; allowed here: {', '.join(sorted(fields))}"
        for key in data
        if key not in fields
    )
    values: dict[str, Any] = {}
    for name, one in fields.items():
        if name not in data:
            if one.default is MISSING and one.default_factory is MISSING:
                errors.append(f"{path}{name}: missing; expected {_expected(hints[name], one.metadata)}")
            continue
        found = data[name]
        if readers and name in readers:
            values[name] = readers[name](found, errors)
        elif dataclasses.is_dataclass(hints[name]):
            section = read(hints[name], {} if found is None else found, f"{path}{name}.", errors)
            if section is not None:
                try:
                    values[name] = hints[name](**section)
                except TypeError:
                    continue  # a missing key of the section is reported already
        else:
            values[name] = _value(found, hints[name], one.metadata, f"{path}{name}", errors)
    return values


def shown(found: object) -> str:
    """What was found, quoted, and cut when long."""
    text = repr(found)
    return text if len(text) <= 60 else text[:57] + "..."


def _value(found: object, hint: Any, rule: Mapping[str, Any], path: str, errors: list[str]) -> Any:
    """One scalar, list or mapping of plain values, checked against its type and its limits."""
    options = get_args(hint)
    if found is None and type(None) in options:
        return None
    if not _fits(found, hint):
        errors.append(f"{path}: found {shown(found)}, expected {_expected(hint, rule)}")
        return None
    if "tuple" in str(hint):
        item = options[0]
        return tuple(item(one) for one in found)  # type: ignore[attr-defined]  # _fits saw a list or tuple
    if "pattern" in rule and not re.fullmatch(rule["pattern"], str(found)):
        errors.append(f"{path}: found {shown(found)}, expected {_expected(hint, rule)}")
    below = "minimum" in rule and found < rule["minimum"]
    above = "maximum" in rule and found > rule["maximum"]
    if below or above:
        errors.append(f"{path}: found {shown(found)}, expected {_expected(hint, rule)}")
    return float(found) if hint in (float, float | None) else found  # type: ignore[arg-type]  # _fits saw a number


def _fits(found: object, hint: Any) -> bool:
    if hint is str:
        return isinstance(found, str)
    if hint is bool:
        return isinstance(found, bool)
    if hint in (int, int | None):
        return isinstance(found, int) and not isinstance(found, bool)
    if hint in (float, float | None):
        return (
            isinstance(found, (int, float))
            and not isinstance(found, bool)
            and found == found
            and abs(found) < 1e300
        )
    if "tuple" in str(hint):
        if not isinstance(found, (list, tuple)):
            return False
        item = get_args(hint)[0]
        return all(_fits(one, item) or (item is str and _fits(one, int)) for one in found)
    if "Mapping" in str(hint):
        return isinstance(found, Mapping)
    return found in get_args(hint)


def _expected(hint: Any, rule: Mapping[str, Any]) -> str:
    if "like" in rule:
        return str(rule["like"])
    if "pattern" in rule:
        return f"text like {rule['pattern']}"
    if str(hint).startswith("typing.Literal"):
        return "one of " + ", ".join(get_args(hint))
    names = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
    text = names.get(hint) or next((n for t, n in names.items() if t in get_args(hint)), "keys and values")
    if "tuple" in str(hint):
        text = "a list of " + ("numbers" if float in get_args(hint) else "texts")
    if "minimum" in rule and "maximum" in rule:
        return f"{text} from {rule['minimum']} to {rule['maximum']}"
    return f"{text} of at least {rule['minimum']}" if "minimum" in rule else text
