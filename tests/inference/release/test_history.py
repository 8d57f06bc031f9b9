"""The record says what was found to serve, and what may be gone back to."""

from dataclasses import replace

from inference.release import history
from training.ledger.rollouts import RolloutRecord, Served

RELEASE = RolloutRecord(
    model="m",
    owner="me",
    operation="release",
    package_arn="p2",
    version="1.2.0",
    from_config="c1",
    to_config="c2",
    token="1",
    config="c1",
    serving_package="p1",
    serving_version="1.1.0",
    serving_since=10.0,
    history=(Served(config="c0", version="seed", ended=10.0),),
    experiment="e1",
)


def _freed(record, found, outcome, reason="because"):
    return dict(history.freed(record, found, outcome, reason, 99.0).changes)


def test_a_live_version_follows_the_one_before_which_may_be_gone_back_to():
    changes = _freed(RELEASE, "c2", "live")
    assert (changes["config"], changes["serving_package"], changes["serving_since"]) == ("c2", "p2", 99.0)
    assert changes["history"][0] == Served(
        config="c1",
        package_arn="p1",
        version="1.1.0",
        since=10.0,
        ended=99.0,
        why="replaced by version 1.2.0",
    )
    assert (changes["previous_config"], changes["previous_package"]) == ("c1", "p1")
    assert (changes["owner"], changes["phase"], changes["token"]) == ("", "", "")
    assert changes["last_operation"] == "release:p2"


def test_a_version_that_was_taken_back_is_remembered_and_never_gone_back_to():
    changes = _freed(RELEASE, "c1", "rolled_back", "alarms rang")
    assert (changes["config"], changes["serving_package"]) == ("c1", "p1")
    assert changes["history"][0].why == "alarms rang"
    assert not changes["history"][0].sound
    assert changes["previous_config"] == "c0"


def test_a_version_that_never_got_to_the_endpoint_leaves_no_trace_in_the_history():
    changes = _freed(replace(RELEASE, token=""), "c1", "refused")
    assert [one.config for one in changes["history"]] == ["c0"]


def test_what_could_not_be_taken_back_is_what_serves_whatever_was_meant():
    changes = _freed(RELEASE, "c2", "failed", "it answers wrongly")
    assert (changes["config"], changes["serving_package"]) == ("c2", "p2")
    assert changes["last_outcome"] == "failed"


def test_a_rollback_leaves_nothing_to_go_back_to_but_what_was_before_and_ends_an_experiment():
    back = replace(
        RELEASE, operation="rollback", package_arn="", from_config="c1", to_config="c0", version="seed"
    )
    changes = _freed(back, "c0", "live", "rolled back: odd")
    assert (changes["config"], changes["serving_package"]) == ("c0", "")
    assert [(one.config, one.sound) for one in changes["history"]] == [("c1", False)]
    assert changes["previous_config"] == ""
    assert changes["experiment"] == ""
    assert "experiment" not in _freed(RELEASE, "c2", "live")


def test_candidates_are_what_served_well_newest_first_and_at_last_the_seed():
    record = RolloutRecord(
        model="m",
        history=(
            Served(config="c3", sound=False),
            Served(config="c2"),
            Served(config="c1"),
        ),
    )
    found = history.candidates(record, "c2", "c0")
    assert [one.config for one in found] == ["c1", "c0"]
    assert [one.config for one in history.candidates(record, "c0", "c0")] == ["c2", "c1"]


def test_an_update_by_somebody_else_is_written_down_as_it_is():
    changes = _freed(RELEASE, "c9", "failed")
    assert (changes["config"], changes["serving_package"]) == ("c9", "")
