"""The judge reads what the job found out, decides by the deployed gate, and seals what it decided on."""

import hashlib
import json
from copy import deepcopy

import pytest

from tests.training.examples import tar_bytes
from tests.training.lambdas import ARTIFACTS, CONTEXT, DATA, PREFIX, emitted
from tests.training.registry.examples import (
    CHAMPION_URL,
    EVENT,
    FOLDER,
    IMAGE,
    MANIFEST_URI,
    MODEL_URL,
    RUN,
    finish,
    model_files,
    sha256,
)
from training import judge
from training.errors import ArtifactError
from training.outputs import OutputError
from training.registry import passport
from training.registry.passport import PassportError

DECISION_KEY = f"decisions/toy/{RUN}.json"


@pytest.fixture(autouse=True)
def _stack(monkeypatch):
    monkeypatch.setenv("STACK", "test")


def _judge(store, files=None, event=EVENT, **changes):
    finish(store, files, **changes)
    return judge.handler(event, CONTEXT)


def _stored(store):
    return store.json(DECISION_KEY, ARTIFACTS)


def test_a_better_model_is_promoted_with_the_numbers(store):
    decision = _judge(store)
    assert (decision["decision"], decision["approval"]) == ("promote", "Approved")
    assert decision["reason"].startswith("roc_auc 0.7562 beats the champion's 0.7276 by 0.0286")
    assert decision["gain"] == pytest.approx(0.0286)
    assert 0 < decision["gain_low"] < decision["gain"]
    stored = _stored(store)
    assert {check["name"] for check in stored["checks"]} >= {"minimum", "gain", "latency"}
    assert stored["gate"]["minimum_gain"] == 0.002
    assert stored["schema"] == 2


def test_the_stored_decision_names_every_byte_it_is_about(store):
    decision = _judge(store)
    stored = _stored(store)
    artifact = store.get(f"{FOLDER}/model.tar.gz", ARTIFACTS)
    head = store.s3.head_object(Bucket=ARTIFACTS, Key=f"{FOLDER}/model.tar.gz")
    champion = store.s3.head_object(Bucket=ARTIFACTS, Key=CHAMPION_URL.partition(f"{ARTIFACTS}/")[2])
    files = model_files()
    expected = {
        "model_data_url": MODEL_URL,
        "artifact_sha256": sha256(artifact),
        "artifact_bytes": len(artifact),
        "artifact_version_id": head["VersionId"],
        "passport_sha256": sha256(files["passport.json"]),
        "model_digest": json.loads(files["passport.json"])["model_digest"],
        "manifest_uri": MANIFEST_URI,
        "manifest_sha256": sha256(store.get("manifests/toy/r1.json")),
        "champion_url": CHAMPION_URL,
        "champion_version_id": champion["VersionId"],
        "champion_run_id": "r0",
        "image": IMAGE,
        "decision_uri": f"s3://{ARTIFACTS}/{DECISION_KEY}",
        "report_uri": f"s3://{ARTIFACTS}/decisions/toy/{RUN}.html",
        "evaluation_uri": f"s3://{ARTIFACTS}/{FOLDER}/output.tar.gz",
    }
    assert stored | expected == stored
    left_out = {"checks", "gate", "versions"}
    assert {name: decision[name] for name in stored if name not in left_out} == {
        name: value for name, value in stored.items() if name not in left_out
    }


def test_what_is_registered_verifies_against_what_lies_in_the_buckets(store):
    metadata = _judge(store)["metadata"]
    assert metadata["decision_sha256"] == hashlib.sha256(store.get(DECISION_KEY, ARTIFACTS)).hexdigest()
    passport.verify(
        store.s3,
        metadata,
        model_data_url=MODEL_URL,
        artifacts_bucket=ARTIFACTS,
        data_bucket=DATA,
        owner="123456789012",
    )


def test_a_run_that_is_judged_again_gets_the_same_answer_to_the_byte(store, clock):
    first = _judge(store)
    body = store.get(DECISION_KEY, ARTIFACTS)
    clock.at += 3600
    # What was learned in between changes nothing: another gate, another decision on the same rows.
    store.put("specs/toy.json", store.get("specs/toy.json", ARTIFACTS).replace(b"0.002", b"0.5"), ARTIFACTS)
    again = judge.handler(EVENT, CONTEXT)
    assert again == first
    assert store.get(DECISION_KEY, ARTIFACTS) == body
    versions = store.s3.list_object_versions(Bucket=ARTIFACTS, Prefix="decisions/")
    assert len(versions["Versions"]) == 2  # the decision and its report, each once


def test_a_crash_after_any_step_is_repeated_to_the_same_end(store, monkeypatch):
    whole = _judge(store)
    for name in (DECISION_KEY, f"decisions/toy/{RUN}.html"):
        store.s3.delete_object(Bucket=ARTIFACTS, Key=name)
    again = judge.handler(EVENT, CONTEXT)
    assert again["version"] == whole["version"]
    assert again["holdout_uses"] == whole["holdout_uses"] == 1


def test_a_run_judged_for_other_bytes_is_an_error_and_keeps_its_decision(store):
    _judge(store)
    body = store.get(DECISION_KEY, ARTIFACTS)
    files = model_files()
    store.put(f"{FOLDER}/model.tar.gz", tar_bytes(dict(reversed(files.items()))), ARTIFACTS)
    with pytest.raises(OutputError, match="judged already, for an artifact with SHA-256"):
        judge.handler(EVENT, CONTEXT)
    assert store.get(DECISION_KEY, ARTIFACTS) == body


