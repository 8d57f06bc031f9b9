"""A forest as plain nodes, read out of scikit-learn's estimators, whatever way it is walked afterwards.

The arrays are private attributes of scikit-learn, whose exact version the loader checks; whatever is not as
expected raises, and the model is asked itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.artifact import Model


@dataclass(frozen=True)
class Forest:
    """All trees of one model; nodes are numbered through.

    Attributes:
        columns: The column each node looks at.
        thresholds: Values up to it go left; infinite where only missing values go right.
        missing_left: Whether a missing value goes left.
        decisions: For each node that parts categories, by code whether it goes left: the categories, the
            unknown one, the missing one.
        leaf: Which nodes are leaves.
        left: Next node of each; a leaf's is itself.
        right: Next node of each; a leaf's is itself.
        roots: First node of each tree.
        values: What each leaf adds, one column per output of a tree.
        start: What every answer starts from, one number per output of the model; the trees belong to the
            outputs in turns.
    """

    columns: np.ndarray
    thresholds: np.ndarray
    missing_left: np.ndarray
    decisions: Mapping[int, np.ndarray]
    leaf: np.ndarray
    left: np.ndarray
    right: np.ndarray
    roots: np.ndarray
    values: np.ndarray
    start: np.ndarray

    def sums(self, steps: np.ndarray) -> np.ndarray:
        """Add up what the trees give, one after the other as scikit-learn does: np.sum rounds otherwise.

        Args:
            steps: Rows x trees x outputs of a tree; changed.

        Returns:
            Rows x outputs of the model.
        """
        turns = steps.reshape(len(steps), -1, len(self.start))
        turns[:, 0] += self.start
        return np.asarray(turns.cumsum(axis=1)[:, -1])


def boosted(model: Model) -> Forest:
    """The trees of histogram gradient boosting; a multiclass model has one per class and iteration."""
    estimator = model.estimator
    trees = [tree for stage in estimator._predictors for tree in stage]  # noqa: SLF001
    nodes = np.concatenate([tree.nodes for tree in trees])
    begins = _begins([len(tree.nodes) for tree in trees])
    shift = np.repeat(begins[:-1], np.diff(begins))
    leaf = nodes["is_leaf"].astype(bool)
    order, positions = _columns(model)
    columns = order[nodes["feature_idx"]]
    owner = np.repeat(np.arange(len(trees)), np.diff(begins))
    own = np.arange(len(nodes))
    decisions = {}
    for node in own[nodes["is_categorical"].astype(bool) & ~leaf]:
        column = int(columns[node])
        count = len(model.encoder.columns[column].categories)
        decisions[int(node)] = _decisions(trees[owner[node]], nodes[node], positions[column], count)
    return Forest(
        columns=columns,
        thresholds=nodes["num_threshold"].astype(np.float64),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        decisions=decisions,
        leaf=leaf,
        left=np.where(leaf, own, nodes["left"] + shift),
        right=np.where(leaf, own, nodes["right"] + shift),
        roots=begins[:-1],
        values=nodes["value"].reshape(-1, 1).astype(np.float64),
        start=np.asarray(estimator._baseline_prediction, dtype=np.float64).ravel(),  # noqa: SLF001
    )


def bagged(estimator: Any, outputs: slice) -> Forest:
    """The trees of a random forest.

    Args:
        estimator: The fitted forest.
        outputs: Which of a leaf's numbers are wanted.
    """
    trees = [one.tree_ for one in estimator.estimators_]
    begins = _begins([tree.node_count for tree in trees])
    shift = np.repeat(begins[:-1], np.diff(begins))
    left = np.concatenate([tree.children_left for tree in trees])
    right = np.concatenate([tree.children_right for tree in trees])
    leaf = left < 0
    own = np.arange(len(left))
    # Trees x outputs x numbers; a model of more than one target has no place here.
    values = np.concatenate([tree.value for tree in trees])
    if values.shape[1] != 1:
        raise ValueError(f"{values.shape[1]} targets")
    wanted = values[:, 0, outputs].astype(np.float64)
    return Forest(
        columns=np.where(leaf, 0, np.concatenate([tree.feature for tree in trees])),
        thresholds=np.concatenate([tree.threshold for tree in trees]),
        missing_left=np.zeros(len(left), dtype=bool),
        decisions={},
        leaf=leaf,
        left=np.where(leaf, own, left + shift),
        right=np.where(leaf, own, right + shift),
        roots=begins[:-1],
        values=wanted,
        start=np.zeros(wanted.shape[1]),
    )


def _begins(sizes: list[int]) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(sizes))).astype(np.intp)


def _columns(model: Model) -> tuple[np.ndarray, dict[int, dict[int, int]]]:
    """The encoder's column for each of the trees' features, and per category column scikit-learn's codes."""
    preprocessor = model.estimator._preprocessor  # noqa: SLF001
    width = len(model.encoder.columns)
    if preprocessor is None:
        return np.arange(width), {}
    categorical = np.flatnonzero(model.estimator.is_categorical_)
    if categorical.tolist() != model.encoder.categorical:
        raise ValueError("the estimator takes other columns for categories than the encoder")
    known = preprocessor.named_transformers_["encoder"].categories_
    positions = {
        int(c): {int(code): i for i, code in enumerate(codes) if not np.isnan(code)}
        for c, codes in zip(categorical, known, strict=True)
    }
    numeric = [c for c in range(width) if c not in positions]
    return np.array([*positions, *numeric]), positions


def _decisions(tree: Any, node: Any, positions: dict[int, int], count: int) -> np.ndarray:
    """For each code a category column can hold, whether the node sends it left."""
    bits = tree.raw_left_cat_bitsets[node["bitset_idx"]]
    # The encoder's codes, the unknown one and the missing one; what the estimator never saw counts as
    # missing.
    found = np.full(count + 2, bool(node["missing_go_to_left"]))
    for code, position in positions.items():
        found[code] = bool(bits[position // 32] >> np.uint32(position % 32) & np.uint32(1))
    return found
