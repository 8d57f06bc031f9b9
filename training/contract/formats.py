"""Says what kind of file it is, by its content; the name is never asked."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.spec import Contract
from training.contract.engine import Engine
from training.contract.findings import UnusableError
from training.contract.rules import quoted

Kind = Literal["csv", "jsonl", "parquet"]
Compression = Literal["gzip", "zstd"]

_CHUNK_BYTES = 4 * 1024 * 1024
_HEAD_BYTES = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
# What starts like this is none of the formats, whatever follows.
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"PK\x05\x06": "an empty zip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"ARROW1": "an Arrow file",
    b"%PDF": "a PDF",
    b"SQLite format 3": "a SQLite database",
}
_TAR_MAGIC, _TAR_AT = b"ustar", 257
TAKEN = "expected CSV or JSON lines (plain, gzip or zstd) or Parquet"


@dataclass(frozen=True)
class Format:
    """What the file is.

    Attributes:
        kind: ``csv``, ``jsonl`` or ``parquet``.
        compression: Around text; what is inside a Parquet file is its own matter.
        encoding: Of text.
        head: The first bytes of the text, without a byte order mark.
    """

    kind: Kind
    compression: Compression | None
    encoding: str | None
    head: bytes = b""

    @property
    def bare(self) -> bool:
        """Whether the bytes on disk are the text itself."""
        return self.compression is None


def detect(path: Path, contract: Contract, engine: Engine) -> Format:
    """Find out what the file is.

    Raises:
        UnusableError: It is empty, too large, or nothing that is taken.
        OSError: It cannot be read.
    """
    size = path.stat().st_size
    if size == 0:
        raise UnusableError("file", "the file is empty (0 bytes)")
    most = contract.max_file_mb * 1_000_000
    if size > most:
        raise UnusableError(
            "file",
            f"the file has {size:,} bytes, at most {most:,} are taken (contract.max_file_mb); split it",
        )
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(_PARQUET):
        return Format("parquet", None, None)
    compression: Compression | None = None
    if head.startswith(_GZIP):
        compression = "gzip"
    elif head.startswith(_ZSTD):
        compression = "zstd"
    if compression:
        head = next(unpacked(path, compression, engine), b"")
        if not head:
            raise UnusableError("file", f"the {compression} archive is empty")
    inside = f" inside the {compression} archive" if compression else ""
    _refuse_foreign(head, compression, inside)
    bom = head.startswith(_BOM)
    text = head.removeprefix(_BOM)
    kind: Kind = "jsonl" if _is_object(text) else "csv"
    return Format(kind, compression, "utf-8" if bom else contract.encoding, text[:_HEAD_BYTES])


def _refuse_foreign(head: bytes, compression: str | None, inside: str) -> None:
    found = next((called for magic, called in _FOREIGN.items() if head.startswith(magic)), None)
    if head[_TAR_AT : _TAR_AT + len(_TAR_MAGIC)] == _TAR_MAGIC:
        found = "a tar archive"
    if compression and head.startswith((_GZIP, _ZSTD)):
        found = "another archive"
    if compression and head.startswith(_PARQUET):
        found = "a Parquet file (which is compressed by itself)"
    if found is None and head[:4].count(0) >= 2 and b"," not in head[:4].replace(b"\0", b""):
        found = "UTF-16 or binary data"
    if found:
        raise UnusableError("file", f"the file is {found}{inside}, {TAKEN}")
    start = head.removeprefix(_BOM).lstrip()[:2]
    if start.startswith(b"[") and (start[1:] in (b"{", b"", b"\n", b"\r", b" ")):
        raise UnusableError(
            "file", f"the file is a JSON array{inside}, expected one object per line (JSON lines)"
        )


def _is_object(text: bytes) -> bool:
    return text.lstrip()[:1] == b"{"


def unpacked(path: Path, compression: Compression | None, engine: Engine) -> Iterator[bytes]:
    """The content in pieces, unpacked but never as a whole.

    Raises:
        UnusableError: The archive is damaged.
    """
    if compression == "zstd":
        yield from _unzstd(path, engine)
        return
    try:
        with gzip.open(path, "rb") if compression else path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnusableError("file", f"the gzip archive is damaged: {error}") from error


def _unzstd(path: Path, engine: Engine) -> Iterator[bytes]:
    """DuckDB has a zstd reader and Python has none; lines are all it gives."""
    lines = engine.stream(
        f"SELECT line FROM read_csv({quoted(str(path))}, auto_detect=false, header=false, "
        "columns={'line': 'VARCHAR'}, delim='\x01', quote='', escape='', nullstr='\x02', compression='zstd', "
        "encoding='latin-1', strict_mode=false, null_padding=true)"
    )
    for batch in lines:
        yield b"".join((row[0] or "").encode("latin-1", "replace") + b"\n" for row in batch)
