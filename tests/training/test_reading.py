"""Files become one table in time order, and what cannot be read is named."""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.examples import HEADER, declare, lines, text
from training.contract.check import check_file
from training.errors import TrainingError
from training.reading import read

SPEC = declare()
TYPES = {"at": "TIMESTAMP", "size": "DOUBLE", "heavy": "BOOLEAN", "late": "DOUBLE"}


def _write(folder, **files):
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8", newline="")
    return folder


def _to_parquet(folder, name, types=TYPES):
    """Turn a CSV file into the Parquet file that the intake makes of it."""
    csv, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
    source = f"read_csv('{csv}', header=true, all_varchar=true, nullstr='')"
    columns = [row[0] for row in duckdb.sql(f"DESCRIBE FROM {source}").fetchall()]
    chosen = ", ".join(f'CAST("{c}" AS {types.get(c, "VARCHAR")}) AS "{c}"' for c in columns)
    duckdb.sql(f"COPY (SELECT {chosen} FROM {source}) TO '{parquet}' (FORMAT parquet, COMPRESSION zstd)")
    csv.unlink()
    return folder


def _write_table(folder, name="a", **columns):
    """A Parquet file with exactly these columns."""
    pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


def _columns(**changes):
    """The columns of two rows, as Arrow arrays."""
    stamps = np.array(["2024-01-01", "2024-01-02"], "datetime64[us]")
    columns = {
        "at": pa.array(stamps),
        "kind": pa.array(["a", "b"]),
        "place": pa.array(["x", None]),
        "size": pa.array([1.0, None]),
        "heavy": pa.array([True, False]),
        "late": pa.array([1.0, 0.0]),
    }
    return columns | changes


def _same(one, other):
    assert (one.times == other.times).all()
    assert one.labels.tolist() == other.labels.tolist()
    assert one.frame.dtypes.to_dict() == other.frame.dtypes.to_dict()
    assert one.frame.equals(other.frame)


def _error(folder, spec=SPEC):
    with pytest.raises(TrainingError) as caught:
        read(folder, spec)
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


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_parquet_and_csv_become_the_same_table(tmp_path, task):
    spec = declare(task)
    types = {**TYPES, "late": "VARCHAR" if task == "multiclass" else "DOUBLE"}
    for name in ("csv", "parquet"):
        (tmp_path / name).mkdir()
        _write(tmp_path / name, a=text(lines(200, task)))
    _to_parquet(tmp_path / "parquet", "a", types)
    _same(read(tmp_path / "csv", spec), read(tmp_path / "parquet", spec))


def test_rows_that_are_in_a_csv_and_in_a_parquet_file_count_once(tmp_path):
    rows = lines(300)
    _to_parquet(_write(tmp_path, accepted=text(rows[100:])), "accepted")
    table = read(_write(tmp_path, seed=text(rows[:150])), SPEC)
    assert table.files == ("accepted.parquet", "seed.csv")
    assert (len(table), table.duplicates) == (300, 50)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_what_the_intake_accepts_is_what_was_pushed(tmp_path, task):
    spec = declare(task)
    times = ["2024-03-01T00:00:00Z", "2024-03-01 02:00:00.123456+02:00", "2024-03-01", "2024-03-01T04:05"]
    odd = [
        f"{time},{kind},{place},{size},{heavy},{label}"
        for time, kind, place, size, heavy, label in zip(
            times,
            ["a", "b", "c", "a"],
            ["NA", '"x,y"', '"say ""x"""', "é"],
            ["-0.0", "1e-5", "12.658579999999999", ""],
            ["true", "false", "1", "0"],
            [row.rpartition(",")[2] for row in lines(4, task)],
            strict=True,
        )
    ]
    pushed, accepted = tmp_path / "pushed", tmp_path / "accepted"
    for folder in (pushed, accepted):
        folder.mkdir()
    _write(pushed, a=text([*lines(200, task), *odd]))
    report = check_file(pushed / "a.csv", spec, accept_to=accepted / "a.parquet")
    assert (report.ok, report.rows, report.dropped) == (True, 204, 0), report.reason
    _same(read(pushed, spec), read(accepted, spec))


