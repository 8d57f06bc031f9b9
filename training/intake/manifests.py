"""Reads ``_MANIFEST.json``: which files its folder must have before they count."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from training.intake.arrivals import MANIFEST_NAME
from training.ledger.item import pack_files
from training.words import shown

MAX_BYTES = 4_000_000
MAX_FILES = 20_000
# An item of DynamoDB holds 400 KB: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_PACKED_BYTES = 380_000
_EXPECTED = (
    'expected {"files": [{"name": "part-1.csv", "sha256": "...", "size": 123}, ...]}, with sha256 and size '
    "left out if you like, or a list of names"
)
_KEYS = {"name", "sha256", "size"}
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOST_ERRORS = 3


class ManifestError(Exception):
    """A manifest that does not say clearly which files it means."""


def read(data: bytes) -> list[dict[str, Any]]:
    """The files a manifest lists, as ``{"name", "sha256"?, "size"?}``.

    Names are relative to the manifest's folder.

    Raises:
        ManifestError: Says what is wrong, where, and what is expected.
    """
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{MANIFEST_NAME}: no JSON ({type(error).__name__}); {_EXPECTED}") from error
    listed = found.get("files") if isinstance(found, dict) and set(found) == {"files"} else found
    if not isinstance(listed, list) or not listed:
        raise ManifestError(f"{MANIFEST_NAME}: no list of files; {_EXPECTED}")
    if len(listed) > MAX_FILES:
        raise ManifestError(
            f"{MANIFEST_NAME}: lists {len(listed):,} files, at most {MAX_FILES:,} are taken; "
            "use several folders, each with its own manifest"
        )
    errors: list[str] = []
    files = [_file(one, f"file {number}", errors) for number, one in enumerate(listed, start=1)]
    if not errors:
        counts = Counter(file["name"] for file in files)
        errors = [f"{shown(name)} is listed {count} times" for name, count in counts.items() if count > 1]
    if errors:
        more = f"; and {len(errors) - _MOST_ERRORS} more" if len(errors) > _MOST_ERRORS else ""
        raise ManifestError(f"{MANIFEST_NAME}: {'; '.join(errors[:_MOST_ERRORS])}{more}; {_EXPECTED}")
    size = len(pack_files(files))
    if size > MAX_PACKED_BYTES:
        raise ManifestError(
            f"{MANIFEST_NAME}: the list of {len(listed):,} files takes {size:,} bytes when packed, at most "
            f"{MAX_PACKED_BYTES:,} are taken; leave out sha256, or use several folders with a manifest each"
        )
    return files


def _file(one: object, where: str, errors: list[str]) -> dict[str, Any]:
    file: dict[str, Any] = dict(one) if isinstance(one, dict) else {"name": one}
    unknown = [str(key) for key in file if key not in _KEYS]
    if unknown:
        errors.append(f"{where}: unknown key {shown(unknown[0])}")
    name = file.get("name")
    if not isinstance(name, str) or not _is_relative(name):
        errors.append(f"{where}: name: found {shown(name)}, expected a path below the manifest's folder")
    if "sha256" in file and not (isinstance(file["sha256"], str) and _DIGEST.fullmatch(file["sha256"])):
        errors.append(f"{where}: sha256: found {shown(file['sha256'])}, expected 64 hexadecimal digits")
    size = file.get("size", 0)
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        errors.append(f"{where}: size: found {shown(size)}, expected a number of bytes")
    return {"name": str(name), **{key: file[key] for key in ("sha256", "size") if key in file}}


def _is_relative(name: str) -> bool:
    parts = name.split("/")
    return (
        name != MANIFEST_NAME
        and len(name.encode(errors="replace")) <= 1024
        and name.isprintable()
        and not any(part in ("", ".", "..") for part in parts)
    )
