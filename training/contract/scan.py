"""Looks once at all bytes of a text file for what DuckDB would not say, or not say early."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from itertools import chain

from models.spec import Contract
from training.contract.findings import UnusableError
from training.contract.unpacking import Compression, Pieces

# DuckDB reads numbers with these that are none for us: 1_000, +-1, and one after a vertical tab.
_ODD = (b"_", b"\v")
_SIGNS = b"+-"


@dataclass(frozen=True)
class Scan:
    """What the bytes say.

    Attributes:
        size: Bytes of the text.
        odd_numbers: Something stands in the rows that only a look at each number's text can judge.
    """

    size: int
    odd_numbers: bool


def scan(pieces: Pieces, head: bytes, contract: Contract, compression: Compression | None) -> Scan:
    """Look at all bytes.

    Args:
        pieces: The content.
        head: Its beginning.
        contract: Its limits.
        compression: Of the file.

    Raises:
        UnusableError: There is a NUL byte or a line that is too long, or it unpacks to too much.
    """
    end = line_end(head)
    most = contract.max_unpacked_mb * 1_000_000
    longest = contract.max_line_kb * 1000
    size = line = 0  # of all pieces before, and of the line that is open at their end
    odd, last = False, b""
    first_row = max(head.find(end), 0)
    for piece in pieces():
        if b"\0" in piece:
            at = _line_at(pieces, size + piece.index(b"\0"), end)
            raise UnusableError(
                "encoding", f"line {at} holds a NUL byte; this is no text in UTF-8 or Latin-1"
            )
        line, too_long = _open_line(piece, line, longest, end)
        if too_long is not None:
            at = _line_at(pieces, size + too_long, end)
            raise UnusableError(
                "structure",
                f"line {at} is longer than {longest:,} bytes (contract.max_line_kb); is a quote not "
                "closed, or is this no text?",
            )
        odd = odd or _is_odd(piece[first_row:] if size == 0 else piece, last)
        last = piece[-1:]
        size += len(piece)
        if compression and size > most:
            raise too_large(compression, most)
    return Scan(size, odd)


def line_end(head: bytes) -> bytes:
    """What every line ends with, at the least."""
    return b"\r" if b"\r" in head and b"\n" not in head else b"\n"


def too_large(compression: Compression, most: int) -> UnusableError:
    """Stops reading an archive that holds too much."""
    return UnusableError(
        "file",
        f"the {compression} archive holds more than {most:,} bytes (contract.max_unpacked_mb); split it",
    )


def _open_line(piece: bytes, before: int, longest: int, end: bytes) -> tuple[int, int | None]:
    """How long the line at the end of the piece is so far, and where a line is that is too long."""
    position = piece.find(end)
    if position < 0:
        total = before + len(piece)
        return total, 0 if total > longest else None
    if before + position > longest:
        return 0, 0
    while len(piece) - position - 1 > longest:
        following = piece.rfind(end, position + 1, position + longest + 2)
        if following < 0:
            return 0, position + 1
        position = following
    return len(piece) - position - 1, None


def _is_odd(piece: bytes, last: bytes) -> bool:
    if any(sign in piece for sign in _ODD):
        return True
    # One character is looked for ten times as fast as two, and a plus is rare.
    return (b"+" in piece and _SIGNS in piece) or last + piece[:1] == _SIGNS


def _line_at(pieces: Pieces, offset: int, end: bytes) -> str:
    """The number of the line that a byte is in."""
    line, size = 1, 0
    for piece in pieces():
        line += piece[: max(offset - size, 0)].count(end)
        size += len(piece)
        if size >= offset:
            break
    return f"{line:,}"


def check_encoding(pieces: Pieces, end: bytes = b"\n") -> None:
    """Refuse what is not UTF-8 text, naming the line.

    Raises:
        UnusableError: Names the line and the byte.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    for piece in chain(pieces(), (b"",)):
        try:
            line += decoder.decode(piece, final=not piece).count(end.decode())
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(end)
            raise UnusableError(
                "encoding",
                f"line {line:,} holds the byte 0x{error.object[error.start]:02x}, which is not UTF-8 text; "
                "save the file as UTF-8, or declare contract.encoding: latin-1",
            ) from error
