"""What a job writes down for the gate and the report, and what the gate makes of harmful data."""

import json
import random

import numpy as np
import pytest

from models.spec import Gate
from tests.training.examples import START, declare, environment, evaluation, lines, pack, text
from training.gate.decide import decide
from training.main import main
from training.registry import digests

SLICES = {"metric": "roc_auc", "slices": ["kind", "size", "heavy"], "slice_min_rows": 20}


def _run(folder, rows, run_id="r1", champion=None, **changes):
    spec = declare(**changes)
    code = main(environment(folder, spec, {"a.csv": text(rows)}, run_id=run_id, champion=champion))
    assert code == 0
    return evaluation(folder / "output" / "data")


def _champion(folder, count, **options):
    _run(folder, lines(count, **options), "first")
    return pack(folder / "model", folder / "champion" / "model.tar.gz").parent


@pytest.fixture(scope="module")
def champion(tmp_path_factory):
    return _champion(tmp_path_factory.mktemp("first"), 400)


@pytest.fixture(scope="module")
def job(tmp_path_factory, champion):
    folder = tmp_path_factory.mktemp("second")
    return folder, _run(folder, lines(1500), "second", champion, gate=SLICES)


def test_the_evidence_is_complete_and_plain_json(job):
    folder, found = job
    json.dumps(found, allow_nan=False)
    assert found["schema"] == 2
    assert found["paired"].keys() == {
        "metric", "gain", "standard_error", "blocks", "effective_blocks", "block", "resamples", "coarser",
    }  # fmt: skip
    assert (found["paired"]["metric"], found["paired"]["block"], found["paired"]["blocks"]) == (
        "roc_auc",
        "hour",
        found["rows"]["holdout"],
    )
    assert found["paired"]["gain"] == pytest.approx(
        found["challenger"]["roc_auc"] - found["champion"]["roc_auc"]
    )
    assert found["paired"]["coarser"]["block"] == "day"
    assert found["paired"]["coarser"]["blocks"] == len(found["holdout"]["days"])
    assert found["sliced"] == ["kind", "size", "heavy"]
    assert {one["value"] for one in found["slices"] if one["feature"] == "kind"} == {"a", "b", "c"}
    assert {one["value"] for one in found["slices"] if one["feature"] == "heavy"} == {"true", "false"}
    assert found["calibration"].keys() == found["curves"].keys() == {"challenger", "champion"}
    assert found["curves"]["champion"]["roc"]
    assert {one["feature"] for one in found["importance"]} == {"kind", "place", "size", "heavy"}
    assert found["latency"]["requests"] > 0
    stored = sum(path.stat().st_size for path in (folder / "model").rglob("*") if path.is_file())
    assert found["artifact_bytes"] == stored
    assert sum(found["holdout"]["days"].values()) == found["holdout"]["rows"] == found["rows"]["holdout"]
    assert found["leakage"]["note"] == ""


def test_the_evidence_names_what_made_both_models(job):
    folder, found = job
    passport = json.loads((folder / "model" / "passport.json").read_text())
    assert found["digests"] == passport["digests"]
    assert found["champion_digests"] == {**digests.known(found["digests"]), "run_id": "first"} | {
        "spec": found["champion_digests"]["spec"]
    }
    assert found["champion_digests"]["spec"] != found["digests"]["spec"]  # the first one had no slices
    assert passport["champion_run_id"] == "first"
    assert found["model_digest"] == passport["model_digest"]


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_have_their_evidence_too(tmp_path, task):
    metric = {"multiclass": "f1_macro", "regression": "rmse"}[task]
    changes = {"task": task, "gate": {"metric": metric, "slices": ["kind"], "slice_min_rows": 20}}
    for name, rows, known in (("one", lines(400, task), None), ("two", lines(1500, task), tmp_path / "c")):
        found = _run(tmp_path / name, rows, name, known, **changes)
        pack(tmp_path / name / "model", tmp_path / "c" / "model.tar.gz")
    assert found["paired"]["standard_error"] > 0
    assert found["calibration"] is None
    assert len(found["slices"]) == 3
    assert decide(found, Gate(metric=metric, slices=("kind",))).checks


def test_a_first_model_has_no_champion_and_the_rest_of_the_evidence(tmp_path):
    found = _run(tmp_path, lines(400), gate=SLICES)
    assert found["comparable"]
    for name in ("paired", "champion", "champion_digests"):
        assert found[name] is None
    assert found["curves"]["challenger"]
    assert found["curves"]["champion"] is found["calibration"]["champion"] is None
    assert {one["loss"] for one in found["slices"]} == {None}
    assert decide(found, Gate()).promote


def _at(row, hour):
    """The row with the time of another hour."""
    from datetime import timedelta

    return f"{(START + timedelta(hours=hour)).isoformat()},{row.partition(',')[2]}"


