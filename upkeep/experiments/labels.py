"""Reads the truths that people bring: CSV files with ``inference_id,label`` below ``labels/<model>/``.

An ``inference_id`` is the InferenceId that the client gave InvokeEndpoint, which data capture keeps
(https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html). A request with
several rows needs one line per row: ``<inference_id>#1``, ``<inference_id>#2``, and so on.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from models.spec import Task
from monitoring.losses import AnswerError, Label, read_label

ID, LABEL = "inference_id", "label"
MAX_ID = 64  # of InferenceId, same page
_MOST_NAMED = 10


@dataclass(kw_only=True)
class Problems:
    """Lines that could not be used: how many, and the first of them by name."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, what: str) -> None:
        """One more."""
        self.count += 1
        if len(self.named) < _MOST_NAMED:
            self.named.append(what)


@dataclass(frozen=True)
class Truth:
    """A line of a label file.

    Attributes:
        inference_id: As it stands there, row number included.
        label: What really happened.
    """

    inference_id: str
    label: Label


def read_labels(path: Path, name: str, task: Task, problems: Problems) -> Iterator[Truth]:
    """The usable lines of a file, in their order.

    Args:
        path: The file.
        name: What to call it.
        task: Says what a label can be.
        problems: Gets the lines that cannot be used.
    """
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = csv.reader(file)
        try:
            header = [cell.strip() for cell in next(lines, [])]
            if ID not in header or LABEL not in header:
                found = ", ".join(header)[:80] or "nothing"
                problems.add(f"{name}: found the header {found}, expected {ID},{LABEL}")
                return
            places = header.index(ID), header.index(LABEL)
            for cells in lines:
                if not cells:
                    continue
                try:
                    yield _truth(cells, places, len(header), task)
                except AnswerError as error:
                    problems.add(f"{name}, line {lines.line_num}: {error}")
        except csv.Error as error:
            problems.add(
                f"{name}, line {lines.line_num}: not readable as CSV ({error}); what follows is not read"
            )


def _truth(cells: list[str], places: tuple[int, int], width: int, task: Task) -> Truth:
    if len(cells) != width:
        raise AnswerError(f"found {len(cells)} cells, expected {width}")
    inference_id = cells[places[0]].strip()
    if not inference_id:
        raise AnswerError(f"{ID}: found nothing")
    return Truth(inference_id, read_label(cells[places[1]], task))
