"""The whole job: from files to a stored model, next to a champion, and on to answers."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inference.answering import Answerer
from models.load import load as load_specs
from models.load import seed_file
from models.spec import Gate
from tests.training.examples import declare, environment, evaluation, lines, pack, text
from training import artifact
from training.errors import ArtifactError
from training.gate.decide import decide
from training.main import MAX_FAILURE_LENGTH, main

ROOT = Path(__file__).parents[2]
PACKAGES = ("models", "training", "inference", "monitoring")


def _last(capsys):
    return capsys.readouterr().out.strip().splitlines()[-1]


def _run(folder, spec, rows, **options):
    variables = environment(folder, spec, {"a.csv": text(rows)}, **options)
    code = main(variables)
    return code, variables


@pytest.fixture(scope="module")
def champion(tmp_path_factory):
    """A finished first job: its model as the platform archives it."""
    folder = tmp_path_factory.mktemp("first")
    code, _ = _run(folder, declare(), lines(300), run_id="first")
    assert code == 0
    return pack(folder / "model", folder / "champion" / "model.tar.gz").parent


def test_the_script_runs_as_the_container_runs_it(tmp_path):
    """Real flights, a fresh process, the code copied away from the repository."""
    spec = load_specs(["flights"])["flights"]
    rows = seed_file("flights").read_text().splitlines()
    variables = environment(tmp_path, spec, {"seed.csv": "\n".join(rows) + "\n"}, run_id="r1")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / "code" / package)
    done = subprocess.run(
        [sys.executable, "training/train.py", "--model", "flights", "--run_id", "r1"],
        cwd=tmp_path / "code",
        env=variables | {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "code")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = evaluation(tmp_path / "output" / "data")
    assert f"challenger_roc_auc={result['challenger']['roc_auc']:.6g};" in done.stdout.splitlines()
    assert result["rows"] == {
        "available": 1758,
        "total": 1758,
        "fitted": 1403,
        "holdout": 355,
        "duplicates": 1,
    }
    assert result["challenger"]["roc_auc"] > 0.55
    assert (result["champion"], result["comparable"], result["note"]) == (None, True, "")
    stored = {p.name for p in (tmp_path / "model").iterdir()}
    assert stored == {*artifact.SIGNED, artifact.PASSPORT, "code"}
    code = tmp_path / "model" / "code"
    assert {p.name for p in code.iterdir()} == set(PACKAGES)
    assert not [p for p in code.rglob("*") if p.name in ("__pycache__", "seed.csv")]

    model = artifact.load(tmp_path / "model")
    sample = json.loads((tmp_path / "output" / "data" / "sample.json").read_text())
    answer = Answerer(model).answer(json.dumps({"instances": sample["instances"]}), "application/json", None)
    assert json.loads(answer.body) == {
        "predictions": sample["predictions"],
        "model": "flights",
        "model_version": "r1",
    }


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_challenger_and_champion_are_scored_on_the_same_rows_after_both_were_fitted(tmp_path, task, capsys):
    spec = declare(task)
    code, _ = _run(tmp_path / "one", spec, lines(300, task), run_id="one")
    assert code == 0
    pack(tmp_path / "one" / "model", tmp_path / "champion" / "model.tar.gz")
    code, _ = _run(tmp_path / "two", spec, lines(600, task), run_id="two", champion=tmp_path / "champion")
    assert code == 0
    first, second = (evaluation(tmp_path / n / "output" / "data") for n in ("one", "two"))
    assert second["champion_run_id"] == "one"
    assert second["champion_fitted_until"] < second["window"]["holdout_from"]
    assert set(second["champion"]) == set(second["challenger"]) == set(first["challenger"])
    assert f"champion_{spec.gate.metric}=" in capsys.readouterr().out
    # The champion's numbers are what it really answers on these rows.
    stored = artifact.load(tmp_path / "one" / "model")
    again = artifact.load(tmp_path / "two" / "model")
    assert (stored.run_id, again.run_id) == ("one", "two")


def test_the_same_champion_data_and_spec_compare_as_equal(tmp_path):
    """The challenger fitted on the champion's own rows is the champion."""
    code, _ = _run(tmp_path / "one", declare(), lines(400))
    pack(tmp_path / "one" / "model", tmp_path / "champion" / "model.tar.gz")
    again, _ = _run(tmp_path / "two", declare(), lines(400), champion=tmp_path / "champion")
    result = evaluation(tmp_path / "two" / "output" / "data")
    assert (code, again) == (0, 0)
    assert result["challenger"] == result["champion"]
    assert (result["paired"]["gain"], result["paired"]["standard_error"]) == (0.0, 0.0)
    verdict = decide(result, Gate())
    assert "equals the champion's" in verdict.reason


