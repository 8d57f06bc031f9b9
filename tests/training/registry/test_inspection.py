"""An archive is looked at once, to its last byte, and never loaded."""

import io

import pytest

from tests.training.examples import tar_bytes
from tests.training.registry.examples import model_files, sha256
from training.errors import ArtifactError
from training.registry.inspection import inspect


def _inspect(files, after=b""):
    body = tar_bytes(files) + after
    return body, inspect(io.BytesIO(body), "model.tar.gz")


def test_one_pass_gives_all_that_is_registered():
    files = model_files()
    body, found = _inspect(files)
    assert (found.sha256, found.packed_bytes) == (sha256(body), len(body))
    assert found.unpacked_bytes == sum(map(len, files.values()))
    assert found.passport_sha256 == sha256(files["passport.json"])
    assert found.passport["run_id"] == "r1234567890"
    assert found.files["features.json"] == sha256(files["features.json"])
    assert not [name for name in found.files if name.startswith("code/")]


def test_bytes_behind_the_archive_are_part_of_what_is_registered():
    body, found = _inspect(model_files(), after=b"\0" * 70_000)
    assert found.sha256 == sha256(body)


def test_an_archive_is_read_in_small_pieces():
    class Counting(io.BytesIO):
        most = 0

        def read(self, size=-1):
            assert size >= 0
            Counting.most = max(Counting.most, size)
            return super().read(size)

    inspect(Counting(tar_bytes(model_files())), "model.tar.gz")
    assert Counting.most <= 1024 * 1024


@pytest.mark.parametrize("name", [n for n in model_files() if n != "passport.json"])
def test_a_file_that_is_not_the_sealed_one_is_refused(name):
    with pytest.raises(ArtifactError):
        _inspect(model_files() | {name: b"changed"})
    with pytest.raises(ArtifactError):
        _inspect({key: body for key, body in model_files().items() if key != name})


@pytest.mark.parametrize("name", ["code/inference/more.py", "code/__pycache__/serving.pyc"])
def test_code_that_nobody_sealed_is_refused(name):
    with pytest.raises(ArtifactError, match="code/: found digest"):
        _inspect(model_files() | {name: b"x"})


def test_a_model_without_a_passport_is_refused():
    files = {name: body for name, body in model_files().items() if name != "passport.json"}
    with pytest.raises(ArtifactError, match=r"passport\.json"):
        _inspect(files)


def test_a_huge_passport_is_refused_unread():
    with pytest.raises(ArtifactError, match=r"passport\.json has 100,000 bytes"):
        _inspect(model_files() | {"passport.json": b" " * 100_000})
