"""Reads a text file piece by piece, whatever it is packed in, and never as a whole."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from training.contract.engine import Engine
from training.contract.findings import UnusableError
from training.contract.quoting import quoted

Compression = Literal["gzip", "zstd"]
Pieces = Callable[[], Iterator[bytes]]

_PIECE_BYTES = 4 * 1024 * 1024


def lines_table(path: Path, compression: str | None, encoding: str, max_line_bytes: int, *more: str) -> str:
    """SQL of the file's lines, in their order: one column ``line``, NULL for an empty one.

    It is the CSV reader without any quotes, and with a delimiter that is not in texts.
    """
    options = ", ".join(
        (
            f"compression={quoted(compression or 'none')}",
            f"encoding={quoted(encoding)}",
            f"max_line_size={max_line_bytes}",
            *more,
        )
    )
    return (
        f"read_csv({quoted(str(path))}, auto_detect=false, header=false, columns={{'line': 'VARCHAR'}}, "
        f"delim='\x01', quote='', escape='', nullstr='', strict_mode=false, null_padding=true, {options})"
    )


def pieces_of(path: Path, compression: Compression | None, engine: Engine, max_line_bytes: int) -> Pieces:
    """The file's content; each call starts anew.

    The iterator raises ``UnusableError`` when the archive is damaged.
    """
    if compression == "zstd":
        return lambda: _unzstd(path, engine, max_line_bytes)
    return lambda: _read(path, compression)


def _read(path: Path, compression: Compression | None) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") if compression else path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnusableError(
            "file", f"the gzip archive is damaged: {str(error).rstrip('.').lower()}; upload it again"
        ) from error


def with_one_line_end(pieces: Pieces, target: Path) -> bool:
    """Write the text with a newline alone at each line's end; returns whether it had two kinds."""
    windows = others = 0
    with target.open("wb") as file:
        held = b""
        for piece in pieces():
            text = held + piece
            held = b"\r" if text.endswith(b"\r") else b""
            text = text[: len(text) - len(held)]
            pairs = text.count(b"\r\n")
            windows += pairs
            others += text.count(b"\n") - pairs
            file.write(text.replace(b"\r\n", b"\n"))
        file.write(held)
    return bool(windows and others)


def _unzstd(path: Path, engine: Engine, max_line_bytes: int) -> Iterator[bytes]:
    """DuckDB unpacks; lines are what it gives, so every line ends in a newline here.

    In parallel it would leave out a last line that is longer than its buffer.
    """
    table = lines_table(path, "zstd", "latin-1", max_line_bytes, "parallel=false")
    for batch in engine.batches(f"SELECT line FROM {table}"):  # noqa: S608 - quoted
        yield "".join([f"{line or ''}\n" for (line,) in batch]).encode("latin-1")
