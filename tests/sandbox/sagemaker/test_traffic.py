from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.sagemaker.errors import ApiError
from sandbox.sagemaker.traffic import Step, check, steps


def routing(kind: str, **more: Any) -> dict[str, Any]:
    policy = {"Type": kind, "WaitIntervalInSeconds": 60, **more}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": policy, "TerminationWaitInSeconds": 30}}


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def shares(config: dict[str, Any], instances: int) -> list[float]:
    return [step.share for step in steps(config, instances)]


def test_without_a_configuration_all_traffic_moves_at_once() -> None:
    assert steps(None, 1) == [Step(1.0, 0.0, "")]


def test_all_at_once_bakes_before_the_old_fleet_ends() -> None:
    assert steps(routing("ALL_AT_ONCE"), 2) == [Step(1.0, 30.0, "TerminationWaitInSeconds")]


def test_a_canary_is_one_small_step_and_then_the_rest() -> None:
    assert steps(routing("CANARY", CanarySize=percent(10)), 10) == [
        Step(0.1, 60.0, "WaitIntervalInSeconds"),
        Step(1.0, 30.0, "TerminationWaitInSeconds"),
    ]


@pytest.mark.parametrize(
    ("size", "instances", "expected"),
    [
        (percent(25), 4, [0.25, 0.5, 0.75, 1.0]),
        (percent(30), 10, [0.3, 0.6, 0.9, 1.0]),
        ({"Type": "INSTANCE_COUNT", "Value": 2}, 4, [0.5, 1.0]),
        (percent(10), 3, [round(1 / 3, 9), round(2 / 3, 9), 1.0]),
    ],
)
def test_linear_steps_are_equal(size: dict[str, Any], instances: int, expected: list[float]) -> None:
    assert shares(routing("LINEAR", LinearStepSize=size), instances) == pytest.approx(expected)


def test_a_rolling_update_moves_traffic_batch_by_batch() -> None:
    rolling = {"RollingUpdatePolicy": {"MaximumBatchSize": percent(50), "WaitIntervalInSeconds": 5}}
    assert steps(rolling, 4) == [
        Step(0.5, 5.0, "WaitIntervalInSeconds"),
        Step(1.0, 0.0, "TerminationWaitInSeconds"),
    ]


@given(st.integers(1, 50), st.integers(1, 20), st.sampled_from(["CANARY", "LINEAR"]))
def test_the_share_only_grows_and_ends_at_all(value: int, instances: int, kind: str) -> None:
    size = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}[kind]
    found = shares(routing(kind, **{size: percent(value)}), instances)
    assert found == sorted(set(found))
    assert found[-1] == 1.0
    assert found[0] > 0


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (routing("CANARY"), "needs CanarySize"),
        (routing("CANARY", CanarySize=percent(60)), "allowed are 1 to 50"),
        (routing("LINEAR", LinearStepSize=percent(5)), "allowed are 10 to 50"),
        ({**routing("ALL_AT_ONCE"), "RollingUpdatePolicy": {"MaximumBatchSize": percent(5)}}, "not both"),
    ],
)
def test_a_configuration_that_aws_refuses_is_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError, match=words):
        check(config)
