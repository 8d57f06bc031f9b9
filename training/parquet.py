"""Reads one Parquet file, as the intake writes them, into the same form as a CSV file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from training.errors import TrainingError

Kind = Literal["number", "boolean", "text", "time"]
SUFFIX = ".parquet"
_EXPECTED: dict[Kind, str] = {
    "number": "numbers",
    "boolean": "true and false",
    "text": "texts",
    "time": "points in time",
}


def read(path: Path, name: str, kinds: Mapping[str, Kind]) -> Any:
    """Read some columns; what else the file holds is not even loaded.

    Args:
        path: The file.
        name: What messages call it.
        kinds: What each column must hold, in the order wanted.

    Returns:
        A pandas frame: numbers and booleans as float64, texts as objects with NaN for missing ones, times as
        ``datetime64[us]`` in UTC.

    Raises:
        TrainingError: The file is no Parquet, or a column is missing or holds something else.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Not pandas' own reader: it takes year=2013 in a path for a column of the file.
        with pq.ParquetFile(path) as file:
            found = file.schema_arrow
            missing = [column for column in kinds if column not in found.names]
            if missing:
                raise TrainingError(
                    f"{name}: missing column {', '.join(missing)}; found {', '.join(found.names)}"
                )
            _check_types(found, name, kinds)
            table = file.read(columns=list(kinds))
        columns = {column: _series(table.column(column), kind) for column, kind in kinds.items()}
    except (pa.ArrowException, OSError) as error:
        raise TrainingError(f"{name}: not a readable Parquet file: {error}") from error
    return pd.DataFrame(columns, copy=False)


def _check_types(schema: Any, name: str, kinds: Mapping[str, Kind]) -> None:
    for column, kind in kinds.items():
        found = schema.field(column).type
        if not _fits(found, kind):
            raise TrainingError(f"{name}: column {column}: found {found}, expected {_EXPECTED[kind]}")


def _fits(found: Any, kind: Kind) -> bool:
    from pyarrow import types

    if types.is_null(found):  # a column without any value
        return True
    if kind == "number":
        return bool(types.is_floating(found) or types.is_integer(found) or types.is_decimal(found))
    if kind == "boolean":
        return bool(types.is_boolean(found))
    if kind == "time":
        return bool(types.is_timestamp(found) or types.is_date(found))
    value = found.value_type if types.is_dictionary(found) else found
    return bool(types.is_string(value) or types.is_large_string(value))


def _series(column: Any, kind: Kind) -> Any:
    import pandas as pd

    values = _values(column, kind)
    # By its type: pandas 3 would make texts of its own of Python's.
    return pd.Series(values, dtype=values.dtype, copy=False)


def _values(column: Any, kind: Kind) -> np.ndarray:
    import pyarrow as pa

    if kind == "time":
        zone = getattr(column.type, "tz", None)
        # A time with a zone is stored in UTC, one without is taken as it stands.
        instants = column.cast(pa.timestamp("us", zone), safe=False)
        return np.asarray(instants.cast(pa.timestamp("us")).to_numpy(), dtype="datetime64[us]")
    if kind == "text":
        texts = column.cast(pa.string()).to_numpy()
        texts = np.array(texts, dtype=object)  # a copy that can be written to
        texts[(texts == None) | (texts == "")] = np.nan  # noqa: E711 - compares every element
        return texts
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
