"""Stores a fitted model with all it takes to serve and judge it, and loads it back only when unharmed.

The folder holds ``model.joblib`` (the estimator), ``spec.json``, ``features.json``, ``reference.json``,
``sample.json``, ``fitted.npy`` (fingerprints of rows it was fitted on), the code that serves it below
``code/``, and ``passport.json`` with the versions and the SHA-256 of all the others. Nothing in it depends on
the clock: the same inputs give the same bytes.

Reading a pickle runs what is in it. So everything is compared with the passport first, and the passport with
what was registered where the caller knows that.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from models.spec import ModelSpec, SpecError, parse
from training import pickles, unpacking
from training.errors import ArtifactError
from training.evaluate import predict
from training.features import FeatureEncoder
from training.registry import digests, seal
from training.registry.seal import CODE, FITTED, FORMAT, MODEL, PASSPORT, SIGNED
from training.unpacking import LIMITS, Limits

__all__ = ["ARCHIVE", "FORMAT", "PASSPORT", "SIGNED", "Model", "Saved", "load", "save", "sha256", "unpack"]

ARCHIVE = "model.tar.gz"
# A sorted sample of hashes; larger files are not ours.
MAX_FITTED_BYTES = 1024 * 1024
_UNFINISHED = f"{PASSPORT}.unfinished"
_LIBRARIES = ("scikit-learn", "numpy", "pandas", "joblib")


def _nothing() -> np.ndarray:
    return np.empty(0, dtype=np.uint64)


@dataclass(frozen=True)
class Model:
    """A loaded model.

    Attributes:
        spec: As it was when the model was fitted.
        encoder: Turns rows into the estimator's array.
        estimator: The fitted estimator.
        passport: Run id, versions, digests, ``fitted_until``.
        fitted: Fingerprints of a sample of the rows it was fitted on, sorted.
    """

    spec: ModelSpec
    encoder: FeatureEncoder
    estimator: Any
    passport: Mapping[str, Any]
    fitted: np.ndarray = field(default_factory=_nothing)

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


@dataclass(frozen=True)
class Saved:
    """A stored model.

    Attributes:
        passport: As it was written, complete.
        passport_sha256: Its digest: what the loader is told to expect.
    """

    passport: Mapping[str, Any]
    passport_sha256: str

    @property
    def model_digest(self) -> str:
        """Digest of all signed files."""
        return str(self.passport["model_digest"])

    @property
    def digests(self) -> Mapping[str, str]:
        """What decides the model; see ``training.registry.digests``."""
        found: Mapping[str, str] = self.passport["digests"]
        return found


def save(folder: Path, model: Model, documents: Mapping[str, Any], *, finished: bool = True) -> Saved:
    """Write the model's files and seal them; the code below ``code/`` must be there already.

    Args:
        folder: Model directory; made if needed.
        model: Its passport is completed with the format, the versions and the digests.
        documents: ``reference.json`` and ``sample.json`` as plain data.
        finished: False keeps the passport back until ``finish``: what SageMaker uploads of a job that died
            is nothing that loads.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pickles.dump(model.estimator, folder / MODEL)
    (folder / "spec.json").write_text(model.spec.to_json(), encoding="utf-8")
    for name, data in {"features.json": model.encoder.to_json(), **documents}.items():
        write_json(folder / name, data)
    np.save(folder / FITTED, model.fitted.astype(np.uint64), allow_pickle=False)
    files = {name: sha256(folder / name) for name in SIGNED}
    passport = {
        "format": FORMAT,
        **model.passport,
        "digests": digests.of(model.spec, seal.code_digest(_tree(folder / CODE))),
        "model_digest": seal.model_digest(files),
        "versions": versions(),
        "files": files,
    }
    write_json(folder / _UNFINISHED, passport)
    saved = Saved(passport, sha256(folder / _UNFINISHED))
    if finished:
        finish(folder)
    return saved


def finish(folder: Path) -> None:
    """Give a saved model its passport, in one step and as the last one."""
    (folder / _UNFINISHED).replace(folder / PASSPORT)


