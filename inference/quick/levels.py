"""Walks large trees from their roots, one level of all trees and rows at a time.

A row is laid out so that every node is one comparison: twice side by side, with missing values as minus
infinity (they go left) and as infinity (they go right), and then one column of zeros and ones for each node
that parts categories.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inference.quick.forest import Forest

_LARGEST = np.finfo(np.float64).max


@dataclass(frozen=True)
class Levels:
    """Trees of any size.

    Attributes:
        places: Where each node's value lies in a row as it is laid out.
        thresholds: Values up to it go left; a leaf's is infinite.
        children: Left and right node of each, one after the other; a leaf's are itself.
        roots: First node of each tree.
        depth: The longest way from a root to a leaf.
        values: What each leaf adds.
        columns: The column of each node that parts categories.
        missing: The code of a missing value in it.
        offsets: Where the node's decisions begin in ``goes_right``.
        goes_right: Decisions by code, as zeros and ones.
    """

    places: np.ndarray
    thresholds: np.ndarray
    children: np.ndarray
    roots: np.ndarray
    depth: int
    values: np.ndarray
    columns: np.ndarray
    missing: np.ndarray
    offsets: np.ndarray
    goes_right: np.ndarray

    def steps(self, matrix: np.ndarray) -> np.ndarray:
        """What each tree adds for each row: rows x trees x outputs."""
        laid = self._lay_out(matrix)
        begins = np.arange(0, laid.size, laid.shape[1])[:, np.newaxis]
        flat = laid.ravel()
        node = np.broadcast_to(self.roots, (len(matrix), len(self.roots)))
        for _ in range(self.depth):
            right = flat.take(self.places.take(node) + begins) > self.thresholds.take(node)
            node = self.children.take(node * 2 + right)
        return self.values.take(node, axis=0)

    def _lay_out(self, matrix: np.ndarray) -> np.ndarray:
        missing = np.isnan(matrix)
        if not len(self.columns) and not missing.any():
            return np.concatenate((matrix, matrix), axis=1)
        asked, absent = matrix[:, self.columns], missing[:, self.columns]
        codes = np.where(absent, self.missing, asked).astype(np.intp)
        parts = (
            np.where(missing, -np.inf, matrix),
            np.where(missing, np.inf, matrix),
            self.goes_right.take(codes + self.offsets),
        )
        return np.concatenate(parts, axis=1)


def build(forest: Forest, width: int) -> Levels:
    """Lay the nodes out.

    Args:
        forest: The trees.
        width: Number of columns of a row.
    """
    deciding = np.array(sorted(forest.decisions), dtype=np.intp)
    decisions = [forest.decisions[node] for node in deciding.tolist()]
    sizes = np.array([len(one) for one in decisions], dtype=np.intp)
    places = np.where(forest.missing_left, forest.columns, forest.columns + width)
    places[deciding] = 2 * width + np.arange(len(deciding))
    # A threshold of infinity parts missing values from all others.
    thresholds = np.where(forest.leaf, np.inf, np.minimum(forest.thresholds, _LARGEST))
    thresholds[deciding] = 0.5
    return Levels(
        places=places.astype(np.intp),
        thresholds=thresholds,
        children=np.stack((forest.left, forest.right), axis=1).ravel().astype(np.intp),
        roots=forest.roots,
        depth=_depth(forest),
        values=forest.values,
        columns=forest.columns[deciding],
        missing=sizes - 1.0,
        offsets=np.cumsum(sizes) - sizes,
        goes_right=np.concatenate([np.zeros(0), *(1.0 - one for one in decisions)]),
    )


def _depth(forest: Forest) -> int:
    """How often one has to step down until all have reached a leaf."""
    level, depth = forest.roots[~forest.leaf[forest.roots]], 0
    while len(level):
        below = np.concatenate((forest.left[level], forest.right[level]))
        level, depth = below[~forest.leaf[below]], depth + 1
    return depth
