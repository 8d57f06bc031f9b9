"""Puts the serving code beside the model: the server imports it from ``code/`` in the model archive."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from training.registry import seal

PACKAGES = ("inference", "models", "monitoring", "training")
# The committed sample is data, and the largest file of a model's folder.
_LEFT_OUT = ("__pycache__", "*.pyc", "seed.csv")


def root() -> Path:
    """Folder the code packages lie in."""
    return Path(__file__).resolve().parent.parent


def copy_code(target: Path, source: Path | None = None) -> str:
    """Copy the code packages and return their digest.

    Args:
        target: ``code/`` of the model directory.
        source: Folder of the packages; by default the one this module was imported from.
    """
    source = source or root()
    for package in PACKAGES:
        shutil.copytree(
            source / package, target / package, ignore=shutil.ignore_patterns(*_LEFT_OUT), dirs_exist_ok=True
        )
    return digest(target)


def digest(folder: Path) -> str:
    """SHA-256 over names and contents of all files below a folder, in hexadecimal."""
    return seal.code_digest(
        {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file()
        }
    )
