"""The job's settings come from the container alone, and what is missing is named at once."""

import json

import pytest

from tests.training.examples import declare, environment
from training.errors import TrainingError
from training.settings import failure_file, load


def _with(tmp_path, **hyperparameters):
    variables = environment(tmp_path, declare(), {})
    (tmp_path / "config" / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    return variables


def test_a_run_id_that_looks_like_a_number_stays_a_text(tmp_path):
    run_id = "12345678901234567e89"
    assert load(_with(tmp_path, model="toy", run_id=run_id)).run_id == run_id


def test_hyperparameters_sent_as_json_lose_their_quotes(tmp_path):
    settings = load(_with(tmp_path, model='"toy"', run_id='"0012"'))
    assert (settings.model, settings.run_id) == ("toy", "0012")


def test_every_missing_variable_is_named():
    with pytest.raises(TrainingError, match=r"not set: SM_MODEL_DIR, SM_OUTPUT_DATA_DIR, .*SM_CHANNEL_SPEC"):
        load({})


def test_missing_hyperparameters_are_named(tmp_path):
    with pytest.raises(TrainingError, match="missing run_id; found extra, model"):
        load(_with(tmp_path, model="toy", extra="1"))


def test_unreadable_hyperparameters_are_an_error_not_a_crash(tmp_path):
    variables = _with(tmp_path)
    (tmp_path / "config" / "hyperparameters.json").write_text("{")
    with pytest.raises(TrainingError, match="not readable as hyperparameters"):
        load(variables)


def test_without_a_champion_channel_there_is_no_champion(tmp_path):
    assert load(_with(tmp_path, model="toy", run_id="1")).champion is None


def test_the_failure_file_has_the_place_the_platform_reads():
    assert str(failure_file({})) == "/opt/ml/output/failure"


@pytest.mark.parametrize(("given", "expected"), [({}, ""), ({"champion_passport": "none"}, "")])
def test_a_champion_that_nobody_registered_has_no_passport_to_compare(tmp_path, given, expected):
    assert load(_with(tmp_path, model="toy", run_id="1", **given)).champion_passport == expected


def test_the_champions_registered_passport_is_what_it_is_compared_with(tmp_path):
    settings = load(_with(tmp_path, model="toy", run_id="1", champion_passport="5" * 64))
    assert settings.champion_passport == "5" * 64
