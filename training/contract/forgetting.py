"""Requests to forget: which rows must not be used any more, without keeping what they are about.

A request names columns and, for each, the SHA-256 of a value's text. A row is meant when all of them match.
The text is the value's canonical form: what the accepted Parquet column gives when DuckDB casts it to
VARCHAR. So ``1``, ``1.0`` and ``1e0`` are one number, ``TRUE`` and ``1`` one boolean, and a time is compared
in UTC, whatever the file it came in looked like. ``condition`` brings a value into that form.

A digest hides a value from readers of the ledger; it does not hide what can be guessed by trying all values
(a date of birth, a telephone number). It keeps the ledger free of the value itself, not more.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from models.spec import ModelSpec
from training.words import shown

_TRUE, _FALSE = ("true", "1"), ("false", "0")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class ForgettingError(ValueError):
    """A condition that no row can keep; the message names the column, the value and what is expected."""


@dataclass(frozen=True)
class Forgotten:
    """One request.

    Attributes:
        id: Of the request.
        conditions: Column to SHA-256, in hexadecimal, of the value's canonical text; all must match.
    """

    id: str
    conditions: Mapping[str, str]

    def __post_init__(self) -> None:
        if not self.conditions:
            raise ForgettingError(f"request {self.id}: no condition; it would forget every row")
        for column, found in self.conditions.items():
            if not _DIGEST.fullmatch(found):
                raise ForgettingError(
                    f"request {self.id}: column {column}: expected a SHA-256 of 64 hexadecimal digits, found "
                    f"{len(found)} characters"
                )


def condition(column: str, value: str, spec: ModelSpec) -> tuple[str, str]:
    """A column and the digest of one of its values.

    Args:
        column: Of the model, or one that files have besides.
        value: As a person writes it; brought into canonical form by the column's type.
        spec: Knows the types.

    Raises:
        ForgettingError: The value is none of the column's type.
    """
    return column, digest(canonical(column, value, spec))


def digest(text: str) -> str:
    """SHA-256 of a canonical text, as DuckDB's ``sha256`` gives it."""
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(column: str, value: str, spec: ModelSpec) -> str:
    """The text of a value as the accepted column gives it.

    Raises:
        ForgettingError: The value is none of the column's type.
    """
    kind = _kind(column, spec)
    if kind == "number":
        return _number(column, value)
    if kind == "boolean":
        return _boolean(column, value)
    return _time(column, value) if kind == "time" else value


def matches(forgotten: Sequence[Forgotten], texts: Mapping[str, str]) -> str:
    """SQL that is true for rows that any request means, and false for all others.

    Args:
        forgotten: The requests.
        texts: Column to an SQL expression of its canonical text: ``column_text`` of the accepted column.
            A request that names a column not in here means no row of this file.
    """
    wanted = [
        "("
        + " AND ".join(f"sha256({texts[name]}) = '{found}'" for name, found in one.conditions.items())
        + ")"
        for one in forgotten
        if set(one.conditions) <= set(texts)
    ]
    return f"coalesce(({') OR ('.join(wanted)}), false)" if wanted else "false"


def column_text(expression: str) -> str:
    """SQL of a value's canonical text, from an SQL expression with the accepted column's type.

    Both zeros are one number to people, and two texts to DuckDB; a VARCHAR stays as it is.
    """
    return f"CASE WHEN {expression}::VARCHAR = '-0.0' THEN '0.0' ELSE {expression}::VARCHAR END"


def _kind(column: str, spec: ModelSpec) -> str:
    if column == spec.time_column:
        return "time"
    if column == spec.target:
        return "text" if spec.task == "multiclass" else "number"
    kinds = {feature.name: feature.type for feature in spec.features}
    return kinds.get(column, "category").replace("category", "text")


def _number(column: str, value: str) -> str:
    try:
        found = float(value) if "_" not in value else math.nan
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ForgettingError(f"column {column}: found {shown(value)}, expected a number")
    return repr(found or 0.0)  # DuckDB writes a DOUBLE as Python does: the shortest text that reads back


def _boolean(column: str, value: str) -> str:
    word = value.strip().lower()
    if word not in _TRUE + _FALSE:
        raise ForgettingError(f"column {column}: found {shown(value)}, expected true or false")
    return "true" if word in _TRUE else "false"


def _time(column: str, value: str) -> str:
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise ForgettingError(
            f"column {column}: found {shown(value)}, expected a time such as 2013-01-31T06:15:00"
        ) from error
    if found.tzinfo is not None:
        found = found.astimezone(UTC).replace(tzinfo=None)
    text = found.isoformat(sep=" ", timespec="microseconds")
    return text.rstrip("0").rstrip(".") if found.microsecond else text[: -len(".000000")]
