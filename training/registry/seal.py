"""The seal of a stored model: which files it has, and the digests that its passport says they have.

Standard library only: the judge and the release look at the same seal without loading anything.

``FORMAT`` is raised whenever a reader of the previous number would misread the folder; the loader then
refuses older models, and their champion has to be retrained.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from training.errors import ArtifactError

FORMAT = 2
MODEL, PASSPORT, FITTED, CODE = "model.joblib", "passport.json", "fitted.npy", "code"
# All that the loader reads. What is not here and not below ``code/`` has no place in a model.
SIGNED = (MODEL, "spec.json", "features.json", "reference.json", "sample.json", FITTED)
MAX_PASSPORT_BYTES = 64 * 1024
_REQUIRED = ("model", "run_id", "fitted_until", "versions", "files", "digests", "model_digest")


def model_digest(files: Mapping[str, str]) -> str:
    """One digest for a model: SHA-256 over names and digests of its signed files.

    Neither the code nor anything about the run is in it, so that training again from the same inputs gives
    the same digest.
    """
    lines = "".join(f"{name}\n{files.get(name, '')}\n" for name in sorted(SIGNED))
    return hashlib.sha256(lines.encode()).hexdigest()


def code_digest(files: Mapping[str, str]) -> str:
    """SHA-256 over paths and digests of a tree of files, in hexadecimal; '' for no files."""
    if not files:
        return ""
    total = hashlib.sha256()
    for path in sorted(files, key=lambda name: name.split("/")):
        total.update(f"{path}\n{files[path]}\n".encode())
    return total.hexdigest()


def read(body: bytes, expected_sha256: str = "") -> dict[str, Any]:
    """The passport, once it is known to be the one that was registered.

    Args:
        body: The file as it is.
        expected_sha256: What was registered; '' where nothing is registered yet.

    Raises:
        ArtifactError: Another digest, another format, or a passport without what it must say.
    """
    found = hashlib.sha256(body).hexdigest()
    if expected_sha256 and found != expected_sha256:
        raise ArtifactError(
            f"{PASSPORT}: found SHA-256 {found}, registered was {expected_sha256}; the model was changed "
            "after its registration and is not loaded"
        )
    try:
        passport = json.loads(body)
    except ValueError as error:
        raise ArtifactError(f"{PASSPORT}: not readable: {error}") from error
    if not isinstance(passport, dict) or passport.get("format") != FORMAT:
        given = passport.get("format") if isinstance(passport, dict) else type(passport).__name__
        raise ArtifactError(f"{PASSPORT}: found format {given!r}, expected {FORMAT}; train the model again")
    for key in _REQUIRED:
        if key not in passport:
            raise ArtifactError(f"{PASSPORT}: {key} is missing; the model cannot be trusted")
    for key in ("files", "digests", "versions"):
        if not isinstance(passport[key], dict):
            raise ArtifactError(f"{PASSPORT}: {key}: found {passport[key]!r:.60}, expected an object")
    return passport


def check(passport: Mapping[str, Any], files: Mapping[str, str], code: Mapping[str, str]) -> None:
    """Compare what a model consists of with what its passport says.

    Args:
        passport: As ``read`` gives it.
        files: SHA-256 of the files beside the passport, by name.
        code: SHA-256 of the files below ``code/``, by their path there.

    Raises:
        ArtifactError: A file is missing, changed or too many.
    """
    listed = passport["files"]
    for name in SIGNED:
        found = files.get(name, "no file")
        if found != listed.get(name):
            raise ArtifactError(
                f"{name}: found {found}, expected SHA-256 {listed.get(name)}; the model was changed after "
                "its training and is not loaded"
            )
    refuse_strangers([*files, *(name for name in listed if name not in files)])
    if passport["model_digest"] != model_digest(files):
        raise ArtifactError(
            f"{PASSPORT}: model_digest: found {passport['model_digest']}, expected {model_digest(files)}"
        )
    if passport["digests"].get("code", "") != code_digest(code):
        raise ArtifactError(
            f"{CODE}/: found digest {code_digest(code) or 'of no files'}, expected "
            f"{passport['digests'].get('code') or 'no code'}; the code was changed after the training"
        )


def is_part(path: str) -> bool:
    """Whether a model has a file at a path."""
    return path in SIGNED or path == PASSPORT or path.startswith(f"{CODE}/")


def refuse_strangers(names: Iterable[str]) -> None:
    """Refuse files that are not part of a model.

    Raises:
        ArtifactError: Names the files.
    """
    strangers = sorted(set(names) - {*SIGNED, PASSPORT})
    if strangers:
        shown = ", ".join(repr(name)[:80] for name in strangers[:5])
        raise ArtifactError(
            f"{shown}: not part of a model, which has {', '.join(SIGNED)}, {PASSPORT} and {CODE}/; "
            "the model is not loaded"
        )
