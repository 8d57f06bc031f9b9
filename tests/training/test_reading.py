"""Files become one table in time order, and what cannot be read is named."""

import numpy as np
import pytest

from tests.training.examples import HEADER, declare, lines, text
from training.errors import TrainingError
from training.reading import read

SPEC = declare()


def _write(folder, **files):
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8", newline="")
    return folder


def _error(folder):
    with pytest.raises(TrainingError) as caught:
        read(folder, SPEC)
    return str(caught.value)


def test_rows_of_all_files_are_ordered_by_time(tmp_path):
    rows = lines(20)
    (tmp_path / "deep").mkdir()
    _write(tmp_path / "deep", a=text(rows[15:]))
    table = read(_write(tmp_path, b=text(rows[:15][::-1])), SPEC)
    assert table.files == ("b.csv", "deep/a.csv")
    assert len(table) == 20
    assert (np.diff(table.times) > np.timedelta64(0)).all()
    assert table.labels.tolist() == [float(row[-1]) for row in rows]


def test_rows_pushed_twice_count_once(tmp_path):
    rows = lines(20)
    table = read(_write(tmp_path, a=text(rows[:12]), b=text(rows[8:])), SPEC)
    assert (len(table), table.duplicates) == (20, 4)


def test_only_an_empty_cell_is_missing(tmp_path):
    table = read(_write(tmp_path, a=text(["2024-01-01,a,NA,,true,1", "2024-01-02,b,,1,false,0"])), SPEC)
    assert table.frame["place"].tolist()[0] == "NA"
    assert table.frame["place"].isna().tolist() == [False, True]
    assert table.frame["size"].isna().tolist() == [True, False]
    assert table.frame["heavy"].tolist() == [1.0, 0.0]


def test_a_column_may_be_missing_throughout(tmp_path):
    features = {
        "kind": {"type": "category", "nullable": True},
        "size": {"type": "number", "nullable": True},
        "heavy": {"type": "boolean", "nullable": True},
    }
    content = "at,kind,size,heavy,late\n2024-01-01,,,,1\n2024-01-02,,,,0\n"
    table = read(_write(tmp_path, a=content), declare(features=features))
    assert table.frame.isna().all().all()
    assert str(table.frame["heavy"].dtype) == "float64"


def test_times_with_a_zone_are_compared_in_utc(tmp_path):
    rows = [
        "2024-01-01T12:00:00+02:00,a,,1,true,1",
        "2024-01-01T09:00:00Z,b,,1,true,0",
        "2024-01-01 11:00,c,,1,true,0",
    ]
    table = read(_write(tmp_path, a=text(rows)), SPEC)
    assert table.frame["kind"].tolist() == ["b", "a", "c"]
    assert str(table.times[0]) == "2024-01-01T09:00:00.000000"


def test_numbers_are_read_as_python_reads_them(tmp_path):
    cells = ["0.1", "12.658579999999999", "1e-5", "-99.99999999999999"]
    table = read(
        _write(tmp_path, a=text([f"2024-01-0{i},a,,{c},true,{i % 2}" for i, c in enumerate(cells, 1)])), SPEC
    )
    assert table.frame["size"].tolist() == [float(c) for c in cells]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            text([*lines(3), "2024-02-01,a,x,abc,true,1"]),
            "a.csv: column size: row 4: found 'abc', expected a number",
        ),
        (
            text([*lines(3), "2024-02-01,a,x,1,maybe,1"]),
            "column heavy: row 4: found 'maybe', expected true or false",
        ),
        (text([*lines(3), "soon,a,x,1,true,1"]), "column at: row 4: found 'soon', expected a time such as"),
        (text([*lines(3), ",a,x,1,true,1"]), "column at: row 4: found nothing, expected a time such as"),
        (text([*lines(3), "2024-02-01,a,x,1,true,"]), "column late: row 4: nothing found, expected a label"),
        (text(lines(3)).replace("size", "sise"), "a.csv: missing column size; found at, kind, place, sise"),
        (HEADER + "\n", "not one row of data"),
        ("", "a.csv: "),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, message):
    assert message in _error(_write(tmp_path, a=content))


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "a.csv").write_bytes(text(lines(3)).replace(",x,", ",\xe9,").encode("latin-1") + b"\xff")
    assert _error(tmp_path).startswith("a.csv: not UTF-8 text")


def test_an_empty_channel_is_an_error(tmp_path):
    assert "holds no file" in _error(tmp_path)
