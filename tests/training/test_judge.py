"""The judge reads what the job found out, decides by the deployed gate and leaves its reason."""

import json

import pytest

from tests.training.examples import declare, tar_bytes
from tests.training.lambdas import ARTIFACTS, CONTEXT, PREFIX, emitted
from training import judge
from training.outputs import OutputError

MODEL_URL = f"s3://{ARTIFACTS}/training/toy/upkeep-test-toy-r1/output/model.tar.gz"
OUTPUT_KEY = "training/toy/upkeep-test-toy-r1/output/output.tar.gz"
EVENT = {
    "model": "toy",
    "run_id": "r1234567890",
    "manifest_uri": "s3://data/manifests/toy/r1.json",
    "rows": 100,
    "files": 2,
    "dropped": 3,
    "trigger": "data",
    "data_version": "d" * 20,
    "data_version_uri": "s3://data/manifests/toy/" + "d" * 20 + ".data.json",
    "contract_version": "c" * 12,
    "training_job": {"TrainingJobName": "x", "ModelArtifacts": {"S3ModelArtifacts": MODEL_URL}},
}
EVALUATION = {
    "model": "toy",
    "run_id": "r1234567890",
    "rows": {"available": 130, "total": 100, "fitted": 80, "holdout": 20, "duplicates": 0},
    "window": {
        "setting": "100 rows",
        "from": "2024-01-01T00:00:00",
        "to": "2024-01-05T03:00:00",
        "holdout_from": "2024-01-04T08:00:00",
    },
    "challenger": {"roc_auc": 0.8},
    "champion": {"roc_auc": 0.7},
    "champion_run_id": "r0",
    "comparable": True,
    "note": "",
}


def _judge(store, **changes):
    gate = {"metric": "roc_auc", "minimum": 0.6, "minimum_gain": 0.002}
    store.put("specs/toy.json", declare(gate=gate).to_json(), ARTIFACTS)
    store.put(
        OUTPUT_KEY, tar_bytes({"evaluation.json": json.dumps(EVALUATION | changes).encode()}), ARTIFACTS
    )
    return judge.handler(EVENT, CONTEXT)


def test_a_better_model_is_promoted_with_the_numbers(store):
    decision = _judge(store)
    reason = "roc_auc 0.8000 beats the champion's 0.7000 by 0.1000 (at least 0.002 needed) on 20 fresh rows"
    assert decision | {"metadata": None} == {
        "schema": 1,
        "model": "toy",
        "run_id": "r1234567890",
        "version_label": "r1234567",
        "decision": "promote",
        "reason": reason,
        "approval": "Approved",
        "metric": "roc_auc",
        "challenger": 0.8,
        "champion": 0.7,
        "rows": EVALUATION["rows"] | {"dropped": 3},
        "files": 2,
        "data_version": EVENT["data_version"],
        "data_version_uri": EVENT["data_version_uri"],
        "contract_version": EVENT["contract_version"],
        "window": EVALUATION["window"],
        "metadata": None,
        "model_data_url": MODEL_URL,
        "evaluation_uri": f"s3://{ARTIFACTS}/{OUTPUT_KEY}",
        "decision_uri": f"s3://{ARTIFACTS}/decisions/toy/r1234567890.json",
    }
    stored = store.json("decisions/toy/r1234567890.json", ARTIFACTS)
    assert stored["reason"] == reason
    assert stored["gate"] == {"metric": "roc_auc", "minimum": 0.6, "minimum_gain": 0.002}


def test_where_a_person_approves_the_promotion_waits(store, monkeypatch):
    monkeypatch.setenv("APPROVAL", "manual")
    assert _judge(store)["approval"] == "PendingManualApproval"


@pytest.mark.parametrize("approval", ["gate", "manual"])
def test_a_worse_model_is_rejected_wherever_it_is(store, monkeypatch, approval):
    monkeypatch.setenv("APPROVAL", approval)
    decision = _judge(store, challenger={"roc_auc": 0.65})
    assert (decision["decision"], decision["approval"]) == ("refuse", "Rejected")


def test_a_reason_fits_the_packages_description(store):
    reason = _judge(store, comparable=False, note="a\nb " * 1000)["reason"]
    assert reason.startswith("refused: not compared with the champion: a b a b")
    assert len(reason) == 1024


def test_metadata_fits_a_model_package(store):
    metadata = _judge(store, comparable=False, note="the champion (it's old) cannot be loaded: " + "x" * 500)[
        "metadata"
    ]
    assert metadata["decision"] == "refuse"
    assert metadata["files"] == "2"
    assert metadata["reason"].startswith(
        "refused: not compared with the champion: the champion it s old cannot"
    )
    for value in metadata.values():
        assert 1 <= len(value) <= 256
        assert judge._NOT_METADATA.search(value) is None


def test_the_package_names_the_data_version_it_was_made_of(store):
    decision = _judge(store)
    expected = {
        "data_version": EVENT["data_version"],
        "data_version_uri": EVENT["data_version_uri"],
        "contract_version": EVENT["contract_version"],
        "window": "100 rows",
        "window_from": "2024-01-01T00:00:00",
        "window_to": "2024-01-05T03:00:00",
        "rows": "100",
        "dropped": "3",
        "files": "2",
    }
    assert decision["metadata"] | expected == decision["metadata"]
    stored = store.json("decisions/toy/r1234567890.json", ARTIFACTS)
    assert stored["data_version_uri"] == EVENT["data_version_uri"]
    assert stored["rows"]["dropped"] == 3


def test_scores_reach_the_metrics(store, capsys):
    _judge(store)
    (found,) = emitted(capsys.readouterr().out)
    assert found["dimensions"] == [["Stack", "Model"]]
    assert (found["Stack"], found["ChallengerScore"], found["ChampionScore"]) == (PREFIX, [0.8], [0.7])
    assert found["ChallengersPromoted"] == [1.0]
    assert "ChallengersRefused" not in found


def test_an_evaluation_of_another_run_is_an_error(store):
    with pytest.raises(OutputError, match="run_id: found 'r9', expected 'r1234567890'"):
        _judge(store, run_id="r9")


def test_a_job_without_output_is_an_error(store):
    with pytest.raises(
        OutputError, match=r"output\.tar\.gz: no such object; the training job wrote no output"
    ):
        judge.handler(EVENT, CONTEXT)


def test_another_bucket_is_not_read(store):
    job = {"ModelArtifacts": {"S3ModelArtifacts": "s3://elsewhere/output/model.tar.gz"}}
    with pytest.raises(OutputError, match="found bucket 'elsewhere'"):
        judge.handler(EVENT | {"training_job": job}, CONTEXT)


def test_an_unknown_kind_of_approval_is_an_error(store, monkeypatch):
    monkeypatch.setenv("APPROVAL", "maybe")
    with pytest.raises(ValueError, match="APPROVAL: found 'maybe', expected gate or manual"):
        _judge(store)
