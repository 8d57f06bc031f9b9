"""Everything that bills carries the stack's tags: the provider tags its resources, the workflows theirs."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from inference.release.plan import Plan
from tests.infra.mocks import deploy, standard

ROOT = Path(__file__).parents[2]
STACKS = sorted(p.name.split(".")[1] for p in ROOT.glob("Pulumi.*.yaml"))


def _config(stack: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return found


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_file_tags_project_environment_and_owner(stack: str) -> None:
    tags = _config(stack)["aws:defaultTags"]["tags"]
    assert tags == {"project": "upkeep", "environment": stack, "managed-by": "pulumi"}


def test_no_resource_sets_tags_that_would_hide_the_stacks_own() -> None:
    assert not [r.name for r in standard().custom if "tags" in r.inputs]


def test_what_the_state_machines_create_carries_the_same_tags() -> None:
    deployment = deploy({"aws:defaultTags": {"tags": {"team": "ml", "project": "upkeep"}}})
    expected = [{"Key": "project", "Value": "upkeep"}, {"Key": "team", "Value": "ml"}]
    retrain, release = (
        deployment.one("aws:sfn/stateMachine:StateMachine", f"flights-{m}-machine").document("definition")[
            "States"
        ]
        for m in ("retrain", "release")
    )
    assert retrain["Train"]["Parameters"]["Tags"] == expected
    # Model, configuration and check of a release are made by the function, with what the machine hands it.
    plan = Plan.read(release["Step"]["Parameters"]["Payload"]["plan"])
    assert plan.tag_list() == expected
    assert release["Check"]["Parameters"]["Tags.$"] == "$.result.check.Tags"
    # A version of a group has the group's tags and takes none of its own.
    assert "Tags" not in retrain["Register"]["Parameters"]
