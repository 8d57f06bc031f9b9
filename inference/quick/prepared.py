"""The columns that ``training.estimators`` prepares for linear models and random forests, in plain NumPy.

Categories one-hot (unknown and missing ones are all zero unless they were seen so when fitting), numbers
imputed, flagged and scaled, by the same operations in the same order: the same numbers to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from training.artifact import Model


@dataclass(frozen=True)
class Prepared:
    """A fitted preparation.

    Attributes:
        width: Number of prepared columns.
        categories: The encoder's columns of categories.
        offsets: For each, where its codes begin in ``hot``.
        missing: For each, the code of a missing value.
        hot: By code, the prepared column that is one; ``width`` where none is.
        numbers: The encoder's other columns.
        fill: What stands for a missing number.
        flagged: Which of the numbers have a column that flags missing ones.
        mean: Subtracted from numbers and flags.
        scale: They are divided by it.
        first: Where the numbers begin.
    """

    width: int
    categories: np.ndarray
    offsets: np.ndarray
    missing: np.ndarray
    hot: np.ndarray
    numbers: np.ndarray
    fill: np.ndarray
    flagged: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    first: int

    def of(self, matrix: np.ndarray) -> np.ndarray:
        """Prepare encoded rows."""
        found = np.zeros((len(matrix), self.width + 1))
        if len(self.categories):
            codes = matrix[:, self.categories]
            codes = np.where(np.isnan(codes), self.missing, codes).astype(np.intp)
            found[np.arange(len(matrix))[:, np.newaxis], self.hot.take(codes + self.offsets)] = 1.0
        if len(self.numbers):
            numbers = matrix[:, self.numbers]
            missing = np.isnan(numbers)
            filled = np.where(missing, self.fill, numbers)
            both = np.concatenate((filled, missing[:, self.flagged]), axis=1)
            found[:, self.first : self.width] = (both - self.mean) / self.scale
        # The column behind the last took what is one of no column.
        return found[:, : self.width]


def read(model: Model) -> Prepared:
    """Read the preparation out of a pipeline of ``training.estimators``.

    Raises:
        ValueError: It is prepared in another way; AttributeError, KeyError and TypeError likewise.
    """
    steps = {name: (step, list(columns)) for name, step, columns in _transformers(model.estimator)}
    if not steps or set(steps) - {"categories", "numbers"}:
        raise ValueError(f"the columns are prepared by {', '.join(steps)}")
    hot, first, categories = _hot(model, *steps["categories"]) if "categories" in steps else ([], 0, [])
    sizes = [len(one) for one in hot]
    fill, flagged, mean, scale, numbers = _numbers(*steps["numbers"]) if "numbers" in steps else _NO_NUMBERS
    width = first + len(mean)
    known = np.concatenate([np.zeros(0, dtype=np.intp), *hot])
    return Prepared(
        width=width,
        categories=np.array(categories, dtype=np.intp),
        offsets=np.array(np.cumsum(sizes) - sizes, dtype=np.intp),
        missing=np.array(sizes, dtype=np.float64) - 1.0,
        hot=np.where(known < 0, width, known),
        numbers=np.array(numbers, dtype=np.intp),
        fill=fill,
        flagged=flagged,
        mean=mean,
        scale=scale,
        first=first,
    )


_Numbers = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[int]]
_NO_NUMBERS: _Numbers = (np.zeros(0), np.zeros(0, dtype=np.intp), np.zeros(0), np.ones(0), [])


def _transformers(estimator: Any) -> list[tuple[str, Any, Any]]:
    prepare = estimator.named_steps["prepare"]
    if [name for name, _ in estimator.steps] != ["prepare", "model"] or prepare.transformer_weights:
        raise ValueError("the pipeline has other steps")
    return [one for one in prepare.transformers_ if one[0] != "remainder"]


def _hot(model: Model, encoder: Any, columns: list[int]) -> tuple[list[np.ndarray], int, list[int]]:
    """By category column and code the place that is one, -1 for none; and the number of places."""
    if encoder.handle_unknown != "ignore" or encoder._drop_idx_after_grouping is not None:  # noqa: SLF001
        raise ValueError("the categories are encoded otherwise")
    found, first = [], 0
    for column, known in zip(columns, encoder.categories_, strict=True):
        count = len(model.encoder.columns[column].categories)
        places = np.full(count + 2, -1, dtype=np.intp)
        for place, code in enumerate(known):
            places[count + 1 if np.isnan(code) else int(code)] = first + place
        found.append(places)
        first += len(known)
    return found, first, columns


def _numbers(pipeline: Any, columns: list[int]) -> _Numbers:
    impute, scale = pipeline.named_steps["impute"], pipeline.named_steps["scale"]
    if impute.indicator_ is None or not (scale.with_mean and scale.with_std):
        raise ValueError("the numbers are prepared otherwise")
    flagged = np.asarray(impute.indicator_.features_, dtype=np.intp)
    fill = np.asarray(impute.statistics_, dtype=np.float64)
    # A column that was empty when fitting is filled with zeros (keep_empty_features).
    fill = np.where(np.isnan(fill), 0.0, fill)
    mean, width = np.asarray(scale.mean_), np.asarray(scale.scale_)
    if len(mean) != len(columns) + len(flagged):
        raise ValueError("the numbers are not all scaled")
    return fill, flagged, mean, width, columns
