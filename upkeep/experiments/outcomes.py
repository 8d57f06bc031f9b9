"""Joins captured requests with their truths, in an order that tells nothing of who answered.

What is counted:

- a request is one outcome, however many rows it has: its loss is the mean over its rows, and it counts once
  all of them have labels. Requests are what the endpoint draws a variant for, so rows of one are no draws of
  their own.
- outcomes count in the order of their label files, within a file in that of the requests' times, within a
  second in that of their event ids. The order stays the same from one look to the next, which makes looking
  again harmless, and it is the same for both variants: the bets are fair only while nobody can tell from the
  order who answered next, so the times of capture files, which each variant has its own of, have no say in
  it. A label that is corrected takes the place of the old one, and moves its outcome to the end.
- requests that came while the weights were being changed were drawn by neither weight; they are left out, and
  so are ids that were given to several requests.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.spec import Task
from monitoring.losses import FUNCTIONS, AnswerError, Label, LossName, read_answer
from training.ledger.experiments import ExperimentRecord
from upkeep.engine import require
from upkeep.experiments import queries
from upkeep.experiments.fetch import TREATMENT, Found
from upkeep.experiments.labels import Problems, read_labels

_BATCH = 2000
# Data capture writes whole seconds; the second of a change itself may be of either side.
_SECOND = 1.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A request whose truth is known.

    Attributes:
        event: SageMaker's id of the request.
        known_at: When its label came, seconds since 1970.
        asked_at: When the request came.
        treated: Whether the treatment answered.
        loss: From 0 to 1.
        weight: The treatment's share when the request came.
    """

    event: str
    known_at: float
    asked_at: float
    treated: bool
    loss: float
    weight: float


@dataclass(kw_only=True)
class Requests:
    """Captured requests under one weight, by variant."""

    weight: float
    treated: int = 0
    control: int = 0


@dataclass(kw_only=True)
class Collected:
    """All that is known of an experiment's requests.

    Attributes:
        outcomes: In the order in which they became known.
        requests: Captured requests, by span of one weight.
        between: Captured requests while weights were being changed.
        without_id: Captured requests to which the client gave no InferenceId.
        repeated: Ids that several requests have; none of those is counted.
        waiting: Requests with an id whose labels are not all there.
        labels: Lines with a label.
        unknown: Labels for requests that were not captured in the experiment.
        problems: Label lines that could not be used.
        unreadable: Captured requests that could not be read.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    requests: list[Requests] = field(default_factory=list)
    between: int = 0
    without_id: int = 0
    repeated: int = 0
    waiting: int = 0
    labels: int = 0
    unknown: int = 0
    problems: Problems = field(default_factory=Problems)
    unreadable: Problems = field(default_factory=Problems)

    def count(self, *, treated: bool) -> int:
        """Captured requests to one of the two."""
        return sum(span.treated if treated else span.control for span in self.requests)


def collect(
    record: ExperimentRecord,
    task: Task,
    captures: Sequence[tuple[Found, Path]],
    labels: Sequence[tuple[Found, Path]],
) -> Collected:
    """Read the files of an experiment.

    Args:
        record: The experiment: its weights and its loss.
        task: Of its model.
        captures: Capture files, with where they lie now.
        labels: Label files, oldest first.

    Raises:
        UpkeepError: DuckDB is not installed.
    """
    require("Joining requests with their labels")
    import duckdb  # late: only this command needs it

    found = Collected()
    with tempfile.TemporaryDirectory(prefix="upkeep-") as folder, duckdb.connect() as connection:
        connection.execute(f"SET temp_directory = '{folder}'")
        _load_labels(connection, Path(folder), task, labels, found)
        _load_captures(connection, Path(folder), captures, found)
        _spans(connection, record, found)
        _count(connection, found)
        found.outcomes = sorted(
            _outcomes(connection, record, task, found),
            key=lambda o: (o.known_at, o.asked_at, o.event),
        )
    return found


def _load_labels(
    connection: Any, folder: Path, task: Task, labels: Sequence[tuple[Found, Path]], found: Collected
) -> None:
    """The newest label of each id, with the id's request and row."""
    lines = folder / "labels.jsonl"
    with lines.open("w", encoding="utf-8") as out:
        for file, path in labels:
            for truth in read_labels(path, file.key, task, found.problems):
                found.labels += 1
                line = {"id": truth.inference_id, "label": json.dumps(truth.label), "seen": file.modified}
                out.write(json.dumps(line) + "\n")
    connection.execute(queries.LABELS, [str(lines)])


