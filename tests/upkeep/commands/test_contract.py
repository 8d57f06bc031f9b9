"""A contract is proposed and files are checked on this machine alone, with the intake's own code."""

import csv
import dataclasses
import gzip
import io
import json

import pytest
import yaml

from models.load import load, seed_file
from models.spec import parse
from tests.upkeep.fakes import FakeClient
from training.contract.check import check_file
from upkeep import checking, cli, context

SEED = seed_file("flights")
SPEC = load(["flights"])["flights"]


@pytest.fixture
def files(tmp_path):
    """Write files: `files("a.csv", text)` gives the path."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def flights(files):
    """A file of flights with changes per row: `flights("a.csv", {3: {"origin": "XXX"}})`."""
    with SEED.open() as stream:
        reader = csv.DictReader(stream)
        rows = [row for row, _ in zip(reader, range(500), strict=False)]
        names = list(reader.fieldnames)

    def write(name, changes=None, head=names, rows=rows):
        made = [{**row, **(changes or {}).get(number, {})} for number, row in enumerate(rows, 1)]
        body = "\n".join(",".join(row[n] for n in names) for row in made)
        return files(name, f"{','.join(head)}\n{body}\n")

    return write


@pytest.fixture
def said(monkeypatch, capsys):
    """Run a command line where no stack may be asked: exit code, stdout, stderr."""

    def refuse(stack=None, port=None):
        raise AssertionError("no stack may be asked")

    monkeypatch.delenv("UPKEEP_STACK", raising=False)
    monkeypatch.setattr(context, "load", refuse)

    def call(*argv):
        return cli.run([str(word) for word in argv]), *capsys.readouterr()

    return call


def test_a_good_file_is_accepted_without_a_stack(said):
    code, out, _ = said("contract", "check", SEED)
    assert code == 0
    assert "seed.csv: accepted, 1,759 good rows from 2013-01-01T05:15:00 to 2013-01-02T23:59:00" in out
    assert "format: CSV, separated by commas, utf-8" in out
    assert "models/flights/model.yaml" in out


def test_a_few_bad_rows_are_dropped_with_their_reasons(said, flights):
    code, out, _ = said("contract", "check", flights("a.csv", {3: {"origin": "XXX"}}))
    assert code == 0
    assert "1 rows would be dropped" not in out
    assert "1 row would be dropped: 0.20%, at most 1.00% are (contract.max_bad_share)" in out
    assert "row 3: found 'XXX', expected one of EWR, JFK, LGA" in out


def test_too_many_bad_rows_are_quarantine_and_4(said, flights):
    bad = flights("a.csv", {row: {"origin": "XXX"} for row in range(1, 20)})
    code, out, _ = said("contract", "check", bad)
    assert code == 4
    assert "a.csv: quarantined" in out
    assert "19 rows are bad: 3.80%" in out


def test_a_renamed_column_is_told_as_a_difference(said, flights):
    head = [name.replace("pressure", "Pressure") for name in SPEC.columns]
    code, out, _ = said("contract", "check", flights("a.csv", head=head))
    assert code == 4
    assert "columns: missing pressure; renamed? pressure to Pressure; added Pressure" in out


def test_another_unit_is_told_with_what_to_do(said, flights):
    rows = list(csv.DictReader(SEED.open()))[:500]
    for row in rows:
        row["distance"] = str(float(row["distance"]) / 1000)
    code, out, _ = said("contract", "check", flights("a.csv", rows=rows))
    assert code == 4
    assert "column distance: the numbers are about" in out
    assert "metres to kilometres" in out


def test_several_files_are_all_told_and_one_bad_one_decides(said, flights, files):
    code, out, _ = said("contract", "check", flights("good.csv"), files("bad.csv", "a,b\n1,2\n"))
    assert code == 4
    assert "good.csv: accepted" in out
    assert "bad.csv: quarantined" in out
    assert "1 of 2 files would be accepted, 500 rows" in out


def test_the_answer_is_complete_as_data(said, flights, files):
    code, out, _ = said(
        "contract", "check", flights("a.csv", {3: {"origin": "XXX"}}), files("b.csv", "x\n"), "--json"
    )
    data = json.loads(out)
    assert (code, data["exit_code"], data["model"]) == (4, 4, "flights")
    assert data["contract_version"] == SPEC.contract_version
    good, bad = data["files"]
    assert (good["verdict"], good["rows"], good["dropped"]) == ("accepted", 499, 1)
    assert good["first"].startswith("2013-01-01T05:15")
    assert good["format"]["kind"] == "csv"
    assert good["sample"][0]["row"] == 3
    assert (good["findings"][0]["rule"], good["findings"][0]["fatal"]) == ("values", False)
    assert bad["verdict"] == "quarantined"
    assert set(bad["diff"]["missing"]) == set(SPEC.columns)


def test_bad_rows_are_written_with_their_reasons(said, flights, tmp_path):
    folder = tmp_path / "rejected"
    some = flights("a.csv", {3: {"origin": "XXX"}})
    many = flights("b.csv", {row: {"origin": "XXX"} for row in range(1, 20)})
    none = flights("c.csv")
    code, out, _ = said("contract", "check", some, many, none, "--rejects", folder)
    assert code == 4
    assert sorted(p.name for p in folder.iterdir()) == ["a.csv.rejected.csv", "b.csv.rejected.csv"]
    with (folder / "a.csv.rejected.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert (row["row"], row["origin"]) == ("3", "XXX")
    assert "origin: expected one of EWR, JFK, LGA" in row["reasons"]
    with (folder / "b.csv.rejected.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 19
    assert "bad rows: " in out


def test_every_format_is_checked(said, files):
    code, out, _ = said("contract", "check", files("seed.data", gzip.compress(SEED.read_bytes())))
    assert code == 0
    assert "format: CSV, separated by commas, utf-8, gzip" in out


def test_a_missing_file_is_an_error_and_not_a_verdict(said, tmp_path):
    code, _, err = said("contract", "check", tmp_path / "none.csv")
    assert code == 1
    assert "none.csv: No such file" in err


def test_a_named_stack_is_asked_for_the_contract_it_was_deployed_with(run, flights):
    stricter = dataclasses.replace(SPEC, contract=dataclasses.replace(SPEC.contract, min_rows=501))
    s3 = FakeClient(get_object=lambda **_: {"Body": io.BytesIO(stricter.to_json().encode())})
    found = run(["contract", "check", str(flights("a.csv")), "--stack", "dev"], s3=s3)
    assert found.code == 4
    assert f"contract {stricter.contract_version} of flights (stack dev)" in found.out
    assert "at least 501 are needed" in found.out


# learn


def test_what_is_learned_can_be_saved_and_loaded(said, tmp_path):
    code, out, _ = said(
        "contract", "learn", SEED, "--target", "late", "--time-column", "departure", "--model", "trips"
    )
    assert code == 0
    folder = tmp_path / "trips"
    folder.mkdir()
    (folder / "model.yaml").write_text(out)
    spec = load(["trips"], root=tmp_path)["trips"]
    assert spec.task == "binary"
    assert [f.name for f in spec.features] == [f.name for f in SPEC.features]
    assert check_file(SEED, spec).ok


def test_comments_say_what_to_review(said):
    _, out, _ = said("contract", "learn", SEED, "--target", "late", "--time-column", "departure")
    assert "from 1,759 rows of seed.csv" in out
    assert "  # all that were seen; a row with another value will be left out\n  carrier:" in out
    assert "  # seen from 94 to 4983\n  distance:" in out
    assert yaml.safe_load(out)["target"] == "late"


def test_what_is_learned_is_complete_as_data(said):
    code, out, _ = said("contract", "learn", SEED, "--target", "late", "--time-column", "departure", "--json")
    data = json.loads(out)
    assert code == 0
    assert data["rows"] == 1759
    assert parse(data["spec"]).columns == SPEC.columns
    assert "features.carrier" in data["notes"]


def test_a_missing_target_is_refused_with_the_columns_there_are(said):
    code, out, err = said("contract", "learn", SEED, "--target", "delayed", "--time-column", "departure")
    assert (code, out) == (1, "")
    assert "seed.csv: no column delayed; besides what was named it has carrier, origin, dest" in err


def test_odd_names_and_texts_stay_text(said, files, tmp_path):
    rows = [
        f'2024-01-{day:02d},"{kind}",{day % 2},yes' for day in range(1, 29) for kind in ("a'b", "#", "no")
    ]
    data = files("odd.csv", "\n".join(["at,on,late,# x: {", *rows]) + "\n")
    code, out, _ = said("contract", "learn", data, "--target", "late", "--time-column", "at")
    assert code == 0
    (tmp_path / "my-model").mkdir()
    (tmp_path / "my-model" / "model.yaml").write_text(out)
    spec = load(["my-model"], root=tmp_path)["my-model"]
    assert [(f.name, f.values) for f in spec.features] == [("on", ("#", "a'b", "no"))]
    assert "#   # x: {: a feature is named by letters" in out


# the check of `upkeep push`


def test_losses_are_told_for_accepted_files_only(flights):
    some = flights("a.csv", {3: {"origin": "XXX"}})
    many = flights("b.csv", {row: {"origin": "XXX"} for row in range(1, 20)})
    found = checking.checked([some, many, flights("c.csv")], SPEC)
    assert [one.losses for one in found] == ["1 of 500 rows would be dropped", "", ""]
    assert [one.path.name for one in checking.refused([some, many], SPEC)] == ["b.csv"]
