"""Reads model archives without trusting them: looked at as a whole, refused before anything is written.

Python's ``tarfile`` reads extended headers of any size into memory, follows what the archive says of links
and goes on for as long as a compressed stream does, hence the bounded reader below it and the rules above it.
https://docs.python.org/3/library/tarfile.html#tarfile-extraction-filter (what "data" leaves to the caller)
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from training.errors import ArtifactError

CHUNK_BYTES = 256 * 1024
_MOST_SEGMENT = 255


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an archive may be.

    Attributes:
        members: Files and folders.
        total_bytes: Unpacked, all together. A model beyond the default does not fit the memory of the
            instances this stack uses.
        ratio: Unpacked by packed size, once more than ``free_bytes`` are unpacked; deflate itself ends at
            1,032: https://www.zlib.net/zlib_tech.html
        free_bytes: Small archives may be as dense as they like.
    """

    members: int = 10_000
    total_bytes: int = 4 * 1024**3
    ratio: int = 200
    free_bytes: int = 64 * 1024**2


LIMITS = Limits()


@dataclass(frozen=True)
class Member:
    """A file of an archive.

    Attributes:
        path: Relative, with ``/`` and without ``.`` and ``..``.
        size: In bytes.
        chunks: The content in pieces; to be read before the next file is asked for.
    """

    path: str
    size: int
    chunks: Iterator[bytes]


def members(
    stream: Any, name: str, allowed: Callable[[str], bool], limits: Limits = LIMITS
) -> Iterator[Member]:
    """The files of a tar.gz, in its order; folders are passed over.

    Args:
        stream: The archive, read once from its beginning to its end.
        name: How it is called in errors.
        allowed: Whether a file may have a path.
        limits: What is refused.

    Raises:
        ArtifactError: No readable archive, one beyond the limits, or one with anything else than plain files
            and folders below it under paths that are allowed, each once.
    """
    source = _Counted(stream)
    with _readable(name):
        zipped: Any = gzip.GzipFile(fileobj=cast("IO[bytes]", source), mode="rb")
        bounded: Any = _Bounded(zipped, source, name, limits)
        with zipped, tarfile.open(fileobj=bounded, mode="r:") as tar:
            yield from _checked(tar, name, allowed, limits)


def unpack(archive: Path, folder: Path, allowed: Callable[[str], bool], limits: Limits = LIMITS) -> None:
    """Unpack a tar.gz into a folder that has none of its files; nothing is written unless all of it may be.

    Raises:
        ArtifactError: As ``members``.
    """
    with archive.open("rb") as stream:
        for member in members(stream, archive.name, allowed, limits):
            for _ in member.chunks:
                pass  # the whole archive is readable before the first file is written
    with archive.open("rb") as stream:
        for member in members(stream, archive.name, allowed, limits):
            target = folder / member.path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.writelines(member.chunks)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Whatever a broken archive makes of the libraries below is one kind of error."""
    try:
        yield
    except (
        *(tarfile.TarError, zlib.error, EOFError, OSError),
        # Numbers and texts in headers that are none, and headers that follow one another without end.
        *(ValueError, OverflowError, RecursionError),
    ) as error:
        raise ArtifactError(f"{name}: not a readable model archive: {error}") from error


def _checked(
    tar: tarfile.TarFile, name: str, allowed: Callable[[str], bool], limits: Limits
) -> Iterator[Member]:
    seen: set[str] = set()
    total = count = 0
    while (member := tar.next()) is not None:
        count += 1
        if count > limits.members:
            raise ArtifactError(f"{name}: more than {limits.members:,} members; a model has few")
        path = _path(member, name)
        if member.isdir():
            continue
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or getattr(member, "sparse", None):
            raise ArtifactError(f"{name}: {_shown(member)} is {_kind(member)}; only plain files are unpacked")
        if path in seen:
            raise ArtifactError(f"{name}: {_shown(member)} is there twice")
        seen.add(path)
        if not allowed(path):
            raise ArtifactError(f"{name}: {_shown(member)} is not part of a model")
        total += member.size
        if member.size < 0 or total > limits.total_bytes:
            raise ArtifactError(f"{name}: unpacks to more than {limits.total_bytes:,} bytes")
        content = tar.extractfile(member)
        if content is None:
            raise ArtifactError(f"{name}: {_shown(member)} cannot be read")
        yield Member(path, member.size, _pieces(content, name))


def _pieces(content: IO[bytes], name: str) -> Iterator[bytes]:
    with _readable(name):
        while chunk := content.read(CHUNK_BYTES):
            yield chunk


def _path(member: tarfile.TarInfo, name: str) -> str:
    """The member's path below the folder; '' for the folder itself."""
    given = member.name
    segments = [segment for segment in given.split("/") if segment not in ("", ".")]
    unsafe = (
        given.startswith("/")
        or ".." in segments
        or any(len(segment.encode("utf-8", "surrogateescape")) > _MOST_SEGMENT for segment in segments)
        or any(ord(letter) < 32 or letter in "\\:\x7f" or "\ud800" <= letter <= "\udfff" for letter in given)
    )
    if unsafe:
        raise ArtifactError(f"{name}: {_shown(member)} is no path below the model's folder")
    if not segments and not member.isdir():
        raise ArtifactError(f"{name}: {_shown(member)} takes the place of the model's folder")
    return "/".join(segments)


def _kind(member: tarfile.TarInfo) -> str:
    kinds = {
        tarfile.SYMTYPE: "a symbolic link",
        tarfile.LNKTYPE: "a hard link",
        tarfile.CHRTYPE: "a device",
        tarfile.BLKTYPE: "a device",
        tarfile.FIFOTYPE: "a pipe",
    }
    return kinds.get(member.type, "a sparse file or of an unknown kind")


def _shown(member: tarfile.TarInfo) -> str:
    return ascii(member.name)[:120]


class _Counted:
    """A stream that knows how much was read of it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.bytes = 0

    def read(self, size: int = -1) -> bytes:
        data = bytes(self._stream.read(size))
        self.bytes += len(data)
        return data


class _Bounded:
    """What tarfile reads from: forward only, in pieces, and never more than the limits allow."""

    def __init__(self, stream: gzip.GzipFile, source: _Counted, name: str, limits: Limits) -> None:
        self._stream, self._source, self._name, self._limits = stream, source, name, limits
        # Headers and padding come on top of the files.
        self._most = limits.total_bytes + limits.members * 4096
        self._at = 0

    def read(self, size: int) -> bytes:
        # Files are read in pieces of this size; only an extended header can ask for more at once, or for less
        # than nothing.
        if not 0 <= size <= CHUNK_BYTES:
            raise ArtifactError(f"{self._name}: a header of {size:,} bytes; a model needs none")
        data = self._stream.read(size)
        self._at += len(data)
        packed, limits = max(1, self._source.bytes), self._limits
        if self._at > self._most:
            raise ArtifactError(f"{self._name}: unpacks to more than {limits.total_bytes:,} bytes")
        if self._at > limits.free_bytes and self._at > limits.ratio * packed:
            raise ArtifactError(
                f"{self._name}: unpacks to more than {limits.ratio} times its size; a model does not"
            )
        return data

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self._at

    def seek(self, position: int) -> int:
        if position < self._at:
            raise tarfile.StreamError("the archive is read forward only")
        while self._at < position:
            if not self.read(min(CHUNK_BYTES, position - self._at)):
                raise tarfile.ReadError("unexpected end of the archive")
        return self._at