def _load_captures(
    connection: Any, folder: Path, captures: Sequence[tuple[Found, Path]], found: Collected
) -> None:
    """Every captured request once."""
    connection.execute(queries.CAPTURES)
    if not captures:
        return
    files = folder / "files.jsonl"
    with files.open("w", encoding="utf-8") as out:
        for one, path in captures:
            line = {"path": str(path), "treated": one.variant == TREATMENT}
            out.write(json.dumps(line) + "\n")
    connection.execute(queries.LINES, [[str(path) for _, path in captures], str(files)])
    connection.execute(queries.EVENTS)
    bad = _number(connection, queries.UNREADABLE)
    if bad:
        found.unreadable.count = bad
        found.unreadable.named.append(f"{bad} lines of capture files without an event id or a time")


def _spans(connection: Any, record: ExperimentRecord, found: Collected) -> None:
    """The requests that came while one weight was in force."""
    connection.execute(queries.SPANS)
    for number, span in enumerate(record.weights):
        since, until = span["since"] + _SECOND, span.get("until")
        ended = None if until is None else until - _SECOND
        connection.execute("INSERT INTO spans VALUES (?, ?, ?)", [number, since, ended])
        found.requests.append(Requests(weight=span["weight"]))
    connection.execute(queries.COUNTED)
    if not record.weights:
        return
    first, last = record.weights[0]["since"], record.weights[-1].get("until")
    found.between = _number(connection, queries.BETWEEN, [first, last, last])
    for number, treated, count in connection.execute(queries.SHARES).fetchall():
        if treated:
            found.requests[number].treated = count
        else:
            found.requests[number].control = count


def _count(connection: Any, found: Collected) -> None:
    """Ids and labels that lead nowhere."""
    found.without_id = _number(connection, queries.WITHOUT_ID)
    connection.execute(queries.REPEATED)
    found.repeated = _number(connection, "SELECT count(*) FROM repeated")
    connection.execute(queries.ASKED)
    connection.execute(queries.MATCHED)
    matched = _number(connection, "SELECT count(*) FROM matched")
    found.unknown = _number(connection, "SELECT count(*) FROM labels") - matched


def _outcomes(connection: Any, record: ExperimentRecord, task: Task, found: Collected) -> Iterator[Outcome]:
    loss_name: LossName = record.loss  # type: ignore[assignment]
    loss = FUNCTIONS[loss_name]
    found.waiting = _number(connection, "SELECT count(*) FROM asked")
    cursor = connection.execute(queries.OUTCOMES)
    while rows := cursor.fetchmany(_BATCH):
        for event, asked, known, treated, span, data, encoding, kind, given in rows:
            try:
                answers = read_answer(_text(data, encoding), kind or "", task)
                value = _mean_loss(answers, given, loss, record.scale)
            except (KeyError, ValueError, TypeError) as error:
                found.unreadable.add(f"the request of {_moment(asked)}: {error}")
                found.waiting -= 1
                continue
            if value is not None:
                found.waiting -= 1
                weight = found.requests[span].weight
                yield Outcome(
                    event=event, known_at=known, asked_at=asked, treated=treated, loss=value, weight=weight
                )


def _number(connection: Any, query: str, values: Sequence[Any] = ()) -> int:
    return int(connection.execute(query, list(values)).fetchone()[0])


def _mean_loss(
    answers: Sequence[Mapping[str, Any]],
    given: Sequence[Mapping[str, Any]],
    loss: Callable[[Mapping[str, Any], Label, float], float],
    scale: float,
) -> float | None:
    """The mean over the rows; None while one of them has no label."""
    labels: dict[int, Label] = {}
    for one in given:
        place = one["place"]
        if place is None and len(answers) > 1:
            continue  # which of the rows is meant cannot be told
        labels[place or 1] = json.loads(one["label"])
    if not answers or any(number not in labels for number in range(1, len(answers) + 1)):
        return None
    losses = [loss(answer, labels[number], scale) for number, answer in enumerate(answers, 1)]
    value = sum(losses) / len(losses)
    if not 0 <= value <= 1:
        raise AnswerError(f"answer: found a loss of {value}, expected 0 to 1; is the score a probability?")
    return value


def _text(data: str | None, encoding: str | None) -> str:
    if data is None:
        raise AnswerError("answer: found nothing; the endpoint records requests without answers")
    if encoding == "BASE64":
        return base64.b64decode(data, validate=True).decode()
    return data


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
