"""Whatever call fails, and whether or not it was carried out: the next wake ends in the same state."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from tests.training.dispatch.world import QUICK, Killed
from training import versions
from training.dispatch.endings import UNKNOWN_SECONDS

LEASE_SECONDS = 120
THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "any")


def calls_of_a_wake(world, calls):
    """How many calls the first wake makes; the world is as new afterwards."""
    calls.begin()
    world.wake()
    return len(calls.seen)


def spoil(world, calls, number, after):
    """Let one call of a wake fail; False when the wake makes fewer calls."""
    calls.begin(number, after=after)
    with suppress(Killed):
        world.wake()
    reached = len(calls.seen) >= number
    calls.begin()
    return reached


@pytest.mark.parametrize(
    ("error", "after"),
    [(Killed(), False), (Killed(), True), (THROTTLED, True)],
    ids=["killed before", "killed after", "answer lost"],
)
def test_a_start_is_made_exactly_once_whichever_call_fails(world, calls, error, after):
    calls.error = error
    reached, number = True, 0
    while reached:
        number += 1
        world.push(f"{number}.csv")
        reached = spoil(world, calls, number, after)
        assert len(world.executions) <= number, "one at a time"
        world.clock.at += LEASE_SECONDS
        assert world.wake() == []
        version = versions.select("toy", world.store_bucket, "all", world.ledger.data("toy"))
        names = [one.name for one in world.executions]
        assert names.count(version.id) == 1
        assert len(names) == len(set(names)) == number
        run = world.ledger.run("toy", version.id)
        assert (run.state, run.files) == ("running", number)
        world.wake(world.end())
        assert [one.state for one in world.runs] == ["succeeded"] * number
        assert all(one.usd == 0.0115 for one in world.runs)
        world.messages("dispatch")
    assert number > 12


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_end_is_noted_whichever_call_fails(world, calls, after):
    reached, number = True, 0
    while reached:
        number += 1
        world.push(f"{number}.csv")
        world.wake()
        world.end()
        reached = spoil(world, calls, number, after)
        world.clock.at += LEASE_SECONDS
        assert world.wake() == []
        assert [one.state for one in world.runs] == ["succeeded"] * number
        assert len(world.executions) == number
    assert number > 8


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_people_are_told_at_least_once_and_at_most_twice_whichever_call_fails(world, calls, after):
    reached, number = True, 0
    while reached:
        number += 1
        world.refuse(f"{number}.csv")
        told = len(world.notices)
        reached = spoil(world, calls, number, after)
        world.clock.at += LEASE_SECONDS
        assert world.wake() == []
        assert told + 1 <= len(world.notices) <= told + 2
        assert world.wake() == []
        assert len(world.notices) <= told + 2
    assert number > 6


def test_an_execution_that_was_started_with_other_input_is_taken_for_started(world, calls):
    """The contract was changed between the start and the look."""
    world.push("a.csv")
    lose_the_answer_of_the_start(world, calls)
    world.deploy(QUICK, contract=replace(world.spec.contract, max_bad_share=0.5))
    assert world.wake() == []
    assert len(world.executions) == 1
    assert [run.state for run in world.runs] == ["running"]


def test_an_execution_that_ended_before_its_start_was_noted_is_settled(world, calls):
    world.push("a.csv")
    lose_the_answer_of_the_start(world, calls)
    assert [run.state for run in world.runs] == ["starting"]
    world.end()
    world.wake()
    world.wake()
    assert [run.state for run in world.runs] == ["succeeded"]
    assert len(world.executions) == 1


def lose_the_answer_of_the_start(world, calls):
    calls.begin("StartExecution", after=True)
    with suppress(Killed):
        world.wake()
    calls.begin()
    world.clock.at += LEASE_SECONDS


def test_data_that_arrived_after_a_start_was_written_down_is_for_the_next_run(world, calls):
    world.push("a.csv")
    unavailable = ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "-"}}, "StartExecution")
    calls.answers["StartExecution"] = unavailable
    assert world.wake() == ["0"]
    world.push("b.csv")
    assert world.wake() == ["0"]
    assert [run.state for run in world.runs] == ["starting"]
    calls.answers.clear()
    assert world.wake() == []
    assert [json.loads(one.execution_input)["files"] for one in world.executions] == [1]
    world.wake(world.end())
    assert [json.loads(one.execution_input)["files"] for one in world.executions] == [1, 2]


def test_limits_count_from_when_a_run_is_known_to_have_been_started(world, calls):
    world.deploy(replace(QUICK, cooldown_seconds=600))
    world.push("a.csv")
    unavailable = ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "-"}}, "StartExecution")
    calls.answers["StartExecution"] = unavailable
    world.wake()
    world.clock.at += 3600
    calls.answers.clear()
    world.wake()
    world.push("b.csv")
    world.wake(world.end())
    assert len(world.executions) == 1
    assert world.ledger.plan("toy").held["until"] == world.clock.at + 600


def test_an_execution_that_is_not_known_yet_is_not_started_again(world, calls):
    world.push("a.csv")
    world.wake()
    unknown = ClientError({"Error": {"Code": "ExecutionDoesNotExist", "Message": "-"}}, "DescribeExecution")
    calls.answers["DescribeExecution"] = unknown
    calls.begin()
    world.clock.at += UNKNOWN_SECONDS - 1
    world.wake()
    assert "StartExecution" not in calls.seen
    world.clock.at += 1
    world.wake()
    assert calls.seen.count("StartExecution") == 1
    assert len(world.executions) == 1


def test_an_execution_that_vanished_is_started_again_under_its_name(world):
    world.push("a.csv")
    world.wake()
    (execution,) = world.executions
    world.forget_executions()
    world.clock.at += UNKNOWN_SECONDS
    world.wake()
    assert [one.name for one in world.executions] == [execution.name]
    assert [one.execution_input for one in world.executions] == [execution.execution_input]


def test_a_run_whose_data_version_is_gone_fails_with_a_reason(world, calls):
    world.push("a.csv")
    unavailable = ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "-"}}, "StartExecution")
    calls.answers["StartExecution"] = unavailable
    world.wake()
    calls.answers.clear()
    for key in world.store.keys("manifests/"):
        world.store.s3.delete_object(Bucket=world.store_bucket, Key=key)
    world.clock.at += 1
    world.wake()
    failed, again = world.runs
    assert "has no record" in failed.reason
    assert (failed.state, failed.usd, again.state) == ("failed", 0, "running")


def test_a_decider_whose_lease_ran_out_starts_nothing(world, calls):
    world.push("a.csv")

    def sleep_and_lose_it(_):
        world.clock.at += 2 * LEASE_SECONDS
        world.ledger.take_lease("toy", "another", 600)
        return {}

    calls.answers["PutObject"] = sleep_and_lose_it
    assert world.wake() == []
    assert (world.executions, world.runs) == ([], [])
    assert world.ledger.plan("toy").lease_owner == "another"


def test_a_throttled_call_is_retried_by_the_client_alone(world, calls):
    """Retries are made at one layer: the handler's own call count does not grow with the errors."""
    world.push("a.csv")
    plain = calls_of_a_wake(world, calls)
    world.wake(world.end())
    world.push("b.csv")
    calls.answers["StartExecution"] = THROTTLED
    calls.begin()
    assert world.wake() == ["0"]
    assert calls.seen.count("StartExecution") == 1
    assert len(calls.seen) <= plain + 3
