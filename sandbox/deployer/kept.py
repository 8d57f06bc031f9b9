"""Keeps a document in two files, so that one of them may be lost or torn.

Both are written whole and then renamed, the document first and its copy after it: whenever the process dies,
at least one of them is whole, and where both are, the first one is the newer.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIX = ".kept"


class UnreadableError(Exception):
    """Neither the document nor its copy can be read; the message says what is wrong with each."""


@dataclass(frozen=True)
class Found:
    """What was read.

    Attributes:
        document: None when there is neither file.
        warning: What happened to the first file when its copy had to do; else empty.
    """

    document: dict[str, Any] | None
    warning: str = ""


def copy_of(path: Path) -> Path:
    """Where the copy of a document lies."""
    return path.with_name(path.name + SUFFIX)


def save(path: Path, document: dict[str, Any]) -> None:
    """Write a document and its copy, readable by their owner only."""
    text = json.dumps(document, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, text)
    _replace(copy_of(path), text)


def load(path: Path) -> Found:
    """Read a document, or its copy when the document is lost or torn.

    Raises:
        UnreadableError: There is something, and neither file is a whole document.
    """
    problems: list[str] = []
    for candidate in (path, copy_of(path)):
        found = _read(candidate)
        if isinstance(found, dict):
            return Found(found, f"{problems[0]}; its copy {candidate.name} is used" if problems else "")
        problems.append(found)
    if any(candidate.exists() for candidate in (path, copy_of(path))):
        raise UnreadableError("; ".join(problems))
    return Found(None)


def _read(path: Path) -> dict[str, Any] | str:
    """What a file holds, or what is wrong with it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"{path} is not there"
    except (OSError, ValueError) as error:
        return f"{path} cannot be read: {error}"
    if isinstance(document, dict):
        return document
    return f"{path} cannot be read: found a {type(document).__name__}, expected an object"


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    Path(temporary).replace(path)
