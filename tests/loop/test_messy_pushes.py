"""People push in pieces, twice, during a training, in any format: all good rows are trained on once.

The tests run in their order, after those of test_loop.py; what they push is cut from the last months of the
year, of which nothing was pushed before.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from models.load import load
from tests.loop.conftest import Operator, eventually
from training.dispatch import policy
from training.ledger.records import ACCEPTED, DUPLICATE, RunRecord

pytestmark = pytest.mark.sandbox

Piece = Callable[[int, int], str]
ROWS = 400


@pytest.fixture(scope="module")
def piece(month: Callable[[int], Path]) -> Piece:
    """So many rows of December from a place on, as CSV."""
    header, *rows = month(12).read_text(encoding="utf-8").splitlines()
    return lambda start, count=ROWS: "\n".join([header, *rows[start : start + count]]) + "\n"


@pytest.fixture
def put(operator: Operator) -> Callable[[str, str | bytes], None]:
    """Upload a file below the model's folder as a script with boto3 does."""
    s3, bucket = operator.client("s3"), operator.outputs["data_bucket"]

    def upload(name: str, content: str | bytes) -> None:
        body = content.encode() if isinstance(content, str) else content
        s3.put_object(Bucket=bucket, Key=f"incoming/flights/{name}", Body=body)

    return upload


def _new(operator: Operator, before: dict[str, RunRecord]) -> list[RunRecord]:
    """The runs since then, the first one first."""
    return [run for id_, run in operator.runs().items() if id_ not in before]


def _states(operator: Operator, name: str) -> list[str]:
    """What became of each version of a file below the model's folder."""
    found = operator.ledger.objects("flights", f"incoming/flights/{name}")
    return sorted(record.state for record in found)


def test_files_that_come_in_pieces_by_any_tool_are_one_run(
    operator: Operator, piece: Piece, put: Callable[..., None], tmp_path: Path
):
    before = operator.runs()
    s3, bucket = operator.client("s3"), operator.outputs["data_bucket"]
    for number in (1, 2):
        (tmp_path / f"{number}.csv").write_text(piece(number * ROWS), encoding="utf-8")
    part = {"Bucket": bucket, "Key": "incoming/flights/pieces/4.csv"}
    with operator.spec(triggers={"quiet_seconds": 8}):
        upload = s3.create_multipart_upload(**part)["UploadId"]
        etag = s3.upload_part(**part, UploadId=upload, PartNumber=1, Body=piece(4 * ROWS).encode())["ETag"]
        operator.aws_cli("s3", "cp", "--recursive", tmp_path, f"{operator.flights['incoming']}pieces/")
        put("pieces/3.csv", piece(3 * ROWS))
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        s3.complete_multipart_upload(**part, UploadId=upload, MultipartUpload=parts)
        operator.wait_until_idle()
    (run,) = _new(operator, before)
    assert {f"pieces/{number}.csv" for number in (1, 2, 3, 4)} <= operator.sources(run)


def test_the_same_rows_under_other_names_and_in_other_formats_are_trained_on_once(
    operator: Operator, piece: Piece, put: Callable[..., None], tmp_path: Path
):
    before = operator.runs()
    text = piece(5 * ROWS)
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    duckdb.read_csv(str(tmp_path / "rows.csv")).write_parquet(str(tmp_path / "rows.parquet"))
    with operator.spec(triggers={"quiet_seconds": 4}):
        for name in ("one.csv", "two.csv", "two.csv", "deep/er/three.txt"):
            put(f"same/{name}", text)
        put("same/rows.csv.gz", gzip.compress(text.encode()))
        put("same/rows.parquet", (tmp_path / "rows.parquet").read_bytes())
        operator.wait_until_idle()
    (run,) = _new(operator, before)
    targets = {record.target for record in operator.ledger.objects("flights", "incoming/flights/same/")}
    assert len(targets) == 1
    assert _states(operator, "same/two.csv") in ([ACCEPTED, DUPLICATE], [DUPLICATE, DUPLICATE])
    put("same/again.csv", text)
    operator.wait_until_idle()
    assert _states(operator, "same/again.csv") == [DUPLICATE]
    assert _new(operator, before) == [run]


