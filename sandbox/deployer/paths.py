"""Property paths such as `tags["a.b"]`, `rules[0].prefix` and `*`: parsing, reading, comparing.

Source of the syntax: Pulumi's page on `ignoreChanges`.
"""

from __future__ import annotations

import copy
import re
from typing import Any

from .events import Change
from .values import UNKNOWN, Properties, Secret, has_unknown

_PART = re.compile(r"""\[\s*(?:"((?:[^"\\]|\\.)*)"|(\d+)|(\*))\s*\]|\.?([^.\[\]]+)""")
_MISSING = object()

Path = tuple[str | int, ...]


def parse(text: str) -> Path:
    """Return the steps of a path.

    Raises:
        ValueError: the text is no property path.
    """
    parts: list[str | int] = []
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            raise ValueError(f"{text!r} is not a property path (at character {position})")
        quoted, index, star, name = match.groups()
        if index is not None:
            parts.append(int(index))
        elif quoted is not None:
            parts.append(quoted.replace('\\"', '"'))
        else:
            parts.append(star or name)
        position = match.end()
    return tuple(parts)


def show(path: Path) -> str:
    """Return a path as text."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "." in part or "[" in part:
            text += f'["{part}"]'
        else:
            text += f".{part}" if text else part
    return text


def matches(pattern: Path, path: Path) -> bool:
    """Say whether a path is at or below a pattern, or the pattern is below the path."""
    return all(a in ("*", b) for a, b in zip(pattern, path, strict=False))


def keep_old(new: Properties, old: Properties, ignored: list[str]) -> Properties:
    """Return `new` with the values of `old` at every ignored path.

    Raises:
        ValueError: a path is malformed.
    """
    result = copy.deepcopy(new)
    for text in ignored:
        _keep(result, old, parse(text))
    return result


def _keep(new: Any, old: Any, path: Path) -> None:
    head, rest = path[0], path[1:]
    if isinstance(new, Secret):
        new = new.value
    if isinstance(old, Secret):
        old = old.value
    if head == "*":
        for key in _keys(new) | _keys(old):
            _keep(new, old, (key, *rest))
        return
    before, after = _get(old, head), _get(new, head)
    if rest and before is not _MISSING and after is not _MISSING:
        _keep(after, before, rest)
    elif rest and before is _MISSING and after is _MISSING:
        return
    elif before is _MISSING:
        if isinstance(new, dict) and not rest:
            new.pop(head, None)
    elif isinstance(new, dict):
        new[head] = _only(before, rest) if rest else copy.deepcopy(before)
    elif isinstance(new, list) and isinstance(head, int) and head < len(new) and not rest:
        new[head] = copy.deepcopy(before)


def _only(value: Any, path: Path) -> Any:
    inner = _get(value, path[0])
    if inner is _MISSING:
        return {}
    return {path[0]: copy.deepcopy(inner) if len(path) == 1 else _only(inner, path[1:])}


def _keys(value: Any) -> set[str | int]:
    if isinstance(value, dict):
        return set(value)
    return set(range(len(value))) if isinstance(value, list) else set()


def _get(value: Any, part: str | int) -> Any:
    if isinstance(value, Secret):
        value = value.value
    if isinstance(value, dict):
        return value.get(part, _MISSING)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return _MISSING


def compare(old: Any, new: Any, path: Path = ()) -> dict[Path, Change]:
    """Return what differs, leaf by leaf; an unknown in `new` counts as a change."""
    if isinstance(old, dict) and isinstance(new, dict):
        changes: dict[Path, Change] = {}
        for key in [*old, *(k for k in new if k not in old)]:
            changes.update(_compare_item(old.get(key, _MISSING), new.get(key, _MISSING), (*path, key)))
        return changes
    if isinstance(old, list) and isinstance(new, list):
        changes = {}
        for index in range(max(len(old), len(new))):
            a = old[index] if index < len(old) else _MISSING
            b = new[index] if index < len(new) else _MISSING
            changes.update(_compare_item(a, b, (*path, index)))
        return changes
    if new is UNKNOWN or has_unknown(new) or old != new or isinstance(old, bool) != isinstance(new, bool):
        return {path: Change("update", old, new)}
    return {}


def _compare_item(old: Any, new: Any, path: Path) -> dict[Path, Change]:
    if old is _MISSING:
        return {} if new is None else {path: Change("add", new=new)}
    if new is _MISSING:
        return {} if old is None else {path: Change("delete", old=old)}
    return compare(old, new, path)
