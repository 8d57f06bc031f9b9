"""One decider at a time, nobody's arrival is overlooked, and a run changes its state once."""

import pytest

from training.ledger.plans import LeaseLostError
from training.ledger.records import PlanRecord, RunRecord


def test_one_of_two_deciders_gets_the_lease_and_the_other_leaves_word(ledger):
    assert ledger.take_lease("toy", "one", 60) is not None
    assert ledger.take_lease("toy", "two", 60) is None
    assert not ledger.release_lease("toy", "one"), "decide once more"
    assert ledger.release_lease("toy", "one")
    assert ledger.take_lease("toy", "two", 60) is not None


def test_a_lease_ends_with_its_function(ledger, clock):
    ledger.take_lease("toy", "one", 60)
    clock.at += 60
    assert ledger.take_lease("toy", "two", 60).lease_owner == "two"
    assert not ledger.renew_lease("toy", "one", 60)
    assert ledger.release_lease("toy", "one"), "nothing left to do"
    assert ledger.plan("toy").lease_owner == "two"
    with pytest.raises(LeaseLostError, match="the lease of one ran out"):
        ledger.update_plan("toy", "one", current_run="r")


def test_a_lease_can_be_kept_longer(ledger, clock):
    ledger.take_lease("toy", "one", 60)
    clock.at += 50
    assert ledger.renew_lease("toy", "one", 60)
    clock.at += 50
    assert ledger.take_lease("toy", "two", 60) is None


def test_an_arrival_is_noted_whoever_has_the_lease_and_never_goes_back(ledger, clock):
    assert ledger.plan("toy") == PlanRecord(model="toy")
    ledger.take_lease("toy", "one", 60)
    ledger.note_arrival("toy")
    ledger.note_arrival("toy", clock.at - 10)
    found = ledger.plan("toy")
    assert (found.last_arrival, found.lease_owner) == (clock.at, "one")


def test_a_hold_keeps_its_beginning_and_is_announced_once_per_rule(ledger, clock):
    ledger.take_lease("toy", "one", 600)
    begin = clock.at
    ledger.hold("toy", "one", "cooldown", "too soon", begin + 60)
    assert [ledger.announce_held("toy") for _ in range(2)] == [True, False]
    clock.at += 10
    ledger.hold("toy", "one", "cooldown", "still too soon", begin + 60)
    assert ledger.plan("toy").held == {
        "rule": "cooldown",
        "reason": "still too soon",
        "since": begin,
        "until": begin + 60,
    }
    assert not ledger.announce_held("toy")
    assert not ledger.hold("toy", "one", "money", "too dear", None).held_announced
    assert ledger.announce_held("toy")
    assert ledger.unhold("toy", "one").held is None
    assert not ledger.announce_held("toy")


def test_a_wish_is_taken_back_unless_there_is_a_newer_one(ledger, clock):
    ledger.force("toy", "ann")
    wish = ledger.take_lease("toy", "one", 60).forced
    assert wish == {"by": "ann", "at": clock.at}
    clock.at += 1
    ledger.force("toy", "bob")
    assert not ledger.unforce("toy", "one", wish)
    assert ledger.unforce("toy", "one", ledger.plan("toy").forced)
    assert ledger.plan("toy").forced is None


def test_a_run_changes_its_state_once(ledger):
    run = RunRecord(model="toy", run_id="r1", data_version="d", started_at=1)
    assert ledger.record_run(run)
    assert not ledger.record_run(run)
    ended = ledger.transition_run("toy", "r1", ["starting", "running"], "failed", reason="disk", usd=0.1)
    assert (ended.state, ended.reason, ended.usd) == ("failed", "disk", 0.1)
    assert ledger.transition_run("toy", "r1", ["starting", "running"], "succeeded") is None
    assert ledger.run("toy", "r1") == ended
    assert ledger.run("toy", "r2") is None


def test_runs_are_listed_newest_first(ledger):
    for number, name in enumerate("bca"):
        ledger.record_run(RunRecord(model="toy", run_id=name, data_version="d", started_at=number))
    ledger.transition_run("toy", "a", ["starting"], "running")
    assert [run.run_id for run in ledger.runs("toy")] == ["a", "c", "b"]
    assert [run.run_id for run in ledger.runs("toy", ["starting"])] == ["c", "b"]
