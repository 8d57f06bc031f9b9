"""A number per row that is the same for equal rows, whatever their time, and a sample of such numbers.

The numbers depend on nothing but the values: not on the library that reads them, nor on the order of rows.
The sample keeps the smallest numbers. Hashes are as good as random, so that is a random sample of the
distinct rows, and of any row whose number is not above the sample's largest it is known whether it was there
(the bottom-k sketch: E. Cohen and H. Kaplan, Summarizing data using bottom-k sketches, PODC 2007).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.spec import Feature

SAMPLE = 20_000
_MISSING = np.uint64(0x9E3779B97F4A7C15)


def of(frame: Any, labels: np.ndarray, features: Sequence[Feature]) -> np.ndarray:
    """One number per row, of its features and its label.

    Args:
        frame: pandas frame, as ``training.reading`` makes it.
        labels: Texts or numbers, one per row.
        features: Columns that count, in any order.
    """
    found = _values(labels) if labels.dtype != object else _texts(labels)
    for feature in sorted(features, key=lambda feature: feature.name):
        column = frame[feature.name]
        if feature.type == "category":
            numbers = _texts(column.to_numpy(dtype=object, na_value=None))
        else:
            numbers = _values(column.to_numpy(dtype=np.float64, na_value=np.nan))
        found = _mixed(found ^ _mixed(numbers + _name(feature.name)))
    return found


def sample(fingerprints: np.ndarray, size: int = SAMPLE) -> np.ndarray:
    """The smallest distinct ones, ascending; all when there are no more than ``size``."""
    return np.unique(fingerprints)[:size]


def tells_of(fitted: np.ndarray, fingerprints: np.ndarray) -> np.ndarray:
    """For each row whether a sample can tell if it was there: all rows when the sample is no selection.

    Args:
        fitted: A sample, ascending.
        fingerprints: Of the rows that are asked about.
    """
    if len(fitted) < SAMPLE:
        return np.ones(len(fingerprints), dtype=bool)
    below: np.ndarray = fingerprints <= fitted[-1]
    return below


def _values(values: np.ndarray) -> np.ndarray:
    plain = np.asarray(values, dtype=np.float64) + 0.0  # minus zero is zero
    return np.where(np.isnan(plain), _MISSING, np.ascontiguousarray(plain).view(np.uint64))


def _texts(values: np.ndarray) -> np.ndarray:
    import pandas as pd

    codes, texts = pd.factorize(values)
    numbers = np.array([_name(str(text)) for text in texts] + [_MISSING], dtype=np.uint64)
    return np.asarray(numbers[codes])  # a missing text has the code -1


def _name(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Spread numbers over all 64 bits: the last steps of SplitMix64, https://doi.org/10.1145/2714064.2660195."""
    mixed = numbers.copy()
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