def test_every_run_gets_the_next_number_by_what_changed(store):
    def run(run_id, **changes):
        event = deepcopy(EVENT) | {"run_id": run_id}
        return _judge(store, model_files(run_id, **changes), event)["version"]

    assert run("r1", code=b"one") == "1.1.0"  # the seed had other code
    assert run("r2", code=b"one") == "1.1.1"
    assert run("r3", code=b"two") == "1.2.0"
    assert run("r2", code=b"one") == "1.1.1"  # asked again


def test_a_decision_on_the_same_rows_is_counted_for_the_next_one(store):
    first = _judge(store)
    event = EVENT | {"run_id": "r2"}
    second = _judge(store, model_files("r2"), event)
    assert (first["holdout_uses"], second["holdout_uses"]) == (1, 2)


def test_where_a_person_approves_the_promotion_waits_and_says_how_it_goes_on(store, monkeypatch):
    monkeypatch.setenv("APPROVAL", "manual")
    decision = _judge(store)
    assert decision["approval"] == "PendingManualApproval"
    assert decision["metadata"]["approver"] == "none"
    notice = decision["notice"]
    assert notice["subject"] == "test: toy 1.1.0 waits for approval"
    assert "upkeep models approve 1.1.0 --model toy --stack test" in notice["message"]
    assert f"s3://{ARTIFACTS}/decisions/toy/{RUN}.html" in notice["message"]
    assert "0.7562" in notice["message"]
    assert len(notice["message"]) < 4000


@pytest.mark.parametrize("approval", ["gate", "manual"])
def test_a_worse_model_is_rejected_wherever_it_is(store, monkeypatch, approval):
    monkeypatch.setenv("APPROVAL", approval)
    decision = _judge(store, challenger=0.72)
    assert (decision["decision"], decision["approval"]) == ("refuse", "Rejected")
    assert decision["metadata"]["approver"] == "none"


def test_a_reason_fits_the_packages_description(store):
    reason = _judge(store, comparable=False, note="a\nb " * 1000)["reason"]
    assert reason.startswith("refused: not compared with the champion: a b a b")
    assert len(reason) == 1024


def test_the_report_lies_beside_the_decision(store):
    _judge(store)
    answer = store.s3.get_object(Bucket=ARTIFACTS, Key=f"decisions/toy/{RUN}.html")
    assert answer["ContentType"] == "text/html; charset=utf-8"
    assert b"<html" in answer["Body"].read()


def test_the_container_is_told_which_model_it_is_to_load(store):
    decision = _judge(store)
    assert decision["environment"] == {
        "UPKEEP_PASSPORT_SHA256": decision["passport_sha256"],
        "UPKEEP_MODEL_VERSION": "1.1.0",
    }


def test_scores_reach_the_metrics(store, capsys):
    _judge(store)
    (found,) = emitted(capsys.readouterr().out)
    assert found["dimensions"] == [["Stack", "Model"]]
    assert (found["Stack"], found["ChallengerScore"], found["ChampionScore"]) == (PREFIX, [0.7562], [0.7276])
    assert found["ChallengersPromoted"] == [1.0]
    assert "ChallengersRefused" not in found


def test_a_champion_that_is_gone_is_no_reason_to_stop(store):
    decision = _judge(store, event=EVENT | {"champion_url": f"s3://{ARTIFACTS}/training/toy/gone"})
    assert decision["champion_version_id"] == ""
    assert decision["metadata"]["champion_version_id"] == "none"


def test_an_evaluation_of_another_run_is_an_error(store):
    with pytest.raises(OutputError, match="run_id: found 'r9', expected 'r1234567890'"):
        _judge(store, run_id="r9")


def test_an_evaluation_of_another_model_than_the_artifact_is_an_error(store):
    with pytest.raises(OutputError, match="its passport says model_digest"):
        _judge(store, model_digest="0" * 64)


def test_an_artifact_of_another_run_is_an_error(store):
    files = model_files("r9")
    with pytest.raises(OutputError, match="its passport says run_id 'r9', expected 'r1234567890'"):
        _judge(store, files, run_id=RUN)


def test_an_artifact_that_the_loader_would_refuse_is_not_registered(store):
    files = model_files() | {"features.json": b"changed"}
    with pytest.raises(ArtifactError, match=r"features\.json: found"):
        _judge(store, files)
    with pytest.raises(ArtifactError, match="not part of a model"):
        _judge(store, model_files() | {"other.pkl": b"x"})
    assert store.keys("decisions/", ARTIFACTS) == store.keys("versions/", ARTIFACTS) == []


def test_a_manifest_that_is_gone_is_an_error(store):
    finish(store)
    store.s3.delete_object(Bucket=DATA, Key="manifests/toy/r1.json")
    with pytest.raises(PassportError, match=r"r1\.json: no such object"):
        judge.handler(EVENT, CONTEXT)


def test_a_job_without_output_is_an_error(store):
    with pytest.raises(
        OutputError, match=r"output\.tar\.gz: no such object; the training job wrote no output"
    ):
        judge.handler(EVENT, CONTEXT)


def test_a_job_without_a_model_is_an_error(store):
    finish(store)
    store.s3.delete_object(Bucket=ARTIFACTS, Key=f"{FOLDER}/model.tar.gz")
    with pytest.raises(OutputError, match=r"model\.tar\.gz: no such object; the training job left no model"):
        judge.handler(EVENT, CONTEXT)


def test_another_bucket_is_not_read(store):
    job = {"ModelArtifacts": {"S3ModelArtifacts": "s3://elsewhere/output/model.tar.gz"}}
    with pytest.raises(OutputError, match="found bucket 'elsewhere'"):
        judge.handler(EVENT | {"training_job": job}, CONTEXT)


def test_an_unknown_kind_of_approval_is_an_error(store, monkeypatch):
    monkeypatch.setenv("APPROVAL", "maybe")
    with pytest.raises(ValueError, match="APPROVAL: found 'maybe', expected gate or manual"):
        _judge(store)
