"""Every body is rows of numbers or a refusal that names what is wrong."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import codecs
from inference.codecs import Columns, decode, negotiate
from inference.errors import RequestError
from tests.training.examples import HEADER, declare, lines, text
from training.features import Column, FeatureEncoder

SPEC = declare()
ENCODER = FeatureEncoder(
    Column(f, {"kind": ("a", "b", "c"), "place": ("NA", "x", "y")}.get(f.name, ())) for f in SPEC.features
)
COLUMNS = Columns(ENCODER.names, ("at", "late"))
ROW = {"kind": "b", "place": "x", "size": 1.5, "heavy": True}
ENCODED = [1.0, 1.0, 1.5, 1.0]
JSON, CSV, JSONLINES = "application/json", "text/csv", "application/jsonlines"


def _decode(body, content_type=JSON):
    return decode(body, content_type, COLUMNS, ENCODER)


def _refusal(body, content_type=JSON) -> RequestError:
    with pytest.raises(RequestError) as caught:
        _decode(body, content_type)
    return caught.value


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (json.dumps({"instances": [ROW]}), JSON),
        (json.dumps([ROW]), JSON),
        (json.dumps([ROW]), "Application/JSON; charset=UTF-8"),
        (json.dumps([ROW]).encode("utf-8-sig"), JSON),
        (json.dumps([ROW | {"at": "2024-01-01", "late": 1}]), JSON),
        (json.dumps(ROW) + "\n", JSONLINES),
        (json.dumps(ROW) + "\r\n\r\n", "application/x-ndjson"),
        ("b,x,1.5,true", CSV),
        ("b,x,1.5,TRUE\r\n", CSV),
        (b'"b","x","1.5",1\n', "text/csv; charset=utf-8"),
        ("heavy,size,place,kind\n1,1.5,x,b\n", CSV),
        (f"{HEADER}\n2024-01-01,b,x,1.5,true,0\n", CSV),
        ("heavy,size,place,kind\n1,1.5,x,b\n", 'text/csv; header="present"'),
    ],
)
def test_all_forms_of_one_row_are_the_same_array(body, content_type):
    assert _decode(body, content_type).tolist() == [ENCODED]


def test_a_training_file_can_be_scored_as_it_is():
    rows = lines(50)
    assert len(_decode(text(rows), CSV)) == 50


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (json.dumps([{"kind": "a", "heavy": False}]), JSON),
        (json.dumps([{"kind": "a", "heavy": False, "size": None, "place": None}]), JSON),
        ("a,,,false", CSV),
        ("kind,heavy\na,false", CSV),
    ],
)
def test_nullable_features_may_be_left_out(body, content_type):
    row = _decode(body, content_type)[0]
    assert np.isnan(row).tolist() == [False, True, True, False]


def test_a_category_of_the_world_that_training_did_not_see_is_an_unknown_one():
    assert _decode("a,atlantis,,1", CSV)[0, 1] == 3.0


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        ("", JSON, "the body: no JSON"),
        ("{", JSON, "at line 1, column 2"),
        ("3", JSON, "instances: found a number, expected a list of objects"),
        ("null", JSON, "instances: found null"),
        ("[]", JSON, "the body holds no row"),
        ('{"instances": []}', JSON, "the body holds no row"),
        ('{"instances": {}}', JSON, "instances: found an object, expected a list"),
        ('{"inputs": []}', JSON, "the body: found 'inputs', expected {\"instances\": [...]} or a list"),
        ("{}", JSON, "the body: found no key"),
        ('["a"]', JSON, "row 1: found a text, expected an object with the keys kind, place, size, heavy"),
        ('[{"kind": "a"}]', JSON, "row 1, column 'heavy': found nothing, expected true or false"),
        (
            '[{"kind": "a", "heavy": true, "siez": 1}]',
            JSON,
            "row 1: unknown column 'siez' (did you mean 'size'?)",
        ),
        ('[{"kind": "a", "kind": "b"}]', JSON, "the key 'kind' is there twice"),
        ('[{"kind": "a", "heavy": true, "size": NaN}]', JSON, "found NaN, which is no JSON value"),
        ('[{"kind": "a", "heavy": true, "size": -Infinity}]', JSON, "found -Infinity"),
        (
            '[{"kind": "a", "heavy": true, "size": 1e999}]',
            JSON,
            "column 'size': found inf, expected a number",
        ),
        ('[{"kind": "a", "heavy": true, "size": ' + "9" * 5000 + "}]", JSON, "no usable JSON"),
        ('[{"kind": "a", "heavy": true, "size": ' + "9" * 4000 + "}]", JSON, "column 'size'"),
        ("[" * 100_000, JSON, "nested too deeply"),
        ('[{"kind": ' + "[" * 50 + "]" * 50 + ', "heavy": true}]', JSON, "column 'kind': found [[["),
        ('{"kind": "a", "heavy": true}\n{', JSONLINES, "row 2: no JSON"),
        ("\n\n", JSONLINES, "the body holds no row"),
        ("", CSV, "the body holds no row"),
        ("\n\n", CSV, "the body holds no row"),
        (HEADER, CSV, "the body holds no row"),
        ("a,x,1", CSV, "row 1: found 3 cells, expected 4 in this order: kind, place, size, heavy"),
        ("a,x,1,true\na", CSV, "row 2: found 1 cells"),
        ("a;x;1;true", CSV, "row 1: found 1 cells, expected 4"),
        ("kind,heavy,wat\na,1,2", CSV, "header: unknown column 'wat'; allowed: kind, place, size, heavy"),
        ("kind,heavy,kind\na,1,2", CSV, "header: column 'kind' is there more than once"),
        ("kind,size\na,1", CSV, "header: column 'heavy' is missing"),
        ("kind,heavy\na,1\nb", CSV, "row 2: found 1 cells, expected 2 as the header has: kind, heavy"),
        (
            "a,x,wide,true",
            CSV,
            "row 1, column 'size': found 'wide', expected a number from -100 to 100 or nothing",
        ),
        ("a,x,200,true", CSV, "found '200', expected a number from -100 to 100"),
        ("z,x,1,true", CSV, "column 'kind': found 'z', expected one of a, b, c"),
        ('a,"x', CSV, "the body is no CSV text"),
        ("a," + "x" * 200_000 + ",1,true", CSV, "the body is no CSV text: field larger than"),
        ("kind,heavy\na,1", "text/csv; header=absent", "row 1: found 2 cells, expected 4"),
        (b"\xff\xfe", CSV, "the body is not UTF-8 text: byte 0"),
        ("a,\ufffd,1,true", CSV, "the body is not UTF-8 text: character 2"),
    ],
)
def test_a_body_that_does_not_fit_is_a_400_that_says_why(body, content_type, words):
    error = _refusal(body, content_type)
    assert error.status == 400
    assert words in error.message
    assert len(error.body()) < 1500


def test_a_wrong_value_is_told_in_parts_too():
    details = json.loads(_refusal("a,x,1,true\na,x,200,true", CSV).body())
    assert details == {
        "error": "row 2, column 'size': found '200', expected a number from -100 to 100 or nothing",
        "status": 400,
        "row": 2,
        "column": "size",
        "value": "200",
        "expected": "a number from -100 to 100 or nothing",
    }


@pytest.mark.parametrize(
    "content_type", ["application/x-npy", "image/png", "application/octet-stream", "", "text", "csv"]
)
def test_other_content_types_are_a_415_that_lists_the_allowed_ones(content_type):
    error = _refusal(b"\x93NUMPY", content_type)
    assert error.status == 415
    assert error.details["allowed"][:3] == ["text/csv", "application/json", "application/jsonlines"]


def test_another_charset_is_a_415():
    assert _refusal("a,x,1,true", "text/csv; charset=latin-1").status == 415


def test_bodies_and_rows_beyond_the_limits_are_a_413(monkeypatch):
    assert _refusal(b" " * (codecs.MAX_BODY_BYTES + 1)).status == 413
    monkeypatch.setattr(codecs, "MAX_ROWS", 2)
    for body, kind in (
        ("a,,,1\n" * 3, CSV),
        (json.dumps([ROW] * 3), JSON),
        ((json.dumps(ROW) + "\n") * 3, JSONLINES),
    ):
        error = _refusal(body, kind)
        assert (error.status, error.message) == (
            413,
            "found 3 rows, at most 2 are answered at once; send several requests",
        )


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("Text/CSV; charset=utf-8", CSV),
        ("application/json, text/csv;q=0.5", JSON),
        ("application/json;q=0.2, text/csv", CSV),
        ("application/xml, application/x-ndjson", JSONLINES),
        ("image/*, */*;q=0.1", JSON),
        ("text/*", CSV),
    ],
)
def test_the_answer_has_the_form_the_client_likes_best(accept, chosen):
    assert negotiate(accept) == chosen


@pytest.mark.parametrize(
    "accept", ["application/xml", "application/x-npy", "application/json;q=0", "text/csv;q=x"]
)
def test_an_accept_nobody_can_meet_is_a_406(accept):
    with pytest.raises(RequestError) as caught:
        negotiate(accept)
    assert caught.value.status == 406
    assert caught.value.details["allowed"] == [JSON, CSV, JSONLINES]


def _outcome(body, content_type):
    try:
        matrix = _decode(body, content_type)
    except RequestError as error:
        return error.status, error.body()
    return (200, "") if matrix.shape[1] == len(ENCODER.names) else (0, "wrong shape")


anything = st.one_of(st.binary(max_size=200), st.text(max_size=200))
types = st.sampled_from([JSON, CSV, JSONLINES, "text/csv; header=present", "application/x-npy"])


@given(anything, types)
def test_no_body_crashes_the_decoder(body, content_type):
    status, told = _outcome(body, content_type)
    assert status == 200 or (400 <= status < 500 and json.loads(told)["status"] == status)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["a", "instances"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "heavy", "size", "instances", "zzz"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(json_values)
def test_no_json_crashes_the_decoder(value):
    assert _outcome(json.dumps(value), JSON)[0] in (200, 400)


rows = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from("abc"),
            "place": st.none()
            | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=5),
            "size": st.none() | st.floats(-100, 100),
            "heavy": st.booleans(),
        }
    ),
    min_size=1,
    max_size=8,
)


@given(rows)
def test_csv_json_and_json_lines_carry_the_same_rows(rows):
    import csv
    import io

    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ENCODER.names)
    writer.writeheader()
    writer.writerows(rows)
    from_json = _decode(json.dumps(rows))
    assert np.array_equal(from_json, _decode("\n".join(map(json.dumps, rows)), JSONLINES), equal_nan=True)
    if not any("\0" in (row["place"] or "") for row in rows):
        assert np.array_equal(from_json, _decode(out.getvalue(), CSV), equal_nan=True)


PAIRS = [
    *('"kind": "a"', '"kind":"b"', '"place": "x"', '"place": "a:b"', '"place": null', '"size": 1.5'),
    *('"size": 1e999', '"size": NaN', '"heavy": true', '"heavy" : 0', '"at": "2024-01-01T00:00:00"'),
    *('"late": 1', '"zzz": 1', '"size": {"a": 1}', '"size": "x:1"', '"kind": []', '"\\u006bind": "a"'),
]
WHOLE = '{"kind": "a", "place": "x", "size": 1, "heavy": true}'
texts_of_rows = st.one_of(
    st.just(WHOLE),
    st.lists(st.sampled_from(PAIRS), max_size=6).map(lambda pairs: "{" + ", ".join(pairs) + "}"),
    st.sampled_from(
        ["[]", "1", '"a:b"', "null", "{", '["kx", "py"]', WHOLE[:-1], WHOLE[1:], f"{WHOLE}, {WHOLE}"]
    ),
)
frames = st.sampled_from(
    ['{"instances": [%s]}', "[%s]", '{"instances" : [%s]}', '{"instances": [1], "instances": [%s]}',
     '{"instances": [%s], "a": 1}', '{"a": [%s]}', "%s", "[%s] x", "\ufeff[%s]"]
)  # fmt: skip


def _told(body, content_type):
    try:
        return _decode(body, content_type).tobytes()
    except RequestError as error:
        return error.status, error.body()


@given(frames, st.lists(texts_of_rows, max_size=9))
def test_a_json_body_is_read_quickly_as_it_is_read_with_care(frame, rows):
    _compare_with_care(frame % ", ".join(rows), JSON)


@given(st.lists(texts_of_rows, max_size=9))
def test_json_lines_are_read_quickly_as_they_are_read_with_care(rows):
    _compare_with_care("\n".join(rows), JSONLINES)


cells = st.sampled_from(["a", "x", "1.5", "true", "", "nan", "1_0", "0", "200", "b;c", '"', "kind", "\u0661"])


@given(st.lists(st.lists(cells, min_size=3, max_size=5).map(",".join) | st.just("a,x,1.5,true"), max_size=9))
def test_csv_is_read_quickly_as_it_is_read_with_care(rows):
    _compare_with_care("\n".join(rows), CSV)


def _compare_with_care(body, content_type):
    quickly = _told(body, content_type)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(codecs, "_plain_instances", lambda _: None)
        patched.setattr(codecs, "_plain_rows", lambda _: None)
        patched.setattr(codecs, "_whole_rows", lambda *_: None)
        patched.setattr(ENCODER._columnwise, "values", lambda _: None)
        patched.setattr(ENCODER._columnwise, "texts", lambda _: None)
        assert quickly == _told(body, content_type)


@pytest.mark.parametrize("rows", [1, 100])
def test_ordinary_json_is_not_read_twice(monkeypatch, rows):
    monkeypatch.setattr(codecs, "_load", None)
    assert len(_decode(json.dumps({"instances": [ROW] * rows}))) == rows
    assert len(_decode("\n".join([json.dumps(ROW)] * rows), JSONLINES)) == rows
