"""What is pushed, and what the contract says of it, known here without asking the code under test.

A row's identity is its hour: every row of the world has another one.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from models.spec import ModelSpec, parse
from tests.training.examples import COLUMNS, HEADER, START, declare, lines

MODEL, OTHER = "toy", "mini"
HOURS_PER_FILE = 10
ACCEPTED, QUARANTINED = "accepted", "quarantined"
TRIGGERS: dict[str, Any] = {
    "quiet_seconds": 60,
    "cooldown_seconds": 600,
    "max_per_day": 24,
    "max_usd_per_month": 100.0,
    "manifest_deadline_seconds": 3600,
}


def spec(name: str = MODEL, *, window: str = "all", **triggers: Any) -> ModelSpec:
    """A small model whose files may hold one bad row in ten."""
    data = declare().to_dict()
    data |= {
        "name": name,
        "contract": {"max_bad_share": 0.1, "max_line_kb": 10},
        "triggers": TRIGGERS | triggers,
        "training": {"window": window},
    }
    return parse(data)


@dataclass(frozen=True)
class Content:
    """The bytes of a file.

    Attributes:
        name: For people; the end of it is the file's extension.
        body: The bytes.
        rows: Hours of the good rows.
        verdict: What the contract makes of it: accepted or quarantined.
    """

    name: str
    body: bytes
    rows: frozenset[int] = frozenset()
    verdict: str = ACCEPTED

    @property
    def sha256(self) -> str:
        """Its identity."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def is_good(self) -> bool:
        """Whether the contract takes it."""
        return self.verdict == ACCEPTED


@cache
def _rows(first: int, count: int) -> tuple[str, ...]:
    """Rows of consecutive hours, both labels among them."""
    made = lines(count, first_hour=first, seed=first + 1)
    labelled = [f"{row[:-1]}{number % 2}" for number, row in enumerate(made)]
    return tuple(labelled)


def _text(rows: Iterable[str]) -> bytes:
    return ("\n".join([HEADER, *rows]) + "\n").encode()


def _spoiled(row: str) -> str:
    cells = row.split(",")
    cells[3] = "1000"  # the spec's largest size is 100
    return ",".join(cells)


@cache
def good(block: int, count: int = HOURS_PER_FILE) -> Content:
    """A plain file; each block has its own hours."""
    first = block * HOURS_PER_FILE
    hours = frozenset(range(first, first + count))
    return Content(f"good-{block}.csv", _text(_rows(first, count)), hours)


@cache
def twin(block: int, form: str = "gzip") -> Content:
    """Other bytes with the same rows as ``good(block)``."""
    plain = good(block)
    rows = plain.body.decode().splitlines()
    if form == "gzip":
        return Content(f"twin-{block}.csv.gz", gzip.compress(plain.body, mtime=0), plain.rows)
    if form == "semicolons":
        return Content(f"twin-{block}.txt", plain.body.replace(b",", b";"), plain.rows)
    if form == "jsonl":
        cells = [dict(zip(COLUMNS, row.split(","), strict=True)) for row in rows[1:]]
        text = "\n".join(json.dumps({k: v for k, v in row.items() if v != ""}) for row in cells)
        return Content(f"twin-{block}.jsonl", text.encode() + b"\n", plain.rows)
    return Content(f"twin-{block}.csv", b"\xef\xbb\xbf" + plain.body, plain.rows)


@cache
def partly(block: int) -> Content:
    """One of twenty rows is bad: it is dropped, the others count."""
    first = block * HOURS_PER_FILE
    rows = list(_rows(first, 2 * HOURS_PER_FILE))
    bad = (block * 7) % len(rows)
    rows[bad] = _spoiled(rows[bad])
    hours = frozenset(range(first, first + len(rows))) - {first + bad}
    return Content(f"partly-{block}.csv", _text(rows), hours)


@cache
def bad(block: int) -> Content:
    """Two rows are good, two are bad, and so on: too many."""
    rows = [_spoiled(row) if n // 2 % 2 else row for n, row in enumerate(_rows(block * HOURS_PER_FILE, 10))]
    return Content(f"bad-{block}.csv", _text(rows), verdict=QUARANTINED)


POISON: tuple[Content, ...] = tuple(
    Content(f"poison-{name}", body, verdict=QUARANTINED)
    for name, body in {
        "empty.csv": b"",
        "header.csv": HEADER.encode() + b"\n",
        "nul.csv": _text(_rows(0, 5)) + b"\0\0\0",
        "utf8.csv": _text(_rows(0, 5)).replace(b"true", b"tr\xff\xfee"),
        "line.csv": _text([*_rows(0, 5), "x" * 50_000]),
        "label.csv": _text([row[:-1] + "1" for row in _rows(0, 10)]),
        "renamed.csv": _text(_rows(0, 10)).replace(b"size", b"sise", 1),
        "archive.csv": b"PK\x03\x04" + bytes(200),
        "cut.csv.gz": gzip.compress(_text(_rows(0, 200)), mtime=0)[:-40],
    }.items()
)


def mixture(count: int, seed: int, first: int = 0) -> list[Content]:
    """So many files as people push them: mostly good ones, some twins, some bad."""
    source = random.Random(seed)
    made: list[Content] = []
    for number in range(count):
        block = first + 3 * number
        kind = source.random()
        if kind < 0.5:
            made.append(good(block))
        elif kind < 0.65:
            earlier = [int(c.name.split("-")[1].split(".")[0]) for c in made if c.name.startswith("good")]
            form = source.choice(["gzip", "semicolons", "jsonl", "bom"])
            made.append(twin(source.choice(earlier), form) if earlier else good(block))
        elif kind < 0.75:
            made.append(partly(block))
        elif kind < 0.85:
            made.append(bad(block))
        elif kind < 0.92 and made:
            made.append(source.choice(made))
        else:
            made.append(source.choice(POISON))
    return made


def rows_of(contents: Sequence[Content]) -> frozenset[int]:
    """Hours of all good rows."""
    return frozenset().union(*(content.rows for content in contents))


def hour_of(text: str) -> int:
    """The hour of a row from its time."""
    from datetime import datetime

    return round((datetime.fromisoformat(text).replace(tzinfo=None) - START).total_seconds() / 3600)


def time_of(hour: int) -> str:
    """The time of a row in UTC, ISO 8601."""
    from datetime import UTC, timedelta

    return (START + timedelta(hours=hour)).replace(tzinfo=UTC).isoformat()


@cache
def seed() -> Content:
    """The sample a stack begins with; older than all other rows."""
    return Content("seed.csv", _text(_rows(-400, 20)), frozenset(range(-400, -380)))
