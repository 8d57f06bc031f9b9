"""The main job, end to end: push files, and see what serves. The tests of this file run in their order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.loop.conftest import Operator, alarms_ringing, eventually

pytestmark = pytest.mark.sandbox

Month = Callable[[int], Path]


def _status(operator: Operator) -> dict[str, Any]:
    found: dict[str, Any] = operator.json("status")["models"][0]
    return found


def _row(file: Path) -> dict[str, str]:
    names, values = file.read_text(encoding="utf-8").splitlines()[:2]
    row = dict(zip(names.split(","), values.split(","), strict=True))
    return {name: value for name, value in row.items() if name not in ("late", "departure")}


def test_a_new_stack_serves_the_seed_model(operator: Operator, month: Month):
    status = _status(operator)
    assert status["serving"]["version"] == 0
    answer = operator.json("predict", "--json-row", json.dumps(_typed(_row(month(1)))))
    assert 0 <= answer["predictions"][0]["score"] <= 1


def test_a_second_up_changes_nothing_and_says_so(operator: Operator):
    assert "no changes" in operator.upkeep("up", "--yes").stdout.lower()


def test_a_copy_with_the_aws_cli_starts_a_retraining_that_is_released(operator: Operator, month: Month):
    operator.aws_cli("s3", "cp", month(1), operator.flights["incoming"])
    eventually(lambda: _status(operator)["serving"]["version"] == 1, "version 1 serves")
    answer = operator.json("predict", "--json-row", json.dumps(_typed(_row(month(2)))))
    assert answer["version"] == 1


def test_the_decision_is_recorded_on_the_model_package_with_its_reason(operator: Operator):
    packages = operator.client("sagemaker").list_model_packages(
        ModelPackageGroupName=operator.flights["package_group"]
    )["ModelPackageSummaryList"]
    package = operator.client("sagemaker").describe_model_package(
        ModelPackageName=packages[0]["ModelPackageArn"]
    )
    facts = package["CustomerMetadataProperties"]
    assert package["ModelApprovalStatus"] == "Approved"
    assert facts["release"] == "live"
    assert float(facts["challenger"]) > float(facts["champion"])
    assert facts["manifest_uri"].startswith("s3://")
    assert "fresh rows" in facts["reason"]


def test_the_judge_reports_its_measurements_as_metrics(operator: Operator):
    found = operator.client("cloudwatch").list_metrics(Namespace="Upkeep")["Metrics"]
    assert {"Name": "Model", "Value": "flights"} in [d for metric in found for d in metric["Dimensions"]]


def test_the_same_file_again_trains_nothing(operator: Operator, month: Month):
    before = operator.json("runs")
    operator.aws_cli("s3", "cp", month(1), operator.flights["incoming"])
    eventually(lambda: not operator.incoming(), "the intake has taken the file")
    assert operator.json("runs") == before


def test_the_endpoint_refuses_a_row_that_does_not_fit_and_names_column_and_value(
    operator: Operator, month: Month
):
    row = {**_typed(_row(month(1))), "distance": "far"}
    refused = operator.upkeep("predict", "--json-row", json.dumps(row), expect=1)
    assert "distance" in refused.stderr
    assert "far" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_bad_file_is_quarantined_with_its_reason_and_the_good_one_goes_on(
    operator: Operator, month: Month, tmp_path: Path
):
    broken = tmp_path / "2013-13.csv"
    broken.write_text(month(2).read_text(encoding="utf-8").replace("EWR", "Newark"), encoding="utf-8")
    result = operator.json("push", "--no-check", "--wait", broken, month(2), expect=4)
    states = {Path(file["file"]).name: file for file in result["files"]}
    assert states["2013-02.csv"]["state"] == "accepted"
    assert states["2013-13.csv"]["state"] == "quarantined"
    assert "origin" in states["2013-13.csv"]["reason"]
    assert "Newark" in states["2013-13.csv"]["reason"]
    assert result["outcome"] == "released"
    assert _status(operator)["serving"]["version"] == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("header.csv", b"departure,carrier\n"),
        ("noise.csv", bytes(range(256)) * 40),
        ("gzip.csv", b"\x1f\x8b\x08\x00broken"),
        ("columns.csv", b"a,b,c\n1,2,3\n"),
        ("zip.csv.gz", b"PK\x03\x04" + bytes(100)),
    ],
)
def test_an_unreadable_file_is_quarantined_and_nothing_is_trained(
    operator: Operator, tmp_path: Path, name: str, content: bytes
):
    before = operator.json("runs")
    file = tmp_path / name
    file.write_bytes(content)
    result = operator.json("push", "--no-check", "--wait", file, expect=4)
    assert result["files"][0]["reason"]
    assert operator.json("runs") == before


@pytest.mark.parametrize("fault", ["one row", "one label", "metres"])
def test_a_file_that_nothing_can_be_learned_from_is_quarantined(
    operator: Operator, month: Month, tmp_path: Path, fault: str
):
    before = operator.json("runs")
    header, *rows = month(11).read_text(encoding="utf-8").splitlines()
    if fault == "one row":
        rows = rows[:1]
    elif fault == "one label":
        rows = [f"{row.rpartition(',')[0]},0" for row in rows[:2000]]
    else:
        cells = [row.split(",") for row in rows[:2000]]
        rows = [",".join([*row[:4], str(float(row[4]) * 1609.344), *row[5:]]) for row in cells]
    file = tmp_path / "nothing.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    result = operator.json("push", "--no-check", "--wait", file, expect=4)
    assert result["files"][0]["reason"]
    assert operator.json("runs") == before


def test_a_file_for_an_unknown_model_is_quarantined(operator: Operator, month: Month):
    bucket = operator.outputs["data_bucket"]
    uri = f"s3://{bucket}/incoming/trains/2013-03.csv"
    operator.aws_cli("s3", "cp", month(3), uri)
    (found,) = eventually(
        lambda: [one for one in operator.ledger.objects("trains") if one.is_settled],
        "the intake has looked at the file",
    )
    assert found.state == "quarantined"
    assert "trains" in found.reason
    assert operator.client("s3").head_object(Bucket=bucket, Key=found.target)["ContentLength"] > 0
    assert "trains" in operator.upkeep("runs", "show", uri).stdout


def test_a_month_with_shuffled_labels_is_refused_and_the_champion_serves_on(
    operator: Operator, month: Month, tmp_path: Path
):
    serving = _status(operator)["serving"]["version"]
    header, *rows = month(3).read_text(encoding="utf-8").splitlines()
    inputs, labels = zip(*(row.rsplit(",", 1) for row in rows), strict=True)
    shuffled = tmp_path / "2013-03-shuffled.csv"
    # Every label moves to the row 7919 places on: a shuffle that is the same each time.
    moved = labels[7919:] + labels[:7919]
    lines = [f"{a},{b}" for a, b in zip(inputs, moved, strict=True)]
    shuffled.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    result = operator.json("push", "--wait", shuffled, expect=3)
    assert result["outcome"] == "refused"
    assert "below the minimum" in result["reason"]
    assert _status(operator)["serving"]["version"] == serving


def test_a_training_that_raises_is_given_up_with_its_message_and_rings_an_alarm(
    operator: Operator, month: Month
):
    serving = _status(operator)["serving"]["version"]
    with operator.spec(training={"hyperparameters": {"learning_rate": "fast"}}):
        result = operator.json("push", "--wait", month(4), expect=1)
        held = eventually(lambda: operator.ledger.plan("flights").held, "the run is given up")
    assert "learning_rate" in result["reason"]
    assert held["rule"] == "attempts"
    assert [run.state for run in operator.runs().values()][-3:] == ["failed"] * 3
    assert _status(operator)["serving"]["version"] == serving
    name = operator.flights["retrain_state_machine_arn"].rpartition(":")[2]
    eventually(lambda: any(name in alarm for alarm in alarms_ringing(operator)), "the alarm rings")


def test_a_person_has_a_mended_run_tried_once_more(operator: Operator):
    operator.upkeep("runs", "start", "--force", "--wait", expect=None)
    operator.wait_until_idle()
    *_, failed, mended = operator.runs().values()
    assert (mended.attempt, mended.data_version) == (4, failed.data_version)
    assert (mended.state, mended.trigger) == ("succeeded", "person")
    assert operator.ledger.plan("flights").held is None


def test_a_model_whose_server_does_not_come_up_is_rejected_and_the_old_one_serves_on(operator: Operator):
    sagemaker, s3 = operator.client("sagemaker"), operator.client("s3")
    group = operator.flights["package_group"]
    newest = sagemaker.list_model_packages(
        ModelPackageGroupName=group, ModelApprovalStatus="Approved", SortBy="CreationTime"
    )["ModelPackageSummaryList"][0]
    sound = sagemaker.describe_model_package(ModelPackageName=newest["ModelPackageArn"])
    container = sound["InferenceSpecification"]["Containers"][0]
    key = "training/flights/broken/output/model.tar.gz"
    s3.put_object(Bucket=operator.outputs["artifacts_bucket"], Key=key, Body=_archive_without_code())
    serving = _status(operator)["serving"]["version"]
    broken = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            **sound["InferenceSpecification"],
            "Containers": [
                {**container, "ModelDataUrl": f"s3://{operator.outputs['artifacts_bucket']}/{key}"}
            ],
        },
        CustomerMetadataProperties={"run_id": "broken"},
    )["ModelPackageArn"]

    def rejected() -> Any:
        found = sagemaker.describe_model_package(ModelPackageName=broken)
        return found if found["ModelApprovalStatus"] == "Rejected" else None

    assert eventually(rejected, "the package is rejected")["ApprovalDescription"]
    assert _status(operator)["serving"]["version"] == serving
    endpoint = sagemaker.describe_endpoint(EndpointName=operator.flights["endpoint"])
    assert endpoint["EndpointStatus"] == "InService"


def test_requests_are_captured_to_the_data_bucket(operator: Operator):
    def captured() -> Any:
        found = operator.client("s3").list_objects_v2(
            Bucket=operator.outputs["data_bucket"], Prefix="capture/flights/"
        )
        return found.get("Contents")

    first = eventually(captured, "a capture file")[0]
    body = operator.client("s3").get_object(Bucket=operator.outputs["data_bucket"], Key=first["Key"])["Body"]
    line = json.loads(body.read().splitlines()[0])
    assert json.loads(line["captureData"]["endpointInput"]["data"])["instances"]


def test_logs_show_what_the_training_printed(operator: Operator):
    trained = [run for run in operator.json("runs") if run["status"] == "SUCCEEDED"]
    assert "challenger_roc_auc=" in operator.upkeep("logs", "--run", trained[0]["id"]).stdout


def test_a_changed_threshold_updates_one_alarm_and_nothing_else(operator: Operator):
    # The limits on errors of the server and on latency are those of a rollout too, and its alarms' as well.
    operator.configure(flights={"monitoring": {"max_client_errors": 75}})
    preview = operator.upkeep("preview").stdout
    assert "threshold: 100 → 75" in preview
    assert preview.count("aws:cloudwatch:MetricAlarm") == 1
    operator.upkeep("up", "--yes")
    changed = operator.client("cloudwatch").describe_alarms(
        AlarmNamePrefix=f"{operator.flights['endpoint']}-", AlarmTypes=["MetricAlarm"]
    )["MetricAlarms"]
    assert 75 in [alarm["Threshold"] for alarm in changed]
    assert "no changes" in operator.upkeep("up", "--yes").stdout.lower()


def test_a_spec_with_errors_is_refused_by_the_preview_with_all_of_them(operator: Operator):
    operator.configure(flights={"task": "ranking", "gate": {"metric": "auc", "minimum": "high"}})
    refused = operator.upkeep("preview", expect=1)
    said = refused.stdout + refused.stderr
    assert "task: found 'ranking', expected one of binary, multiclass, regression" in said
    assert "gate.minimum: found 'high', expected a number" in said
    assert "Traceback" not in said


def test_the_typed_resources_of_the_sagemaker_sdk_find_and_ask_the_endpoint(operator: Operator, month: Month):
    script = f"""
import json, sys
from sagemaker.core.resources import Endpoint, ModelPackageGroup, TrainingJob
endpoint = Endpoint.get({operator.flights["endpoint"]!r})
body = json.dumps({{"instances": [{_typed(_row(month(5)))!r}]}})
answer = endpoint.invoke(body=body, content_type="application/json")
jobs = [job.training_job_status for job in TrainingJob.get_all()]
groups = [group.model_package_group_name for group in ModelPackageGroup.get_all()]
print(json.dumps([endpoint.endpoint_status, json.loads(answer.body.read()), jobs, groups]))
"""
    status, answer, jobs, groups = json.loads(operator.python(script).splitlines()[-1])
    assert status == "InService"
    assert 0 <= answer["predictions"][0]["score"] <= 1
    assert {"Completed", "Failed"} == set(jobs)
    assert groups == [operator.flights["package_group"]]


def _typed(row: dict[str, str]) -> dict[str, Any]:
    texts = ("carrier", "origin", "dest")
    return {k: v if k in texts else (float(v) if v else None) for k, v in row.items()}


def _archive_without_code() -> bytes:
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("model.joblib")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"junk"))
    return buffer.getvalue()
