"""A stored model is loaded only when every byte of it is the one that was sealed."""

import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import serving
from tests.training.examples import declare, environment, evaluation, lines, pack, text
from training import artifact, bundle
from training.artifact import Model
from training.errors import ArtifactError
from training.main import main
from training.registry import digests, seal
from training.registry.passport import PASSPORT_VARIABLE


class Marker:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    assert main(environment(folder, declare(), {"a.csv": text(lines(200))}, run_id="r1")) == 0
    whole, small = folder / "model", folder / "small"
    for name in ("inference/serving.py", "training/artifact.py"):
        (small / "code" / name).parent.mkdir(parents=True)
        shutil.copy(whole / "code" / name, small / "code" / name)
    documents = {n: json.loads((whole / n).read_text()) for n in ("reference.json", "sample.json")}
    artifact.save(small, artifact.load(whole), documents)
    return small


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "marker"


def _sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _reseal(folder):
    """What somebody does who can write the whole folder."""
    passport = json.loads((folder / "passport.json").read_text())
    passport["files"] = {name: _sha(folder / name) for name in artifact.SIGNED}
    passport["model_digest"] = seal.model_digest(passport["files"])
    passport["digests"]["code"] = bundle.digest(folder / "code")
    (folder / "passport.json").write_text(json.dumps(passport))


def test_the_passport_says_what_the_model_was_made_of(made):
    passport = json.loads((made / "passport.json").read_text())
    assert passport["format"] == 2
    assert (passport["model"], passport["run_id"], passport["task"]) == ("toy", "r1", "binary")
    assert passport["rows_fitted"] == 160
    assert passport["digests"] == digests.of(declare(), bundle.digest(made / "code"))
    assert set(passport["files"]) == set(artifact.SIGNED)
    assert passport["model_digest"] == seal.model_digest(passport["files"])


def test_saving_says_what_was_sealed(tmp_path, made):
    model = artifact.load(made)
    fitted = np.array([3, 2**63 + 5], dtype=np.uint64)
    saved = artifact.save(
        tmp_path,
        Model(model.spec, model.encoder, model.estimator, model.passport, fitted),
        {"reference.json": {}, "sample.json": {}},
    )
    assert saved.passport_sha256 == _sha(tmp_path / "passport.json")
    assert saved.model_digest == saved.passport["model_digest"] != model.passport["model_digest"]
    assert saved.digests["code"] == ""
    assert np.array_equal(artifact.load(tmp_path).fitted, fitted)


def test_the_digest_of_a_model_is_that_of_its_files_alone():
    files = {name: name for name in artifact.SIGNED}
    assert seal.model_digest(files) == seal.model_digest({**files, "other": "x"})
    for name in files:
        assert seal.model_digest({**files, name: "y"}) != seal.model_digest(files)


@given(data=st.data())
def test_one_changed_byte_anywhere_in_the_model_is_refused(made, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("bytes") / "model"
    shutil.copytree(made, folder)
    expected = _sha(folder / "passport.json")
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.stat().st_size]
    path = data.draw(st.sampled_from(files))
    body = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(body))
    with pytest.raises(ArtifactError):
        artifact.load(folder, expected)
    shutil.rmtree(folder)


def test_a_model_is_loaded_only_with_the_passport_that_was_registered(folder, monkeypatch):
    monkeypatch.setattr(serving, "_loaded", {})
    monkeypatch.setenv(PASSPORT_VARIABLE, "0" * 64)
    with pytest.raises(ArtifactError, match=r"passport\.json: found SHA-256 .*, registered was 0000"):
        serving.model_fn(str(folder))
    monkeypatch.setenv(PASSPORT_VARIABLE, _sha(folder / "passport.json"))
    assert serving.model_fn(str(folder)) is serving.model_fn(str(folder))


def test_a_pickle_that_is_not_the_sealed_one_never_runs(folder, marker):
    (folder / "model.joblib").write_bytes(pickle.dumps(Marker(marker)))
    with pytest.raises(ArtifactError, match=r"model\.joblib: found .*, expected SHA-256"):
        artifact.load(folder)
    assert not marker.exists()


def test_a_pickle_in_a_folder_that_was_sealed_anew_never_runs_where_the_passport_is_known(folder, marker):
    registered = _sha(folder / "passport.json")
    (folder / "model.joblib").write_bytes(pickle.dumps(Marker(marker)))
    _reseal(folder)
    with pytest.raises(ArtifactError, match="registered was"):
        artifact.load(folder, registered)
    assert not marker.exists()