@pytest.mark.parametrize("name", ["hist_gradient_boosting", "logistic_regression", "random_forest"])
def test_columns_that_are_missing_throughout_do_no_harm(tmp_path, name):
    cells = [row.split(",") for row in lines(300)]
    rows = [f"{at},{kind},,,{heavy},{label}" for at, kind, _, _, heavy, label in cells]
    code, _ = _run(tmp_path, declare(training={"holdout_min_rows": 20, "estimator": name}), rows)
    assert code == 0
    answer = Answerer(artifact.load(tmp_path / "model")).answer(
        "a,x,1,true\nb,,,false", "text/csv", "text/csv"
    )
    assert (answer.status, answer.body.count("\n")) == (200, 2)


def test_too_few_fresh_rows_are_not_compared_on(tmp_path, champion):
    """Older files pushed late leave only the champion's own holdout."""
    code, _ = _run(tmp_path, declare(training={"holdout_min_rows": 100}), lines(310), champion=champion)
    result = evaluation(tmp_path / "output" / "data")
    assert code == 0
    assert not result["comparable"]
    assert result["champion"] is None
    assert "newer than the champion's last fitted row" in result["note"]
    assert result["rows"]["holdout"] == 62


def test_only_the_rows_of_the_window_are_trained_and_evaluated_on(tmp_path, capsys):
    rows = lines(300)
    window = {"holdout_min_rows": 20, "window": "100 rows"}
    code, _ = _run(tmp_path, declare(training=window), [*rows, rows[0]])
    said = capsys.readouterr().out
    result = evaluation(tmp_path / "output" / "data")
    assert code == 0
    assert result["rows"] == {
        "available": 300,
        "total": 100,
        "fitted": 80,
        "holdout": 20,
        "duplicates": 1,
    }
    assert result["window"] == {
        "setting": "100 rows",
        "from": rows[200].split(",")[0],
        "to": rows[-1].split(",")[0],
        "holdout_from": rows[280].split(",")[0],
    }
    assert f"200 rows before {result['window']['from']} left out (training.window: 100 rows)" in said


def test_a_model_trained_in_a_window_is_the_one_trained_on_just_those_rows(tmp_path):
    rules = {"holdout_min_rows": 20, "hyperparameters": {"max_iter": 10}}
    rows = lines(300)
    for name, given, window in (("cut", rows, "5 days"), ("short", rows[-120:], "all")):
        code, _ = _run(tmp_path / name, declare(training=rules | {"window": window}), given)
        assert code == 0
    one, other = (evaluation(tmp_path / name / "output" / "data") for name in ("cut", "short"))
    assert one["rows"]["total"] == other["rows"]["total"] == 120
    assert one["challenger"] == other["challenger"]


def _damage(folder):
    (folder / "model.tar.gz").write_bytes(b"no archive")


def _forge(folder):
    target = folder / "unpacked"
    artifact.unpack(folder / "model.tar.gz", target)
    (target / "features.json").write_text("{}")
    pack(target, folder / "model.tar.gz")
    shutil.rmtree(target)


def _age(folder):
    target = folder / "unpacked"
    artifact.unpack(folder / "model.tar.gz", target)
    passport = json.loads((target / "passport.json").read_text())
    passport["versions"]["scikit-learn"] = "1.2.0"
    (target / "passport.json").write_text(json.dumps(passport))
    pack(target, folder / "model.tar.gz")
    shutil.rmtree(target)


def _double(folder):
    shutil.copy(folder / "model.tar.gz", folder / "other.tar.gz")


