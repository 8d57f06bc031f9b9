"""Unpacks a whole model archive, its code included, and nothing outside its folder."""

from __future__ import annotations

import tarfile
from pathlib import Path

# As training.artifact.MAX_UNPACKED_BYTES; that module needs numpy, which this process does without.
MAX_UNPACKED_BYTES = 4 * 1024**3


class UnpackError(Exception):
    """An archive that cannot be used."""


def unpack(archive: Path, folder: Path) -> None:
    """Unpack files and folders.

    Raises:
        UnpackError: No readable archive, one that leads out of its folder, or one beyond the size limit.
    """
    total = 0
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                total += member.size
                if total > MAX_UNPACKED_BYTES:
                    raise UnpackError(f"{archive.name} unpacks to more than {MAX_UNPACKED_BYTES:,} bytes")
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UnpackError(f"{archive.name} is no readable model archive: {error}") from error
