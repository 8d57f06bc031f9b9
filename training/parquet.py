"""Reads one Parquet file, as the intake writes them, into the same form as a CSV file."""

from __future__ import annotations

from collections.abc import Container, Mapping
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


def read(path: Path, name: str, kinds: Mapping[str, Kind], nullable: Container[str] = ()) -> Any:
    """Read some columns; what else the file holds is not even loaded.

    A column that the contract did not name when the file was accepted is in it as text, or not at all.

    Args:
        path: The file.
        name: What messages call it.
        kinds: What each column must hold, in the order wanted.
        nullable: Columns that may be missing as a whole.

    Returns:
        A pandas frame: numbers and booleans as float64, times as ``datetime64[us]`` in UTC, texts as objects
        with NaN for missing ones; also those texts that are to become something else.

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
            needed = [column for column in missing if column not in nullable]
            if needed:
                raise TrainingError(
                    f"{name}: missing column {', '.join(needed)}; found {', '.join(found.names)}"
                )
            _check_types(found, name, kinds)
            table = file.read(columns=[column for column in kinds if column not in missing])
        absent = pa.chunked_array([pa.nulls(table.num_rows)])
        columns = {
            column: _series(absent if column in missing else table.column(column), kind)
            for column, kind in kinds.items()
        }
    except (pa.ArrowException, OSError) as error:
        raise TrainingError(f"{name}: not a readable Parquet file: {error}") from error
    return pd.DataFrame(columns, copy=False)


def _check_types(schema: Any, name: str, kinds: Mapping[str, Kind]) -> None:
    for column, kind in kinds.items():
        if column not in schema.names:
            continue
        found = schema.field(column).type
        if not _fits(found, kind):
            raise TrainingError(
                f"{name}: column {column}: found {found}, expected {_EXPECTED[kind]}; the file was accepted "
                "under another contract"
            )


def _fits(found: Any, kind: Kind) -> bool:
    from pyarrow import types

    if types.is_null(found) or _is_text(found):  # a column without any value, or one to be parsed
        return True
    if kind == "number":
        return bool(types.is_floating(found) or types.is_integer(found) or types.is_decimal(found))
    if kind == "boolean":
        return bool(types.is_boolean(found))
    if kind == "time":
        return bool(types.is_timestamp(found) or types.is_date(found))
    return False


def _is_text(found: Any) -> bool:
    from pyarrow import types

    value = found.value_type if types.is_dictionary(found) else found
    return bool(types.is_string(value) or types.is_large_string(value))


def _series(column: Any, kind: Kind) -> Any:
    import pandas as pd

    values = _values(column, "text" if _is_text(column.type) else kind)
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