@pytest.mark.parametrize(
    ("harm", "note"),
    [
        (_damage, "the champion cannot be loaded: model.tar.gz: not a readable model archive"),
        (_forge, "the champion cannot be loaded: features.json: found "),
        (_age, "the model was fitted with scikit-learn 1.2.0, this is "),
        (_double, "the champion channel holds 2 model archives, expected one"),
    ],
)
def test_a_champion_that_cannot_be_loaded_is_a_note_and_no_crash(tmp_path, champion, harm, note):
    shutil.copytree(champion, tmp_path / "champion")
    harm(tmp_path / "champion")
    code, _ = _run(tmp_path / "job", declare(), lines(600), champion=tmp_path / "champion")
    result = evaluation(tmp_path / "job" / "output" / "data")
    assert code == 0
    assert not result["comparable"]
    assert note in result["note"]


def test_a_champion_that_needs_a_dropped_column_is_a_note(tmp_path, champion):
    features = {
        f.name: {"type": f.type, "nullable": f.nullable} for f in declare().features if f.name != "size"
    }
    code, _ = _run(tmp_path, declare(features=features), lines(600), champion=champion)
    assert code == 0
    assert (
        "needs the column size, which the spec no longer has"
        in evaluation(tmp_path / "output" / "data")["note"]
    )


def test_the_same_inputs_give_the_same_bytes(tmp_path):
    digests = []
    for name in ("one", "two"):
        folder = tmp_path / name
        variables = environment(folder, declare(), {"a.csv": text(lines(300))})
        subprocess.run(
            [sys.executable, "training/train.py"],
            cwd=ROOT,
            env={**os.environ, **variables, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(len(digests))},
            capture_output=True,
            timeout=120,
            check=True,
        )
        digests.append({p.name: artifact.sha256(p) for p in (folder / "model").iterdir() if p.is_file()})
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("rows", "changes", "reason"),
    [
        (
            [row[:-1] + "0" for row in lines(60)],
            {},
            "column late: the 60 rows to train with all have the label 0; at least two different labels are",
        ),
        (
            [*lines(80), *(row[:-1] + "1" for row in lines(20, first_hour=80))],
            {},
            "column late: the 20 rows to evaluate on all have the label 1",
        ),
        (
            [*lines(60), "2024-05-01,a,x,abc,true,1"],
            {},
            "accepted/toy/a.csv: column size: row 61: found 'abc'",
        ),
        (
            lines(60),
            {"training": {"hyperparameters": {"depth": 3}}},
            "training.hyperparameters: depth not known to",
        ),
    ],
)
def test_a_failure_says_why_in_the_failure_file_and_on_the_last_line(tmp_path, capsys, rows, changes, reason):
    code, _ = _run(tmp_path, declare(**changes), rows)
    written = (tmp_path / "output" / "failure").read_text()
    assert code == 1
    assert reason in written
    assert json.loads(_last(capsys)) == {"upkeep": "error", "error": written}


def _relabelled(count, ones):
    """Rows of which only those at some places have the label 1."""
    return [f"{row.rpartition(',')[0]},{int(place in ones)}" for place, row in enumerate(lines(count))]


def _with_heavy(row, heavy):
    """The row with another value in the column before the label."""
    cells = row.split(",")
    return ",".join([*cells[:-2], heavy, cells[-1]])


DEGENERATE = {
    "one row": (lines(1), "column late: the only row to train with has the label "),
    "one row many times": (
        lines(1) * 100,
        "column late: the only row to train with (duplicate rows dropped: 99) has the label ",
    ),
    "all rows of one instant": (
        [f"2024-01-01,{row.partition(',')[2]}" for row in lines(60)],
        "have the time 2024-01-01T00:00:00.000000; older rows to fit on",
    ),
    "one label": (_relabelled(500, ()), "the 500 rows to train with all have the label 0"),
    "one label but once, among the old": (_relabelled(500, {9}), "to evaluate on all have the label 0"),
    "one label but once, among the new": (_relabelled(500, {490}), "to fit on all have the label 0"),
    "one label in 200": (
        _relabelled(2000, range(0, 2000, 200)),
        "column late: only 2 of the 400 rows to compare on have another label than 0, at least 10 are needed",
    ),
    "the other label in 200": (
        _relabelled(2000, set(range(2000)) - set(range(0, 2000, 200))),
        "only 2 of the 400 rows to compare on have another label than 1, at least 10 are needed",
    ),
    "a feature that is the label": (
        [_with_heavy(row, row.rpartition(",")[2]) for row in lines(500)],
        "the feature heavy alone tells late in all 100 rows to compare on",
    ),
    "few rows": (lines(40), "only 8 rows"),
}


