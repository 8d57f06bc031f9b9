"""When columns changed: added and reordered ones are taken, the rest is refused with a diff."""

import dataclasses

import duckdb
import pytest

from tests.training.examples import declare, lines, text
from training.contract.check import check_file

ROWS = lines(600, seed=7)
FORMATS = ("csv", "jsonl", "parquet")


def _spec():
    """The toy model, with the deciles of its own rows and a range that says nothing."""
    sizes = sorted(float(row.split(",")[3]) + 150 for row in ROWS if row.split(",")[3])
    deciles = tuple(sizes[len(sizes) * tenth // 10] for tenth in range(1, 10))
    spec = declare()
    features = tuple(
        dataclasses.replace(f, deciles=deciles, min=0, max=1e9) if f.name == "size" else f
        for f in spec.features
    )
    return dataclasses.replace(spec, features=features)


SPEC = _spec()
SHIFTED = [
    ",".join([*c[:3], str(float(c[3]) + 150) if c[3] else "", *c[4:]]) for c in (r.split(",") for r in ROWS)
]
TYPED = (
    '"at"::TIMESTAMP AS "at", kind, place, size::DOUBLE AS size, heavy::BOOLEAN AS heavy, '
    "late::BIGINT AS late"
)


def _file(folder, form, select="*"):
    """All rows in a format, as a selection from the typed columns."""
    source, target = folder / "source.csv", folder / f"data.{form}"
    source.write_text(text(SHIFTED))
    table = f"(SELECT {TYPED} FROM read_csv('{source}', all_varchar=true, header=true, nullstr=''))"
    options = {"csv": "FORMAT csv, HEADER", "jsonl": "FORMAT json", "parquet": "FORMAT parquet"}[form]
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT {select} FROM {table}) TO '{target}' ({options})")
    return target


# name: (selection, verdict, rule, what the difference says). No rule: accepted.
CHANGES = {
    "nothing": ("*", "", {}),
    "added": ("*, 1 AS extra", "", {}),
    "reordered": ('late, heavy, size, place, kind, "at"', "", {}),
    "removed": ("* EXCLUDE (size)", "columns", {"missing": ["size"], "added": [], "renamed": {}}),
    "renamed": (
        "* RENAME (size AS sizes)", "columns",
        {"missing": ["size"], "added": ["sizes"], "renamed": {"size": "sizes"}},
    ),
    "renamed in capitals": (
        "* RENAME (place AS Place)", "columns",
        {"missing": ["place"], "added": ["Place"], "renamed": {"place": "Place"}},
    ),
    "replaced": (
        "* EXCLUDE (place), 1 AS xyzzy", "columns",
        {"missing": ["place"], "added": ["xyzzy"], "renamed": {}},
    ),
    "the time removed": ('* EXCLUDE ("at")', "columns", {"missing": ["at"], "added": [], "renamed": {}}),
    "the label removed": ("* EXCLUDE (late)", "columns", {"missing": ["late"], "added": [], "renamed": {}}),
    "unit, 60 times": ("* REPLACE (size * 60 AS size)", "unit", {}),
    "unit, a thousandth": ("* REPLACE (size / 1000 AS size)", "unit", {}),
    "unit, twice": ("* REPLACE (size * 2 AS size)", "", {}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_columns_ends_as_the_table_says(tmp_path, form, name):
    select, rule, diff = CHANGES[name]
    report = check_file(_file(tmp_path, form, select), SPEC)
    assert [f.rule for f in report.findings] == ([rule] if rule else [])
    assert report.ok == (not rule)
    if diff:
        assert {key: report.diff.get(key) for key in diff} == diff
        for column in diff["missing"]:
            assert f"missing column {column}" in report.reason
        for new in diff["renamed"].values():
            assert new in report.reason
    if report.ok:
        assert (report.rows, report.dropped) == (len(ROWS), 0)
    assert report.ignored == (("extra",) if name == "added" else report.ignored)


# name: (replacement, the format's verdict: rule of the finding, or none when accepted)
RETYPED = {
    "number to text": ("'about ' || size AS size", dict.fromkeys(FORMATS, "type") | {"parquet": "types"}),
    "number to numbers as text": ("size::VARCHAR AS size", {"parquet": "types"}),
    "number to boolean": ("size > 150 AS size", {"csv": "type", "jsonl": "type", "parquet": "types"}),
    "boolean to 0 and 1": ("heavy::INTEGER AS heavy", {}),
    "boolean to yes and no": (
        "CASE WHEN heavy THEN 'yes' ELSE 'no' END AS heavy",
        dict.fromkeys(FORMATS, "type") | {"parquet": "types"},
    ),
    "text to number": ("ascii(kind) AS kind", dict.fromkeys(FORMATS, "values") | {"parquet": "types"}),
    "time to a number": (
        'epoch_ms("at") AS "at"', dict.fromkeys(FORMATS, "type") | {"parquet": "types"},
    ),
    "time to a day": ('"at"::DATE AS "at"', {}),
    "time to another form": (
        "strftime(\"at\", '%d.%m.%Y') AS \"at\"", dict.fromkeys(FORMATS, "type") | {"parquet": "types"},
    ),
    "number to a list": ("[size] AS size", dict.fromkeys(FORMATS, "type") | {"parquet": "types"}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", RETYPED)
def test_a_change_of_type_ends_as_the_table_says(tmp_path, form, name):
    replacement, verdicts = RETYPED[name]
    report = check_file(_file(tmp_path, form, f"* REPLACE ({replacement})"), SPEC)
    rule = verdicts.get(form)
    assert report.ok == (rule is None), report.reason
    if rule is not None:
        assert rule in [f.rule for f in report.findings if f.fatal]
    if rule == "types":
        (column,) = report.diff["retyped"]
        assert set(report.diff["retyped"][column]) == {"found", "expected"}
        assert f"column {column}: found" in report.reason
