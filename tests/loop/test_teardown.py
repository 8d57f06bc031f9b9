"""What goes when a model, and then the whole stack, goes. The last tests of the loop's sandbox."""

from __future__ import annotations

import pytest

from tests.loop.conftest import Operator, everything

pytestmark = pytest.mark.sandbox


def test_a_removed_model_takes_its_resources_along_and_leaves_the_rest(operator: Operator):
    operator.configure(models=[], overrides={})
    operator.upkeep("up", "--yes")
    assert operator.client("sagemaker").list_endpoints()["Endpoints"] == []
    assert operator.client("stepfunctions").list_state_machines()["stateMachines"] == []
    names = [bucket["Name"] for bucket in operator.client("s3").list_buckets()["Buckets"]]
    assert operator.outputs["data_bucket"] in names


def test_down_leaves_an_empty_account(operator: Operator):
    operator.configure()
    operator.upkeep("up", "--yes")
    operator.upkeep("down", "--yes")
    assert {kind: names for kind, names in everything(operator).items() if names} == {}
