"""Writes an estimator so that equal ones give equal bytes, however they came to be.

A pickle names an object once and refers to it afterwards. So whether two equal names, or types of arrays, are
one object decides about its bytes: after a fit that was interrupted and read back they are not, after one in
one go they are. Here equal ones count as one, and the digest of a model tells about the model alone.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np


def dump(value: Any, path: Path) -> None:
    """Write a file that ``joblib.load`` reads."""
    from joblib.numpy_pickle import NumpyPickler  # late: joblib is no part of the functions

    class Canonical(NumpyPickler):  # type: ignore[misc]
        """Writes the first of equal texts and array types in place of the others."""

        def __init__(self, file: Any) -> None:
            super().__init__(file, protocol=pickle.DEFAULT_PROTOCOL)
            self._first: dict[tuple[type, str], Any] = {}

        def save(self, value: Any, *arguments: Any) -> Any:
            if type(value) is str:
                value = self._first.setdefault((str, value), value)
            elif isinstance(value, np.dtype):
                value = self._first.setdefault((np.dtype, f"{value.str} {value!r}"), value)
            return super().save(value, *arguments)

    with path.open("wb") as file:
        Canonical(file).dump(value)
