"""Archives that no training job makes are refused before anything is written."""

import gzip
import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import artifact, unpacking
from training.errors import ArtifactError
from training.unpacking import Limits

GOOD = {"model.joblib": b"m" * 3000, "code/inference/serving.py": b"import os\n", "passport.json": b"{}"}


def _member(name, content=b"", kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = len(content), kind, link
    return member, content


def _archive(path: Path, *members, **more) -> Path:
    with tarfile.open(path, "w:gz", **more) as tar:
        for name, content in GOOD.items():
            tar.addfile(*_file(*_member(name, content)))
        for member, content in members:
            tar.addfile(*_file(member, content))
    return path


def _file(member, content):
    return member, io.BytesIO(content)


def _tree(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def _refuse(tmp_path, archive, words, **limits):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    before = _tree(tmp_path)
    with pytest.raises(ArtifactError, match=words):
        artifact.unpack(archive, inside, Limits(**limits))
    assert _tree(tmp_path) == before


def test_an_archive_of_a_models_files_is_unpacked_whole(tmp_path):
    archive = _archive(tmp_path / "a.tar.gz", _member("./features.json", b"[]"), _member("code", b"", b"5"))
    folder = artifact.unpack(archive, tmp_path / "model")
    assert {name: (folder / name).read_bytes() for name in GOOD} == GOOD
    assert (folder / "features.json").read_bytes() == b"[]"


OUTSIDE = {
    "up": _member("../outside/x", b"x"),
    "up inside": _member("code/../../outside/x", b"x"),
    "absolute": _member("/tmp/upkeep-outside", b"x"),
    "backslash": _member("code\\..\\x", b"x"),
    "drive": _member("code/C:x", b"x"),
    "control": _member("code/a\nb", b"x"),
    "long": _member("code/" + "x" * 300, b"x"),
    "folder itself": _member("./", b"x"),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, name):
    _refuse(tmp_path, _archive(tmp_path / "a.tar.gz", OUTSIDE[name]), "path below|place of the model")


SPECIAL = {
    "a symbolic link": _member("code/x", kind=tarfile.SYMTYPE, link="/etc/passwd"),
    "a symbolic link in place of a file": _member("features.json", kind=tarfile.SYMTYPE, link="../outside"),
    "a hard link": _member("code/x", kind=tarfile.LNKTYPE, link="model.joblib"),
    "a device": _member("code/x", kind=tarfile.CHRTYPE),
    "a device of blocks": _member("code/x", kind=tarfile.BLKTYPE),
    "a pipe": _member("code/x", kind=tarfile.FIFOTYPE),
    "of an unknown kind": _member("code/x", kind=b"Z"),
    "a sparse file": _member("code/x", kind=tarfile.CONTTYPE),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_whatever_is_no_plain_file_is_refused(tmp_path, name):
    _refuse(tmp_path, _archive(tmp_path / "a.tar.gz", SPECIAL[name]), "only plain files are unpacked")


def test_a_sparse_file_that_claims_a_hundred_gigabytes_is_refused(tmp_path):
    member, _ = _member("code/x", b"x" * 512)
    member.pax_headers = {
        "GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(10**11),
        "GNU.sparse.map": "0,512", "GNU.sparse.name": "code/x",
    }  # fmt: skip
    archive = _archive(tmp_path / "a.tar.gz", (member, b"x" * 512), format=tarfile.PAX_FORMAT)
    _refuse(tmp_path, archive, "only plain files|unpacks to more")


@pytest.mark.parametrize(
    "name", ["other.pkl", "model.pkl", "deep/model.joblib", "codes/x.py", "PASSPORT.json"]
)
def test_a_file_that_no_model_has_is_refused(tmp_path, name):
    _refuse(tmp_path, _archive(tmp_path / "a.tar.gz", _member(name, b"x")), "not part of a model")


def test_a_file_that_is_there_twice_is_refused(tmp_path):
    archive = _archive(tmp_path / "a.tar.gz", _member("./model.joblib", b"other"))
    _refuse(tmp_path, archive, "there twice")


def test_a_million_members_are_refused_at_the_first_too_many(tmp_path):
    header = _member("code/x", b"", tarfile.DIRTYPE)[0].tobuf()
    with gzip.open(tmp_path / "a.tar.gz", "wb", compresslevel=1) as file:
        for _ in range(1000):
            file.write(header * 1000)
    tracemalloc.start()
    try:
        _refuse(tmp_path, tmp_path / "a.tar.gz", "more than 10,000 members")
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


def _bomb(path: Path, size: int) -> Path:
    member = tarfile.TarInfo("model.joblib")
    member.size = size
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(member.tobuf())
        for _ in range(size // 1_000_000):
            file.write(bytes(1_000_000))
        file.write(bytes(size % 1_000_000 + 512 - size % 512))
    return path


def test_a_bomb_is_refused_by_what_it_says_and_by_what_it_unpacks_to(tmp_path):
    archive = _bomb(tmp_path / "a.tar.gz", 40_000_000)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    _refuse(tmp_path / "one", archive, "unpacks to more than 30,000,000 bytes", total_bytes=30_000_000)
    _refuse(tmp_path / "two", archive, "more than 200 times its size", free_bytes=1_000_000)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_a_gigabyte_is_not_read_into_memory(tmp_path, kind):
    member = tarfile.TarInfo("code/x")
    member.size, member.type = 1_000_000_000, kind
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT) + bytes(5_000_000))
    tracemalloc.start()
    try:
        _refuse(tmp_path, tmp_path / "a.tar.gz", r"a header of 1,000,000,\d+ bytes")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_headers_that_follow_one_another_without_end_are_refused(tmp_path):
    header = tarfile.TarInfo("code/x")
    header.type, header.size = tarfile.XHDTYPE, 512
    record = b"11 a=bcdef\n".ljust(512, b"\0")
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write((header.tobuf() + record) * 5000)
    _refuse(tmp_path, tmp_path / "a.tar.gz", "not a readable model archive")


def test_a_member_of_negative_size_is_refused(tmp_path):
    block = bytearray(_member("model.joblib", b"x")[0].tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\xff" * 12  # base-256 for -1
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(bytes(block) + bytes(2048))
    _refuse(tmp_path, tmp_path / "a.tar.gz", "unpacks to more|not a readable")


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"no archive")
    _refuse(tmp_path, tmp_path / "a.tar.gz", "not a readable model archive")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_archive_is_refused(tmp_path, share):
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(*_file(*_member("model.joblib", os.urandom(200_000))))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    _refuse(tmp_path, path, "not a readable model archive")


@given(st.data())
def test_whatever_bytes_an_archive_has_nothing_else_than_the_one_error_comes_of_it(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    body = bytearray(_archive(folder / "a.tar.gz").read_bytes())
    plain = bytearray(gzip.decompress(bytes(body)))
    for _ in range(data.draw(st.integers(1, 4))):
        plain[data.draw(st.integers(0, 2600))] = data.draw(st.integers(0, 255))
    (folder / "b.tar.gz").write_bytes(gzip.compress(bytes(plain), 1))
    target = folder / "target"
    try:
        artifact.unpack(folder / "b.tar.gz", target)
    except ArtifactError:
        assert not target.exists()
    assert {p.name for p in folder.iterdir()} <= {"a.tar.gz", "b.tar.gz", "target"}


def test_an_archive_is_read_once_and_forward_only():
    class Pipe:
        def __init__(self, data):
            self.data = io.BytesIO(data)

        def read(self, size):
            return self.data.read(size)

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, size in (("model.joblib", 1024), ("features.json", 700), ("code/x.py", 0)):
            tar.addfile(*_file(*_member(name, b"z" * size)))
    found = {
        member.path: sum(map(len, member.chunks))
        for member in unpacking.members(Pipe(buffer.getvalue()), "a", lambda _: True)
    }
    assert found == {"model.joblib": 1024, "features.json": 700, "code/x.py": 0}
