import json

from tests.upkeep.fakes import SECOND, START
from tests.upkeep.shelf import history
from upkeep.phases import parse_phases, title


def shown(events):
    return [(p.name, p.status, p.spent_seconds, p.message) for p in parse_phases(events)]


def test_steps_of_one_phase_are_one_line_however_often_the_loop_comes_by():
    said = [{"do": "wait", "phase": "updating", "reason": "the endpoint is Updating"}] * 30
    assert shown(history({"do": "again", "phase": "claimed"}, *said)) == [
        ("Begin", "done", 1.0, ""),
        ("Prepare", "done", 1.0, ""),
        ("Move the traffic", "done", 30.0, ""),
    ]


def test_the_check_is_a_phase_of_its_own():
    events = history({"do": "check", "phase": "claimed"}, {"do": "again", "phase": "updating"})
    assert [p.name for p in parse_phases(events)] == ["Begin", "Check", "Move the traffic"]


def test_the_last_phase_of_a_failed_release_says_why():
    events = history({"do": "wait", "phase": "updating"}, failed="alarm rang")
    assert shown(events)[-1] == ("Move the traffic", "failed", 1.0, "alarm rang")


def test_a_phase_that_is_not_over_runs():
    events = history({"do": "wait", "phase": "updating", "reason": "baking"})[:-1]
    (_, last) = parse_phases(events)
    assert (last.status, last.entered, last.words()) == (
        "running",
        START + SECOND,
        "move the traffic: baking",
    )


def test_a_phase_that_comes_again_is_the_same_line_with_all_its_time():
    said = [{"do": "again", "phase": phase} for phase in ("claimed", "restoring", "claimed")]
    phases = parse_phases(history(*said))
    assert [(p.name, p.visits, p.spent_seconds) for p in phases] == [
        ("Begin", 1, 1.0), ("Prepare", 2, 2.0), ("Go back", 1, 1.0),
    ]  # fmt: skip


def test_without_phases_what_is_waited_for_is_shown():
    events = history({"do": "wait", "reason": "the check is running"})
    assert [p.name for p in parse_phases(events)] == ["Begin", "The check is running"]


def test_waiting_for_the_endpoint_is_the_phase_in_which_traffic_moves():
    said = [{"do": "wait", "reason": f"the endpoint is {status}"} for status in ("Updating", "RollingBack")]
    assert shown(history(*said))[1:] == [("Move the traffic", "done", 2.0, "")]


def test_waiting_for_another_rollout_is_a_phase_too():
    events = history({"do": "wait", "reason": "another release is under way: 761d2611"})[:-1]
    last = parse_phases(events)[-1]
    assert (last.name, last.message) == ("Wait for its turn", "another release is under way: 761d2611")


def test_a_history_of_an_older_machine_shows_its_states():
    entered = {
        "type": "TaskStateEntered", "timestamp": START, "stateEnteredEventDetails": {"name": "CreateModel"},
    }  # fmt: skip
    assert [p.name for p in parse_phases([entered])] == ["CreateModel"]


def test_an_output_that_is_no_result_tells_nothing():
    for output in ("", "[1]", '{"result": 3}', '{"result"', json.dumps({"result": {"do": "again"}})):
        event = {
            "type": "TaskStateExited", "timestamp": START,
            "stateExitedEventDetails": {"name": "Step", "output": output},
        }  # fmt: skip
        assert parse_phases([event]) == []


def test_unknown_phases_are_shown_as_they_are():
    assert (title("bake_final"), title("claimed")) == ("Bake final", "Prepare")
