import json

import pytest

from models.spec import parse
from tests.upkeep.fakes import FakeClient, FakeContext, raising, refusal
from upkeep import rows
from upkeep.errors import UpkeepError

SPEC = parse(
    {
        "name": "flights",
        "description": "Late?",
        "task": "binary",
        "target": "late",
        "time_column": "departure",
        "features": {
            "carrier": {"type": "category"},
            "distance": {"type": "number"},
            "night": {"type": "boolean"},
        },
        "gate": {"metric": "roc_auc"},
    },
    "test",
)
TYPED = {"carrier": "UA", "distance": 1400.0, "night": True}


def parsed(text):
    return list(rows.parse_rows(text, SPEC, "rows"))


def test_csv_becomes_typed_rows_without_target_and_time():
    assert parsed("departure,carrier,distance,night,late\n2013-01-01,UA,1400,true,1\n") == [TYPED]


@pytest.mark.parametrize(
    "text",
    ['[{"carrier": "UA", "distance": 1400.0, "night": true}]', json.dumps(TYPED), f"{json.dumps(TYPED)}\n\n"],
)
def test_json_and_json_lines_are_read_too(text):
    assert parsed(text) == [TYPED]


def test_an_empty_cell_is_missing_and_a_category_called_na_is_not():
    assert parsed("carrier,distance\nNA,\n") == [{"carrier": "NA", "distance": None}]


def test_what_does_not_fit_is_left_for_the_endpoint_to_name():
    assert parsed("distance,night\nfar,maybe\n") == [{"distance": "far", "night": "maybe"}]


def test_broken_json_names_its_line():
    with pytest.raises(UpkeepError, match="rows, line 2: not readable as JSON"):
        parsed('{"carrier": "UA"}\n{"carrier"\n')


def test_a_row_that_is_no_object_is_shown():
    with pytest.raises(UpkeepError, match="found 7"):
        parsed("[7]")


def test_an_empty_file_has_nothing_to_predict(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("carrier,distance\n")
    with pytest.raises(UpkeepError, match="no rows to predict"):
        rows.read(str(path), SPEC)


def test_the_first_row_of_a_pushed_file_is_a_sample(tmp_path):
    path = tmp_path / "2013-01.csv"
    path.write_text(
        "departure,carrier,distance,night,late\n2013-01-01,UA,1400,true,1\n2013-01-02,AA,1,false,0\n"
    )
    assert rows.first_row(path, SPEC) == TYPED


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", b""), ("a.csv", b"\xff\xfe"), ("a.parquet", b"PAR1")]
)
def test_a_file_without_readable_rows_gives_no_sample(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert rows.first_row(path, SPEC) is None


def test_many_rows_go_in_several_requests():
    assert [len(part) for part in rows.chunks([{}] * 5, 2)] == [2, 2, 1]


def test_a_stack_without_the_spec_says_where_it_should_be():
    there = FakeContext({"s3": FakeClient(get_object=raising(refusal("NoSuchKey")))})
    with pytest.raises(UpkeepError, match=r"specs/flights\.json; run `upkeep up`"):
        rows.deployed_spec(there, there.model(None))


@pytest.mark.parametrize("text", ["x", "", "carrier=UA"])
def test_a_row_given_as_json_must_be_json(text):
    with pytest.raises(UpkeepError, match="--json-row: not readable as JSON"):
        rows.parse_json(text, SPEC, "--json-row")


def test_a_row_given_as_json_may_be_a_list_of_rows():
    assert rows.parse_json('[{"carrier": "UA"}, {"carrier": "AA"}]', SPEC, "--json-row") == [
        {"carrier": "UA"},
        {"carrier": "AA"},
    ]
