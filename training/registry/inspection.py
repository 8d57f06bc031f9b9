"""Looks at a finished job's model archive once, from its first byte to its last, without loading it.

The one pass gives the digest that is registered and proves that the loader will take the archive: nothing in
it but a model's files, and each of them as its passport says. Memory stays small whatever the size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training import unpacking
from training.errors import ArtifactError
from training.registry import seal
from training.unpacking import LIMITS, Limits


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """A model archive.

    Attributes:
        sha256: Of the archive as it is stored.
        packed_bytes: Its size.
        unpacked_bytes: Size of all its files.
        passport: What the model says of itself.
        passport_sha256: Digest of that file.
        files: SHA-256 of the signed files, by name.
    """

    sha256: str
    packed_bytes: int
    unpacked_bytes: int
    passport: Mapping[str, Any]
    passport_sha256: str
    files: Mapping[str, str]


def inspect(stream: Any, name: str, limits: Limits = LIMITS) -> Inspected:
    """Read an archive and compare it with its own passport.

    Args:
        stream: Has ``read(size)``; read to its end.
        name: How it is called in errors.
        limits: What is refused.

    Raises:
        ArtifactError: It is no model archive, or a file in it differs from the passport.
    """
    source = _Hashing(stream)
    files: dict[str, str] = {}
    code: dict[str, str] = {}
    body = b""
    unpacked = 0
    for member in unpacking.members(source, name, seal.is_part, limits):
        unpacked += member.size
        if member.path == seal.PASSPORT:
            if member.size > seal.MAX_PASSPORT_BYTES:
                raise ArtifactError(f"{name}: {seal.PASSPORT} has {member.size:,} bytes")
            body = b"".join(member.chunks)
            continue
        total = hashlib.sha256()
        for chunk in member.chunks:
            total.update(chunk)
        inside = member.path.removeprefix(f"{seal.CODE}/")
        (files if inside == member.path else code)[inside] = total.hexdigest()
    while source.read(unpacking.CHUNK_BYTES):
        pass  # what follows the archive's end is part of the registered bytes
    passport = seal.read(body)
    seal.check(passport, files, code)
    return Inspected(
        sha256=source.digest.hexdigest(),
        packed_bytes=source.bytes,
        unpacked_bytes=unpacked,
        passport=passport,
        passport_sha256=hashlib.sha256(body).hexdigest(),
        files=files,
    )


class _Hashing:
    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.bytes = 0

    def read(self, size: int) -> bytes:
        data = bytes(self._stream.read(size))
        self.digest.update(data)
        self.bytes += len(data)
        return data
