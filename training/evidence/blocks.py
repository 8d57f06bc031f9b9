"""Parts held-out rows into blocks of time, and draws blocks with replacement.

Rows of one block share their luck (the weather of an hour), so drawing single rows would take them for more
evidence than they are. Whole blocks are drawn: the block bootstrap of independent blocks, as in A. C. Davison
and D. V. Hinkley, Bootstrap Methods and their Application (1997), section 3.8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.sections import Block

_UNITS: dict[str, str] = {"hour": "h", "day": "D", "week": "W"}
# So many numbers are worked on at a time: they stay in the processor's cache, which is faster than more.
_CHUNK = 80_000


@dataclass(frozen=True)
class Blocks:
    """To which block each row belongs.

    Attributes:
        of_rows: Number of each row's block, from 0.
        count: How many blocks there are.
    """

    of_rows: np.ndarray
    count: int

    def part(self, rows: np.ndarray) -> Blocks:
        """The blocks of some rows alone, numbered anew.

        Args:
            rows: Marks or positions of the rows.
        """
        left, numbers = np.unique(self.of_rows[rows], return_inverse=True)
        return Blocks(numbers, len(left))

    def effective(self, rows: np.ndarray | None = None) -> float:
        """How many blocks of equal size tell as much: (sum of sizes)² / sum of squared sizes.

        Args:
            rows: Marks of the rows that count, such as those of the rare label; None for all.
        """
        chosen = self.of_rows if rows is None else self.of_rows[rows]
        sizes = np.bincount(chosen, minlength=1).astype(np.float64)
        squares = float((sizes**2).sum())
        return float(sizes.sum()) ** 2 / squares if squares else 0.0


def number(times: np.ndarray, block: Block) -> Blocks:
    """Number the blocks of rows.

    Args:
        times: ``datetime64`` of each row.
        block: ``row`` makes each row a block of its own.
    """
    if block == "row":
        return Blocks(np.arange(len(times)), len(times))
    spans = times.astype(f"datetime64[{_UNITS[block]}]")
    left, numbers = np.unique(spans, return_inverse=True)
    return Blocks(numbers, len(left))


def draws(blocks: int, resamples: int, rows: int, seed: int) -> Iterator[np.ndarray]:
    """How often each block is drawn, resample by resample, a few resamples at a time.

    Args:
        blocks: As many are drawn as there are.
        resamples: How many in all.
        rows: What the caller works on per resample; fewer resamples come at a time when it is much.
        seed: The same seed gives the same draws.

    Yields:
        Arrays of shape (resamples of this turn, blocks), float64.
    """
    random = np.random.default_rng(seed)
    turn = max(1, _CHUNK // max(rows, blocks, 1))
    for first in range(0, resamples, turn):
        size = min(turn, resamples - first)
        drawn = random.integers(0, blocks, (size, blocks))
        drawn += np.arange(size)[:, None] * blocks
        counts = np.bincount(drawn.ravel(), minlength=size * blocks)
        yield counts.reshape(size, blocks).astype(np.float64)
