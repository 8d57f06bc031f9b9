"""One encoder, three ways in, the same array out."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.examples import declare
from training.features import MAX_CATEGORIES, FeatureEncoder, ValueRefusedError

SPEC = declare()
NAMES = [f.name for f in SPEC.features]
places = st.none() | st.sampled_from(["x", "y", "NA", "nan", "never seen", "é", "x,y", '"'])
row = st.tuples(
    st.sampled_from("abc"), places, st.none() | st.floats(-100, 100) | st.integers(-100, 100), st.booleans()
)


def _frame(rows):
    frame = pd.DataFrame(rows, columns=NAMES)
    frame["kind"] = frame["kind"].astype(object)
    frame["place"] = pd.Series([r[1] for r in rows], dtype=object)
    frame["size"] = pd.Series([r[2] for r in rows], dtype="float64")
    frame["heavy"] = frame["heavy"].astype("float64")
    return frame


def _fitted():
    return FeatureEncoder.fit(
        SPEC, _frame([("a", "x", 1.0, True), ("b", "NA", 2.0, False), ("a", "y", None, True)])
    )


def _refused(rows, *, texts=False) -> ValueRefusedError:
    encoder = _fitted()
    with pytest.raises(ValueRefusedError) as caught:
        (encoder.encode_texts if texts else encoder.encode_values)(rows)
    return caught.value


@given(st.lists(row, min_size=1, max_size=20))
def test_frames_values_and_texts_give_the_same_array(rows):
    encoder = _fitted()
    from_frame = encoder.encode_frame(_frame(rows))
    texts = [[k, p or "", "" if s is None else repr(s), str(h)] for k, p, s, h in rows]
    assert np.array_equal(from_frame, encoder.encode_values(rows), equal_nan=True)
    assert np.array_equal(from_frame, encoder.encode_texts(texts), equal_nan=True)
    assert from_frame.dtype == np.float64


@given(st.lists(row, min_size=1, max_size=20))
def test_an_encoder_survives_the_way_through_json(rows):
    encoder = FeatureEncoder.fit(SPEC, _frame(rows))
    again = FeatureEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again.columns == encoder.columns
    assert np.array_equal(encoder.encode_values(rows), again.encode_values(rows), equal_nan=True)


def test_codes_are_places_in_the_sorted_categories_unknown_ones_come_last_and_missing_ones_are_nan():
    encoded = _fitted().encode_values(
        [("c", "x", None, True), ("a", "nowhere", 3, False), ("a", None, 3, False)]
    )
    assert encoded[0, :2].tolist() == [2.0, 1.0]  # the places are NA, x, y
    assert encoded[1, 1] == 3.0
    assert math.isnan(encoded[2, 1])
    assert math.isnan(encoded[0, 2])


def test_beyond_the_limit_the_rarest_categories_share_the_code_for_unknown_ones():
    names = [f"n{i:03}" for i in range(MAX_CATEGORIES + 50)]
    common = names[50:]
    frame = _frame([("a", n, 0.0, True) for n in names + common])
    encoder = FeatureEncoder.fit(SPEC, frame)
    codes = encoder.encode_frame(frame)[:, 1]
    assert len(encoder.columns[1].categories) == MAX_CATEGORIES
    assert codes[0] == MAX_CATEGORIES
    assert codes[50:].max() <= MAX_CATEGORIES


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((None, None, 1, True), "row 2, column 'kind': found nothing, expected one of a, b, c"),
        (("z", None, 1, True), "row 2, column 'kind': found 'z', expected one of a, b, c"),
        ((1, None, 1, True), "row 2, column 'kind': found 1, expected one of a, b, c"),
        (("a", 7, 1, True), "row 2, column 'place': found 7, expected a text or nothing"),
        (
            ("a", "x", "1", True),
            "row 2, column 'size': found '1', expected a number from -100 to 100 or nothing",
        ),
        (("a", "x", True, True), "found True, expected a number"),
        (("a", "x", math.nan, True), "found nan, expected a number"),
        (("a", "x", math.inf, True), "found inf, expected a number"),
        (("a", "x", 10**400, True), "expected a number from -100 to 100"),
        (("a", "x", 101, True), "found 101, expected a number from -100 to 100"),
        (("a", "x", [1], True), "found [1], expected a number"),
        (("a", "x", 1, None), "column 'heavy': found nothing, expected true or false"),
        (("a", "x", 1, 2), "column 'heavy': found 2, expected true or false"),
        (("a", "x", 1, "true"), "column 'heavy': found 'true', expected true or false"),
    ],
)
def test_a_value_that_does_not_fit_names_row_column_value_and_what_is_allowed(values, message):
    assert message in str(_refused([("a", "x", 1, True), values]))


@pytest.mark.parametrize("cell", ["abc", "1_0", "nan", "inf", "1,5", "١", "0x1F", "1e999", "--1", "-101"])  # noqa: RUF001
def test_a_cell_that_is_no_number_in_range_is_refused(cell):
    assert _refused([["a", "", cell, "true"]], texts=True).value == cell


@given(st.text(max_size=10))
def test_any_text_in_a_number_cell_is_a_number_or_refused(cell):
    encoder, refused = _fitted(), ""
    try:
        value = encoder.encode_texts([["a", "", cell, "true"]])[0, 2]
    except ValueRefusedError as error:
        refused = error.column
    assert refused == "size" or (math.isnan(value) if cell == "" else -100 <= value <= 100)


def test_another_format_of_the_stored_encoder_is_refused():
    with pytest.raises(ValueError, match="found format 99, expected 1"):
        FeatureEncoder.from_json({"format": 99, "columns": []})
