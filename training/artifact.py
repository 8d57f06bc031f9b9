"""Stores a fitted model with all it takes to serve and judge it, and loads it back only when unharmed.

The folder holds ``model.joblib`` (the estimator), ``spec.json``, ``features.json``, ``reference.json``,
``sample.json`` and ``passport.json`` with the versions and the SHA-256 of the others. Nothing in it depends
on the clock: the same inputs give the same bytes.

``FORMAT`` is raised whenever a reader of the previous number would misread the folder; the loader then
refuses older models, and their champion has to be retrained.
"""

from __future__ import annotations

import hashlib
import json
import platform
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from models.spec import ModelSpec, SpecError, parse
from training.errors import ArtifactError
from training.evaluate import predict
from training.features import FeatureEncoder

FORMAT = 1
MODEL, PASSPORT = "model.joblib", "passport.json"
SIGNED = (MODEL, "spec.json", "features.json", "reference.json", "sample.json")
ARCHIVE = "model.tar.gz"
# A model beyond this does not fit the memory of the instances this stack uses; guards against unpacking
# bombs.
MAX_UNPACKED_BYTES = 4 * 1024**3
_LIBRARIES = ("scikit-learn", "numpy", "pandas", "joblib")


@dataclass(frozen=True)
class Model:
    """A loaded model.

    Attributes:
        spec: As it was when the model was fitted.
        encoder: Turns rows into the estimator's array.
        estimator: The fitted estimator.
        passport: Run id, versions, digests, ``fitted_until``.
    """

    spec: ModelSpec
    encoder: FeatureEncoder
    estimator: Any
    passport: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """The model's version."""
        return str(self.passport["run_id"])

    @property
    def fitted_until(self) -> np.datetime64:
        """Time of the newest row it was fitted on, in UTC."""
        return np.datetime64(self.passport["fitted_until"])

    @property
    def classes(self) -> list[str]:
        """Labels of a multiclass model, in the order of its probabilities."""
        return [str(c) for c in self.estimator.classes_] if self.spec.task == "multiclass" else []

    def scores(self, matrix: np.ndarray) -> np.ndarray:
        """Predict encoded rows; see ``training.evaluate.predict``."""
        return predict(self.estimator, matrix, self.spec.task)


def versions() -> dict[str, str]:
    """Versions of everything that decides whether a stored model can be loaded."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def save(folder: Path, model: Model, documents: Mapping[str, Any]) -> None:
    """Write the model's files.

    Args:
        folder: Model directory; made if needed.
        model: Its passport is completed with the format, the versions and the digests.
        documents: ``reference.json`` and ``sample.json`` as plain data.
    """
    import joblib

    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model.estimator, folder / MODEL)
    (folder / "spec.json").write_text(model.spec.to_json(), encoding="utf-8")
    for name, data in {"features.json": model.encoder.to_json(), **documents}.items():
        write_json(folder / name, data)
    passport = {
        "format": FORMAT,
        **model.passport,
        "versions": versions(),
        "files": {name: sha256(folder / name) for name in SIGNED},
    }
    write_json(folder / PASSPORT, passport)


def load(folder: Path) -> Model:
    """Read a model back.

    Raises:
        ArtifactError: A file is missing or changed, or the format or the scikit-learn version is another one.
    """
    passport = _read_passport(folder)
    for name in SIGNED:
        path = folder / name
        found = sha256(path) if path.is_file() else "no file"
        if found != passport["files"].get(name):
            raise ArtifactError(
                f"{name}: found {found}, expected SHA-256 {passport['files'].get(name)}; the model was "
                f"changed after "
                "its training and is not loaded"
            )
    stored = passport["versions"].get("scikit-learn")
    if stored != version("scikit-learn"):
        raise ArtifactError(
            f"the model was fitted with scikit-learn {stored}, this is {version('scikit-learn')}; train it "
            f"again here"
        )
    import joblib

    try:
        spec = parse(_read_json(folder / "spec.json"), "spec.json")
        encoder = FeatureEncoder.from_json(_read_json(folder / "features.json"))
        estimator = joblib.load(folder / MODEL)
    except (SpecError, ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"the model cannot be read by this code: {error}") from error
    return Model(spec, encoder, estimator, passport)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack the model's own files out of ``model.tar.gz``; code and anything else stays in the archive.

    Raises:
        ArtifactError: No readable archive, or one that unpacks to more than ``MAX_UNPACKED_BYTES``.
    """
    wanted = {*SIGNED, PASSPORT}
    total = 0
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name not in wanted or not member.isfile():
                    continue
                total += member.size
                if total > MAX_UNPACKED_BYTES:
                    raise ArtifactError(f"{archive.name}: unpacks to more than {MAX_UNPACKED_BYTES:,} bytes")
                source = tar.extractfile(member)
                if source is not None:
                    _copy(source, folder / name)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArtifactError(f"{archive.name}: not a readable model archive: {error}") from error
    return folder


def write_json(path: Path, data: Any) -> None:
    """Write plain data in a fixed form; NaN is refused because it is no JSON."""
    path.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_passport(folder: Path) -> dict[str, Any]:
    passport = _read_json(folder / PASSPORT)
    if not isinstance(passport, dict) or passport.get("format") != FORMAT:
        found = passport.get("format") if isinstance(passport, dict) else type(passport).__name__
        raise ArtifactError(f"{PASSPORT}: found format {found!r}, expected {FORMAT}; train the model again")
    for key in ("files", "versions", "run_id", "fitted_until"):
        if key not in passport:
            raise ArtifactError(f"{PASSPORT}: {key} is missing; the model cannot be trusted")
    return passport


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path.name}: not readable: {error}") from error


def _copy(source: Any, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        while chunk := source.read(1024 * 1024):
            file.write(chunk)