def test_what_is_pushed_during_a_training_is_in_the_next_one_together(
    operator: Operator, piece: Piece, put: Callable[..., None]
):
    before = operator.runs()
    put("busy/1.csv", piece(6 * ROWS))
    eventually(lambda: _new(operator, before), "the first training runs", pause_seconds=0.2)
    put("busy/2.csv", piece(7 * ROWS))
    time.sleep(1.5)  # longer than the quiet period: two deliveries
    put("busy/3.csv", piece(8 * ROWS))
    operator.wait_until_idle()
    first, second = (operator.sources(run) for run in _new(operator, before))
    assert {name for name in first if name.startswith("busy/")} == {"busy/1.csv"}
    assert second - first == {"busy/2.csv", "busy/3.csv"}


def test_a_folder_in_every_format_is_one_run_without_its_few_bad_rows(
    operator: Operator, piece: Piece, tmp_path: Path
):
    before = operator.runs()
    folder = tmp_path / "formats"
    folder.mkdir()
    for place, write in enumerate((_semicolons, _json_lines, _parquet, _tabs_zstd), start=9):
        write(folder, piece(place * ROWS))
    rows = piece(13 * ROWS, 1000).splitlines()
    rows[7] = rows[7].replace(",EWR,", ",Newark,").replace(",JFK,", ",Newark,").replace(",LGA,", ",Newark,")
    rows[500:504] = [row.rpartition(",")[0] + ",maybe" for row in rows[500:504]]
    (folder / "few-bad.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    with operator.spec(triggers={"quiet_seconds": 8}):
        pushed = operator.json("push", "--wait", "--no-check", folder, expect=None)
    states = {Path(file["file"]).name: file for file in pushed["files"]}
    assert {file["state"] for file in states.values()} == {"accepted"}
    assert {name: file["rows"] for name, file in states.items()} == {
        "semicolons.csv.gz": ROWS,
        "lines.jsonl": ROWS,
        "table.parquet": ROWS,
        "tabs.tsv.zst": ROWS,
        "few-bad.csv": 995,
    }
    assert states["few-bad.csv"]["dropped"] == 5
    (run,) = _new(operator, before)
    assert {f"formats/{name}" for name in states} <= operator.sources(run)
    _bad_rows_are_kept_beside(operator, states["few-bad.csv"]["key"])
    _package_names_the_data(operator, run)


def _bad_rows_are_kept_beside(operator: Operator, key: str) -> None:
    (data,) = [one for one in operator.ledger.data("flights") if one.source == key]
    s3, bucket = operator.client("s3"), operator.outputs["data_bucket"]
    kept = s3.get_object(Bucket=bucket, Key=data.rejected_key)["Body"].read().decode()
    rows = list(csv.DictReader(io.StringIO(kept)))
    assert [row["late"] for row in rows][1:] == ["maybe"] * 4
    assert all(row["reasons"] for row in rows)


def _package_names_the_data(operator: Operator, run: RunRecord) -> None:
    sagemaker = operator.client("sagemaker")
    newest = sagemaker.list_model_packages(
        ModelPackageGroupName=operator.flights["package_group"], SortBy="CreationTime", SortOrder="Descending"
    )["ModelPackageSummaryList"][0]
    facts = sagemaker.describe_model_package(ModelPackageName=newest["ModelPackageArn"])[
        "CustomerMetadataProperties"
    ]
    assert facts["run_id"] == run.run_id
    assert facts["data_version"] == run.data_version
    assert facts["data_version_uri"].endswith(f"/manifests/flights/{run.data_version}.data.json")
    assert facts["contract_version"] == load(["flights"])["flights"].contract_version
    assert (facts["window"], facts["dropped"]) == ("all", "5")


def test_a_refused_file_is_released_once_its_contract_was_wrong(
    operator: Operator, piece: Piece, tmp_path: Path
):
    before = operator.runs()
    file = tmp_path / "new-carrier.csv"
    file.write_text(piece(16 * ROWS).replace(",UA,", ",ZZ,"), encoding="utf-8")
    pushed = operator.json("push", "--wait", "--no-check", file, expect=4)
    entry = pushed["files"][0]["quarantine_id"]
    assert "carrier" in pushed["files"][0]["reason"]
    assert entry in [one["id"] for one in operator.json("quarantine", "list")]
    assert "ZZ" in operator.upkeep("quarantine", "show", entry).stdout
    assert "ZZ" in operator.upkeep("quarantine", "release", entry, expect=4).stdout
    assert _new(operator, before) == []
    features = json.loads(load(["flights"])["flights"].to_json())["features"]
    features["carrier"]["values"].append("ZZ")
    with operator.spec(features=features):
        operator.upkeep("quarantine", "release", entry)
        eventually(lambda: _new(operator, before), "the released file is trained on")
        operator.wait_until_idle()
        again = operator.upkeep("quarantine", "release", entry, expect=1)
    (run,) = _new(operator, before)
    assert any(name.endswith("new-carrier.csv") for name in operator.sources(run))
    assert "Traceback" not in again.stderr


def test_an_incomplete_delivery_waits_and_a_complete_one_is_held_by_the_limit_until_a_person_forces_it(
    operator: Operator, piece: Piece, put: Callable[..., None]
):
    before = operator.runs()
    with operator.spec(triggers={"delivery": "manifest", "max_per_day": 1}):
        put("batch/a.csv", piece(17 * ROWS))
        put("batch/b.csv", piece(18 * ROWS))
        eventually(lambda: not operator.incoming(), "both files are accepted")
        time.sleep(3)
        assert _new(operator, before) == []
        assert operator.ledger.plan("flights").held is None
        put("batch/_MANIFEST.json", json.dumps({"files": [{"name": "a.csv"}, {"name": "b.csv"}]}))
        held = eventually(lambda: operator.ledger.plan("flights").held, "the run is held")
        assert held["rule"] == "max_per_day"
        assert "max_per_day" in operator.upkeep("status").stdout
        assert _new(operator, before) == []
        operator.upkeep("runs", "start", "--force", "--wait", expect=None)
        eventually(lambda: _new(operator, before)[0].state not in policy.UNDER_WAY, "the forced run is over")
    (run,) = _new(operator, before)
    assert run.trigger == "person"
    assert {"batch/a.csv", "batch/b.csv"} <= operator.sources(run)


def test_of_every_object_ever_pushed_it_is_known_what_became_of_it(operator: Operator):
    assert operator.incoming() == []
    records = [*operator.ledger.objects("flights", ""), *operator.ledger.objects("trains", "")]
    assert len(records) > 15
    assert [record for record in records if not record.is_settled] == []
    bucket = operator.outputs["data_bucket"]
    for state in {record.state for record in records}:
        record = next(one for one in records if one.state == state)
        said = operator.upkeep("runs", "show", f"s3://{bucket}/{record.key}").stdout
        assert state in said
    sqs = operator.client("sqs")
    for queue in ("intake_dead_letters_url", "dispatch_dead_letters_url"):
        counted = sqs.get_queue_attributes(
            QueueUrl=operator.outputs[queue], AttributeNames=["ApproximateNumberOfMessages"]
        )
        assert counted["Attributes"]["ApproximateNumberOfMessages"] == "0"


def _semicolons(folder: Path, text: str) -> None:
    (folder / "semicolons.csv.gz").write_bytes(gzip.compress(text.replace(",", ";").encode()))


def _json_lines(folder: Path, text: str) -> None:
    texts = ("departure", "carrier", "origin", "dest")
    lines = [
        {name: cell if name in texts else float(cell) if cell else None for name, cell in row.items()}
        for row in csv.DictReader(io.StringIO(text))
    ]
    (folder / "lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _parquet(folder: Path, text: str) -> None:
    _relation(folder, text).write_parquet(str(folder / "table.parquet"), compression="snappy")


def _tabs_zstd(folder: Path, text: str) -> None:
    _relation(folder, text).write_csv(str(folder / "tabs.tsv.zst"), sep="\t", compression="zstd")


def _relation(folder: Path, text: str) -> Any:
    source = folder.parent / "source.csv"
    source.write_text(text, encoding="utf-8")
    return duckdb.read_csv(str(source))
