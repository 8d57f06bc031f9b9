"""What a column's values suggest that its rule should be; pure functions, for ``learn``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from training.contract.distribution import MIN_DISTINCT, MIN_ROWS

# More different texts than this are no list that a person keeps up to date.
MAX_VALUES = 50
# A list of values is only believed when each was seen this often on average.
_SEEN_PER_VALUE = 10
# Numbers outside what was seen, by this share of what lies between the smallest and the largest, are allowed.
_MARGIN = 0.25
_DECILE_DIGITS = 4
# The spec takes numbers below this.
_MOST = 1e290
_NUMBERS = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
    "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL",
)  # fmt: skip
_TEXTS = ("VARCHAR", "ENUM", "UUID")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was counted in a column.

    Attributes:
        name: Of the column.
        rows: Rows of the files.
        missing: Rows without a value.
        numbers: Values that are finite numbers.
        times: Values that are ISO 8601 times.
        words: Values that are true or false, written so.
        distinct: Different values.
        values: The values, when they are few.
        low: Smallest number.
        high: Largest number.
        deciles: The nine deciles of the numbers.
    """

    name: str
    rows: int
    missing: int = 0
    numbers: int = 0
    times: int = 0
    words: int = 0
    distinct: int = 0
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    deciles: tuple[float, ...] = field(default=())

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing


@dataclass(frozen=True)
class Proposal:
    """A feature to review, or why the column is no feature.

    Attributes:
        options: The feature's keys; None for a column that is left out.
        note: What to look at; empty when there is nothing.
    """

    options: dict[str, Any] | None
    note: str = ""


def propose(facts: Facts) -> Proposal:
    """The rule of one column that is neither target nor time."""
    if facts.present == 0:
        return Proposal(None, "no row has a value")
    if facts.numbers == facts.present:
        return _number(facts)
    if facts.words == facts.present:
        return Proposal({"type": "boolean", **_nullable(facts)}, _gaps(facts))
    if facts.times == facts.present:
        return Proposal(None, "holds times; a model takes numbers made from them, such as the hour")
    if facts.distinct == facts.present >= MIN_ROWS:
        return Proposal(None, "another text in every row, as a name or number of a single thing")
    return _category(facts)


def propose_typed(facts: Facts, kind: str) -> Proposal:
    """The rule of a column that has a type in its files, which no rule of another type would accept.

    Args:
        facts: What was counted.
        kind: DuckDB's name of a Parquet column's type.
    """
    base = "LIST" if kind.endswith("]") else kind.partition("(")[0]
    if facts.present == 0 or base == "BOOLEAN" or base.startswith(("TIMESTAMP", "DATE")):
        return propose(facts)
    if base in _NUMBERS and facts.numbers:
        proposal, strange = _number(replace(facts, numbers=facts.present)), facts.present - facts.numbers
        note = f"; {strange:,} rows hold NaN or infinity" if strange else ""
        return Proposal(proposal.options, proposal.note + note)
    if base in _TEXTS:
        proposal = propose(replace(facts, numbers=0, words=0, distinct=facts.distinct))
        if proposal.options is not None and facts.numbers == facts.present:
            return Proposal(proposal.options, f"numbers, but written as text in Parquet; {proposal.note}")
        return proposal
    return Proposal(None, f"of type {kind.lower()}; a feature is a number, a text or a boolean")


def outward(low: float, high: float) -> tuple[float | None, float | None]:
    """A range around what was seen, with a margin, in round numbers; None for a side without a limit.

    What was seen never lies outside. A range of nothing but positive numbers stays above zero, one of shares
    within 0 and 1.
    """
    spread = high - low or abs(high) or 1.0
    far = max(abs(low), abs(high)) > _MOST
    if far or low == high == 0 or not 1 / _MOST < spread < _MOST:
        return 0 if low >= 0 else None, None
    step = 10.0 ** math.floor(math.log10(spread / 2))
    least = math.floor((low - _MARGIN * spread) / step) * step
    most = math.ceil((high + _MARGIN * spread) / step) * step
    if low >= 0:
        least = max(least, 0.0)
    if high <= 0:
        most = min(most, 0.0)
    if low >= 0 and 0.5 < high <= 1:
        most = 1.0
    return _tidy(min(least, low), step), _tidy(max(most, high), step)


def rounded(value: float, digits: int = _DECILE_DIGITS) -> float:
    """The number with so many digits that matter; whole where it is."""
    return _plain(float(f"{value:.{digits}g}"))


def deciles(facts: Facts) -> list[float]:
    """Reference deciles, rounded; empty for a column without a shape."""
    found = [rounded(value) for value in facts.deciles if abs(value) < _MOST]
    enough = len(found) == len(facts.deciles) and len({v for v in found if v}) >= MIN_DISTINCT
    return found if enough and facts.numbers >= MIN_ROWS else []


def _number(facts: Facts) -> Proposal:
    low, high = facts.low or 0.0, facts.high or 0.0
    least, most = outward(low, high)
    options: dict[str, Any] = {"type": "number", **_nullable(facts)}
    options |= {key: value for key, value in (("min", least), ("max", most)) if value is not None}
    shape = deciles(facts)
    if shape:
        options["deciles"] = shape
    notes = [f"seen from {low:g} to {high:g}"]
    if set(facts.values) == {"0", "1"}:
        notes.append("a boolean, if it can only be 0 or 1")
    elif facts.distinct == 1:
        notes.append("the same in every row, of no use to a model")
    elif not shape:
        notes.append("no deciles, too few different values to recognise another unit by")
    return Proposal(options, "; ".join([*notes, *filter(None, [_gaps(facts)])]))


def _category(facts: Facts) -> Proposal:
    options: dict[str, Any] = {"type": "category", **_nullable(facts)}
    notes = []
    if facts.values and facts.distinct * _SEEN_PER_VALUE <= facts.present:
        options["values"] = sorted(facts.values)
        notes.append("all that were seen; a row with another value will be left out")
    else:
        notes.append(f"{facts.distinct:,} different texts; any text is taken")
    if 0 < facts.numbers < facts.present:
        notes.append(f"{facts.numbers:,} of {facts.present:,} are numbers")
    return Proposal(options, "; ".join([*notes, *filter(None, [_gaps(facts)])]))


def _nullable(facts: Facts) -> dict[str, bool]:
    return {"nullable": True} if facts.missing else {}


def _gaps(facts: Facts) -> str:
    return f"missing in {facts.missing:,} of {facts.rows:,} rows" if facts.missing else ""


def _tidy(value: float, step: float) -> float:
    """Without the digits that only binary arithmetic left behind."""
    decimals = max(0, -math.floor(math.log10(step)))
    tidy = round(value, min(decimals, 300))
    return _plain(tidy) if math.isclose(tidy, value, rel_tol=1e-12, abs_tol=step * 1e-9) else value


def _plain(value: float) -> float:
    return int(value) if value.is_integer() and abs(value) < 1e15 else value
