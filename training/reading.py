"""Reads the files of the data channel into one table, ordered by time.

An empty cell is a missing value and nothing else is: NA and null are ordinary texts (NA is Namibia's code).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.spec import ModelSpec
from training.errors import TrainingError
from training.features import BOOLEAN_TEXTS
from training.words import shown


@dataclass(frozen=True)
class Table:
    """All rows, oldest first.

    Attributes:
        frame: pandas frame: features as declared; categories are texts, numbers and booleans float64.
        times: ``datetime64[us]`` in UTC, one per row.
        labels: float64 for binary and regression, text objects for multiclass.
        files: Paths relative to the channel, sorted.
        duplicates: Rows dropped because an equal row was there already.
    """

    frame: Any
    times: np.ndarray
    labels: np.ndarray
    files: tuple[str, ...]
    duplicates: int

    def __len__(self) -> int:
        return len(self.times)


def read(folder: Path, spec: ModelSpec) -> Table:
    """Read every file below a folder.

    Exact duplicates are dropped once all files are read, because pushes overlap.

    Raises:
        TrainingError: Names the file, column, row and value that cannot be read.
    """
    import pandas as pd

    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    if not paths:
        raise TrainingError(f"the data channel {folder} holds no file; the manifest must list at least one")
    frame = pd.concat([_read_file(p, folder, spec) for p in paths], ignore_index=True)
    if frame.empty:
        raise TrainingError(f"{len(paths)} file(s) in the data channel, but not one row of data")
    duplicated = frame.duplicated().to_numpy()
    frame = frame[~duplicated]
    order = np.argsort(frame[spec.time_column].to_numpy(), kind="stable")
    frame = frame.iloc[order].reset_index(drop=True)
    labels = frame[spec.target].to_numpy(dtype=object if spec.task == "multiclass" else np.float64)
    files = tuple(p.relative_to(folder).as_posix() for p in paths)
    times = frame[spec.time_column].to_numpy()
    features = frame[[f.name for f in spec.features]]
    return Table(features, times, labels, files, int(duplicated.sum()))


def _read_file(path: Path, folder: Path, spec: ModelSpec) -> Any:
    import pandas as pd

    name = path.relative_to(folder).as_posix()
    numbers = [f.name for f in spec.features if f.type == "number"]
    if spec.task != "multiclass":
        numbers.append(spec.target)
    types = {column: "float64" if column in numbers else "object" for column in spec.columns}
    try:
        frame = pd.read_csv(
            path,
            usecols=list(spec.columns),
            dtype=types,
            keep_default_na=False,
            na_values=[""],
            encoding="utf-8",
            **_exact_floats(pd.__version__),
        )
    except UnicodeDecodeError as error:
        raise TrainingError(f"{name}: not UTF-8 text: {error}") from error
    except ValueError as error:
        raise TrainingError(_diagnosis(path, name, spec, numbers) or f"{name}: {error}") from error
    frame = frame[list(spec.columns)]
    for feature in spec.features:
        if feature.type == "boolean":
            frame[feature.name] = _booleans(frame[feature.name], name)
    frame[spec.time_column] = _times(frame[spec.time_column], name)
    missing = frame[spec.target].isna().to_numpy()
    if missing.any():
        raise TrainingError(
            f"{name}: column {spec.target}: row {_first(missing)}: nothing found, expected a label in every "
            f"row"
        )
    return frame


def _exact_floats(version: str) -> dict[str, Any]:
    """Make pandas read numbers as Python does, to the last bit; from version 3 on it does so by itself."""
    return {"float_precision": "round_trip"} if int(version.partition(".")[0]) < 3 else {}


def _booleans(series: Any, name: str) -> Any:
    # Not by pandas' .str, which a column without any text does not have.
    codes = series.map(_boolean).astype("float64")
    _refuse(codes.isna() & series.notna(), series, name, "true or false")
    return codes


def _boolean(cell: object) -> float:
    return BOOLEAN_TEXTS.get(cell.lower(), np.nan) if isinstance(cell, str) else np.nan


def _times(series: Any, name: str) -> Any:
    import pandas as pd

    times = pd.to_datetime(series, format="ISO8601", utc=True, errors="coerce")
    _refuse(times.isna(), series, name, "a time such as 2013-01-31T06:15:00")
    return times.dt.tz_localize(None).astype("datetime64[us]")


def _refuse(wrong: Any, series: Any, name: str, expected: str) -> None:
    wrong = wrong.to_numpy()
    if wrong.any():
        row = _first(wrong)
        value = series.iloc[row - 1]
        found = shown(value if isinstance(value, str) else None)
        raise TrainingError(
            f"{name}: column {series.name}: row {row}: found {found}, expected {expected} "
            f"({int(wrong.sum())} such rows)"
        )


def _first(wrong: np.ndarray) -> int:
    """Number of the first row marked, counted from 1."""
    return int(np.argmax(wrong)) + 1


def _diagnosis(path: Path, name: str, spec: ModelSpec, numbers: list[str]) -> str | None:
    """Find what pandas only names in passing: the columns missing, or the cell that is no number."""
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=object, keep_default_na=False, na_values=[""], encoding="utf-8")
    except ValueError:
        return None
    missing = [column for column in spec.columns if column not in frame.columns]
    if missing:
        return f"{name}: missing column {', '.join(missing)}; found {', '.join(map(str, frame.columns))}"
    for column in numbers:
        try:
            _refuse(
                pd.to_numeric(frame[column], errors="coerce").isna() & frame[column].notna(),
                frame[column],
                name,
                "a number",
            )
        except TrainingError as error:
            return str(error)
    return None
