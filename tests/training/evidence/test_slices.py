"""The rows are parted by the gate's features, and each part is compared by itself."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from models.spec import Feature, Gate
from tests.training.examples import declare
from training.evidence.blocks import Blocks
from training.evidence.slices import measure, parts
from training.evidence.weighted import Answers

ROWS = 2000


def _parts(kind, values):
    column = pd.Series(values, dtype=object if kind == "category" else "float64")
    return {value: rows.tolist() for value, rows in parts(Feature(name="x", type=kind), column)}


def test_a_category_is_parted_by_its_values():
    found = _parts("category", ["b", "a", None, "b"])
    assert found == {"a": [1], "b": [0, 3], "missing": [2]}


def test_a_boolean_is_true_false_or_missing():
    assert _parts("boolean", [1.0, 0.0, np.nan, 1.0]) == {"false": [1], "true": [0, 3], "missing": [2]}


def test_a_number_is_parted_into_quarters():
    found = _parts("number", [*range(8), np.nan])
    assert found == {
        "below 2": [0, 1],
        "2 to below 4": [2, 3],
        "4 to below 6": [4, 5],
        "6 or more": [6, 7],
        "missing": [8],
    }


def test_a_number_with_few_values_has_fewer_parts():
    assert _parts("number", [0.0] * 90 + [5.0] * 10) == {"any": list(range(100))}
    assert _parts("number", [0.0] * 60 + [5.0] * 40) == {
        "below 5": list(range(60)),
        "5 or more": list(range(60, 100)),
    }
    assert _parts("number", [np.nan, np.nan]) == {"missing": [0, 1]}


def _spec(**gate):
    spec = declare()
    return dataclasses.replace(spec, gate=Gate(slices=("kind",), **gate))


def _world():
    """The challenger is better for a and b, and has forgotten c."""
    random = np.random.default_rng(0)
    kinds = np.array(["a", "b", "c"], dtype=object)[random.integers(0, 3, ROWS)]
    labels = random.integers(0, 2, ROWS).astype(float)
    champion = labels + random.normal(size=ROWS)
    challenger = labels + 0.5 * random.normal(size=ROWS)
    lost = kinds == "c"
    challenger[lost] = random.normal(size=int(lost.sum()))
    frame = pd.DataFrame({"kind": kinds})
    blocks = Blocks(np.arange(ROWS) // 5, ROWS // 5)
    return frame, labels, Answers(challenger), Answers(champion), blocks


def test_a_part_that_is_lost_is_found_though_the_whole_gains():
    frame, labels, challenger, champion, blocks = _world()
    found = {one["value"]: one for one in measure(_spec(), frame, labels, challenger, champion, blocks)}
    assert set(found) == {"a", "b", "c"}
    assert found["a"]["loss"] < -0.1
    assert found["c"]["loss"] > 0.15
    assert found["c"]["loss"] == pytest.approx(found["c"]["champion"] - found["c"]["challenger"])
    assert 0.005 < found["c"]["standard_error"] < 0.05
    assert sum(one["rows"] for one in found.values()) == ROWS


def test_small_parts_and_parts_of_one_label_are_left_out():
    frame, labels, challenger, champion, blocks = _world()
    labels = np.where(frame["kind"] == "b", 1.0, labels)
    spec = _spec(slice_min_rows=int((frame["kind"] == "c").sum()))
    found = measure(spec, frame, labels, challenger, champion, blocks)
    smaller = "a" if (frame["kind"] == "a").sum() < (frame["kind"] == "c").sum() else None
    assert {one["value"] for one in found} == {"a", "c"} - {smaller}


def test_without_a_champion_the_challengers_value_is_told():
    frame, labels, challenger, _, blocks = _world()
    found = measure(_spec(), frame, labels, challenger, None, blocks)
    assert [one["value"] for one in found] == ["a", "b", "c"]
    assert all(0.4 < one["challenger"] < 1 for one in found)
    assert {one["loss"] for one in found} == {None}
