"""A contract learned from files accepts those files, and says what it could not decide."""

import gzip
from datetime import timedelta

import duckdb
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from models.load import load, seed_file
from models.spec import parse
from tests.training.examples import START, declare, lines, text
from training import clock
from training.contract.check import check_file
from training.contract.learn import LearnError, learn, study

SEED = seed_file("flights")


def _write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _csv(folder, columns, rows=300, name="data.csv"):
    """A file of columns, each a function of the row's number; time and label come with it."""
    made = [",".join(["at", *columns, "late"])]
    for row in range(rows):
        cells = [(START + timedelta(hours=row)).isoformat(), *(str(of(row)) for of in columns.values())]
        made.append(",".join([*cells, str(row % 2)]))
    return _write(folder, name, "\n".join(made) + "\n")


def _study(path, **more):
    return study([path], **{"target": "late", "time_column": "at", **more})


def _accepts(learned, *paths):
    spec = parse(learned.spec)
    for path in paths:
        report = check_file(path, spec)
        assert report.reason == ""
        assert report.dropped == 0
    return spec


def test_the_flights_are_learned_as_they_are_declared():
    declared = load(["flights"])["flights"]
    spec = parse(learn([SEED], target="late", time_column="departure", name="flights"))
    assert (spec.task, spec.columns) == (declared.task, declared.columns)
    assert [f.type for f in spec.features] == [f.type for f in declared.features]
    assert [f.nullable for f in spec.features] == [f.nullable for f in declared.features]
    origin = next(f for f in spec.features if f.name == "origin")
    assert origin.values == ("EWR", "JFK", "LGA")
    assert check_file(SEED, spec).ok


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_task_is_what_the_labels_look_like(tmp_path, task):
    path = _write(tmp_path, "data.csv", text(lines(300, task)))
    learned = _study(path)
    assert learned.spec["task"] == task
    _accepts(learned, path)


def test_the_task_can_be_given(tmp_path):
    path = _csv(tmp_path, {"size": lambda row: row})
    learned = _study(path, task="multiclass")
    assert learned.spec["task"] == "multiclass"
    assert learned.spec["gate"] == {"metric": "accuracy"}
    _accepts(learned, path)
    with pytest.raises(LearnError, match="expected one of binary, multiclass, regression"):
        _study(path, task="clustering")


def test_labels_that_are_not_of_the_given_task_are_refused(tmp_path):
    path = _write(tmp_path, "data.csv", text(lines(50, "multiclass")))
    with pytest.raises(LearnError, match=r"data\.csv: column late: row 1: found '\w+', expected 0 or 1"):
        _study(path, task="binary")


def _every_format(folder):
    plain = text(lines(300))
    yield _write(folder, "a.csv", plain)
    yield _write(folder, "b.csv", plain.replace(",", ";"))
    yield _write(folder, "c.csv.gz", gzip.compress(plain.encode()))
    connection = duckdb.connect()
    # As a table of typed columns; the category stays text.
    table = f"read_csv('{folder / 'a.csv'}')"
    connection.execute(f"COPY (FROM {table}) TO '{folder / 'd.parquet'}' (FORMAT parquet)")
    connection.execute(f"COPY (FROM {table}) TO '{folder / 'e.jsonl'}' (FORMAT json)")
    connection.execute(f"COPY (FROM {table}) TO '{folder / 'f.csv.zst'}' (FORMAT csv, COMPRESSION zstd)")
    connection.close()
    yield from (folder / name for name in ("d.parquet", "e.jsonl", "f.csv.zst"))


def test_every_format_is_learned_alike(tmp_path):
    paths = list(_every_format(tmp_path))
    learned = [_study(path) for path in paths]
    for path, one in zip(paths, learned, strict=True):
        assert one.spec["features"] == {
            "kind": {"type": "category", "values": ["a", "b", "c"]},
            "place": {"type": "category", "nullable": True, "values": ["NA", "x", "y"]},
            "size": learned[0].spec["features"]["size"],
            "heavy": {"type": "boolean"},
        }, path.name
        _accepts(one, path)


def test_several_files_are_learned_together(tmp_path):
    one = _csv(tmp_path, {"size": lambda row: row, "kind": lambda row: "ab"[row % 2]}, name="one.csv")
    two = _csv(
        tmp_path, {"size": lambda row: -row, "more": lambda row: row, "kind": lambda row: "c"}, name="two.csv"
    )
    learned = study([one, two], target="late", time_column="at")
    assert learned.rows == 600
    assert learned.spec["features"]["kind"]["values"] == ["a", "b", "c"]
    assert learned.spec["features"]["size"]["min"] < -299
    assert learned.left_out == {"more": "1 of 2 files do not have it"}
    _accepts(learned, one, two)


def test_columns_that_are_no_input_are_left_out_with_the_reason(tmp_path):
    path = _csv(
        tmp_path,
        {
            "size": lambda row: row,
            "id": lambda row: f"order-{row}",
            "nothing": lambda row: "",
            "seen": lambda row: "2024-05-01T10:00:00",
            "größe": lambda row: row,
        },
    )
    learned = _study(path)
    assert list(learned.spec["features"]) == ["size"]
    assert learned.left_out == {
        "id": "another text in every row, as a name or number of a single thing",
        "nothing": "no row has a value",
        "seen": "holds times; a model takes numbers made from them, such as the hour",
        "größe": "a feature is named by letters, digits and underscores; rename it",
    }
    _accepts(learned, path)


