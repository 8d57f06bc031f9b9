from __future__ import annotations

import io
import os
import socket
import tarfile
from pathlib import Path

import pytest

from sandbox.sagemaker.archive import ArchiveError, pack, unpack


def archive_of(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (member("../evil", size=1), "lies outside"),
        (member("a/../../evil", size=1), "lies outside"),
        (member("/etc/evil", size=1), "lies outside"),
        (member("link", tarfile.SYMTYPE, "../../etc/passwd"), "link"),
        (member("link", tarfile.SYMTYPE, "/etc/passwd"), "link"),
        (member("hard", tarfile.LNKTYPE, "../evil"), "outside"),
        (member("device", tarfile.CHRTYPE), "device"),
        (member("pipe", tarfile.FIFOTYPE), "device or a pipe"),
    ],
)
def test_an_archive_that_reaches_out_of_its_folder_is_refused(
    tmp_path: Path, bad: tarfile.TarInfo, words: str
) -> None:
    packed = archive_of(tmp_path / "a.tar.gz", bad)
    with pytest.raises(ArchiveError, match=words):
        unpack(packed, tmp_path / "in" / "out")
    assert not list((tmp_path / "in").rglob("evil"))
    assert not (tmp_path / "evil").exists()


def test_an_archive_with_too_many_members_is_refused(tmp_path: Path) -> None:
    packed = archive_of(tmp_path / "a.tar.gz", *(member(f"f{i}") for i in range(4)))
    with pytest.raises(ArchiveError, match="more than 3 members"):
        unpack(packed, tmp_path / "out", max_members=3)


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_written(tmp_path: Path) -> None:
    packed = archive_of(tmp_path / "a.tar.gz", member("big", size=1000))
    with pytest.raises(ArchiveError, match="more than 999 bytes"):
        unpack(packed, tmp_path / "out", max_bytes=999)
    assert not (tmp_path / "out" / "big").exists()


@pytest.mark.parametrize("content", [b"", b"not a tar", b"\x1f\x8b broken"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(ArchiveError):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


def test_packing_and_unpacking_gives_the_same_files(tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "code" / "empty").mkdir(parents=True)
    (source / "code" / "run.sh").write_text("echo")
    (source / "code" / "run.sh").chmod(0o755)
    (source / "model.joblib").write_bytes(b"\x00\x01")
    pack(source, tmp_path / "a.tar.gz")
    unpack(tmp_path / "a.tar.gz", tmp_path / "out")
    assert (tmp_path / "out/model.joblib").read_bytes() == b"\x00\x01"
    assert (tmp_path / "out/code/empty").is_dir()
    assert os.access(tmp_path / "out/code/run.sh", os.X_OK)


def test_the_bytes_of_an_archive_depend_on_names_and_contents_only(tmp_path: Path) -> None:
    for order, name in ((("a", "b"), "one"), (("b", "a"), "two")):
        for file in order:
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / file).write_text(file)
            os.utime(tmp_path / name / file, (1000 * len(name), 5))
        pack(tmp_path / name, tmp_path / f"{name}.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_hard_links_and_sockets_do_not_spoil_an_archive(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "a").write_text("same")
    (source / "b").hardlink_to(source / "a")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "s"))
        pack(source, tmp_path / "a.tar.gz")
    unpack(tmp_path / "a.tar.gz", tmp_path / "out")
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {
        "a": "same",
        "b": "same",
    }


def test_members_that_cannot_both_exist_are_refused(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "a.tar.gz", member("model", size=1), member("model/inner", size=1))
    with pytest.raises(ArchiveError):
        unpack(path, tmp_path / "out")