def load(folder: Path, passport_sha256: str = "") -> Model:
    """Read a model back; nothing of it is unpickled or run before all of it was compared with its passport.

    Args:
        folder: Model directory.
        passport_sha256: Digest of the passport that was registered; '' trusts the one in the folder.

    Raises:
        ArtifactError: A file is missing, changed or too many, or the format or the scikit-learn version is
            another one.
    """
    passport = _read_passport(folder, passport_sha256)
    seal.check(passport, _files(folder), _tree(folder / CODE))
    stored = passport["versions"].get("scikit-learn")
    if stored != version("scikit-learn"):
        raise ArtifactError(
            f"the model was fitted with scikit-learn {stored}, this is {version('scikit-learn')}; train it "
            f"again here"
        )
    try:
        spec = parse(_read_json(folder / "spec.json"), "spec.json")
        encoder = FeatureEncoder.from_json(_read_json(folder / "features.json"))
        fitted = _read_fitted(folder / FITTED)
        estimator = _unpickled(folder / MODEL, passport["files"][MODEL])
    except (SpecError, ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"the model cannot be read by this code: {error}") from error
    return Model(spec, encoder, estimator, passport, fitted)


def unpack(archive: Path, folder: Path, limits: Limits = LIMITS) -> Path:
    """Unpack ``model.tar.gz``: a model's own files and its code, and an archive of nothing else.

    Raises:
        ArtifactError: No readable archive, or one that holds something else or too much; see
            ``training.unpacking``. Then nothing was written.
    """
    unpacking.unpack(archive, folder, seal.is_part, limits)
    return folder


def write_json(path: Path, data: Any) -> None:
    """Write plain data in a fixed form; NaN is refused because it is no JSON."""
    path.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_passport(folder: Path, expected_sha256: str) -> dict[str, Any]:
    path = folder / PASSPORT
    try:
        if path.is_symlink() or path.stat().st_size > seal.MAX_PASSPORT_BYTES:
            raise ArtifactError(f"{PASSPORT}: a link, or more than {seal.MAX_PASSPORT_BYTES:,} bytes")
        body = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{PASSPORT}: not readable: {error}") from error
    return seal.read(body, expected_sha256)


def _files(folder: Path) -> dict[str, str]:
    """SHA-256 of what lies beside the passport, by name."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name in (PASSPORT, CODE):
            continue
        # What has no place here is not read at all: a pipe would never end.
        seal.refuse_strangers([path.name])
        found[path.name] = _plain(path, path.name)
    return found


def _tree(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder, by its path there."""
    if not folder.is_dir() or folder.is_symlink():
        return {} if not folder.is_symlink() else {"": _plain(folder, folder.name)}
    return {
        name: _plain(path, f"{folder.name}/{name}")
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
        for name in [path.relative_to(folder).as_posix()]
    }


def _plain(path: Path, name: str) -> str:
    if path.is_symlink() or not path.is_file():
        raise ArtifactError(
            f"{name}: a link or a special file; a model has only plain ones and is not loaded"
        )
    return sha256(path)


def _read_fitted(path: Path) -> np.ndarray:
    if path.stat().st_size > MAX_FITTED_BYTES:
        raise ArtifactError(f"{FITTED}: more than {MAX_FITTED_BYTES:,} bytes")
    found = np.load(path, allow_pickle=False)
    if found.dtype != np.uint64 or found.ndim != 1:
        raise ArtifactError(f"{FITTED}: found {found.dtype} of {found.ndim} dimensions, expected uint64 of 1")
    return np.asarray(found)


def _unpickled(path: Path, expected: str) -> Any:
    """The estimator, out of the very file that has the digest: opened once, hashed, read."""
    import joblib

    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != expected:
            raise ArtifactError(
                f"{path.name}: it was changed while it was looked at; the model is not loaded"
            )
        file.seek(0)
        return joblib.load(file)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path.name}: not readable: {error}") from error