def test_a_key_is_proposed_when_time_and_few_categories_name_every_row(tmp_path):
    unique = _csv(tmp_path, {"size": lambda row: row % 9})
    assert _study(unique).spec["contract"]["key"] == ["at"]
    rows = [f"2024-01-{1 + row // 10:02d},{'abcdefghij'[row % 10]},{row % 2}" for row in range(300)]
    shared = _write(tmp_path, "shared.csv", "\n".join(["at,shop,late", *rows]))
    learned = _study(shared)
    assert learned.spec["contract"]["key"] == ["at", "shop"]
    assert "leave it out if two rows may" in learned.notes["contract.key"]
    _accepts(learned, unique.with_name("shared.csv"))
    twice = _write(tmp_path, "twice.csv", "\n".join(["at,shop,late", *rows, *rows]))
    assert "key" not in _study(twice).spec["contract"]
    few = _write(tmp_path, "few.csv", "\n".join(["at,shop,late", *rows[:100]]))
    assert "key" not in _study(few).spec["contract"]


def test_numbers_written_as_text_in_parquet_stay_text(tmp_path):
    path = tmp_path / "data.parquet"
    duckdb.connect().execute(
        "COPY (SELECT TIMESTAMP '2024-01-01' + INTERVAL (i) HOUR AS at, (i % 5)::VARCHAR AS code, "
        "i::INTEGER AS size, i % 3 = 0 AS heavy, {'x': i} AS nested, i % 2 AS late "
        f"FROM range(300) t(i)) TO '{path}' (FORMAT parquet)"
    )
    learned = _study(path)
    assert learned.spec["features"]["code"]["type"] == "category"
    assert "written as text in Parquet" in learned.notes["features.code"]
    assert learned.spec["features"]["heavy"] == {"type": "boolean"}
    assert learned.left_out == {
        "nested": "of type struct(x bigint); a feature is a number, a text or a boolean"
    }
    _accepts(learned, path)


def test_latin_1_is_learned_and_pointed_out(tmp_path):
    path = _csv(tmp_path, {"size": lambda row: row, "town": lambda row: ["Köln", "Bonn"][row % 2]})
    path.write_bytes(path.read_text().encode("latin-1"))
    learned = _study(path)
    assert learned.spec["contract"]["encoding"] == "latin-1"
    assert learned.spec["features"]["town"]["values"] == ["Bonn", "Köln"]
    assert "contract.encoding" in learned.notes
    _accepts(learned, path)


def test_rows_of_the_future_are_allowed_for_and_pointed_out(tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "now", (START - timedelta(days=100)).timestamp)
    learned = _study(_csv(tmp_path, {"size": lambda row: row}))
    assert 110 < learned.spec["contract"]["max_future_days"] < 116
    assert "contract.max_future_days" in learned.notes


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("at,size\n2024-01-01,1\n", "data.csv: no column late; besides what was named it has size"),
        ("at,size,Late\n2024-01-01,1,0\n", "Late instead of late?"),
        ("at,late\n2024-01-01,1\n2024-01-02,0\n", "no column that a model could learn from: there is none"),
        ("at,size,late\n2024-01-01,1,1\n2024-01-02,2,1\n", "have the label 1"),
        ("at,size,late\nsoon,1,1\n2024-01-02,2,0\n", "found 'soon', expected a time"),
        ("at,size,late\n", "not one row of data"),
        ("", "the file is empty"),
        (b"PK\x03\x04", "a zip archive"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused_with_the_reason(tmp_path, content, words):
    with pytest.raises(LearnError) as refused:
        _study(_write(tmp_path, "data.csv", content))
    assert words in str(refused.value)


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        _study(tmp_path / "none.csv")
    with pytest.raises(LearnError, match="no file to learn from"):
        study([], target="late", time_column="at")
    with pytest.raises(LearnError, match="cannot be both"):
        study([SEED], target="late", time_column="late")


def test_nothing_is_left_beside_the_files(tmp_path):
    path = _write(tmp_path, "data.csv", text(lines(50)))
    _study(path)
    assert [p.name for p in tmp_path.iterdir()] == ["data.csv"]


cells = st.one_of(
    st.sampled_from(["", "0", "1", "true", "FALSE", "NA", "x", "2024-01-01", "1e5", " 7", "-0", "a'b", "é"]),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**18), 10**18).map(str),
    st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='",'), max_size=5),
)
columns = st.lists(st.lists(cells, min_size=12, max_size=12), min_size=1, max_size=4)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(columns, st.sampled_from(["binary", "multiclass", "regression"]))
def test_what_was_learned_accepts_what_it_was_learned_from(tmp_path_factory, data, task):
    folder = tmp_path_factory.mktemp("learn")
    head = ["at", *(f"c{i}" for i in range(len(data))), "late"]
    labels = {"binary": "01", "multiclass": ["low", "high"], "regression": ["1.5", "-2"]}[task]
    rows = [
        ",".join([(START + timedelta(hours=i)).isoformat(), *(column[i] for column in data), labels[i % 2]])
        for i in range(12)
    ]
    path = _write(folder, "data.csv", "\n".join([",".join(head), *rows]) + "\n")
    assume(any("1" in column for column in data))  # else all may be empty or times, and no feature is left
    learned = _study(path)
    assert learned.spec["task"] == task
    _accepts(learned, path)
    assert set(learned.spec["features"]) | set(learned.left_out) == set(head[1:-1])


def test_the_toy_contract_is_learned_from_its_own_rows(tmp_path):
    path = _write(tmp_path, "data.csv", text(lines(400)))
    learned, declared = parse(_study(path).spec), declare()
    assert {f.name: f.type for f in learned.features} == {f.name: f.type for f in declared.features}
