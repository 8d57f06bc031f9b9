"""Bounds what a zstd archive can hold by walking over its blocks, without unpacking any.

Python 3.12 has no zstd. DuckDB has, but it would unpack without an end what is made to have none, and it
takes an archive that is cut off for a short one. Layout of frames and blocks: RFC 8878, section 3.1.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from training.contract.findings import UnusableError

MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = 0x184D2A50
_MAX_BLOCK = 128 * 1024
# Blocks and frames may be empty; a file of nothing else would keep us walking for hours.
_MAX_STEPS = 5_000_000


def upper_bound(path: Path, most: int) -> int:
    """At most so many bytes come out of the archive.

    Args:
        path: The archive.
        most: The walk ends once the bound is above it.

    Raises:
        UnusableError: It is cut off or damaged.
    """
    with path.open("rb") as file:
        walk = _Walk(file, path.stat().st_size, most)
        walk.frames()
        return walk.bound


class _Walk:
    def __init__(self, file: BinaryIO, size: int, most: int) -> None:
        self.file, self.size, self.most = file, size, most
        self.bound = self.steps = 0

    def frames(self) -> None:
        while self.file.tell() < self.size and self.bound <= self.most:
            magic = self._take(4)
            if magic == MAGIC:
                self._frame()
            elif int.from_bytes(magic, "little") & 0xFFFFFFF0 == _SKIPPABLE:
                self._skip(int.from_bytes(self._take(4), "little"))
            else:
                raise UnusableError(
                    "file", f"the zstd archive is damaged: no frame begins at byte {self.file.tell() - 4:,}"
                )
            self._step()

    def _frame(self) -> None:
        descriptor = self._take(1)[0]
        single, checksum = descriptor >> 5 & 1, descriptor >> 2 & 1
        block = _MAX_BLOCK
        if not single:
            exponent, mantissa = divmod(self._take(1)[0], 8)
            base = 1 << (10 + exponent)
            block = min(block, base + base // 8 * mantissa)
        self._skip((0, 1, 2, 4)[descriptor & 3])
        self._skip((single, 2, 4, 8)[descriptor >> 6])
        last = False
        while not last and self.bound <= self.most:
            header = int.from_bytes(self._take(3), "little")
            last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
            if kind == 3:
                raise UnusableError("file", "the zstd archive is damaged: a block of an unknown kind")
            # Raw bytes, one byte repeated, or compressed.
            self.bound += size if kind < 2 else block
            self._skip(1 if kind == 1 else size)
            self._step()
        if last:
            self._skip(4 * checksum)

    def _take(self, count: int) -> bytes:
        found = self.file.read(count)
        if len(found) < count:
            raise UnusableError("file", "the zstd archive is cut off; upload it again")
        return found

    def _skip(self, count: int) -> None:
        if self.file.seek(count, 1) > self.size:
            raise UnusableError("file", "the zstd archive is cut off; upload it again")

    def _step(self) -> None:
        self.steps += 1
        if self.steps > _MAX_STEPS:
            raise UnusableError(
                "file", f"the zstd archive has more than {_MAX_STEPS:,} blocks; write it in larger ones"
            )
