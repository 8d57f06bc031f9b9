"""Says what kind of file it is, by its content; the name is never asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.spec import Contract
from training.contract import zstd
from training.contract.engine import Engine
from training.contract.findings import UnusableError
from training.contract.scan import too_large
from training.contract.unpacking import Compression, Pieces, pieces_of

Kind = Literal["csv", "jsonl", "parquet"]

CALLED = {"csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet"}
TAKEN = "expected CSV or JSON lines (plain, gzip or zstd) or Parquet"

_HEAD_BYTES = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
# What starts like this is none of the formats, whatever follows.
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"PK\x05\x06": "an empty zip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x04\x22\x4d\x18": "an LZ4 archive",
    b"\xff\x06\0\0sNaPpY": "a Snappy archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PARE": "an encrypted Parquet file",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"ARROW1": "an Arrow file",
    b"%PDF": "a PDF",
    b"SQLite format 3": "a SQLite database",
}
_TAR, _TAR_AT = b"ustar", 257


@dataclass(frozen=True)
class Format:
    """What the file is.

    Attributes:
        kind: ``csv``, ``jsonl`` or ``parquet``.
        compression: Around text; what is inside a Parquet file is its own matter.
        encoding: Of text; a byte order mark says UTF-8 whatever is declared.
        head: The first bytes of the text.
    """

    kind: Kind
    compression: Compression | None = None
    encoding: str | None = None
    head: bytes = b""

    @property
    def start(self) -> str:
        """The beginning of the text."""
        return self.head.removeprefix(_BOM).decode(self.encoding or "utf-8", errors="replace")


def detect(path: Path, contract: Contract, engine: Engine) -> tuple[Format, Pieces]:
    """Find out what the file is, and how to read its bytes.

    Raises:
        UnusableError: It is empty, too large, or nothing that is taken.
        OSError: It cannot be read.
    """
    size, most = path.stat().st_size, contract.max_file_mb * 1_000_000
    if size == 0:
        raise UnusableError("file", "the file is empty (0 bytes)")
    if size > most:
        raise UnusableError(
            "file",
            f"the file has {size:,} bytes, at most {most:,} are taken (contract.max_file_mb); split it",
        )
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    compression = _compression(head)
    pieces = pieces_of(path, compression, engine, contract.max_line_kb * 1000)
    if head.startswith(_PARQUET):
        return Format("parquet"), pieces
    if compression:
        _check_bound(path, compression, contract)
        head = next(pieces(), b"")[:_HEAD_BYTES]
        if not head:
            raise UnusableError("file", f"the {compression} archive is empty")
    _refuse_foreign(head, compression)
    text = head.removeprefix(_BOM)
    kind: Kind = "jsonl" if text.lstrip()[:1] == b"{" else "csv"
    encoding = "utf-8" if len(text) < len(head) else contract.encoding
    return Format(kind, compression, encoding, head), pieces


def _compression(head: bytes) -> Compression | None:
    if head.startswith(_GZIP):
        return "gzip"
    return "zstd" if head.startswith(zstd.MAGIC) else None


def _check_bound(path: Path, compression: Compression, contract: Contract) -> None:
    """Of gzip, Python unpacks and counts; what unpacks zstd does not let us count."""
    most = contract.max_unpacked_mb * 1_000_000
    if compression == "zstd" and zstd.upper_bound(path, most) > most:
        raise too_large(compression, most)


def _is_wide(head: bytes) -> bool:
    """Whether it looks like text with two bytes per letter, and nothing says so."""
    odd, even = head[1:200:2], head[0:200:2]
    return any(
        len(zeros) > 1 and zeros.count(0) > len(zeros) * 0.8 and not others.count(0)
        for zeros, others in ((odd, even), (even, odd))
    )


def _refuse_foreign(head: bytes, compression: Compression | None) -> None:
    found = next((called for magic, called in _FOREIGN.items() if head.startswith(magic)), None)
    if _is_wide(head):
        found = "UTF-16 text"
    if head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        found = "a tar archive"
    inside = f" inside the {compression} archive" if compression else ""
    if compression and _compression(head):
        found = "another archive"
    elif compression and head.startswith(_PARQUET):
        found = "a Parquet file, which needs no archive,"
    if found:
        raise UnusableError("file", f"the file is {found}{inside}, {TAKEN}")
    start = head.removeprefix(_BOM).split(None, 2)[:2]
    if start and (start[0].startswith(b"[{") or (start[0] == b"[" and start[1:] and start[1][:1] == b"{")):
        raise UnusableError(
            "file", f"the file is a JSON array{inside}, expected one object per line without an array around"
        )
