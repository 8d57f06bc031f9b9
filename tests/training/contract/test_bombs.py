"""Files made to do harm stop at the declared limits: in time, in memory and on disk."""

import gzip
import zlib

import pytest

from tests.training.contract import limited
from tests.training.contract.corpus import zstd
from tests.training.examples import HEADER, declare, lines, text

# Python, DuckDB and the file's parts; the intake function has 2 GB.
MOST_MEGABYTES = 1000
MOST_SECONDS = 60
LIMIT_MB = 50
SPEC = declare(contract={"max_unpacked_mb": LIMIT_MB, "max_file_mb": 20})
# So few that gzip's window of 32 KB holds them: they pack well when repeated.
ROWS = "\n".join(lines(300)) + "\n"
PIECE = 16_000_000


def _stream(pieces, level=1):
    """One gzip member of all pieces."""
    packer = zlib.compressobj(level, wbits=31)
    return b"".join([*(packer.compress(piece) for piece in pieces), packer.flush()])


def _rows():
    repeated = ROWS.encode()
    return (repeated * (PIECE // len(repeated) + 1))[: PIECE - PIECE % len(repeated)]


def _bombs():
    head = (HEADER + "\n").encode()
    rows, zeros = _rows(), b"0" * PIECE
    wide = b'{"at": "' + b"x" * PIECE
    return {
        # A piece packs to some 100 KB; members and frames may follow one another, so they make any size.
        "good rows, 1 GB": gzip.compress(head) + gzip.compress(rows, 6) * 60,
        "one line, 10 GB": gzip.compress(head) + gzip.compress(zeros, 6) * 640,
        "one member, 500 MB": _stream([head, *[zeros] * 32]),
        "blank lines, 10 GB": gzip.compress(head) + gzip.compress(b"\n" * PIECE, 6) * 640,
        "NUL, 10 GB": gzip.compress(b"\0" * PIECE, 6) * 640,
        "JSON lines, one of 10 GB": gzip.compress(wide, 6) + gzip.compress(b"x" * PIECE, 6) * 640,
        "quote never closed, 10 GB": gzip.compress(head + b'"')
        + gzip.compress(b"x\n" * (PIECE // 2), 6) * 640,
        "zstd, good rows, 3 GB": zstd(text(lines(30))) + zstd(ROWS * 600) * 400,
        "zstd, lines of 8 MB, 3 GB": zstd(HEADER + "\n") + zstd("0" * 8_000_000) * 400,
    }


@pytest.fixture(scope="module")
def bombs():
    return _bombs()


NAMES = [
    "good rows, 1 GB",
    "one line, 10 GB",
    "one member, 500 MB",
    "blank lines, 10 GB",
    "NUL, 10 GB",
    "JSON lines, one of 10 GB",
    "quote never closed, 10 GB",
    "zstd, good rows, 3 GB",
    "zstd, lines of 8 MB, 3 GB",
]


@pytest.mark.parametrize("name", NAMES)
def test_what_unpacks_to_too_much_stops_at_the_limit(tmp_path, bombs, name):
    (tmp_path / "data").write_bytes(bombs[name])
    outcome = limited.check(tmp_path, SPEC)
    assert not outcome.ok
    assert outcome.megabytes < MOST_MEGABYTES
    assert outcome.seconds < MOST_SECONDS
    assert outcome.left == ["data", "spec.json"]


def test_the_limit_is_named_with_its_key(tmp_path, bombs):
    (tmp_path / "data").write_bytes(bombs["good rows, 1 GB"])
    assert "contract.max_unpacked_mb" in limited.check(tmp_path, SPEC).reason


def test_a_file_just_below_the_limit_is_taken(tmp_path):
    body = (HEADER + "\n").encode() + _rows()
    (tmp_path / "data").write_bytes(gzip.compress(body, 1))
    outcome = limited.check(tmp_path, SPEC)
    assert (outcome.ok, outcome.dropped) == (True, 0)
    assert outcome.rows == body.count(b"\n") - 1
    assert outcome.megabytes < MOST_MEGABYTES


@pytest.mark.parametrize("megabytes", [11, 40])
def test_a_long_line_stops_at_the_limit_wherever_it_is(tmp_path, megabytes):
    long = "x" * (megabytes * 1_000_000)
    for content in (text([*lines(30), long]), long, text([f'2024-01-01,a,"{long}",1,true,1'])):
        (tmp_path / "data").write_text(content)
        outcome = limited.check(tmp_path, declare())
        assert not outcome.ok
        assert outcome.megabytes < MOST_MEGABYTES
        assert len(outcome.reason) < 3000
