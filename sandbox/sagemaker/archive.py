"""Tar archives: made the same from the same files, and unpacked without trusting them."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

MAX_MEMBERS = 20_000
MAX_BYTES = 8 * 1024**3


class ArchiveError(Exception):
    """An archive that will not be unpacked, and why."""


def pack(folder: Path, target: Path) -> None:
    """Write everything under `folder` to a tar.gz whose bytes depend on names and contents only."""
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(folder.rglob("*")):
            info = tar.gettarinfo(str(path), arcname=path.relative_to(folder).as_posix())
            if info is None or info.isdev():
                continue  # sockets, pipes and devices are not artefacts
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = 0
            info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
            if info.islnk():
                info.type, info.linkname, info.size = tarfile.REGTYPE, "", path.stat().st_size
            if info.isfile():
                with path.open("rb") as source:
                    tar.addfile(info, source)
            else:
                tar.addfile(info)


def unpack(
    archive: Path, folder: Path, *, max_members: int = MAX_MEMBERS, max_bytes: int = MAX_BYTES
) -> None:
    """Unpack a tar.gz into `folder`.

    Raises ArchiveError for what is no tar.gz, for absolute names, `..`, links that leave the folder, devices,
    and for more members or bytes than allowed. Nothing is written outside the folder in any case.
    """
    folder.mkdir(parents=True, exist_ok=True)
    members = written = 0
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                members += 1
                written += max(0, member.size)
                if members > max_members:
                    raise ArchiveError(f"the archive has more than {max_members} members")
                if written > max_bytes:
                    raise ArchiveError(f"the archive unpacks to more than {max_bytes} bytes")
                _check(member)
                tar.extract(member, folder, set_attrs=True, filter="data")
    except (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeError) as error:
        # OSError: no gzip file, a file where another member needs a folder, a name too long for the disk.
        raise ArchiveError(f"{type(error).__name__}: {error}") from error


def gunzip(source: Path, target: Path) -> None:
    """Decompress one gzip file."""
    try:
        with gzip.open(source, "rb") as zipped, target.open("wb") as plain:
            shutil.copyfileobj(zipped, plain, io.DEFAULT_BUFFER_SIZE * 16)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ArchiveError(f"{source.name} is not a gzip file: {error}") from error


def _check(member: tarfile.TarInfo) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise ArchiveError(f"the member {member.name!r} lies outside the archive's folder")
    if member.isdev():
        raise ArchiveError(f"the member {member.name!r} is a device or a pipe")
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        raise ArchiveError(f"the member {member.name!r} is of a kind that is not allowed")
