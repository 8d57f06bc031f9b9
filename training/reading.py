"""Reads the files of the data channel into one table, ordered by time.

Accepted data is Parquet; the sample that a model starts with is CSV. Rows of both take the same form, so that
equal rows are equal whatever file they come from. Only the model's columns are read.

An empty cell is a missing value and nothing else is: NA and null are ordinary texts (NA is Namibia's code).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.spec import ModelSpec
from training import parquet
from training.errors import TrainingError
from training.features import BOOLEAN_TEXTS
from training.parquet import Kind
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

    def since(self, start: int) -> Table:
        """The same table without the rows before a position."""
        frame = self.frame.iloc[start:].reset_index(drop=True) if start else self.frame
        return replace(self, frame=frame, times=self.times[start:], labels=self.labels[start:])


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
    name = path.relative_to(folder).as_posix()
    kinds = _kinds(spec)
    if path.suffix == parquet.SUFFIX:
        frame = parquet.read(path, name, kinds, {f.name for f in spec.features if f.nullable})
    else:
        frame = _read_csv(path, name, kinds)
    for column, kind in kinds.items():
        if kind != "text" and frame[column].dtype == object:
            frame[column] = _PARSERS[kind](frame[column], name)
    without_time = frame[spec.time_column].isna().to_numpy()
    if without_time.any():  # of a Parquet file; a CSV cell was named before
        raise TrainingError(
            f"{name}: column {spec.time_column}: row {_first(without_time)}: found nothing, expected a time"
        )
    missing = frame[spec.target].isna().to_numpy()
    if missing.any():
        raise TrainingError(
            f"{name}: column {spec.target}: row {_first(missing)}: nothing found, expected a label in every "
            f"row"
        )
    return frame


def _kinds(spec: ModelSpec) -> dict[str, Kind]:
    """What each of the model's columns holds, in the spec's order."""
    of_type: dict[str, Kind] = {"number": "number", "boolean": "boolean", "category": "text"}
    kinds: dict[str, Kind] = {spec.time_column: "time"}
    kinds |= {feature.name: of_type[feature.type] for feature in spec.features}
    return kinds | {spec.target: "text" if spec.task == "multiclass" else "number"}


def _read_csv(path: Path, name: str, kinds: Mapping[str, Kind]) -> Any:
    import pandas as pd

    types = {column: "float64" if kind == "number" else "object" for column, kind in kinds.items()}
    try:
        frame = pd.read_csv(
            path,
            usecols=list(kinds),
            dtype=types,
            keep_default_na=False,
            na_values=[""],
            encoding="utf-8",
            **_exact_floats(pd.__version__),
        )
    except UnicodeDecodeError as error:
        raise TrainingError(f"{name}: not UTF-8 text: {error}") from error
    except ValueError as error:
        raise TrainingError(_diagnosis(path, name, kinds) or f"{name}: {error}") from error
    return frame[list(kinds)]


def _exact_floats(version: str) -> dict[str, Any]:
    """Make pandas read numbers as Python does, to the last bit; from version 3 on it does so by itself."""
    return {"float_precision": "round_trip"} if int(version.partition(".")[0]) < 3 else {}


def _numbers(series: Any, name: str) -> Any:
    numbers = series.map(_number).astype("float64")
    _refuse(numbers.isna() & series.notna(), series, name, "a number")
    return numbers


def _number(cell: object) -> float:
    try:
        return float(str(cell))
    except ValueError:
        return np.nan


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


_PARSERS: dict[Kind, Callable[[Any, str], Any]] = {
    "number": _numbers,
    "boolean": _booleans,
    "time": _times,
}


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


def _diagnosis(path: Path, name: str, kinds: Mapping[str, Kind]) -> str | None:
    """Find what pandas only names in passing: the columns missing, or the cell that is no number."""
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=object, keep_default_na=False, na_values=[""], encoding="utf-8")
    except ValueError:
        return None
    missing = [column for column in kinds if column not in frame.columns]
    if missing:
        return f"{name}: missing column {', '.join(missing)}; found {', '.join(map(str, frame.columns))}"
    for column in (column for column, kind in kinds.items() if kind == "number"):
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
