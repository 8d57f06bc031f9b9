"""Finds the leaf of every small tree at once by crossing leaves off, without following a single branch.

Each tree's leaves are the bits of one number, the leftmost leaf the lowest bit. A node that sends a row to
the right crosses off all leaves on its left; the lowest bit that remains is the row's leaf. What all nodes
that look at one column cross off together depends only on where the value lies among their thresholds, so it
is worked out beforehand: a row costs one search per column and one ``and`` over a few kilobytes.

The idea is that of QuickScorer (Lucchese et al., SIGIR 2015, https://doi.org/10.1145/2766462.2767733).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from inference.quick.forest import Forest

MAX_LEAVES = 64
# Larger tables would leave the processor's caches and take long to build.
MAX_TABLE_BYTES = 64 * 1024**2


@dataclass(frozen=True)
class Masks:
    """What each place among a column's thresholds crosses off, in every tree.

    Attributes:
        used: The columns that any node looks at.
        edges: Per used column its thresholds; the last is infinite, and behind it come missing values.
        searched: The same as plain lists.
        begins: Per used column where its places begin in ``table``.
        table: Places x trees: the leaves that remain.
        bases: Where each tree's leaves begin in ``values``.
        values: What each leaf adds, from left to right.
    """

    used: tuple[int, ...]
    edges: tuple[np.ndarray, ...]
    searched: tuple[list[float], ...]
    begins: tuple[int, ...]
    table: np.ndarray
    bases: np.ndarray
    values: np.ndarray

    def steps(self, matrix: np.ndarray) -> np.ndarray:
        """What each tree adds for each row: rows x trees x outputs."""
        left = self._one(matrix[0].tolist()) if len(matrix) == 1 else self._many(matrix)
        # As many ones as there are zeros below the lowest bit.
        lowest = np.bitwise_count((left & -left) - self.table.dtype.type(1))
        return np.asarray(self.values.take(lowest + self.bases, axis=0))

    def _one(self, row: list[float]) -> np.ndarray:
        places = [
            # A missing value lies behind all others; comparisons do not say so.
            begin + (bisect_left(edges, value) if value == value else len(edges))
            for begin, edges, value in zip(
                self.begins, self.searched, map(row.__getitem__, self.used), strict=True
            )
        ]
        return np.asarray(np.bitwise_and.reduce(self.table.take(places, axis=0), axis=0))[np.newaxis]

    def _many(self, matrix: np.ndarray) -> np.ndarray:
        left = np.full((len(matrix), len(self.bases)), np.iinfo(self.table.dtype).max, self.table.dtype)
        for column, edges, begin in zip(self.used, self.edges, self.begins, strict=True):
            left &= self.table.take(edges.searchsorted(matrix[:, column]) + begin, axis=0)
        return left


def build(forest: Forest) -> Masks:
    """Work the table out.

    Raises:
        ValueError: A tree has too many leaves, or the table would be too large.
    """
    order, crossed, counts = _leaves(forest)
    if max(counts) > MAX_LEAVES:
        raise ValueError(f"a tree has {max(counts)} leaves")
    kind = next(k for k in (np.uint8, np.uint16, np.uint32, np.uint64) if max(counts) <= np.iinfo(k).bits)
    inner = np.flatnonzero(~forest.leaf)
    used = tuple(np.unique(forest.columns[inner]).tolist())
    edges = tuple(_edges(forest, inner[forest.columns[inner] == column]) for column in used)
    begins = np.concatenate(([0], np.cumsum([len(one) + 1 for one in edges]))).tolist()
    size = begins[-1] * len(forest.roots) * np.dtype(kind).itemsize
    if size > MAX_TABLE_BYTES:
        raise ValueError(f"the table would take {size:,} bytes")
    table = np.full((begins[-1], len(forest.roots)), np.iinfo(kind).max, dtype=kind)
    places = {column: (edges[i], table[begins[i] : begins[i + 1]]) for i, column in enumerate(used)}
    for node, (tree, low, high) in crossed.items():
        remain = kind(np.iinfo(kind).max ^ ((1 << high) - (1 << low)))
        _cross_off(forest, node, *places[int(forest.columns[node])], tree, remain)
    for i, column in enumerate(used):
        if not _parts_categories(forest, inner[forest.columns[inner] == column]):
            part = table[begins[i] : begins[i + 1] - 1]
            np.bitwise_and.accumulate(part, axis=0, out=part)
    return Masks(
        used=used,
        edges=edges,
        searched=tuple(one.tolist() for one in edges),
        begins=tuple(begins[:-1]),
        table=table,
        bases=np.concatenate(([0], np.cumsum(counts)))[:-1].astype(np.intp),
        values=np.ascontiguousarray(forest.values[order]),
    )


def _leaves(forest: Forest) -> tuple[list[int], dict[int, tuple[int, int, int]], list[int]]:
    """Number each tree's leaves from left to right.

    Returns:
        The leaves' nodes in that order, for each other node its tree and the range of leaves on its left,
        and the number of leaves per tree.
    """
    left, right, leaf = forest.left.tolist(), forest.right.tolist(), forest.leaf.tolist()
    order: list[int] = []
    crossed: dict[int, tuple[int, int, int]] = {}
    counts: list[int] = []
    for tree, root in enumerate(forest.roots.tolist()):
        first = len(order)
        waiting: list[tuple[int, int]] = [(root, -1)]
        while waiting:
            node, low = waiting.pop()
            if low >= 0:  # its left side is done
                crossed[node] = (tree, low, len(order) - first)
                waiting.append((right[node], -1))
            elif leaf[node]:
                order.append(node)
            else:
                waiting += [(node, len(order) - first), (left[node], -1)]
        counts.append(len(order) - first)
    return order, crossed, counts


def _parts_categories(forest: Forest, nodes: np.ndarray) -> bool:
    """Whether the nodes of one column part categories.

    Raises:
        ValueError: Some do and some do not.
    """
    kinds = {int(node) in forest.decisions for node in nodes}
    if len(kinds) != 1:
        raise ValueError("a column is both a number and a category")
    return kinds.pop()


def _edges(forest: Forest, nodes: np.ndarray) -> np.ndarray:
    """The places of one column's values: codes as they are, other values among the thresholds."""
    if _parts_categories(forest, nodes):
        codes = max(len(forest.decisions[int(node)]) for node in nodes)
        return np.arange(codes - 1, dtype=np.float64)
    return np.unique(np.append(forest.thresholds[nodes], np.inf))


def _cross_off(
    forest: Forest, node: int, edges: np.ndarray, part: np.ndarray, tree: int, remain: np.generic
) -> None:
    """Write one node into its column's part of the table; numbers only where their crossing off begins."""
    decisions = forest.decisions.get(node)
    if decisions is not None:
        part[~decisions, tree] &= remain
        return
    first = int(edges.searchsorted(forest.thresholds[node])) + 1
    if first < len(edges):  # else no number lies beyond its threshold
        part[first, tree] &= remain
    if not forest.missing_left[node]:
        part[len(edges), tree] &= remain
