"""Compares the columns of a file with those of the contract."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from models.spec import ModelSpec
from training.contract.findings import UnusableError

_SHOWN = 30
_SIMILAR = 0.6
MAX_COLUMNS = 2000


def compare(names: Sequence[str], spec: ModelSpec) -> dict[str, Any]:
    """How the columns differ: ``missing``, ``added``, and ``renamed`` from the contract's name to the new."""
    missing = [name for name in spec.columns if name not in names]
    added = [name for name in names if name not in spec.columns]
    return {"missing": missing, "added": added, "renamed": _renames(missing, added)}


def check_names(names: Sequence[str], spec: ModelSpec, where: str = "the header") -> None:
    """Refuse a file that lacks a column, or has one twice.

    Raises:
        UnusableError: Names what is missing, with the differences.
    """
    if len(names) > MAX_COLUMNS:
        raise UnusableError(
            "columns", f"{where} has {len(names):,} columns, at most {MAX_COLUMNS:,} are taken"
        )
    diff = compare(names, spec)
    missing = diff["missing"]
    if missing:
        found = ", ".join(names[:_SHOWN]) if any(names) else "an empty line"
        renames = ", ".join(f"{old} to {new}" for old, new in diff["renamed"].items())
        hint = f"; renamed: {renames}?" if renames else ""
        raise UnusableError(
            "columns",
            f"missing column {', '.join(missing)}; {where} has {found}; expected "
            f"{', '.join(spec.columns)}{hint}",
            len(missing),
            diff=diff,
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        called = ", ".join(name or "(without a name)" for name in repeated)
        raise UnusableError("columns", f"column {called} is in {where} more than once", len(repeated))
    if "" in names:
        at = list(names).index("") + 1
        raise UnusableError("columns", f"{where} has no name for column {at}")


def check_types(types: Mapping[str, tuple[str, str]]) -> None:
    """Refuse retyped columns.

    Args:
        types: Of the columns that do not fit: name to what the file has and what is expected.

    Raises:
        UnusableError: Names all of them, with the differences.
    """
    if not types:
        return
    listed = "; ".join(
        f"column {name}: found {found}, expected {wanted}" for name, (found, wanted) in types.items()
    )
    diff = {
        "missing": [],
        "added": [],
        "renamed": {},
        "retyped": {n: {"found": f, "expected": w} for n, (f, w) in types.items()},
    }
    raise UnusableError("types", f"{listed}; write the column with that type", len(types), diff=diff)


def _renames(missing: Sequence[str], added: Sequence[str]) -> dict[str, str]:
    """The most similar pairs first; each name at most once."""
    pairs = sorted(
        ((_similarity(old, new), old, new) for old in missing for new in added[:MAX_COLUMNS]), reverse=True
    )
    found: dict[str, str] = {}
    for score, old, new in pairs:
        if score >= _SIMILAR and old not in found and new not in found.values():
            found[old] = new
    return {old: found[old] for old in missing if old in found}


def _similarity(old: str, new: str) -> float:
    plain = [name.strip().lower().replace("-", "_").replace(" ", "_") for name in (old, new)]
    return 1.0 if plain[0] == plain[1] else difflib.SequenceMatcher(None, plain[0], plain[1]).ratio()
