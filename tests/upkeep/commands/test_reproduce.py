"""`upkeep reproduce` says whether a version comes out again."""

import pytest

from tests.training.registry.examples import model_files
from tests.upkeep.foundry import Foundry


@pytest.fixture
def foundry(stand):
    return Foundry(stand)


def test_the_same_model_is_exit_code_0_and_leaves_nothing(foundry, operate):
    said = operate("reproduce", "1.0.1")
    assert said.code == 0
    assert "The same model: version 1.0.1 came out again, byte for byte" in said.out
    assert foundry.left() == []


def test_another_model_is_exit_code_3_and_stays_to_be_looked_at(foundry, operate):
    foundry.made = model_files("other", foundry.stand.spec)
    said = operate("reproduce", "1.0.1")
    assert said.code == 3
    assert "Another model: version 1.0.1 did not come out again" in said.out
    assert [line.split()[1] for line in said.out.splitlines() if line.startswith("model.joblib")] == [
        "differs"
    ]
    assert [key for key in foundry.left() if key.endswith("/output/model.tar.gz")]


def test_the_comparison_is_json_on_request(foundry, operate):
    said = operate("reproduce", "1.0.1", "--json")
    assert said.code == 0
    assert (said.data["equal"], said.data["version"], said.data["kept"]) == (True, "1.0.1", False)
    assert said.data["model_digest"]["recorded"] == said.data["model_digest"]["reproduced"]
    assert all(file["same"] for file in said.data["files"])


def test_a_model_that_is_the_same_is_kept_on_request(foundry, operate):
    said = operate("reproduce", "1.0.1", "--keep")
    assert said.code == 0
    assert "The new model: s3://" in said.out
    assert len(foundry.left()) == 1


def test_inputs_that_are_gone_are_exit_code_1(foundry, operate):
    foundry.erase(foundry.manifest)
    said = operate("reproduce", "1.0.1")
    assert said.code == 1
    assert "cannot be trained again from what it was trained from" in said.err
    assert "data manifest" in said.err


def test_a_version_that_is_not_there_is_named(foundry, operate):
    said = operate("reproduce", "9.9.9")
    assert said.code == 1
    assert "no version '9.9.9'" in said.err
