"""A learned contract as the text of a ``model.yaml``, with comments on what a person should look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from training.contract.learn import Learned

_WIDTH = 100


def text(learned: Learned, paths: Sequence[Path]) -> str:
    """The YAML; the model's name is the folder's, so it is not in it.

    Args:
        learned: The proposal.
        paths: What it was learned from.
    """
    spec = learned.spec
    names = ", ".join(path.name for path in paths[:3]) + (", …" if len(paths) > 3 else "")
    lines = [
        f"# Proposed by `upkeep contract learn` from {learned.rows:,} rows of {_line(names)}.",
        f"# Save it as models/{spec['name']}/model.yaml after looking at what has a comment; every key",
        "# is explained in models/sections.py. Ranges leave a margin; set the limits you know.",
    ]
    for key in ("task", "target", "time_column"):
        lines += _commented("", learned.notes.get(key, ""), {key: spec[key]})
    lines += ["", "features:"]
    for name, options in spec["features"].items():
        lines += _commented("  ", learned.notes.get(f"features.{name}", ""), {name: options})
    if learned.left_out:
        lines.append("  # Columns that are kept but not used:")
        lines += [f"  #   {_line(name)}: {_line(reason)}" for name, reason in learned.left_out.items()]
    for section in ("contract", "gate"):
        lines += ["", f"{section}:"]
        for key, value in spec[section].items():
            lines += _commented("  ", learned.notes.get(f"{section}.{key}", ""), {key: value})
    return "\n".join(lines) + "\n"


def _commented(indent: str, note: str, data: dict[str, Any]) -> list[str]:
    nested = any(isinstance(value, (dict, list)) for value in data.values())
    flow = None if nested else False
    dumped = yaml.safe_dump(
        data, sort_keys=False, default_flow_style=flow, allow_unicode=True, width=_WIDTH
    ).rstrip("\n")
    # A line break inside a quoted text would be changed by the indent; YAML escapes it in double quotes.
    if any(isinstance(item, str) and not item.isprintable() for item in _texts(data)):
        dumped = yaml.safe_dump(
            data, sort_keys=False, default_flow_style=flow, default_style='"', width=10**9
        )
        dumped = dumped.rstrip("\n")
    comment = [f"{indent}# {_line(note)}"] if note else []
    return [*comment, *(indent + line for line in dumped.split("\n"))]


def _texts(data: Any) -> list[str]:
    if isinstance(data, dict):
        return [text for pair in data.items() for one in pair for text in _texts(one)]
    if isinstance(data, list):
        return [text for one in data for text in _texts(one)]
    return [data] if isinstance(data, str) else []


def _line(words: str) -> str:
    """On one line, without characters that YAML does not take in a comment."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(words.split()))