def test_a_champion_that_was_exchanged_in_its_bucket_never_runs_in_the_training_job(
    folder, marker, tmp_path, capsys
):
    registered = _sha(folder / "passport.json")
    (folder / "model.joblib").write_bytes(pickle.dumps(Marker(marker)))
    _reseal(folder)
    pack(folder, tmp_path / "champion" / "model.tar.gz")
    variables = environment(
        tmp_path / "job", declare(), {"a.csv": text(lines(200))}, champion=tmp_path / "champion"
    )
    given = tmp_path / "job" / "config" / "hyperparameters.json"
    given.write_text(json.dumps(json.loads(given.read_text()) | {"champion_passport": registered}))
    assert main(variables) == 0
    found = evaluation(tmp_path / "job" / "output" / "data")
    assert not found["comparable"]
    assert f"registered was {registered}" in found["note"]
    assert not marker.exists()


def test_a_pickle_in_place_of_the_fingerprints_never_runs(folder, marker):
    np.save(folder / "fitted.npy", np.array([Marker(marker)], dtype=object), allow_pickle=True)
    _reseal(folder)
    with pytest.raises(ArtifactError, match="cannot be read"):
        artifact.load(folder)
    assert not marker.exists()


def test_nothing_runs_when_the_code_beside_the_model_was_changed(folder, marker):
    registered = _sha(folder / "passport.json")
    (folder / "code" / "inference" / "serving.py").write_text(f"open({str(marker)!r}, 'w')")
    with pytest.raises(ArtifactError, match="code/: found digest"):
        artifact.load(folder, registered)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["other.pkl", "model.pkl", "setup.py", ".hidden"])
def test_a_file_that_nobody_sealed_is_refused(folder, marker, name):
    (folder / name).write_bytes(pickle.dumps(Marker(marker)))
    with pytest.raises(ArtifactError, match="not part of a model"):
        artifact.load(folder)
    assert not marker.exists()


@pytest.mark.parametrize(
    "name", ["features.json", "passport.json", "model.joblib", "code/x.py", "other.json"]
)
def test_links_are_refused_wherever_they_lead(folder, tmp_path, name):
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "model" / "sample.json")
    with pytest.raises(ArtifactError):
        artifact.load(folder)


def test_a_pipe_in_the_models_folder_is_not_waited_for(folder):
    (folder / "features.json").unlink()
    os.mkfifo(folder / "features.json")
    with pytest.raises(ArtifactError, match="a link or a special file"):
        artifact.load(folder)


def test_code_that_was_not_sealed_is_refused(folder):
    shutil.rmtree(folder / "code")
    with pytest.raises(ArtifactError, match="code/: found digest of no files"):
        artifact.load(folder)


def test_fingerprints_of_another_kind_are_refused(folder):
    np.save(folder / "fitted.npy", np.zeros((2, 2)))
    _reseal(folder)
    with pytest.raises(ArtifactError, match="found float64 of 2 dimensions, expected uint64 of 1"):
        artifact.load(folder)


def test_a_packed_model_is_loaded_back_with_its_code(made, tmp_path):
    archive = pack(made, tmp_path / "model.tar.gz")
    model = artifact.load(artifact.unpack(archive, tmp_path / "model"), _sha(made / "passport.json"))
    assert model.run_id == "r1"
    assert joblib.hash(model.estimator) == joblib.hash(artifact.load(made).estimator)


@pytest.mark.parametrize("key", ["model", "run_id", "fitted_until", "versions", "files", "digests"])
def test_a_passport_that_lacks_something_is_refused(folder, key):
    passport = json.loads((folder / "passport.json").read_text())
    del passport[key]
    (folder / "passport.json").write_text(json.dumps(passport))
    with pytest.raises(ArtifactError, match=f"{key} is missing"):
        artifact.load(folder)


@pytest.mark.parametrize("key", ["versions", "files", "digests"])
def test_a_passport_of_another_form_is_refused(folder, key):
    passport = json.loads((folder / "passport.json").read_text())
    (folder / "passport.json").write_text(json.dumps(passport | {key: [1]}))
    with pytest.raises(ArtifactError, match=f"{key}: found .*, expected an object"):
        artifact.load(folder)


def test_a_huge_passport_is_not_read(folder):
    (folder / "passport.json").write_bytes(b" " * 70_000)
    with pytest.raises(ArtifactError, match=r"more than 65,536 bytes"):
        artifact.load(folder)
