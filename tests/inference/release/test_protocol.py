"""The protocol, in every order in which anything can happen; `explorer.py` says what that is.

What holds at every moment and at every end is checked there: only an approved version that no release has
failed gets traffic; what serves exists; one execution at a time updates the endpoint, and only while it holds
the claim; the record says what serves; every execution ends, whatever comes between, and leaves the registry
and the record as the endpoint is.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from inference.release import protocol
from inference.release.actions import AskSample, End, Mark, RunCheck, Update, Wait, note
from inference.release.world import Endpoint, Observation, Package, Release, Rollback
from tests.inference.release.explorer import explore
from tests.inference.release.invariants import ViolationError
from tests.inference.release.mutants import MUTANTS
from tests.inference.release.scenarios import SCENARIOS
from training.ledger.rollouts import CLAIMED, ENDING, RESTORING, UPDATING, RolloutRecord

MINE = RolloutRecord(
    model="m",
    owner="me",
    operation="release",
    package_arn="p1",
    version="1.1.0",
    from_config="old",
    to_config="new",
    config="old",
    phase=CLAIMED,
)
PACKAGE = Package(arn="p1", version="1.1.0")


@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_happens_the_invariants_hold_and_everything_ends(name: str) -> None:
    found = explore(SCENARIOS[name])
    assert found.ends


def test_everything_that_can_become_of_a_release_is_explored() -> None:
    found = explore(SCENARIOS["checks"])
    outcomes = {outcome for name, _, outcome in found.outcomes if name == "r1"}
    assert outcomes == {"live", "failed", "refused", "withdrawn", "nothing", "rolled_back"}


def test_a_rollback_always_ends_and_well_when_there_is_something_to_go_back_to() -> None:
    for name in ("rollback without the newest", "rollback past what is gone", "rollback to a version"):
        assert explore(SCENARIOS[name]).outcomes == {("b", True, "live")}
    assert explore(SCENARIOS["rollback to what is rejected"]).outcomes == {("b", False, "failed")}


def test_of_two_people_who_go_back_at_once_one_does_and_the_other_finds_it_done() -> None:
    ends = explore(SCENARIOS["two rollbacks"]).ends
    assert {end.endpoint.config for end in ends} == {"c0"}
    assert {end.package("p1").mark for end in ends} == {"rolled_back"}


def test_a_rollback_in_a_rollout_takes_that_back_and_nothing_more() -> None:
    ends = explore(SCENARIOS["rollback from what comes"]).ends
    assert {end.endpoint.config for end in ends} == {"c1", "c2"}
    before = [end for end in ends if end.endpoint.config == "c2"]
    # Who goes back from what has not come yet finds it done, and does not forbid it to come.
    assert all(end.package("p2").mark == "live" for end in before)


@pytest.mark.parametrize("name", MUTANTS)
def test_every_known_mistake_is_found(name: str) -> None:
    make, scenario = MUTANTS[name]
    with pytest.raises(ViolationError):
        explore(SCENARIOS[scenario], make())


def _seen(record: RolloutRecord, **values: object) -> Observation:
    given = {"endpoint": Endpoint(config="old", token="1"), "packages": (PACKAGE,), "to_config": "new"}
    return Observation(rollout=record, **{**given, **values})  # type: ignore[arg-type]


def _mine(**changes: object) -> RolloutRecord:
    return replace(MINE, **changes)  # type: ignore[arg-type]


def _next(seen: Observation) -> object:
    return protocol.next_action(seen, Release(package_arn="p1"), "me")


def test_an_update_that_was_not_asked_for_is_asked_for_and_one_that_was_is_not_asked_for_again() -> None:
    asked = _mine(phase=UPDATING, token="1")
    assert isinstance(_next(_seen(asked)), Update)
    silent = _next(_seen(asked, endpoint=Endpoint(config="old", token="2")))
    assert dict(silent.changes)["outcome"] == "rolled_back"  # type: ignore[attr-defined]
    assert "SageMaker gives no reason" in dict(silent.changes)["failure"]  # type: ignore[attr-defined]


def test_sagemakers_reason_is_told_when_it_gives_one() -> None:
    back = Endpoint(config="old", token="2", failure="alarms rang: upkeep-x-rollout-5xx")
    found = _next(_seen(_mine(phase=UPDATING, token="1"), endpoint=back))
    assert dict(found.changes)["failure"] == back.failure  # type: ignore[attr-defined]


def test_a_failure_of_before_is_not_taken_for_ours() -> None:
    old = Endpoint(config="old", token="1", failure="of last week")
    assert isinstance(_next(_seen(_mine(phase=UPDATING, token="1"), endpoint=old)), Update)


def test_the_sample_is_asked_before_the_version_is_marked_and_only_once_it_serves() -> None:
    record, new = _mine(phase=UPDATING, token="1"), Endpoint(config="new", token="2")
    moving = Endpoint(config="old", token="2", status="Updating")
    assert isinstance(_next(_seen(record, endpoint=moving)), Wait)
    assert _next(_seen(record, endpoint=new)) == AskSample()
    asked = _mine(phase=UPDATING, token="1", passed=("sample",))
    assert _next(_seen(asked, endpoint=new)) == Mark(package_arn="p1", release="live", config="new")


def test_a_mixed_endpoint_is_taken_back() -> None:
    mixed = Endpoint(config="new", token="2", status="UpdateRollbackFailed")
    found = dict(_next(_seen(_mine(phase=UPDATING, token="1"), endpoint=mixed)).changes)  # type: ignore[attr-defined]
    assert (found["phase"], found["token"]) == (RESTORING, "2")


def test_an_endpoint_that_failed_for_good_ends_the_release_with_its_reason() -> None:
    dead = Endpoint(config="old", token="2", status="Failed", failure="no capacity")
    found = dict(_next(_seen(_mine(phase=UPDATING, token="1"), endpoint=dead)).changes)  # type: ignore[attr-defined]
    assert (found["phase"], found["outcome"]) == (ENDING, "failed")
    assert "no capacity" in found["failure"]


def test_a_check_that_breaks_is_tried_twice_and_then_the_version_is_refused() -> None:
    passed = _mine(passed=("passport",))
    assert _next(_seen(passed, prepared=True)) == RunCheck(attempt=1)
    again = _mine(passed=("passport",), checks=1)
    assert _next(_seen(again, prepared=True)) == RunCheck(attempt=2)
    found = _next(_seen(_mine(passed=("passport",), checks=2), prepared=True))
    assert dict(found.changes)["outcome"] == "refused"  # type: ignore[attr-defined]


def test_alarms_that_ring_already_are_waited_for_and_named_when_the_time_is_over() -> None:
    record = _mine(passed=("passport", "check"))
    waiting = _next(_seen(record, prepared=True, ringing=("slow",)))
    assert waiting == Wait(why="alarms ring before the rollout: slow")
    over = _next(_seen(record, prepared=True, ringing=("slow",), overdue=True))
    assert "slow ring" in dict(over.changes)["failure"]  # type: ignore[attr-defined]


def test_a_release_does_not_disturb_an_experiment() -> None:
    running = RolloutRecord(model="m", config="old", experiment="e1")
    end = _next(_seen(running))
    assert isinstance(end, End)
    assert "e1" in end.reason


def test_another_deployment_of_the_stack_begins_the_preparation_anew() -> None:
    found = _next(_seen(_mine(passed=("passport",)), to_config="newer"))
    assert found == note(to_config="newer", passed=(), checks=0)


def test_a_rollback_that_is_refused_again_and_again_ends() -> None:
    record = _mine(operation="rollback", phase=UPDATING)
    for _ in range(protocol.MAX_TRIES):
        changes = dict(protocol.update_refused(record, "no").changes)
        record = _mine(operation="rollback", **{"phase": UPDATING, **changes})
    assert (record.phase, record.outcome) == (ENDING, "failed")


def test_a_rollback_pins_what_it_wants_to_leave_before_it_does_anything() -> None:
    free = RolloutRecord(model="m", config="old")
    seen = _seen(free)
    found = protocol.next_action(seen, Rollback(), "me")
    assert found.away == "old"  # type: ignore[union-attr]
