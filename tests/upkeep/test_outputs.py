import json

import pytest

from sandbox.deployer import kept
from tests.upkeep.fakes import RAW, stack_outputs
from upkeep import outputs
from upkeep.errors import UpkeepError


def test_a_stack_without_outputs_is_told_to_be_deployed_first():
    with pytest.raises(UpkeepError, match=r"'dev' is not deployed.*`upkeep up --stack dev`"):
        outputs.parse({}, "dev")


def test_the_sandbox_is_told_the_short_command():
    with pytest.raises(UpkeepError, match="`upkeep up`"):
        outputs.parse({}, "sandbox")


def test_a_half_finished_deployment_names_the_missing_outputs():
    with pytest.raises(UpkeepError, match="lacks the outputs artifacts_bucket, models"):
        outputs.parse({**RAW, "artifacts_bucket": "", "models": None}, "dev")


def test_a_stack_may_have_no_models():
    assert outputs.parse({**RAW, "models": {}}, "dev").models == {}


def test_an_incomplete_model_is_named():
    with pytest.raises(UpkeepError, match=r"models\.flights .*incomplete"):
        outputs.parse({**RAW, "models": {"flights": {"endpoint": "e"}}}, "dev")


def test_the_only_model_needs_no_name():
    assert stack_outputs().model(None).name == "flights"


def test_an_unknown_model_is_answered_with_those_deployed():
    with pytest.raises(UpkeepError, match="'houses' is not in this stack; deployed: flights"):
        stack_outputs().model("houses")


def test_of_two_models_one_has_to_be_chosen():
    one = RAW["models"]["flights"]
    both = stack_outputs(models={"flights": one, "houses": one})
    with pytest.raises(UpkeepError, match="flights, houses; choose one with --model"):
        both.model(None)


def test_the_prefix_is_read_from_a_name_and_not_made_up():
    assert stack_outputs().prefix == "upkeep-dev"


def test_outputs_come_from_the_stack_resource_of_a_checkpoint(tmp_path):
    path = tmp_path / "sandbox.json"
    resources = [
        {"type": "aws:s3/bucket:Bucket", "outputs": {"region": "x"}},
        {"type": "pulumi:pulumi:Stack", "outputs": RAW},
    ]
    path.write_text(json.dumps({"version": 3, "deployment": {"resources": resources}}))
    assert outputs.from_checkpoint(path) == RAW


def test_no_checkpoint_means_no_outputs(tmp_path):
    assert outputs.from_checkpoint(tmp_path / "none.json") == {}


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_text("{")])
def test_a_lost_or_torn_checkpoint_is_read_from_its_copy(tmp_path, spoil):
    path = tmp_path / "sandbox.json"
    stack = {"type": "pulumi:pulumi:Stack", "outputs": RAW}
    kept.save(path, {"version": 3, "deployment": {"resources": [stack]}})
    spoil(path)
    assert outputs.from_checkpoint(path) == RAW


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "sandbox.json"
    path.write_text("{")
    with pytest.raises(UpkeepError, match=r"sandbox\.json is not readable as a checkpoint"):
        outputs.from_checkpoint(path)