def _distinct(count, **options):
    """Rows of which hardly two are alike but for their time."""
    source = random.Random(options.get("seed", 1))
    cells = [row.split(",") for row in lines(count, **options)]
    for row in cells:
        row[3] = f"{source.uniform(-100, 100):.9f}"
    return [",".join(row) for row in cells]


def test_rows_pushed_again_with_later_times_do_not_count_as_fresh(tmp_path):
    """The champion knows them by heart; so does the challenger."""
    rows = _distinct(600)
    _run(tmp_path / "one", rows, "first")
    known = pack(tmp_path / "one" / "model", tmp_path / "champion" / "model.tar.gz").parent
    later = [_at(row, 600 + place) for place, row in enumerate(rows[:150])]
    found = _run(tmp_path / "two", [*rows, *later], "second", known)
    assert not found["comparable"]
    assert found["champion"] is found["paired"] is None
    assert found["leakage"]["champion"]["repeated"] == found["leakage"]["challenger"]["repeated"] == 1.0
    assert decide(found, Gate()).reason.startswith(
        "refused: not compared with the champion: 100.0% of the rows to compare on repeat rows that the "
        "challenger was fitted on"
    )


def test_rows_only_the_champion_knows_do_not_count_as_fresh(tmp_path):
    """Its rows came again with corrected times, and the window has let the old ones go."""
    rows = _distinct(600)
    _run(tmp_path / "one", rows, "first")
    known = pack(tmp_path / "one" / "model", tmp_path / "champion" / "model.tar.gz").parent
    between = _distinct(600, first_hour=600, seed=2)
    later = [_at(row, 1200 + place) for place, row in enumerate(rows[:150])]
    training = {"holdout_min_rows": 20, "window": "750 rows", "hyperparameters": {"max_iter": 10}}
    found = _run(tmp_path / "two", [*rows, *between, *later], "second", known, training=training)
    assert found["leakage"]["challenger"]["repeated"] == 0.0
    assert found["leakage"]["champion"] == {"repeated": 1.0, "baseline": 0.0, "rows": 150}
    assert "repeat rows that the champion was fitted on" in found["note"]


def test_rows_of_few_kinds_that_repeat_each_other_all_the_time_are_compared(tmp_path, champion):
    rows = [",".join([*row.split(",")[:3], "", *row.split(",")[4:]]) for row in lines(1500)]
    found = _run(tmp_path, rows, "second", champion)
    assert found["leakage"]["challenger"]["repeated"] > 0.9
    assert found["comparable"]


def test_a_holdout_within_a_few_hours_decides_nothing(tmp_path, champion):
    """Three hundred rows in five hours are five strokes of luck, and fewer are held out."""
    rows = [_at(row, 400 + place // 60) for place, row in enumerate(lines(300, first_hour=400, seed=3))]
    minutes = [row.replace(":00:00,", f":{place % 60:02}:00,") for place, row in enumerate(rows)]
    found = _run(tmp_path, [*lines(400), *minutes], "second", champion)
    assert not found["comparable"]
    assert "lie in 3 hours" in found["note"]
    assert "at least 5 are needed to know what chance does (gate.block)" in found["note"]


def _flip(row, source, share):
    head, _, label = row.rpartition(",")
    return f"{head},{1 - int(label)}" if source.random() < share else row


@pytest.fixture(scope="module")
def weak(tmp_path_factory):
    """A champion that knows few rows: any honest month of data beats it."""
    return _champion(tmp_path_factory.mktemp("weak"), 110)


@pytest.mark.parametrize("seed", range(3))
def test_a_model_of_labels_of_which_three_in_ten_are_flipped_never_replaces_the_champion(
    tmp_path, weak, seed
):
    """The old rows were good; what is pushed now is falsified, and with it what is held out."""
    good, new, source = lines(110), lines(1400, first_hour=110, seed=10 + seed), random.Random(seed)
    false = [_flip(row, source, 0.3) for row in new]
    gate = Gate(minimum=0.75)
    honest, harmed = (
        decide(_run(tmp_path / name, [*good, *rows], name, weak), gate)
        for name, rows in (("honest", new), ("harmed", false))
    )
    assert honest.promote
    assert not harmed.promote


def test_the_same_rows_give_the_same_evidence(tmp_path, champion, job):
    _, found = job
    again = _run(tmp_path, lines(1500), "second", champion, gate=SLICES)
    measured = (
        "seconds",
        "latency",
        "artifact_bytes",
        "digests",
        "passport_sha256",
    )  # and what code there is
    assert {k: v for k, v in again.items() if k not in measured} == {
        k: v for k, v in found.items() if k not in measured
    }
    assert np.isfinite(again["paired"]["standard_error"])
