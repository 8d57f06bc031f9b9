"""The files of the demo: real months, and two that must not get through."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path

from models.spec import ModelSpec
from upkeep.errors import UpkeepError

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_BROKEN_ROWS = 500
_SEED = 2013


@dataclass(frozen=True)
class DataFile:
    """A file to push.

    Attributes:
        path: Where it is.
        name: What to call it, in a word.
        rows: Rows in it.
        about: What is in it.
    """

    path: Path
    name: str
    rows: int
    about: str


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


def with_semicolons(original: DataFile) -> DataFile:
    """The beginning of a file as a spreadsheet saves it in half of Europe: with the wrong delimiter."""
    path = original.path.with_name(f"{original.path.stem}-semicolons.csv")
    with (
        original.path.open(newline="", encoding="utf-8") as source,
        path.open("w", newline="", encoding="utf-8") as target,
    ):
        writer = csv.writer(target, delimiter=";", lineterminator="\n")
        writer.writerows(row for row, _ in zip(csv.reader(source), range(_BROKEN_ROWS + 1), strict=False))
    rows = min(original.rows, _BROKEN_ROWS)
    return DataFile(path, "Broken", rows, f"{rows:,} flights of {original.name}, saved with semicolons")


def with_shuffled_labels(original: DataFile, spec: ModelSpec) -> DataFile:
    """A file whose labels belong to other rows: it keeps the data contract, and teaches nonsense."""
    path = original.path.with_name(f"{original.path.stem}-shuffled.csv")
    with original.path.open(newline="", encoding="utf-8") as source:
        header, *body = csv.reader(source)
    place = header.index(spec.target)
    labels = [row[place] for row in body]
    random.Random(_SEED).shuffle(labels)  # noqa: S311 - repeatable, not secret
    with path.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(
            [*row[:place], label, *row[place + 1 :]] for row, label in zip(body, labels, strict=True)
        )
    about = f"{len(body):,} flights of {original.name}, each with another flight's label"
    return DataFile(path, "Shuffled", len(body), about)


def sample(original: DataFile, count: int) -> list[dict[str, str]]:
    """Rows of a file drawn at random, the same ones each time."""
    with original.path.open(newline="", encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
    return random.Random(_SEED).sample(rows, min(count, len(rows)))  # noqa: S311 - repeatable, not secret
