"""A request to forget means the same rows whatever their file looked like, and keeps no value."""

import hashlib
import math
from datetime import UTC, timedelta, timezone

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.examples import START, declare
from training.contract.forgetting import (
    ForgettingError,
    Forgotten,
    canonical,
    column_text,
    condition,
    digest,
    matches,
)

SPEC = declare()
TYPES = {"at": "TIMESTAMP", "kind": "VARCHAR", "size": "DOUBLE", "heavy": "BOOLEAN", "note": "VARCHAR"}


@pytest.fixture(scope="module")
def connection():
    made = duckdb.connect()
    yield made
    made.close()


def _text_in_duckdb(connection, value, kind):
    # Through a typed column, as in the accepted file.
    query = f"SELECT {column_text('v')} FROM (SELECT $1::{kind} AS v)"
    return connection.execute(query, [value]).fetchone()[0]


def _meant(connection, rows, *requests):
    """Numbers of the rows that the requests mean."""
    names = list(TYPES)
    columns = ", ".join(f'"{name}" {kind}' for name, kind in TYPES.items())
    connection.execute(f"CREATE OR REPLACE TABLE t (row INTEGER, {columns})")
    marks = ", ".join("?" * (len(names) + 1))
    for number, row in enumerate(rows, 1):
        connection.execute(f"INSERT INTO t VALUES ({marks})", [number, *(row.get(name) for name in names)])
    wanted = matches(requests, {name: column_text(f'"{name}"') for name in names})
    found = connection.execute(f"SELECT row FROM t WHERE {wanted} ORDER BY row").fetchall()
    kept = connection.execute(f"SELECT count(*) FROM t WHERE NOT {wanted}").fetchone()[0]
    assert len(found) + kept == len(rows)  # every row is on one side
    return [row for (row,) in found]


def _request(**values):
    return Forgotten("r1", dict(condition(column, value, SPEC) for column, value in values.items()))


def test_all_conditions_of_a_request_must_match(connection):
    rows = [{"kind": "a", "note": "x"}, {"kind": "a", "note": "y"}, {"kind": "b", "note": "x"}]
    assert _meant(connection, rows, _request(kind="a", note="x")) == [1]
    assert _meant(connection, rows, _request(kind="a")) == [1, 2]
    assert _meant(connection, rows, _request(kind="c")) == []


def test_any_request_is_enough(connection):
    rows = [{"kind": "a"}, {"kind": "b"}, {"kind": "c"}]
    assert _meant(connection, rows, _request(kind="a"), _request(kind="c")) == [1, 3]
    assert _meant(connection, rows) == []


def test_a_missing_value_matches_nothing(connection):
    assert _meant(connection, [{"kind": None}, {"kind": ""}], _request(kind="")) == [2]


def test_a_column_that_the_file_does_not_have_means_no_row_of_it():
    assert matches([_request(phone="123")], {"kind": "kind"}) == "false"
    assert matches([_request(phone="123", kind="a")], {"kind": "kind"}) == "false"


@pytest.mark.parametrize("written", ["1", "1.0", "1e0", " +1.00 ", "01"])
def test_a_number_is_one_value_however_it_is_written(connection, written):
    assert _meant(connection, [{"size": 1.0}, {"size": 1.1}], _request(size=written)) == [1]


def test_both_zeros_are_one_number(connection):
    rows = [{"size": 0.0}, {"size": -0.0}]
    assert _meant(connection, rows, _request(size="0")) == [1, 2]
    assert _meant(connection, rows, _request(size="-0.0")) == [1, 2]


@pytest.mark.parametrize(
    "written", ["2024-01-01T10:00:00", "2024-01-01 12:00+02:00", "2024-01-01T10:00:00.000Z"]
)
def test_a_time_is_one_value_in_every_zone(connection, written):
    rows = [{"at": START + timedelta(hours=10)}, {"at": START + timedelta(hours=12)}]
    assert _meant(connection, rows, _request(at=written)) == [1]


@pytest.mark.parametrize("written", ["true", "TRUE", "1", " True "])
def test_a_boolean_is_one_value_however_it_is_written(connection, written):
    assert _meant(connection, [{"heavy": True}, {"heavy": False}], _request(heavy=written)) == [1]


def test_text_is_compared_as_it_is(connection):
    rows = [{"note": "Ann"}, {"note": "ann"}, {"note": " Ann"}, {"note": "1.0"}]
    assert _meant(connection, rows, _request(note="Ann")) == [1]
    assert _meant(connection, rows, _request(note="1")) == []


def test_the_label_of_a_multiclass_model_is_text():
    assert canonical("late", "1", declare("multiclass")) == "1"
    assert canonical("late", "1", declare("regression")) == "1.0"


def test_a_request_keeps_no_value():
    request = _request(note="ann@example.com")
    assert "ann" not in repr(request)
    assert request.conditions == {"note": hashlib.sha256(b"ann@example.com").hexdigest()}


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("size", "much", "a number"),
        ("size", "nan", "a number"),
        ("size", "1e999", "a number"),
        ("size", "1_0", "a number"),
        ("heavy", "perhaps", "true or false"),
        ("at", "yesterday", "a time such as"),
    ],
)
def test_a_value_no_row_can_have_is_refused(column, value, expected):
    with pytest.raises(ForgettingError, match=f"column {column}: found '{value}', expected {expected}"):
        condition(column, value, SPEC)


def test_a_request_without_conditions_or_without_digests_is_refused():
    with pytest.raises(ForgettingError, match="it would forget every row"):
        Forgotten("r1", {})
    with pytest.raises(ForgettingError, match="64 hexadecimal digits"):
        Forgotten("r1", {"kind": "x' OR true --"})


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_have_the_text_that_duckdb_gives_them(connection, value):
    assert canonical("size", repr(value), SPEC) == _text_in_duckdb(connection, value, "DOUBLE")


zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(
    st.datetimes(START.replace(year=1700), START.replace(year=2200), timezones=st.one_of(st.none(), zones))
)
def test_times_have_the_text_that_duckdb_gives_them(connection, value):
    stored = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    assert canonical("at", value.isoformat(), SPEC) == _text_in_duckdb(connection, stored, "TIMESTAMP")


@given(st.text().filter(lambda text: "\0" not in text and text.isprintable()))
def test_texts_have_the_digest_that_duckdb_gives_them(connection, value):
    assert connection.execute("SELECT sha256($1)", [value]).fetchone()[0] == digest(value)


def test_infinite_numbers_never_get_this_far():
    assert not math.isfinite(float("1e999"))
    with pytest.raises(ForgettingError):
        canonical("size", "-inf", SPEC)
