from dataclasses import replace

import pytest

from tests.upkeep.fakes import START
from tests.upkeep.test_follow import PACKAGE
from training.ledger.rollouts import RolloutRecord
from upkeep import truth
from upkeep.serving import Serving

NOW = Serving(endpoint="e", status="InService", config="c2", version=2, since=START)
NOTED = RolloutRecord(model="flights", config="c2")


def check(now=NOW, noted=NOTED, packages=(), **options):
    return truth.check("flights", now, noted, packages, **options)


def test_what_serves_as_released_is_well():
    found = check()
    assert (found.ok, found.note, found.serves, found.expected) == (True, "", "c2", "c2")


def test_a_silent_rollback_is_a_problem_with_its_reason():
    found = check(replace(NOW, config="c1", failure="The new variant failed its ping."))
    assert not found.ok
    assert "serves c1, not c2, which was released last: The new variant failed its ping;" in found.problem


def test_a_silent_rollback_without_a_reason_is_a_problem_too():
    assert "SageMaker gives no reason" in check(replace(NOW, config="c1")).problem


def test_an_update_that_nobody_noted_and_that_was_taken_back_is_a_problem():
    found = check(replace(NOW, failure="no capacity"))
    assert "an update of endpoint e was taken back and c2 serves on: no capacity" in found.problem


def test_a_rollout_that_knows_it_was_taken_back_is_a_note():
    noted = replace(NOTED, last_outcome="rolled_back")
    found = check(replace(NOW, failure="alarm rang"), noted)
    assert (found.ok, found.note) == (True, "the last update was taken back: alarm rang")


@pytest.mark.parametrize("status", truth.MOVING)
def test_while_it_moves_nothing_is_wrong(status):
    found = check(replace(NOW, status=status, config="c1"))
    assert (found.ok, found.moving) == (True, True)


def test_a_rollout_under_way_says_how_far_it_is():
    noted = replace(NOTED, owner="arn:x", operation="release", version="1.2.0", phase="updating")
    found = check(replace(NOW, config="c3"), noted)
    assert (found.ok, found.note) == (True, "release of 1.2.0 is under way (updating)")


def test_a_rollout_whose_execution_has_died_is_a_problem():
    noted = replace(NOTED, owner="arn:x", operation="release", version="1.2.0", phase="updating")
    found = check(noted=noted, alive=False)
    assert "the release of 1.2.0 stopped in the middle (updating); `upkeep rollback`" in found.problem


def test_a_failed_endpoint_and_a_missing_one_are_problems():
    assert "is Failed: no ping" in check(replace(NOW, status="Failed", failure="no ping")).problem
    assert "does not exist" in check(replace(NOW, status="Missing")).problem


def test_without_a_record_the_newest_live_package_counts():
    old, new = (
        replace(PACKAGE, release="live", metadata={"endpoint_config": name, "released_at": at})
        for name, at in (("c1", "2026-01-01"), ("c2", "2026-02-01"))
    )
    assert check(noted=None, packages=[old, new]).ok
    assert not check(replace(NOW, config="c1"), noted=None, packages=[old, new]).ok


def test_before_any_release_whatever_is_known_may_serve():
    assert check(replace(NOW, version=0), noted=None).ok
    assert "serves c2, not the seed" in check(replace(NOW, version=None), noted=None).problem


def test_without_a_record_a_rejected_newest_version_explains_a_failure():
    rejected = replace(PACKAGE, approval="Rejected")
    assert check(replace(NOW, failure="x"), noted=None, packages=[rejected]).ok


def test_the_stack_is_asked_as_a_whole(shelf):
    shelf.add(1, "1.0.1")
    shelf.serve(1, 0)
    shelf.config = shelf.config_of(0)
    (found,) = truth.read_all(shelf.stand.context, shelf.stand.ledger)
    assert (found.model, found.ok, found.expected) == ("flights", False, shelf.config_of(1))


def test_an_execution_that_runs_is_alive_and_one_that_is_gone_is_not(shelf):
    there, model = shelf.stand.context, shelf.stand.model
    shelf.release = lambda *_: ("RUNNING", "")
    shelf.add(1, approval="Rejected")
    shelf._execute("x", {})
    running = shelf.executions[0]["executionArn"]
    assert truth.is_alive(there, model, replace(NOTED, owner=running))
    assert not truth.is_alive(there, model, replace(NOTED, owner="arn:gone"))
    assert not truth.is_alive(there, model, NOTED)
