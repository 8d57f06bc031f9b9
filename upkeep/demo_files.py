"""The files of the demo: real months in several forms, and three files that must not get through."""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from models.spec import ModelSpec
from upkeep.errors import UpkeepError

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
MINUTES_OF_DAY = ("departure_minute", "arrival_minute")
_BROKEN_EVERY = 500  # rows; 0.2 %, below the share that a file may hold
_SEED = 2013


@dataclass(frozen=True)
class DataFile:
    """A file to push.

    Attributes:
        path: Where it is.
        name: What to call it, in a word.
        rows: Rows in it.
        about: What is in it.
        bad_rows: How many of the rows break the data contract.
    """

    path: Path
    name: str
    rows: int
    about: str
    bad_rows: int = 0


def month(number: int, folder: Path) -> DataFile:
    """One month of real flights, written as a file.

    Raises:
        UpkeepError: The package with the flights is not installed.
    """
    from models.flights import months

    try:
        path = months.write_month(number, folder)
    except ModuleNotFoundError as error:
        raise UpkeepError(
            f"The demo's flights need {error.name}, which is not installed: `pip install 'upkeep[demo]'`."
        ) from error
    with path.open("rb") as stream:
        rows = sum(1 for _ in stream) - 1
    return DataFile(path, MONTHS[number - 1], rows, f"{rows:,} flights")


def as_sent(original: DataFile, number: int) -> DataFile:
    """A month in the form in which another sender would push it; the same flights in any form."""
    form = _FORMS.get(number)
    return form(original) if form else original


def as_spreadsheet(original: DataFile) -> DataFile:
    """The file as a spreadsheet saves it in half of Europe, compressed."""
    path = original.path.with_suffix(".csv.gz")
    with path.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed:
        for row in _rows(original):
            packed.write((";".join(row) + "\n").encode())
    return replace(original, path=path, about=f"{original.about} with semicolons, compressed")


def as_parquet(original: DataFile) -> DataFile:
    """The file as Spark or a warehouse exports it."""
    import duckdb

    path = original.path.with_suffix(".parquet")
    with duckdb.connect() as connection:
        connection.read_csv(str(original.path)).write_parquet(str(path))
    return replace(original, path=path, about=f"{original.about} as Parquet")


def with_broken_rows(original: DataFile) -> DataFile:
    """The file with a few rows more, each of which lacks its distance."""
    path = original.path.with_name(f"{original.path.stem}-raw.csv")
    header, *body = _rows(original)
    place = header.index("distance")
    broken = [[*row[:place], "", *row[place + 1 :]] for row in body[::_BROKEN_EVERY]]
    _write(path, [header, *body, *broken])
    about = f"{original.about} and {len(broken)} rows without a distance"
    return DataFile(path, original.name, len(body) + len(broken), about, len(broken))


def in_hours(original: DataFile) -> DataFile:
    """A file whose times of day are in hours: every number is in its range, and none means what it should."""
    path = original.path.with_name(f"{original.path.stem}-hours.csv")
    header, *body = _rows(original)
    places = [header.index(column) for column in MINUTES_OF_DAY]
    for row in body:
        for place in places:
            row[place] = f"{int(row[place]) / 60:.4g}"
    _write(path, [header, *body])
    about = f"{len(body):,} flights of {original.name}, times of day in hours instead of minutes"
    return DataFile(path, "Hours", len(body), about)


def with_another_name(original: DataFile) -> DataFile:
    """A file in which somebody renamed a column."""
    path = original.path.with_name(f"{original.path.stem}-renamed.csv")
    header, *body = _rows(original)
    _write(path, [["distance_miles" if name == "distance" else name for name in header], *body])
    about = f"{len(body):,} flights of {original.name}, the distance under another name"
    return DataFile(path, "Renamed", len(body), about)


def with_shuffled_labels(original: DataFile, spec: ModelSpec) -> DataFile:
    """A file whose labels belong to other rows: it keeps the data contract, and teaches nonsense."""
    path = original.path.with_name(f"{original.path.stem}-shuffled.csv")
    header, *body = _rows(original)
    place = header.index(spec.target)
    labels = [row[place] for row in body]
    random.Random(_SEED).shuffle(labels)  # noqa: S311 - repeatable, not secret
    moved = [[*row[:place], label, *row[place + 1 :]] for row, label in zip(body, labels, strict=True)]
    _write(path, [header, *moved])
    about = f"{len(body):,} flights of {original.name}, each with another flight's label"
    return DataFile(path, "Shuffled", len(body), about)


def sample(original: DataFile, count: int) -> list[dict[str, str]]:
    """Rows of a file drawn at random, the same ones each time."""
    with original.path.open(newline="", encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
    return random.Random(_SEED).sample(rows, min(count, len(rows)))  # noqa: S311 - repeatable, not secret


def _rows(file: DataFile) -> Iterator[list[str]]:
    """The lines of a CSV file, the header first."""
    with file.path.open(newline="", encoding="utf-8") as stream:
        yield from csv.reader(stream)


def _write(path: Path, rows: Iterable[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


# By the month's number; the others are plain CSV.
_FORMS: dict[int, Callable[[DataFile], DataFile]] = {2: as_spreadsheet, 3: as_parquet, 5: with_broken_rows}
