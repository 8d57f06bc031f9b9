"""What would change: the challenger's answers beside those of the version that serves now."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference.preflight import answers
from inference.preflight.answers import AnswerError, Prediction
from inference.preflight.rows import Row
from inference.preflight.server import Reply

WORST = 20
LONGEST = 80
BINS = 20


@dataclass(frozen=True)
class Pair:
    """One row and its two answers."""

    values: Mapping[str, Any]
    before: Prediction
    after: Prediction

    @property
    def difference(self) -> float:
        """How much higher the challenger's score is."""
        return self.after.score - self.before.score

    @property
    def changed(self) -> bool:
        """Whether the label is another one."""
        return self.before.label != self.after.label


def pairs(rows: Sequence[Sequence[Row]], before: Sequence[Reply], after: Sequence[Reply]) -> list[Pair]:
    """Rows that both versions answered.

    Args:
        rows: Of each request.
        before: Replies of the version that serves now.
        after: The challenger's.
    """
    found: list[Pair] = []
    for asked, old, new in zip(rows, before, after, strict=False):
        if old.status != 200 or new.status != 200:
            continue
        try:
            was, is_now = answers.read(old), answers.read(new)
        except AnswerError:
            continue  # the judge has said so already, and of the other version it is nobody's question here
        if len(was) != len(is_now):
            continue
        known = [row.values for row in asked] if len(asked) == len(was) else [{}] * len(was)
        found += [Pair(values, b, a) for values, b, a in zip(known, was, is_now, strict=True)]
    return found


def compare(found: Sequence[Pair]) -> dict[str, Any] | None:
    """The comparison as plain data; None when no row was answered by both."""
    if not found:
        return None
    differences = [pair.difference for pair in found]
    distances = [abs(difference) for difference in differences]
    labelled = any(pair.before.label is not None or pair.after.label is not None for pair in found)
    worst = sorted(found, key=lambda pair: (pair.changed, abs(pair.difference)), reverse=True)
    return {
        "compared": len(found),
        "changed_labels": sum(pair.changed for pair in found) if labelled else None,
        "mean_difference": sum(differences) / len(found),
        "mean_abs_difference": sum(distances) / len(found),
        "max_abs_difference": max(distances),
        "mean_before": sum(pair.before.score for pair in found) / len(found),
        "mean_after": sum(pair.after.score for pair in found) / len(found),
        "transitions": _transitions(found) if labelled else [],
        "histogram": _histogram(differences),
        "worst": [_plain(pair) for pair in worst[:WORST] if pair.changed or pair.difference],
    }


def _transitions(found: Sequence[Pair]) -> list[dict[str, Any]]:
    counts: dict[tuple[str, str], int] = {}
    for pair in found:
        if pair.changed:
            key = (str(pair.before.label), str(pair.after.label))
            counts[key] = counts.get(key, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"before": old, "after": new, "rows": rows} for (old, new), rows in ordered[:WORST]]


def _histogram(values: Sequence[float]) -> dict[str, list[float] | list[int]]:
    """Counts between equally spaced edges, symmetrical around no difference."""
    reach = max(abs(value) for value in values) or 1.0
    width = 2 * reach / BINS
    counts = [0] * BINS
    for value in values:
        counts[min(int((value + reach) / width), BINS - 1)] += 1
    return {"edges": [-reach + width * i for i in range(BINS + 1)], "counts": counts}


def _shown(value: Any) -> Any:
    """A value as it may stand in a report: nothing long, nothing nested, nothing that JSON does not know."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _plain(pair: Pair) -> dict[str, Any]:
    return {
        "values": {name: _shown(value) for name, value in pair.values.items()},
        "before": {"score": pair.before.score, "label": pair.before.label},
        "after": {"score": pair.after.score, "label": pair.after.label},
        "difference": pair.difference,
    }