@pytest.mark.parametrize("compared", [True, False], ids=["with a champion", "without a champion"])
@pytest.mark.parametrize(("rows", "reason"), DEGENERATE.values(), ids=DEGENERATE.keys())
def test_data_that_cannot_tell_good_from_bad_never_leads_to_a_release(
    tmp_path, champion, rows, reason, compared
):
    """Whether the job fails or the gate refuses what it made: the reason is on record."""
    code, _ = _run(tmp_path, declare(), rows, champion=champion if compared else None)
    if code:
        assert not list((tmp_path / "model").iterdir())  # nothing that could be registered
        assert reason in (tmp_path / "output" / "failure").read_text()
        return
    verdict = decide(evaluation(tmp_path / "output" / "data"), Gate())
    assert not verdict.promote
    assert "not compared with the champion" in verdict.reason
    if not compared or "newer than the champion" not in verdict.reason:
        assert reason in verdict.reason


def test_a_spec_of_another_model_is_refused(tmp_path):
    variables = environment(tmp_path, declare(), {"a.csv": text(lines(50))})
    (tmp_path / "spec" / "toy.json").write_text(declare(name="other").to_json())
    assert main(variables) == 1
    assert "declares the model 'other', the job is for 'toy'" in (tmp_path / "output" / "failure").read_text()


def test_an_unexpected_error_is_told_without_a_trace_and_cut_to_what_the_platform_keeps(
    tmp_path, monkeypatch, capsys
):
    from training import job

    def explode(_settings):
        raise RuntimeError("x" * 5000)

    monkeypatch.setattr(job, "run", explode)
    assert main(environment(tmp_path, declare(), {})) == 1
    written = (tmp_path / "output" / "failure").read_text()
    assert written.startswith("unexpected RuntimeError: xxx")
    assert len(written) == MAX_FAILURE_LENGTH
    assert "Traceback" in capsys.readouterr().err


def test_settings_that_are_missing_fail_the_job_with_their_names(tmp_path, capsys):
    assert main({"SM_OUTPUT_DIR": str(tmp_path)}) == 1
    assert "not set: SM_MODEL_DIR" in _last(capsys)


def test_the_sample_is_made_of_real_rows_with_the_models_answers(tmp_path, champion):
    model = artifact.load(artifact.unpack(champion / "model.tar.gz", tmp_path))
    sample = json.loads((tmp_path / "sample.json").read_text())
    matrix = model.encoder.encode_values([list(row.values()) for row in sample["instances"]])
    assert [p["score"] for p in sample["predictions"]] == model.scores(matrix).tolist()
    assert {len(row) for row in sample["instances"]} == {4}


@pytest.mark.parametrize("name", artifact.SIGNED)
def test_a_model_with_a_changed_or_missing_file_is_refused(tmp_path, champion, name):
    folder = artifact.unpack(champion / "model.tar.gz", tmp_path)
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    with pytest.raises(ArtifactError, match=f"{name}: found .*, expected SHA-256"):
        artifact.load(folder)
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name}: found no file"):
        artifact.load(folder)


@pytest.mark.parametrize("passport", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "files": {}}'])
def test_a_model_without_a_proper_passport_is_refused(tmp_path, passport):
    (tmp_path / "passport.json").write_text(passport)
    with pytest.raises(ArtifactError, match=r"passport\.json"):
        artifact.load(tmp_path)


def test_a_loaded_model_predicts_as_the_fitted_one_did(tmp_path, champion):
    model = artifact.load(artifact.unpack(champion / "model.tar.gz", tmp_path))
    matrix = model.encoder.encode_texts([row.split(",")[1:5] for row in lines(50)])
    assert np.array_equal(model.scores(matrix), model.estimator.predict_proba(matrix)[:, 1])
    assert model.fitted_until == np.datetime64("2024-01-10T23:00:00")
