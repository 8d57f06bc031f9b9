"""A model has one experiment at a time, and every request's share can be told afterwards."""

from dataclasses import replace

from training.ledger.experiments import (
    FAILED,
    PROMOTED,
    RUNNING,
    STOPPED,
    STOPPING,
    ExperimentRecord,
)


def _record(**changes):
    base = {"model": "toy", "id": "e1", "treatment_package": "arn:pkg/2", "treatment_version": "1.1.0"}
    return ExperimentRecord(**{**base, "wanted_weight": 0.1, "created_at": 5.0, **changes})


def test_a_new_experiment_is_the_one_under_way(ledger):
    assert ledger.current_experiment("toy") is None
    assert ledger.begin_experiment(_record())
    assert ledger.current_experiment("toy") == _record()


def test_of_two_experiments_at_once_one_begins(ledger):
    assert ledger.begin_experiment(_record())
    assert not ledger.begin_experiment(_record(id="e2"))
    assert ledger.experiment("toy", "e2") is None
    assert ledger.begin_experiment(_record(model="other", id="e2"))


def test_the_next_one_may_begin_when_the_last_has_ended(ledger, clock):
    ledger.begin_experiment(_record())
    assert ledger.end_experiment("toy", "e1", STOPPED, verdict="worse", summary={"outcomes": 300})
    ended = ledger.experiment("toy", "e1")
    assert (ended.state, ended.verdict, ended.summary) == (STOPPED, "worse", {"outcomes": 300})
    assert ended.ended_at == clock.at
    assert not ended.under_way
    assert ledger.current_experiment("toy") is None
    assert ledger.begin_experiment(_record(id="e2", created_at=9.0))
    assert [e.id for e in ledger.experiments("toy")] == ["e2", "e1"]


def test_an_experiment_ends_once(ledger):
    ledger.begin_experiment(_record())
    assert ledger.end_experiment("toy", "e1", PROMOTED)
    assert not ledger.end_experiment("toy", "e1", FAILED)
    assert not ledger.end_experiment("toy", "unknown", FAILED)
    assert ledger.experiment("toy", "e1").state == PROMOTED


def test_an_ended_experiment_does_not_take_the_place_of_the_next(ledger):
    ledger.begin_experiment(_record())
    ledger.end_experiment("toy", "e1", STOPPED)
    ledger.begin_experiment(_record(id="e2"))
    assert not ledger.end_experiment("toy", "e1", STOPPED)
    assert ledger.current_experiment("toy").id == "e2"


def test_a_change_needs_the_state_it_was_decided_in(ledger):
    ledger.begin_experiment(_record())
    assert ledger.change_experiment("toy", "e1", ["running"], state=STOPPING) is None
    assert ledger.change_experiment("toy", "e1", ["starting"], state=RUNNING).state == RUNNING
    ledger.end_experiment("toy", "e1", STOPPED)
    assert ledger.change_experiment("toy", "e1", state=RUNNING) is None


def test_shares_are_kept_with_their_times_and_the_gap_between_them_is_nobodys(ledger):
    ledger.begin_experiment(_record())
    assert ledger.set_experiment_weight(_record(), 0.1, at=10.0)
    record = ledger.experiment("toy", "e1")
    assert record.weight == 0.1
    assert ledger.leave_experiment_weight(record, at=20.0)
    assert ledger.set_experiment_weight(ledger.experiment("toy", "e1"), 0.5, at=25.0)
    assert ledger.experiment("toy", "e1").weights == [
        {"weight": 0.1, "since": 10, "until": 20},
        {"weight": 0.5, "since": 25},
    ]


def test_noting_a_share_twice_changes_nothing(ledger):
    ledger.begin_experiment(_record())
    ledger.set_experiment_weight(_record(), 0.1, at=10.0)
    record = ledger.experiment("toy", "e1")
    assert ledger.set_experiment_weight(record, 0.1, at=30.0)
    assert ledger.experiment("toy", "e1").weights == [{"weight": 0.1, "since": 10}]
    ledger.leave_experiment_weight(record, at=40.0)
    left = ledger.experiment("toy", "e1")
    assert ledger.leave_experiment_weight(left, at=50.0)
    assert ledger.experiment("toy", "e1").weights == [{"weight": 0.1, "since": 10, "until": 40}]


def test_of_two_changes_of_the_share_the_later_finds_that_it_is_late(ledger):
    ledger.begin_experiment(_record())
    ledger.set_experiment_weight(_record(), 0.1, at=10.0)
    record = ledger.experiment("toy", "e1")
    assert ledger.set_experiment_weight(record, 0.2, at=20.0)
    assert not ledger.set_experiment_weight(record, 0.3, at=21.0)
    assert not ledger.leave_experiment_weight(record, at=21.0)


def test_the_last_share_ends_with_the_experiment(ledger, clock):
    ledger.begin_experiment(_record())
    ledger.set_experiment_weight(_record(), 0.1, at=10.0)
    ledger.end_experiment("toy", "e1", STOPPED)
    assert ledger.experiment("toy", "e1").weights == [{"weight": 0.1, "since": 10, "until": clock.at}]


def test_the_share_asked_for_is_shown_before_the_treatment_serves():
    assert _record().weight == 0.1
    assert replace(_record(), weights=[{"weight": 0.3, "since": 1.0}]).weight == 0.3
