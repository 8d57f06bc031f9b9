"""Broken files are refused with the place and the reason; what passes can be trained with."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.load import load, seed_file
from tests.training.contract.corpus import GOOD
from tests.training.examples import HEADER, declare, lines, text
from training import reading
from training.contract.check import check_file

SPEC = declare()


def _check(folder, content, spec=SPEC, **options):
    path = folder / "data.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return check_file(path, spec, **options)


def accepted(folder):
    (folder / "accepted").mkdir(exist_ok=True)
    return folder / "accepted" / "data.parquet"


@pytest.mark.parametrize(
    "content",
    [
        text(GOOD),
        text(GOOD).replace("\n", "\r\n"),
        text(GOOD).replace("\n", "\r"),
        "\ufeff" + text(GOOD),
        text(GOOD).rstrip("\n"),
        text(GOOD) + "\n\n",
        text([*GOOD, '2024-03-01T10:00:00Z,a,"with ""quotes"", commas\nand lines",1e1,TRUE,1']),
        text([*GOOD, "2024-03-01 10:00:00.123+02:00,a,, 1.5 ,0,1.0"]),
        "late,note,heavy,size,place,kind,at\n1,hello,1,,,a,2024-01-01\n0,,0,,,b,2024-01-02\n",
    ],
    ids=[
        "plain",
        "crlf",
        "cr",
        "bom",
        "no end",
        "blank lines",
        "quoted",
        "forms",
        "other order and more columns",
    ],
)
def test_a_good_file_is_accepted_and_can_be_read(tmp_path, content):
    report = _check(tmp_path, content, accept_to=accepted(tmp_path))
    assert report.reason == ""
    table = reading.read(tmp_path / "accepted", SPEC)
    assert len(table) + table.duplicates == report.rows


def test_columns_the_spec_does_not_name_are_listed(tmp_path):
    rows = [HEADER + ",note", *(row + ",hello" for row in GOOD)]
    assert _check(tmp_path, "\n".join(rows)).ignored == ("note",)


def test_findings_come_with_counts_and_the_first_examples(tmp_path):
    rows = [r.split(",") for r in GOOD]
    for i in (4, 8, 15, 16):
        rows[i][3] = "x" * i
    report = _check(tmp_path, text([",".join(r) for r in rows]))
    assert (report.rows, report.dropped) == (26, 4)
    assert report.details() == [
        {
            "column": "size",
            "rule": "type",
            "count": 4,
            "examples": (
                {"row": 5, "value": "xxxx"},
                {"row": 9, "value": "xxxxxxxx"},
                {"row": 16, "value": "x" * 15},
            ),
            "fatal": True,
        }
    ]


def test_everything_wrong_is_found_and_the_first_three_are_told_in_full(tmp_path):
    report = _check(tmp_path, text([f"never,z,x,{i}e9,perhaps,5" for i in range(1, 4)]))
    assert [(f.column, f.rule) for f in report.findings] == [
        ("at", "type"),
        ("kind", "values"),
        ("size", "range"),
        ("heavy", "type"),
        ("late", "label"),
    ]
    assert report.reason.endswith("; and 2 more")


def test_labels_of_other_tasks_are_checked_as_such(tmp_path):
    assert _check(tmp_path, text(lines(30, "multiclass")), declare("multiclass")).ok
    assert _check(tmp_path, text(lines(30, "regression")), declare("regression")).ok
    report = _check(
        tmp_path, text([*lines(30, "regression"), "2024-03-01,a,,,true,high"]), declare("regression")
    )
    assert "row 31: found 'high', expected a number" in report.reason
    same = [row.rpartition(",")[0] + ",low" for row in lines(30, "multiclass")]
    assert "all 30 rows have the label low" in _check(tmp_path, text(same), declare("multiclass")).reason


def test_the_committed_sample_is_good():
    report = check_file(seed_file("flights"), load(["flights"])["flights"])
    assert (report.ok, report.rows, report.ignored) == (True, 1759, ())


def test_names_with_quotes_do_no_harm(tmp_path):
    spec = declare(features={"kind": {"type": "category", "values": ["a'; DROP TABLE x; --", 'b"']}})
    header = 'at,kind,late,"evil\'); --"'
    content = f'{header}\n2024-01-01,a\'; DROP TABLE x; --,0,1\n2024-01-02,"b""",1,2\n'
    assert _check(tmp_path, content, spec).reason == ""


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_crash_the_check(tmp_path_factory, content, after_a_header):
    folder = tmp_path_factory.mktemp("bytes")
    _check(folder, (HEADER + "\n").encode() * after_a_header + content)


cell = st.one_of(
    st.sampled_from(
        ["", "0", "1", "a", "b", "x", "NA", "true", "2024-01-01", "1e5", " 7", "-0", "null", "24:00"]
    ),
    st.text(max_size=6),
    st.floats().map(str),
    st.datetimes().map(lambda t: t.isoformat()),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 5), cell), max_size=3), st.integers(0, 99))
def test_what_the_check_accepts_training_reads(tmp_path_factory, changes, seed):
    folder = tmp_path_factory.mktemp("cells")
    rows = [r.split(",") for r in lines(12, seed=seed)]
    for row, column, value in changes:
        rows[row][column] = value
    content = text([",".join(r) for r in random.Random(seed).sample(rows, len(rows))])
    report = _check(folder, content, accept_to=accepted(folder))
    if report.ok:
        table = reading.read(folder / "accepted", SPEC)
        assert len(table) + table.duplicates == report.rows
        assert set(table.labels) == {0.0, 1.0}
        assert not table.frame["kind"].isna().any()