@given(
    st.lists(
        st.tuples(
            st.datetimes().map(lambda t: t.replace(year=2000 + t.year % 50).isoformat()),
            st.sampled_from("abc"),
            st.none() | st.text("xyzNA ,;'é€😀", min_size=1, max_size=4),
            st.none() | st.floats(-1e300, 1e300),
            st.sampled_from(["true", "false"]),
            st.sampled_from(["0", "1"]),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_no_row_differs_because_of_the_file_it_came_in(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("both")
    quoted = [",".join("" if cell is None else f'"{cell}"' for cell in row) for row in rows]
    _to_parquet(_write(folder, a=text(quoted)), "a")
    alone = read(folder, SPEC)
    both = read(_write(folder, b=text(quoted)), SPEC)
    _same(alone, both)
    assert both.duplicates == alone.duplicates + len(rows)


def test_columns_that_are_not_the_models_are_not_read(tmp_path):
    extra = {"at ": pa.array([1, 2]), "nested": pa.array([{"kind": 1}, None]), "note": pa.array(["x", "y"])}
    table = read(_write_table(tmp_path, **extra, **_columns()), SPEC)
    assert list(table.frame.columns) == ["kind", "place", "size", "heavy"]


def test_what_is_missing_is_missing_the_same_way_in_every_type(tmp_path):
    columns = _columns(
        place=pa.array(["", None]),
        size=pa.array([float("nan"), None]),
        heavy=pa.array([None, None], pa.bool_()),
    )
    features = {
        "kind": {"type": "category"},
        "place": {"type": "category", "nullable": True},
        "size": {"type": "number", "nullable": True},
        "heavy": {"type": "boolean", "nullable": True},
    }
    table = read(_write_table(tmp_path, **columns), declare(features=features))
    assert table.frame[["place", "size", "heavy"]].isna().all().all()
    assert [type(value) for value in table.frame["place"]] == [float, float]


@pytest.mark.parametrize(
    "column",
    [
        {"at": pa.array([1704067200000, 1704153600000], pa.timestamp("ms", "Europe/Berlin"))},
        {"at": pa.array([1704067200000000000, 1704153600000000000], pa.timestamp("ns"))},
        {"at": pa.array([19723, 19724], pa.date32())},
        {"size": pa.array([1, None], pa.int32())},
        {"size": pa.array([1, None], pa.float32())},
        {"kind": pa.array(["a", "b"]).dictionary_encode()},
        {"kind": pa.array(["a", "b"], pa.large_string())},
        {"place": pa.array(["x", None]).dictionary_encode()},
        {"size": pa.array(["1.0", None]), "heavy": pa.array(["true", "0"])},  # declared after it was accepted
        {"at": pa.array(["2024-01-01", "2024-01-02T01:00:00+01:00"])},
    ],
)
def test_other_types_that_lose_nothing_mean_the_same(tmp_path, column):
    for name, columns in {"one": _columns(), "other": _columns(**column)}.items():
        (tmp_path / name).mkdir()
        _write_table(tmp_path / name, **columns)
    _same(read(tmp_path / "one", SPEC), read(tmp_path / "other", SPEC))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (_columns(size=pa.array(["1", "far"])), "column size: row 2: found 'far', expected a number"),
        (_columns(heavy=pa.array(["yes", "0"])), "column heavy: row 1: found 'yes', expected true or false"),
        (_columns(size=pa.array([True, False])), "a.parquet: column size: found bool, expected numbers"),
        (_columns(kind=pa.array([1, 2])), "a.parquet: column kind: found int64, expected texts"),
        (_columns(heavy=pa.array([1, 0])), "column heavy: found int64, expected true and false"),
        (_columns(at=pa.array(["x", "y"])), "column at: row 1: found 'x', expected a time such as"),
        (_columns(size=pa.array([[1.0], [2.0]])), "column size: found list<"),
        (_columns(late=pa.array([1.0, None])), "column late: row 2: nothing found, expected a label"),
        (
            _columns(at=pa.array([None, 0], pa.timestamp("us"))),
            "column at: row 1: found nothing, expected a time",
        ),
        (
            {k: v for k, v in _columns(heafy=pa.array([1, 2])).items() if k not in ("heavy", "size")},
            "a.parquet: missing column heavy; found at, kind, place, late, heafy",
        ),
        ({k: v[:0] for k, v in _columns().items()}, "not one row of data"),
    ],
)
def test_a_parquet_file_that_does_not_fit_is_named_with_its_column(tmp_path, columns, message):
    assert message in _error(_write_table(tmp_path, **columns))


def test_a_feature_that_is_younger_than_the_file_is_missing_in_it_when_it_may_be(tmp_path):
    columns = {name: column for name, column in _columns().items() if name not in ("place", "size")}
    features = {
        "kind": {"type": "category"},
        "place": {"type": "category", "nullable": True},
        "size": {"type": "number", "nullable": True},
        "heavy": {"type": "boolean"},
    }
    _write_table(tmp_path, name="old", **columns)
    _write_table(
        tmp_path, name="young", **_columns(at=pa.array(np.array(["2024-01-03"] * 2, "datetime64[us]")))
    )
    table = read(tmp_path, declare(features=features))
    assert table.frame["place"].isna().tolist() == [True, True, False, True]
    assert table.frame["size"].isna().tolist() == [True, True, False, True]
    features["size"]["nullable"] = False
    assert "old.parquet: missing column" in _error(tmp_path, declare(features=features))


@pytest.mark.parametrize("keep", [0, 3, 4, 60, -1, -9])
def test_a_damaged_parquet_file_is_named(tmp_path, keep):
    _write_table(tmp_path, **_columns())
    file = tmp_path / "a.parquet"
    file.write_bytes(file.read_bytes()[:keep])
    assert _error(tmp_path).startswith("a.parquet: not a readable Parquet file: ")


def test_a_folder_that_looks_like_a_partition_adds_no_column(tmp_path):
    folder = tmp_path / "kind=c"
    folder.mkdir()
    _write_table(folder, **_columns())
    assert read(tmp_path, SPEC).frame["kind"].tolist() == ["a", "b"]
